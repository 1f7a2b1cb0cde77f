"""The application's own web app (`http.app`): its lifespan, its requests, and its description for the runner."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from langopen_host import frames
from langopen_host.exchange import Aborted, Exchange, Exchanges, pump
from langopen_host.loading import LoadError, load_object
from langopen_host.user import User

logger = logging.getLogger("langopen")

ASGI = {"version": "3.0", "spec_version": "2.3"}
# How many seconds the app may take to shut down.
SHUTDOWN_GRACE = 4.0

# The exchange that the current code works for.
current: ContextVar[int | None] = ContextVar("langopen_exchange", default=None)


class WebApp:
    """One ASGI application."""

    def __init__(self, app: Any, exchanges: Exchanges) -> None:
        self._app = app
        self._exchanges = exchanges
        self._state: dict[str, Any] = {}
        self._requests: dict[int, Request] = {}
        self._lifespan = Lifespan(app, self._state)
        self.description = self._describe()

    @classmethod
    def load(cls, target: str, base_dir: Path, exchanges: Exchanges) -> WebApp:
        app = load_object("http.app", target, base_dir)
        if not callable(app):
            raise LoadError(
                f"{target!r} is a {type(app).__name__}: http.app needs an ASGI application, "
                "e.g. one of FastAPI or Starlette",
                kind="TypeError",
            )
        return cls(app, exchanges)

    async def start(self) -> None:
        """Runs the startup of the app's lifespan."""
        await self._lifespan.start()

    async def stop(self) -> None:
        """Cancels the app's requests and runs the shutdown of its lifespan."""
        for request in list(self._requests.values()):
            request.cancel()
        await self._lifespan.stop(SHUTDOWN_GRACE)

    def serve(self, number: int, head: dict[str, Any]) -> None:
        """Answers a request."""
        exchange = self._exchanges.accept(number, body=head["body"])
        request = Request(self._app, exchange, head, self._state.copy())
        self._requests[number] = request
        request.start().add_done_callback(lambda _task: self._requests.pop(number, None))

    def _describe(self) -> dict[str, Any]:
        if not _is_starlette(self._app):
            # Its routes are unknown, so it receives the requests for which the API has no path.
            return {"first": False, "routes": [], "later": True, "openapi": None}
        from langopen_host import gate

        described = gate.describe(self._app)
        openapi = _openapi(self._app)
        gate.Gate(self._app.router)
        return {**described, "openapi": openapi}


def _is_starlette(app: Any) -> bool:
    # A Starlette application has imported this module.
    module = sys.modules.get("starlette.applications")
    return module is not None and isinstance(app, module.Starlette)


def _openapi(app: Any) -> Any:
    if (make := getattr(app, "openapi", None)) is None:
        return None
    try:
        return make()
    except Exception:
        logger.exception("http.app has no OpenAPI document: making it failed. The server's document leaves it out")
        return None


class Lifespan:
    """An application's lifespan, if it supports one."""

    def __init__(self, app: Any, state: dict[str, Any]) -> None:
        self._app = app
        self._scope = {"type": "lifespan", "asgi": ASGI, "state": state}
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._main())
        answer = await self._ask("lifespan.startup")
        if answer["type"] == "lifespan.startup.failed":
            raise LoadError(_last_words(answer), kind="LifespanError")
        if answer["type"] == "raised" and _is_starlette(self._app):
            raise answer["error"]

    async def stop(self, seconds: float) -> None:
        if self._task is None or self._task.done():
            return
        try:
            answer = await asyncio.wait_for(self._ask("lifespan.shutdown"), seconds)
        except TimeoutError:
            logger.error("The lifespan of http.app did not shut down within %s s", seconds)
            return
        if answer["type"] == "lifespan.shutdown.failed":
            logger.error("The lifespan of http.app failed to shut down: %s", answer.get("message", ""))

    async def _ask(self, what: str) -> dict[str, Any]:
        self._incoming.put_nowait({"type": what})
        return await self._answers.get()

    async def _main(self) -> None:
        try:
            await self._app(self._scope, self._incoming.get, self._answer)
        except BaseException as error:
            self._answers.put_nowait({"type": "raised", "error": error})
        else:
            self._answers.put_nowait({"type": "ended"})

    async def _answer(self, message: dict[str, Any]) -> None:
        self._answers.put_nowait(message)


def _last_words(answer: dict[str, Any]) -> str:
    message = (answer.get("message") or "").strip()
    failure = "The application's lifespan failed to start"
    return f"{failure}\n{message}" if message else failure


class Request:
    """One request inside the application, and the operations that the gate uses for it."""

    def __init__(self, app: Any, exchange: Exchange, head: dict[str, Any], state: dict[str, Any]) -> None:
        self._app = app
        self._exchange = exchange
        self._head = head
        self.unknown: bool = head["unknown"]
        self.authenticate: bool = head["authenticate"]
        self.user = None if head["user"] is None else User(head["user"])
        self._state = state
        self._task: asyncio.Task[None] | None = None
        self._started = False
        self._ended = False
        self._over = asyncio.Event()
        self._whole = False

    def start(self) -> asyncio.Task[None]:
        self._task = asyncio.get_running_loop().create_task(self._main())
        return self._task

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _scope(self) -> dict[str, Any]:
        head = self._head
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head["headers"]]
        client, scheme = head["client"], "http"
        if client is not None and client[0] in ("127.0.0.1", "::1"):
            # Only a proxy on this machine is trusted.
            known = dict(headers)
            forwarded = known.get(b"x-forwarded-proto", b"").decode("latin-1").strip().lower()
            scheme = forwarded if forwarded in ("http", "https") else scheme
            if peer := known.get(b"x-forwarded-for", b"").decode("latin-1").split(",")[0].strip():
                client = (peer, 0)
        host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
        name, colon, port = host.rpartition(":")
        server = (name, int(port)) if colon and port.isdigit() else (host, 443 if scheme == "https" else 80)
        scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": head["http_version"],
            "method": head["method"],
            "scheme": scheme,
            "path": unquote(head["path"]),
            "raw_path": head["path"].encode("ascii", "replace"),
            "query_string": head["query"].encode("ascii", "replace"),
            "root_path": head["root_path"],
            "headers": headers,
            "client": None if client is None else tuple(client),
            "server": server,
            "state": self._state,
            "langopen.request": self,
        }
        if self.user is not None:
            scope.update(_users(self.user))
        return scope

    async def _main(self) -> None:
        current.set(self._exchange.number)
        try:
            await self._app(self._scope(), self.receive, self.send)
        except asyncio.CancelledError:
            self._exchange.abort()
            raise
        except BaseException:
            if not self._exchange.aborted:
                logger.exception("http.app failed to answer %s %s", self._head["method"], self._head["path"])
            await self._fail()
        else:
            if not self._ended:
                if not self._exchange.aborted:
                    head = self._head
                    logger.error("http.app did not finish its answer to %s %s", head["method"], head["path"])
                await self._fail()
        finally:
            self._over.set()
            self._exchange.exchanges.forget(self._exchange)

    async def _fail(self) -> None:
        if self._started:
            # A truncated answer must not look complete.
            if not self._ended:
                self._exchange.abort()
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": b"Internal Server Error"})

    async def receive(self) -> dict[str, Any]:
        if not self._whole and not self._over.is_set():
            try:
                piece = await self._exchange.receive()
            except Aborted:
                return {"type": "http.disconnect"}
            self._whole = piece is None
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}
        # The request is complete, so the next event is its end.
        over, gone = asyncio.ensure_future(self._over.wait()), asyncio.ensure_future(self._exchange.gone())
        try:
            await asyncio.wait((over, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            gone.cancel()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            if self._started:
                raise RuntimeError("The response has been started already")
            self._started = True
            headers = [
                [bytes(name).decode("latin-1").lower(), bytes(value).decode("latin-1")]
                for name, value in message.get("headers", [])
            ]
            self._exchange.send_head(frames.HTTP_RESPONSE, {"status": message["status"], "headers": headers})
        elif kind == "http.response.body":
            if not self._started or self._ended:
                raise RuntimeError("A response's body comes after its start and before its end")
            if body := message.get("body", b""):
                await self._exchange.send(body)
            if not message.get("more_body", False):
                self._ended = True
                self._exchange.end()
                self._over.set()

    async def ask_api(self, scope: Any, receive: Any, send: Any, *, keep_unknown: bool) -> bool:
        """Lets the API answer. False if it has no such path and `keep_unknown` is set: the app answers."""
        headers = [[name.decode("latin-1").lower(), value.decode("latin-1")] for name, value in scope["headers"]]
        original = unquote(self._head["path"])
        path = self._head["path"] if scope["path"] == original else quote(scope["path"], safe="/:@!$&'()*+,;=~-._")
        names = {name for name, _ in headers}
        body = self._head["body"] or "content-length" in names or "transfer-encoding" in names
        exchange = self._exchange.exchanges.begin(
            {
                "method": scope["method"],
                "path": path,
                "query": scope["query_string"].decode("latin-1"),
                "headers": headers,
                "parent": self._exchange.number,
                "body": body,
            }
        )
        sending = asyncio.ensure_future(pump(exchange, _pieces(receive, exchange))) if body else None
        try:
            answer = await exchange.head
            if answer.get("unknown") and keep_unknown:
                return False
            pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer["headers"]]
            await send({"type": "http.response.start", "status": answer["status"], "headers": pairs})
            while (piece := await exchange.receive()) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return True
        finally:
            exchange.abort()
            if sending is not None:
                sending.cancel()

    async def let_in(self, scope: Any, send: Any) -> bool:
        """Whether the caller may use the application's own routes. An unauthenticated caller gets the API's refusal."""
        if not self.authenticate or self.user is not None:
            return True
        headers = [[name.decode("latin-1").lower(), value.decode("latin-1")] for name, value in scope["headers"]]
        exchange = self._exchange.exchanges.begin(
            {
                "method": scope["method"],
                "path": self._head["path"],
                "query": scope["query_string"].decode("latin-1"),
                "headers": headers,
                "parent": self._exchange.number,
                "authenticate": True,
            }
        )
        try:
            answer = await exchange.head
            if answer.get("user") is not None:
                self.user = User(answer["user"])
                scope.update(_users(self.user))
                return True
            pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer["headers"]]
            await send({"type": "http.response.start", "status": answer["status"], "headers": pairs})
            while (piece := await exchange.receive()) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return False
        finally:
            exchange.abort()


def _users(user: User) -> dict[str, Any]:
    if "starlette" not in sys.modules:
        return {"user": user}
    from langopen_host import gate

    return gate.users(user)


async def _pieces(receive: Any, exchange: Exchange) -> AsyncIterator[bytes]:
    """The request's body, as middleware passes it on."""
    while True:
        # The client sends no more than the API reads.
        await exchange.wanted()
        message = await receive()
        if message["type"] == "http.disconnect":
            exchange.abort()
            return
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body", False):
            return
