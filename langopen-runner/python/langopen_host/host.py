"""The host: answers the runner's frames and keeps the runs that are in flight."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

from langopen_host import PROTOCOL_VERSION, errors, frames, loading, loopback, scope, spans
from langopen_host.asgi import WebApp
from langopen_host.calls import METHODS
from langopen_host.connection import Connection
from langopen_host.exchange import Exchanges
from langopen_host.graphs import Graphs
from langopen_host.logs import Capture
from langopen_host.run import Run
from langopen_host.scope import Scope
from langopen_host.serialize import dumps
from langopen_host.store import HostStore
from langopen_host.store_index import StoreIndex

# How long runs may take to unwind when the host is told to stop.
SHUTDOWN_GRACE = 5.0
# A run leaves few cycles behind, and a collection after every 700 allocations is felt in each of them.
GC_THRESHOLD = (10_000, 20, 20)


class Host:
    """`exit_status` is set when the host should end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.exit_status: asyncio.Future[int] = self._loop.create_future()
        self._connection: Connection
        self._capture: Capture
        self._graphs = Graphs()
        # An AppAuth, where the application has one.
        self._auth: Any = None
        self._exchanges: Exchanges
        self._loopback: loopback.Loopback
        # None where the application has none.
        self._web: WebApp | None = None
        self._runs: dict[int, Run] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: dict[str, Any] = {}
        self._on: dict[int, Callable[[int, bytes], None]] = {
            frames.INIT: self._init,
            frames.PING: self._ping,
            frames.SHUTDOWN: self._shutdown,
            frames.RUN: self._run,
            frames.CANCEL: self._cancel,
            frames.CREDIT: self._credit,
            frames.CALL: self._call,
            frames.HTTP_REQUEST: self._http_request,
        }

    def connection(self) -> Connection:
        """The protocol to give to the transport."""
        self._connection = Connection(self._frame, self._lost)
        self._exchanges = Exchanges(self._connection)
        self._loopback = loopback.Loopback(self._exchanges)
        return self._connection

    def hello(self, token: str) -> None:
        """Introduces this host and takes over the process's outputs."""
        greeting = {
            "protocol": PROTOCOL_VERSION,
            "token": token,
            "pid": os.getpid(),
            "python_version": ".".join(map(str, sys.version_info[:3])),
            "langgraph_version": _version("langgraph"),
        }
        self._connection.send(frames.HELLO, 0, dumps(greeting))
        self._capture = Capture(self._connection)

    def _frame(self, kind: int, stream: int, payload: bytes) -> None:
        if (handler := self._on.get(kind)) is not None:
            handler(stream, payload)
        elif kind >= frames.HTTP_RESPONSE:
            self._exchanges.frame(kind, stream, payload)

    def _lost(self, _error: Exception | None) -> None:
        for run in list(self._runs.values()):
            run.cancel()
        self._exchanges.break_off()
        self._exit(1)

    def _ping(self, _stream: int, payload: bytes) -> None:
        self._connection.send(frames.PONG, 0, payload)

    def _init(self, _stream: int, payload: bytes) -> None:
        self._spawn(self._load(orjson.loads(payload)))

    async def _load(self, init: dict[str, Any]) -> None:
        server = init.get("server") or {}
        self._server = {
            "langgraph_version": _version("langgraph"),
            "langgraph_api_version": server.get("api_version"),
            "langgraph_plan": server.get("plan"),
            "langgraph_host": server.get("host"),
            "langgraph_api_url": server.get("api_url"),
        }
        base_dir = Path(init["base_dir"])
        loading.prepare_path(base_dir, init.get("search_path") or [])
        http = init.get("http") or {}
        self._loopback.root_path = http.get("root_path") or ""
        loopback.install(self._loopback)
        for graph_id, spec in init["graphs"].items():
            target = spec if isinstance(spec, str) else spec["target"]
            description = None if isinstance(spec, str) else spec.get("description")
            try:
                # In a thread: an import may take long, or run an event loop of its own.
                await asyncio.to_thread(self._graphs.load, graph_id, target, description, base_dir)
            except BaseException as error:
                self._fatal(graph_id, target, error)
                return
        if (auth := init.get("auth")) is not None:
            try:
                self._auth = await asyncio.to_thread(_load_auth, auth["path"], base_dir)
            except BaseException as error:
                self._fatal(None, auth["path"], error)
                return
        if (index := init.get("store_index")) is not None:
            try:
                HostStore.index = await asyncio.to_thread(StoreIndex.load, index, base_dir)
            except BaseException as error:
                self._fatal(None, f"store.index.embed ({index['embed']})", error)
                return
        HostStore.ttl_config = init.get("store_ttl")
        if (target := http.get("app")) is not None:
            try:
                self._web = await asyncio.to_thread(WebApp.load, target, base_dir, self._exchanges)
                await self._web.start()
            except BaseException as error:
                self._fatal(None, target, error)
                return
        await asyncio.to_thread(spans.find_opentelemetry)
        # What is loaded stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        self._loopback.ready = True
        self._connection.send(frames.READY, 0, dumps(self._described()))

    def _described(self) -> dict[str, Any]:
        return {
            "graphs": self._graphs.described(),
            "embeds": HostStore.index is not None,
            "auth": None if self._auth is None else self._auth.described(),
            "http": None if self._web is None else self._web.description,
        }

    def _fatal(self, graph_id: str | None, target: str, error: BaseException) -> None:
        failure = {
            "error": getattr(error, "kind", type(error).__name__),
            "message": str(error),
            "traceback": errors.user_traceback(error),
            "graph_id": graph_id,
            "target": target,
        }
        self._connection.send(frames.FATAL, 0, dumps(failure))
        self._exit(1)

    def _run(self, handle: int, payload: bytes) -> None:
        run = Run(self._connection, self._graphs, handle, orjson.loads(payload), self._server)
        run.before_done = self._capture.finish
        self._runs[handle] = run
        run.start().add_done_callback(lambda _task: self._ended(run))

    def _ended(self, run: Run) -> None:
        self._runs.pop(run.handle, None)
        # What its threads printed after its end.
        self._capture.finish(run)

    def _cancel(self, handle: int, _payload: bytes) -> None:
        if (run := self._runs.get(handle)) is not None:
            run.cancel()

    def _credit(self, handle: int, payload: bytes) -> None:
        if (run := self._runs.get(handle)) is not None:
            run.add_credit(frames.LENGTH.unpack(payload)[0])

    def _http_request(self, number: int, payload: bytes) -> None:
        if self._web is None:
            self._connection.send(frames.HTTP_ABORT, number, b"")
            return
        self._web.serve(number, orjson.loads(payload))

    def _call(self, call_id: int, payload: bytes) -> None:
        self._spawn(self._answer(call_id, payload))

    async def _answer(self, call_id: int, payload: bytes) -> None:
        scope.enter(Scope(self._connection, call=call_id))
        try:
            call = orjson.loads(payload)
            result = dumps(await self._serve(call["method"], call["params"]))
        except BaseException as error:
            failure = {"error": errors.client_class(error), "message": str(error)}
            self._connection.send(frames.ERROR, call_id, dumps(failure))
            return
        self._connection.send(frames.REPLY, call_id, result)

    async def _serve(self, name: str, params: dict[str, Any]) -> Any:
        if self._auth is not None and name == "auth.authenticate":
            return await self._auth.authenticate(params)
        if self._auth is not None and name == "auth.authorize":
            return await self._auth.authorize(params)
        if HostStore.index is not None and name == "store.embed_value":
            return await HostStore.index.embed_value(params["value"], params["fields"])
        if HostStore.index is not None and name == "store.embed_query":
            return await HostStore.index.embed_query(params["query"])
        if (method := METHODS.get(name)) is None:
            raise NotImplementedError(f"There is no method {name!r}")
        return await method.serve(self._graphs, params)

    def _shutdown(self, _stream: int, _payload: bytes) -> None:
        self._spawn(self._stop())

    async def _stop(self) -> None:
        tasks = []
        for run in list(self._runs.values()):
            run.cancel()
            if run._task is not None:
                tasks.append(run._task)
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_GRACE)
        if self._web is not None:
            await self._web.stop()
        self._exit(0)

    def _spawn(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _exit(self, status: int) -> None:
        self._connection.close()
        if not self.exit_status.done():
            self.exit_status.set_result(status)


def _load_auth(target: str, base_dir: Path) -> Any:
    # Only where it is used: an old langgraph_sdk may lack what it needs.
    from langopen_host.auth import AppAuth

    return AppAuth.load(target, base_dir)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
