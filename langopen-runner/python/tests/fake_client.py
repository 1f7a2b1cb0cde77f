"""A client of a host's web app, and the API behind it, for tests."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

from fake_runner import FakeRunner

from langopen_host import frames
from langopen_host.exchange import PIECE, WINDOW


class Side:
    """One exchange as the runner sees it."""

    def __init__(self, runner: WebRunner, number: int) -> None:
        self.runner, self.number = runner, number
        self.head: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.pieces: list[bytes] = []
        self.received = 0
        self.unpaid = 0
        self.credit = asyncio.Semaphore(0)
        self.may_send = WINDOW
        self.more = asyncio.Event()
        self.ended = asyncio.Event()
        self.aborted = False

    def frame(self, kind: int, payload: bytes) -> None:
        if kind == frames.HTTP_RESPONSE:
            self.head.set_result(json.loads(payload))
        elif kind == frames.HTTP_BODY:
            assert len(payload) <= PIECE
            self.pieces.append(payload)
            self.received += len(payload)
            self.more.set()
            if self.runner.auto_credit:
                self.pay(len(payload))
        elif kind == frames.HTTP_CREDIT:
            self.may_send += struct.unpack(">I", payload)[0]
            self.more.set()
        else:
            self.aborted = kind == frames.HTTP_ABORT
            if self.aborted and not self.head.done():
                self.head.cancel()
            self.ended.set()
            self.more.set()

    def pay(self, size: int) -> None:
        self.runner.send(frames.HTTP_CREDIT, self.number, struct.pack(">I", size))

    async def send(self, body: bytes, *, last: bool = True) -> None:
        while body:
            while self.may_send < min(len(body), PIECE):
                self.more.clear()
                await asyncio.wait_for(self.more.wait(), 30)
            piece, body = body[:PIECE], body[PIECE:]
            self.may_send -= len(piece)
            self.runner.send(frames.HTTP_BODY, self.number, piece)
        if last:
            self.runner.send(frames.HTTP_END, self.number, b"")

    def abort(self) -> None:
        self.runner.send(frames.HTTP_ABORT, self.number, b"")

    async def text(self) -> str:
        await asyncio.wait_for(self.ended.wait(), 30)
        return b"".join(self.pieces).decode()

    async def answer(self) -> tuple[int, dict[str, str], str]:
        head = await asyncio.wait_for(asyncio.shield(self.head), 30)
        return head["status"], dict(head["headers"]), await self.text()


class WebRunner(FakeRunner):
    """A runner whose host serves `app`. `asked` has the heads of the host's requests to the API."""

    def __init__(self, app: str, graphs: dict[str, Any] | None = None, root_path: str = "") -> None:
        super().__init__(graphs or {})
        self.init["http"] = {"app": app, "root_path": root_path}
        self.sides: dict[int, Side] = {}
        self.asked: list[tuple[dict[str, Any], Side]] = []
        self.unknown = False
        self.user: dict[str, Any] | None = None

    def request(self, method: str, path: str, *, body: bool = False, **head: Any) -> Side:
        self._last += 1
        side = self.sides[self._last] = Side(self, self._last)
        whole = {
            "method": method, "path": path, "query": "", "http_version": "1.1", "headers": [["host", "test"]],
            "client": ["10.0.0.1", 5], "root_path": "", "body": body, "unknown": False, "authenticate": False,
            "user": None, **head,
        }  # fmt: skip
        self.send(frames.HTTP_REQUEST, side.number, json.dumps(whole).encode())
        return side

    def _frame(self, kind: int, stream: int, payload: bytes) -> None:
        if kind == frames.HTTP_REQUEST:
            side = self.sides[stream] = Side(self, stream)
            head = json.loads(payload)
            self.asked.append((head, side))
            asyncio.get_running_loop().create_task(self._api(head, side))
        elif kind > frames.HTTP_REQUEST:
            self.sides[stream].frame(kind, payload)
        else:
            super()._frame(kind, stream, payload)

    async def _api(self, head: dict[str, Any], side: Side) -> None:
        """Answers with the request's own method, path and body."""
        if head.get("authenticate"):
            known = {"status": 200, "headers": [], "user": self.user} if self.user else {"status": 401, "headers": []}
            self.send(frames.HTTP_RESPONSE, side.number, json.dumps(known).encode())
            await side.send(b"" if self.user else b"who are you")
            return
        text = ""
        if head.get("body") and not self.unknown:
            side.pay(WINDOW)
            text = await side.text()
            side.ended.clear()
        status = 404 if self.unknown else 200
        answer = {"status": status, "headers": [["x-api", "1"]], "unknown": self.unknown}
        self.send(frames.HTTP_RESPONSE, side.number, json.dumps(answer).encode())
        await side.send(f"API: {head['method']} {head['path']} {text}".encode())
