"""Sends everything that user code prints or logs to the runner, with the run that it belongs to."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from langopen_host import frames, scope
from langopen_host.connection import Connection
from langopen_host.primitives import get_ident, sleep
from langopen_host.scope import Scope
from langopen_host.serialize import dumps

# The most bytes of text in one record.
MAX_LINE = 64 * 1024
# A text of fewer characters cannot have more bytes than MAX_LINE.
_SURELY_SHORT = MAX_LINE // 4
# Room for the note at the end of a record that is cut.
_NOTE = 100
# How many bytes of records may wait for the runner. Beyond it threads wait, and the loop leaves lines out.
MAX_BACKLOG = 4 * 1024 * 1024
# How long a thread waits for the backlog to shrink before it leaves a line out, and how often it looks.
_PATIENCE = 1.0
_LOOK_EVERY = 0.005


class Sink:
    """Sends LOG frames, from any thread. A flood of output is bounded: see MAX_BACKLOG."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._lock = threading.Lock()
        # Bytes that threads have handed to the loop and the loop has not taken.
        self._posted = 0
        self._left_out = 0

    def send(self, source: str, level: str, message: str, run: Scope | None, logger: str | None) -> None:
        if not self._has_room():
            with self._lock:
                self._left_out += 1
            return
        if self._left_out:
            with self._lock:
                count, self._left_out = self._left_out, 0
            if count:
                note = f"{count} records of output were left out: there were more than the runner could take"
                self._send(_record("logging", "warning", note, None, "langopen"), 0)
        self._send(_record(source, level, message, run, logger), 0 if run is None else run.run or 0)

    def _send(self, payload: bytes, handle: int) -> None:
        if get_ident() == self._thread:
            self._connection.send(frames.LOG, handle, payload, urgent=False)
            return
        with self._lock:
            self._posted += len(payload)
        try:
            self._loop.call_soon_threadsafe(self._take, handle, payload)
        except RuntimeError:
            # The loop is closed: a thread outlived the host.
            pass

    def _take(self, handle: int, payload: bytes) -> None:
        with self._lock:
            self._posted -= len(payload)
        self._connection.send(frames.LOG, handle, payload, urgent=False)

    def _has_room(self) -> bool:
        if self._backlog() <= MAX_BACKLOG:
            return True
        # The loop cannot wait for itself. A thread has waited already when lines were left out a moment ago.
        if get_ident() == self._thread or self._left_out:
            return False
        for _ in range(int(_PATIENCE / _LOOK_EVERY)):
            sleep(_LOOK_EVERY)
            if self._backlog() <= MAX_BACKLOG:
                return True
        return False

    def _backlog(self) -> int:
        return self._posted + self._connection.backlog


def _record(source: str, level: str, message: str, run: Scope | None, logger: str | None) -> bytes:
    run_id = None if run is None else run.run_id
    return dumps({"level": level, "source": source, "message": message, "run_id": run_id, "logger": logger})


class LineStream(io.TextIOWrapper):
    """Replaces stdout or stderr and sends each line. Lines of concurrent runs are collected apart, so they never mix.

    Bytes written to `buffer` or to the file descriptor reach the process's own output, which the runner reads too.
    """

    def __init__(self, sink: Sink, source: str, level: str, original: Any) -> None:
        output = getattr(original, "buffer", None) or open(os.devnull, "wb")
        super().__init__(output, encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True)
        self._sink = sink
        self._source = source
        self._level = level
        self._partial: dict[Scope | None, _Partial] = {}
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        run = scope.current_run()
        with self._lock:
            lines = list(self._lines(run, text))
        for line in lines:
            for piece in pieces(line):
                self._sink.send(self._source, self._level, piece, run, None)
        return len(text)

    def close(self) -> None:
        """Does nothing, because later output still has to reach the runner."""

    def finish(self, run: Scope) -> None:
        """Sends what a run left without a newline."""
        with self._lock:
            partial = self._partial.pop(run, None)
        if partial is not None:
            for piece in pieces(partial.text()):
                self._sink.send(self._source, self._level, piece, run, None)

    def _lines(self, run: Scope | None, text: str) -> Iterator[str]:
        """The lines that `text` completes. An unfinished line is sent in pieces as it grows."""
        start, partial = 0, self._partial.pop(run, None)
        while (end := text.find("\n", start)) >= 0:
            line = text[start:end]
            if partial is not None:
                line, partial = partial.text() + line, None
            if line := line.rstrip("\r"):
                yield line
            start = end + 1
        if start == len(text) and partial is None:
            return
        partial = partial or _Partial()
        partial.add(text[start:])
        if partial.size >= _SURELY_SHORT:
            yield partial.text()
        else:
            self._partial[run] = partial


class _Partial:
    """The start of a line."""

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.size = 0

    def add(self, text: str) -> None:
        self._parts.append(text)
        self.size += len(text)

    def text(self) -> str:
        return "".join(self._parts)


def pieces(line: str, limit: int = MAX_LINE) -> Iterator[str]:
    """`line` in pieces of at most `limit` bytes."""
    if len(line) <= _SURELY_SHORT:
        yield line
        return
    data = line.encode("utf-8", "replace")
    start = 0
    while start < len(data):
        end = min(start + limit, len(data))
        # Bytes of the form 10xxxxxx continue a character.
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[start:end].decode()
        start = end


class Handler(logging.Handler):
    """Sends log records, each cut at MAX_LINE bytes."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception:
            message = str(record.msg)
        if len(message) > _SURELY_SHORT:
            first = next(pieces(message, MAX_LINE - _NOTE))
            rest = len(message) - len(first)
            message = f"{first}\n({rest} more characters are left out)" if rest else first
        self._sink.send("logging", record.levelname.lower(), message, scope.current_run(), record.name)


class Capture:
    """Replaces the process's outputs for good."""

    def __init__(self, connection: Connection) -> None:
        sink = Sink(connection)
        self._streams = (
            LineStream(sink, "stdout", "info", sys.__stdout__),
            LineStream(sink, "stderr", "warning", sys.__stderr__),
        )
        sys.stdout, sys.stderr = self._streams
        root = logging.getLogger()
        root.handlers[:] = [Handler(sink)]
        level = logging.getLevelName(os.environ.get("LOG_LEVEL", "INFO").upper())
        root.setLevel(level if isinstance(level, int) else logging.INFO)
        os.register_at_fork(after_in_child=_release)

    def finish(self, run: Scope) -> None:
        for stream in self._streams:
            stream.finish(run)


def _release() -> None:
    """Gives a forked child its own outputs back: the connection is its parent's."""
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    logging.getLogger().handlers[:] = [logging.StreamHandler()]
