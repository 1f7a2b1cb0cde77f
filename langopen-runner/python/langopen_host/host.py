"""The host: handles the runner's frames and holds the runs in flight."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from langopen_host import PROTOCOL_VERSION, errors, frames, loading, loopback, run, scope, spans
from langopen_host.asgi import WebApp
from langopen_host.calls import METHODS
from langopen_host.connection import Connection
from langopen_host.exchange import Exchanges
from langopen_host.graphs import Graphs
from langopen_host.logs import Capture
from langopen_host.primitives import getpid, orjson_loads
from langopen_host.run import Run
from langopen_host.saver import make_serializer
from langopen_host.scope import Scope
from langopen_host.serialize import dumps
from langopen_host.store import HostStore
from langopen_host.store_index import StoreIndex
from langopen_host.threads import Threads

logger = logging.getLogger("langopen")

# How many seconds runs may take to unwind when the runner stops the host.
SHUTDOWN_GRACE = 5.0
# A run creates few reference cycles, and a collection after every 700 allocations slows each run down.
GC_THRESHOLD = (10_000, 20, 20)
# With more abandoned threads than this, the host takes no new runs and ends when its last one has ended.
MAX_ABANDONED = 64
# With more than this, it ends at once, and the runner executes its runs elsewhere.
TOO_MANY_ABANDONED = 4 * MAX_ABANDONED
# How often in seconds a host that drains looks whether it is idle.
DRAIN_CHECK = 0.1


class Host:
    """`exit_status` is set when the host has to end."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._draining = False
        self._loop = asyncio.get_running_loop()
        self.exit_status: asyncio.Future[int] = self._loop.create_future()
        self._connection: Connection
        self._capture: Capture
        self._graphs = Graphs()
        # An AppAuth, when the application has one.
        self._auth: Any = None
        self._exchanges: Exchanges
        self._loopback: loopback.Loopback
        # None when the application has none.
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
        """The protocol for the transport."""
        self._connection = Connection(self._frame, self._lost)
        self._exchanges = Exchanges(self._connection)
        self._loopback = loopback.Loopback(self._exchanges)
        return self._connection

    def hello(self, token: str) -> None:
        """Introduces this host and replaces the process's outputs."""
        greeting = {
            "protocol": PROTOCOL_VERSION,
            "token": token,
            "pid": getpid(),
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
        for each in list(self._runs.values()):
            each.cancel()
        self._exchanges.break_off()
        self._exit(1)

    def _ping(self, _stream: int, payload: bytes) -> None:
        self._connection.send(frames.PONG, 0, payload)

    def _init(self, _stream: int, payload: bytes) -> None:
        self._spawn(self._load(orjson_loads(payload)))

    async def _load(self, init: dict[str, Any]) -> None:
        try:
            await self._load_all(init)
        except _LoadFailed as failed:
            self._fatal(failed.graph_id, failed.target, failed.error)
        except BaseException as error:
            self._fatal(None, str(init.get("base_dir")), error)

    async def _load_all(self, init: dict[str, Any]) -> None:
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
        self._graphs.saver.serde = make_serializer(init.get("serde"))
        with _naming(None, "LANGGRAPH_CONFIG"):
            self._graphs.read_configs(os.environ.get("LANGGRAPH_CONFIG"))
        await self._load_graphs(init["graphs"], base_dir)
        if (auth := init.get("auth")) is not None:
            with _naming(None, auth["path"]):
                self._auth = await asyncio.to_thread(_load_auth, auth["path"], base_dir)
        if (index := init.get("store_index")) is not None:
            with _naming(None, f"store.index.embed ({index['embed']})"):
                HostStore.index = await asyncio.to_thread(StoreIndex.load, index, base_dir)
        HostStore.ttl_config = init.get("store_ttl")
        if (target := http.get("app")) is not None:
            with _naming(None, target):
                self._web = await asyncio.to_thread(WebApp.load, target, base_dir, self._exchanges)
                await self._web.start()
        await asyncio.to_thread(spans.find_opentelemetry)
        # The modules stay loaded, so the collector need not visit their objects again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        self._loopback.ready = True
        self._connection.send(frames.READY, 0, dumps(self._described()))

    async def _load_graphs(self, graphs: dict[str, Any], base_dir: Path) -> None:
        for graph_id, spec in graphs.items():
            target = spec if isinstance(spec, str) else spec["target"]
            description = None if isinstance(spec, str) else spec.get("description")
            with _naming(graph_id, target):
                # In a thread, because an import may take long or run an event loop of its own.
                await asyncio.to_thread(self._graphs.load, graph_id, target, description, base_dir)

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
            "message": errors.text(error) + loading.hint(error),
            "traceback": errors.user_traceback(error),
            "graph_id": graph_id,
            "target": target,
        }
        self._connection.send(frames.FATAL, 0, dumps(failure))
        self._exit(1)

    def _run(self, handle: int, payload: bytes) -> None:
        try:
            started = Run(self._connection, self._graphs, handle, orjson_loads(payload), self._server)
        except Exception as error:
            # A document that cannot be decoded fails its own run.
            why = f"The run's input or configuration cannot be represented: {errors.text(error)}"
            run.refuse(self._connection, handle, errors.Unreadable(why))
            return
        started.before_done = self._capture.finish
        started.on_done = self._done
        self._runs[handle] = started
        started.start().add_done_callback(lambda _task: self._ended(started))

    def _done(self, done: Scope) -> None:
        self._threads.abandon(done)
        if self._threads.abandoned > MAX_ABANDONED:
            self._drain()

    def _ended(self, ended: Run) -> None:
        self._runs.pop(ended.handle, None)
        # The run's threads may have printed after its DONE, or its code may have started more of them.
        self._capture.finish(ended)
        self._done(ended)

    def _drain(self) -> None:
        """Takes no new runs: sync nodes of cancelled runs go on in too many threads."""
        if self._draining:
            return
        self._draining = True
        logger.warning(
            "%d threads still execute sync nodes of runs that are over. The host ends when its other runs have ended.",
            self._threads.abandoned,
        )
        self._connection.send(frames.STATUS, 0, dumps({"hosts": 1, "responsive": 1, "draining": True}))
        self._end_when_idle()

    def _end_when_idle(self) -> None:
        busy = self._exchanges.count or any(not each.done for each in self._runs.values())
        if self._threads.abandoned > TOO_MANY_ABANDONED or not busy:
            self._exit(0)
        else:
            self._loop.call_later(DRAIN_CHECK, self._end_when_idle)

    def _cancel(self, handle: int, _payload: bytes) -> None:
        if (found := self._runs.get(handle)) is not None:
            found.cancel()

    def _credit(self, handle: int, payload: bytes) -> None:
        if (found := self._runs.get(handle)) is not None:
            found.add_credit(frames.LENGTH.unpack(payload)[0])

    def _http_request(self, number: int, payload: bytes) -> None:
        if self._web is None:
            self._connection.send(frames.HTTP_ABORT, number, b"")
            return
        self._web.serve(number, orjson_loads(payload))

    def _call(self, call_id: int, payload: bytes) -> None:
        self._spawn(self._answer(call_id, payload))

    async def _answer(self, call_id: int, payload: bytes) -> None:
        scope.enter(Scope(self._connection, call=call_id))
        try:
            call = orjson_loads(payload)
            result = dumps(await self._serve(call["method"], call["params"]))
        except BaseException as error:
            failure = {"error": errors.client_class(error), "message": errors.text(error)}
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
        for each in list(self._runs.values()):
            each.cancel()
            if each.task is not None:
                tasks.append(each.task)
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


class _LoadFailed(Exception):
    """A part of the application that cannot be loaded, with its place in the configuration."""

    def __init__(self, graph_id: str | None, target: str, error: BaseException) -> None:
        super().__init__(target)
        self.graph_id = graph_id
        self.target = target
        self.error = error


@contextlib.contextmanager
def _naming(graph_id: str | None, target: str) -> Iterator[None]:
    """Names the part of the application that the block loads, in the error of a failure."""
    try:
        yield
    except BaseException as error:
        raise _LoadFailed(graph_id, target, error) from error


def _load_auth(target: str, base_dir: Path) -> Any:
    # Imported here, because an old langgraph_sdk may lack what it needs.
    from langopen_host.auth import AppAuth

    return AppAuth.load(target, base_dir)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
