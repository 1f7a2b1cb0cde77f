"""HTTP exchanges over the one connection: requests for the application's web app, and its own requests to the API.

Both sides send bodies in pieces, within the credit that the receiver gives. So a body that nobody reads holds up no
other exchange.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from langopen_host import frames
from langopen_host.connection import Connection, ConnectionLost
from langopen_host.primitives import orjson_loads
from langopen_host.serialize import dumps

# How many bytes of a body may be on their way. The runner has the same number.
WINDOW = 256 * 1024
# The largest piece of a body in one frame.
PIECE = 64 * 1024
# The receiver gives credit back in portions of this many bytes.
PORTION = WINDOW // 4
# The host begins the exchanges with ids from here on.
OURS = 1 << 31


class Aborted(ConnectionLost):
    """The other side aborted the exchange."""


class Exchange:
    """One exchange: the received part of the other side's body, and the credit for ours.

    Use it only in the loop's own thread.
    """

    def __init__(self, exchanges: Exchanges, number: int, *, receives: bool, credit: int) -> None:
        self.exchanges = exchanges
        self.number = number
        self.aborted = False
        self.head: asyncio.Future[dict[str, Any]] = exchanges.loop.create_future()
        self._pieces: deque[bytes] = deque()
        # Whether the other side's body is complete.
        self._received = not receives
        self._unpaid = 0
        self._credit = credit
        self._changed: asyncio.Event = asyncio.Event()

    async def receive(self) -> bytes | None:
        """The next piece of the other side's body; None at its end. Raises `Aborted` when the other side aborted."""
        while not self._pieces:
            if self._received:
                return None
            if self.aborted:
                raise Aborted("the other side aborted the request")
            await self._wait()
        piece = self._pieces.popleft()
        self._unpaid += len(piece)
        if self._unpaid >= PORTION and not self.aborted:
            self.exchanges.send(frames.HTTP_CREDIT, self.number, frames.LENGTH.pack(self._unpaid))
            self._unpaid = 0
        return piece

    async def send(self, body: bytes) -> None:
        """Sends a piece of our body, or nothing once the exchange is over."""
        view = memoryview(body)
        while view and not self.aborted:
            piece = view[:PIECE]
            if self._credit < len(piece):
                await self._wait()
                continue
            self._credit -= len(piece)
            self.exchanges.send(frames.HTTP_BODY, self.number, bytes(piece))
            view = view[PIECE:]

    def send_head(self, kind: int, head: dict[str, Any]) -> None:
        if not self.aborted:
            self.exchanges.send(kind, self.number, dumps(head))

    def end(self) -> None:
        """Says that our body is complete."""
        if not self.aborted:
            self.exchanges.send(frames.HTTP_END, self.number, b"")

    def abort(self) -> None:
        """Aborts the exchange, unless it is over."""
        if not self.aborted and self.exchanges.forget(self):
            self.exchanges.send(frames.HTTP_ABORT, self.number, b"")
        self.break_off()

    async def wanted(self) -> None:
        """Waits until the other side wants a piece of our body."""
        while self._credit <= 0 and not self.aborted:
            await self._wait()

    async def gone(self) -> None:
        """Waits until the other side aborts the exchange."""
        while not self.aborted:
            await self._wait()

    async def _wait(self) -> None:
        await self._changed.wait()

    def _wake(self) -> None:
        # Every waiting task checks its condition again. Later ones wait for the next change.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def frame(self, kind: int, payload: bytes) -> None:
        """Handles a frame of the other side."""
        if kind == frames.HTTP_BODY:
            self._pieces.append(payload)
        elif kind == frames.HTTP_END:
            self._received = True
            if self.number >= OURS:
                self.exchanges.forget(self)
        elif kind == frames.HTTP_CREDIT:
            self._credit += frames.LENGTH.unpack(payload)[0]
        elif kind == frames.HTTP_RESPONSE and not self.head.done():
            self.head.set_result(orjson_loads(payload))
        elif kind == frames.HTTP_ABORT:
            self.exchanges.forget(self)
            self.break_off()
        self._wake()

    def break_off(self) -> None:
        self.aborted = True
        if not self.head.done():
            self.head.set_exception(Aborted("the other side aborted the request"))
            # Marks the error as seen: perhaps no code waits for it any more.
            self.head.exception()
        self._wake()


class Exchanges:
    """The exchanges in flight on the connection."""

    def __init__(self, connection: Connection) -> None:
        self.loop = asyncio.get_running_loop()
        self._connection = connection
        self._open: dict[int, Exchange] = {}
        self._last = 0

    @property
    def count(self) -> int:
        return len(self._open)

    def accept(self, number: int, *, body: bool) -> Exchange:
        """An exchange that the runner began."""
        exchange = self._open[number] = Exchange(self, number, receives=body, credit=WINDOW)
        return exchange

    def begin(self, head: dict[str, Any]) -> Exchange:
        """Begins an exchange. The runner gives credit for the request's body once the receiver reads it."""
        if not self._connection.connected:
            raise ConnectionLost("the connection to the runner was lost")
        self._last = self._last % (OURS - 1) + 1
        exchange = self._open[OURS + self._last] = Exchange(self, OURS + self._last, receives=True, credit=0)
        exchange.send_head(frames.HTTP_REQUEST, head)
        return exchange

    def frame(self, kind: int, number: int, payload: bytes) -> None:
        # Frames of an exchange that is over may still arrive.
        if (exchange := self._open.get(number)) is not None:
            exchange.frame(kind, payload)

    def send(self, kind: int, number: int, payload: bytes) -> None:
        if self._connection.connected:
            self._connection.send(kind, number, payload)

    def forget(self, exchange: Exchange) -> bool:
        return self._open.pop(exchange.number, None) is not None

    def break_off(self) -> None:
        """Aborts all exchanges: the connection is gone."""
        exchanges, self._open = list(self._open.values()), {}
        for exchange in exchanges:
            exchange.break_off()


async def pump(exchange: Exchange, pieces: AsyncIterator[bytes]) -> None:
    """Sends a complete body."""
    async for piece in pieces:
        await exchange.send(piece)
        if exchange.aborted:
            return
    exchange.end()
