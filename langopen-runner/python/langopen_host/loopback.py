"""The application's own requests to the API: `langgraph_sdk.get_client()` without an address.

They travel over the connection to the runner, so they need no port and no key. The client may live in any event loop;
the connection lives in the host's.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from langopen_host import asgi, scope
from langopen_host.exchange import Exchange, Exchanges, pump

T = TypeVar("T")


class Loopback:
    """Sends requests to the API, once the host is ready."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges
        # The path that the API is mounted at.
        self.root_path = ""
        self.ready = False

    async def on_host(self, work: Awaitable[T]) -> T:
        """Executes `work` in the host's loop. The caller may be in another one."""
        if asyncio.get_running_loop() is self._exchanges.loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_coroutine(work), self._exchanges.loop))

    async def begin(self, head: dict[str, Any]) -> Exchange:
        return self._exchanges.begin(head)


async def _coroutine(work: Awaitable[T]) -> T:
    return await work


def install(loopback: Loopback) -> None:
    """Makes SDK clients without an address use `loopback`. Does nothing with an SDK that has no such clients."""
    try:
        import httpx
        from langgraph_sdk import get_client
    except ImportError:
        return
    module = sys.modules[get_client.__module__]
    if not hasattr(module, "get_asgi_transport"):
        return
    transport = _transport(loopback, httpx)
    module.get_asgi_transport = lambda: transport  # type: ignore[attr-defined]
    # Without this the SDK keeps the transport of every client for ever.
    module._registered_transports = deque(maxlen=0)  # type: ignore[attr-defined]
    os.environ["__LANGGRAPH_DEFER_LOOPBACK_TRANSPORT"] = "true"


def _transport(loopback: Loopback, httpx: Any) -> type:
    class Body(httpx.AsyncByteStream):
        def __init__(self, exchange: Exchange, sending: asyncio.Future[None]) -> None:
            self._exchange, self._sending = exchange, sending

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                while (piece := await loopback.on_host(self._exchange.receive())) is not None:
                    yield piece
            except ConnectionError as error:
                raise httpx.ReadError(str(error)) from error
            except Exception as error:
                raise httpx.RemoteProtocolError(str(error)) from error

        async def aclose(self) -> None:
            async def close() -> None:
                self._exchange.abort()
                self._sending.cancel()

            await loopback.on_host(close())

    class LoopbackTransport(httpx.AsyncBaseTransport):
        """The transport of the SDK's clients. `app` and `root_path` name a server in this process, and are ignored."""

        def __init__(self, app: Any = None, root_path: str = "", **_: Any) -> None:
            self.app = app

        async def handle_async_request(self, request: Any) -> Any:
            if not loopback.ready:
                raise httpx.ConnectError("The server serves no requests while the application is loaded")
            body = await request.aread()
            run = scope.current_run()
            head = {
                "method": request.method,
                "path": loopback.root_path + request.url.raw_path.partition(b"?")[0].decode("ascii"),
                "query": request.url.query.decode("ascii"),
                "headers": [
                    [name.decode("latin-1").lower(), value.decode("latin-1")] for name, value in request.headers.raw
                ],
                "run": None if run is None else run.run,
                "within": asgi.current.get(),
                "body": bool(body),
            }

            async def ask() -> tuple[dict[str, Any], Exchange, asyncio.Future[None]]:
                exchange = await loopback.begin(head)
                sending = asyncio.ensure_future(pump(exchange, _once(body)) if head["body"] else _nothing())
                try:
                    return await exchange.head, exchange, sending
                except BaseException:
                    exchange.abort()
                    sending.cancel()
                    raise

            try:
                answer, exchange, sending = await loopback.on_host(ask())
            except asyncio.CancelledError:
                raise
            except Exception as error:
                raise httpx.RemoteProtocolError(str(error), request=request) from error
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer["headers"]]
            return httpx.Response(answer["status"], headers=headers, stream=Body(exchange, sending), request=request)

    return LoopbackTransport


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _nothing() -> None:
    return None
