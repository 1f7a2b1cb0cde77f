"""Everything that user code prints or logs goes to the runner, with the run that it belongs to."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import threading
from typing import Any

from langopen_host import frames, scope
from langopen_host.connection import Connection
from langopen_host.scope import Scope
from langopen_host.serialize import dumps

_MAX_LINE = 64 * 1024


class Sink:
    """Sends LOG frames, from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def send(self, source: str, level: str, message: str, run: Scope | None, logger: str | None) -> None:
        run_id, handle = (None, 0) if run is None else (run.run_id, run.run or 0)
        record = {"level": level, "source": source, "message": message, "run_id": run_id, "logger": logger}
        payload = dumps(record)
        if threading.get_ident() == self._thread:
            self._late(handle, payload)
            return
        try:
            self._loop.call_soon_threadsafe(self._late, handle, payload)
        except RuntimeError:
            # The loop is closed: a thread outlived the host.
            pass

    def _late(self, handle: int, payload: bytes) -> None:
        self._connection.send(frames.LOG, handle, payload, urgent=False)


class LineStream(io.TextIOBase):
    """Takes the place of stdout or stderr. Lines of concurrent runs are gathered apart, so they never mix."""

    def __init__(self, sink: Sink, source: str, level: str, original: Any) -> None:
        self._sink = sink
        self._source = source
        self._level = level
        self._original = original
        self._partial: dict[Scope | None, str] = {}
        self._lock = threading.Lock()

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._original.fileno()

    @property
    def buffer(self) -> Any:
        return self._original.buffer

    def write(self, text: str) -> int:
        run = scope.current_run()
        with self._lock:
            lines = (self._partial.pop(run, "") + text).split("\n")
            if rest := lines.pop():
                if len(rest) > _MAX_LINE:
                    lines.append(rest)
                else:
                    self._partial[run] = rest
        for line in lines:
            if line:
                self._sink.send(self._source, self._level, line.rstrip("\r"), run, None)
        return len(text)

    def finish(self, run: Scope) -> None:
        """Sends what a run left without a newline."""
        with self._lock:
            rest = self._partial.pop(run, "")
        if rest:
            self._sink.send(self._source, self._level, rest, run, None)


class Handler(logging.Handler):
    """Sends log records."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception:
            message = str(record.msg)
        self._sink.send("logging", record.levelname.lower(), message, scope.current_run(), record.name)


class Capture:
    """Replaces the process's outputs for good."""

    def __init__(self, connection: Connection) -> None:
        sink = Sink(connection)
        self._streams = (
            LineStream(sink, "stdout", "info", sys.__stdout__),
            LineStream(sink, "stderr", "warning", sys.__stderr__),
        )
        sys.stdout, sys.stderr = self._streams  # type: ignore[assignment]
        root = logging.getLogger()
        root.handlers[:] = [Handler(sink)]
        level = logging.getLevelName(os.environ.get("LOG_LEVEL", "INFO").upper())
        root.setLevel(level if isinstance(level, int) else logging.INFO)

    def finish(self, run: Scope) -> None:
        for stream in self._streams:
            stream.finish(run)
