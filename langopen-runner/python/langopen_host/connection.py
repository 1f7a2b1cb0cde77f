"""The one connection to the runner: framing, coalesced writes, and calls with their replies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from langopen_host import frames
from langopen_host.primitives import packb, unpackb

logger = logging.getLogger("langopen")


class ConnectionLost(Exception):
    """The runner is gone. The platform executes the host's runs elsewhere, so this error is retryable."""


class CallFailed(Exception):
    """The runner answered a call with an error of the class `kind`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


# The shortest time in seconds between two writes of frames that are not urgent.
PACE = 0.001


class Waiter(Protocol):
    """Receives a call's reply: a future, or the receipt of a write that no code awaits."""

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, error: BaseException, /) -> None: ...


class Connection(asyncio.Protocol):
    """Frames over a transport. `on_frame(kind, stream, payload)` gets every frame but the replies to our calls.

    The connection collects frames and writes them once per turn of the loop. Events that follow each other within a
    millisecond share a write: the first is written at once, so a lone token is not delayed, while a burst of tokens
    does not cost a system call and a wake-up each.
    """

    def __init__(
        self, on_frame: Callable[[int, int, bytes], None], on_lost: Callable[[Exception | None], None]
    ) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._decoder = frames.Decoder()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._flushing: asyncio.Handle | None = None
        self._pacing = False
        self._written = 0.0
        self._paused = False
        self._waiters: dict[int, Waiter] = {}
        self._last_call = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            received = self._decoder.feed(data)
        except ValueError:
            self.close()
            return
        for kind, stream, payload in received:
            if kind == frames.REPLY:
                if waiter := self._waiters.pop(stream, None):
                    _settle(waiter, payload)
            elif kind == frames.ERROR:
                if waiter := self._waiters.pop(stream, None):
                    _fail(waiter, payload)
            else:
                try:
                    self._on_frame(kind, stream, payload)
                except Exception:
                    # An error that leaves this method ends the connection, and with it every run of the host.
                    logger.exception("A frame of kind %#04x cannot be handled", kind)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._out.clear()
        self._out_bytes = 0
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters.values():
            _reject(waiter, ConnectionLost("the connection to the runner was lost"))
        self._on_lost(error)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def backlog(self) -> int:
        """How many bytes wait for the transport, which takes none while the runner does not read."""
        return self._out_bytes

    def send(self, kind: int, stream: int, payload: bytes, *, urgent: bool = True) -> None:
        """Queues a frame. Call it only from the loop's own thread."""
        out = self._out
        self._out_bytes += len(payload)
        out.append(frames.HEADER.pack(len(payload) + frames.OVERHEAD, kind, stream))
        out.append(payload)
        if self._flushing is None:
            if urgent or self._loop.time() - self._written > PACE:
                self._flushing = self._loop.call_soon(self._flush)
            else:
                self._pacing = True
                self._flushing = self._loop.call_later(PACE, self._flush)
        elif urgent and self._pacing:
            self._pacing = False
            self._flushing.cancel()
            self._flushing = self._loop.call_soon(self._flush)

    def call(self, method: str, params: dict[str, Any], waiter: Waiter, *, urgent: bool = True) -> None:
        """Calls the runner. The reply settles `waiter`."""
        if self._transport is None:
            raise ConnectionLost("the connection to the runner was lost")
        payload = packb({"method": method, "params": params})
        call_id = self._last_call = self._last_call % 0xFFFFFFFF + 1
        self._waiters[call_id] = waiter
        self.send(frames.CALL, call_id, payload, urgent=urgent)

    def request(self, method: str, params: dict[str, Any]) -> asyncio.Future[Any]:
        """Calls the runner and returns the future of the reply."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self.call(method, params, future)
        return future

    def close(self) -> None:
        """Writes the queued frames and closes."""
        self._paused = False
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        self._flushing = None
        self._pacing = False
        if self._paused or self._transport is None or not self._out:
            return
        out, self._out = self._out, []
        self._out_bytes = 0
        self._transport.write(b"".join(out))
        self._written = self._loop.time()


def _settle(waiter: Waiter, payload: bytes) -> None:
    try:
        result = unpackb(payload)
    except ValueError as error:
        _reject(waiter, CallFailed("DecodeError", f"the runner's reply cannot be read: {error}"))
        return
    # The reply to a cancelled call still arrives.
    if not (isinstance(waiter, asyncio.Future) and waiter.done()):
        waiter.set_result(result)


def _fail(waiter: Waiter, payload: bytes) -> None:
    try:
        detail = unpackb(payload)
        error = CallFailed(str(detail["error"]), str(detail["message"]))
    except (ValueError, KeyError, TypeError):
        error = CallFailed("CallFailed", "the runner refused the call")
    _reject(waiter, error)


def _reject(waiter: Waiter, error: Exception) -> None:
    if not (isinstance(waiter, asyncio.Future) and waiter.done()):
        waiter.set_exception(error)
