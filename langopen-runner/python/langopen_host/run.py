"""One run: from a RUN frame to its DONE."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

from langgraph.pregel import Pregel
from langgraph.types import Command, Send

from langopen_host import errors, frames, scope, state, user
from langopen_host.connection import Connection
from langopen_host.factory import EXECUTION, context_fields
from langopen_host.graphs import Graphs
from langopen_host.scope import Scope
from langopen_host.serialize import dumps
from langopen_host.spans import Trace
from langopen_host.protocol import ProtocolPlan
from langopen_host.stream import Plan

INITIAL_CREDIT = 1024 * 1024
# How long a cancelled run may take to unwind. Code that swallows the cancellation is then left behind.
CANCEL_GRACE = 10.0
# After this long it is cancelled once more: a node may have swallowed the cancellation and its graph gone on.
CANCEL_AGAIN = 2.0


class Run(Scope):
    """A run in flight. `spec` is the RUN frame's document, `server` the metadata that every run of this host gets."""

    def __init__(
        self, connection: Connection, graphs: Graphs, handle: int, spec: dict[str, Any], server: dict[str, Any]
    ) -> None:
        super().__init__(connection, run=handle)
        self.handle = handle
        self.run_id = spec["run_id"]
        self.thread_id = spec.get("thread_id")
        self.fresh_thread = bool(spec.get("fresh_thread"))
        self.on_failure = self._interrupt
        self._graphs = graphs
        self._spec = spec
        self._kwargs: dict[str, Any] = spec.get("kwargs") or {}
        self._temporary = bool(spec.get("temporary"))
        self._durability = _durability(self._kwargs)
        self.write_behind = self._durability != "sync"
        self._plan = _plan(_modes(self._kwargs), temporary=self._temporary)
        self._config = _config(spec, self._kwargs, server)
        self._config["configurable"].update(self._plan.configurable)
        given = spec.get("trace")
        self._trace = None if given is None else Trace(connection, handle, given, spec["graph_id"])
        self._credit = INITIAL_CREDIT
        self._refill: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        # The graph has ended and its outcome is being gathered: too late to cancel.
        self._finishing = False
        self._sent = False
        # Called before DONE, after which frames of the run are ignored.
        self.before_done: Callable[[Scope], None] | None = None

    def start(self) -> asyncio.Task[None]:
        self._task = self.loop.create_task(self._main())
        # A task that is cancelled before its first step never gets to send DONE itself.
        self._task.add_done_callback(lambda _task: self._finish(asyncio.CancelledError()))
        return self._task

    def cancel(self) -> None:
        """Stops the run; its DONE says `cancelled`. A node in a thread cannot be stopped and is left behind."""
        if self._cancelled or self._finishing:
            return
        self._cancelled = True
        self._interrupt()
        for again in range(1, int(CANCEL_GRACE / CANCEL_AGAIN)):
            self.loop.call_later(again * CANCEL_AGAIN, self._interrupt)
        self.loop.call_later(CANCEL_GRACE, self._finish, asyncio.CancelledError())

    def add_credit(self, size: int) -> None:
        self._credit += size
        if self._credit > 0 and self._refill is not None and not self._refill.done():
            self._refill.set_result(None)

    def _interrupt(self) -> None:
        if self._task is not None and not self._finishing:
            self._task.cancel()

    async def _main(self) -> None:
        scope.enter(self)
        if self._trace is not None:
            self._trace.enter()
        graph_id = self._spec["graph_id"]
        try:
            if (graph := self._graphs.ready(graph_id, temporary=self._temporary)) is not None:
                await self._serve(graph)
                return
            context = self._kwargs.get("context") or self._config["configurable"]
            async with self._graphs.open(
                graph_id, self._config, EXECUTION, temporary=self._temporary, context=context
            ) as graph:
                await self._serve(graph)
        except BaseException as error:
            # Only what happened before or after the graph's own work: a factory that fails, a cancel while it works.
            self._finish(error)

    async def _serve(self, graph: Pregel) -> None:
        error: BaseException | None = None
        try:
            await self._execute(graph)
        except BaseException as raised:
            error = raised
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
        self._finishing = True
        try:
            snapshot, interrupts = await self._final_state(graph)
            await self.settle()
        except BaseException as raised:
            self._finish(self.failure or error or raised)
            return
        self._finish(self.failure or error, snapshot, interrupts)

    async def _execute(self, graph: Pregel) -> None:
        given = self._input()
        if self._spec.get("attempt", 1) > 1 and not self._temporary:
            progress = await self._progress(graph)
            if progress == "finished":
                return
            if progress == "started":
                given = None
                for key in ("checkpoint_id", "checkpoint_map"):
                    self._config["configurable"].pop(key, None)
        emit, subgraphs = self._emit, bool(self._kwargs.get("subgraphs"))
        convert = self._plan.converter(subgraphs=subgraphs)
        if self._plan.events:
            await self._follow_events(graph, given)
            return
        # Closed by hand: a cancel may come while the generator is not the one that waits, and its tasks have to end too.
        async with aclosing(graph.astream(given, self._followed(), **self._options(graph, subgraphs))) as stream:
            async for chunk in stream:
                if self._cancelled:
                    raise asyncio.CancelledError
                for name, data in convert(chunk):
                    if self._credit <= 0:
                        await self._more_credit()
                    emit(name, data)

    async def _follow_events(self, graph: Pregel, given: Any) -> None:
        """`events` mode: the graph's own chunks are the stream records of its root, the rest goes out as it is."""
        subgraphs = bool(self._kwargs.get("subgraphs"))
        convert = self._plan.converter(subgraphs=subgraphs)
        records = graph.astream_events(given, self._followed(), version="v2", **self._options(graph, subgraphs))
        async with aclosing(records) as stream:
            async for record in stream:
                if self._cancelled:
                    raise asyncio.CancelledError
                if record["event"] == "on_chain_stream" and record["run_id"] == self.run_id:
                    events = convert(record["data"]["chunk"])
                else:
                    events = [(b"events", dumps(record))]
                for name, data in events:
                    if self._credit <= 0:
                        await self._more_credit()
                    self._emit(name, data)

    def _followed(self) -> dict[str, Any]:
        """The config with what follows the graph for the trace."""
        callbacks = [] if self._trace is None else self._trace.callbacks
        return {**self._config, "callbacks": callbacks} if callbacks else self._config

    def _options(self, graph: Pregel, subgraphs: bool) -> dict[str, Any]:
        kwargs = self._kwargs
        options: dict[str, Any] = {"stream_mode": self._plan.modes, "subgraphs": subgraphs, **self._plan.options}
        if (context := _context(graph, kwargs)) is not None:
            options["context"] = context
        if not self._temporary and self._durability is not None:
            options["durability"] = self._durability
        for name in ("interrupt_before", "interrupt_after"):
            if nodes := kwargs.get(name):
                options[name] = "*" if nodes == ["*"] else nodes
        return options

    def _input(self) -> Any:
        command = self._kwargs.get("command")
        return to_command(command) if command else self._kwargs.get("input")

    async def _progress(self, graph: Pregel) -> str:
        """How far an earlier attempt of this run came: `none`, `started` or `finished`."""
        snapshot = await graph.aget_state(self._newest())
        if snapshot.metadata is None or snapshot.metadata.get("run_id") != self.run_id:
            return "none"
        # Not `next`: a task whose writes were kept, and whose checkpoint was not, is left out there, and still stands between here and the end.
        if snapshot.tasks:
            return "started"
        return "finished" if snapshot.metadata.get("source") == "loop" else "none"

    def _newest(self) -> dict[str, Any]:
        return {"configurable": {"thread_id": self.thread_id, "checkpoint_ns": ""}}

    async def _final_state(self, graph: Pregel) -> tuple[Any, dict[str, Any]]:
        """The thread's snapshot and its open interrupts; None for a run that keeps no checkpoints."""
        if self._temporary:
            return None, {}
        newest = self._newest()
        snapshot = await graph.aget_state(newest)
        return snapshot, await state.interrupts_of(graph, newest, snapshot)

    def _emit(self, name: bytes, data: bytes) -> None:
        if self._sent:
            raise asyncio.CancelledError("the run was left behind")
        payload = frames.event_payload(name, data)
        self._credit -= len(payload)
        self.connection.send(frames.EVENT, self.handle, payload, urgent=False)

    async def _more_credit(self) -> None:
        while self._credit <= 0:
            self._refill = self.loop.create_future()
            await self._refill

    def _finish(self, error: BaseException | None, snapshot: Any = None, interrupts: dict[str, Any] | None = None) -> None:
        """Sends DONE. Says what the thread is now, as far as the state could be read."""
        if self._sent or not self.connection.connected:
            return
        self._sent = True
        cancelled = self._cancelled and (error is None or isinstance(error, asyncio.CancelledError))
        if cancelled:
            error = None
        if error is not None and self._cancelled and not errors.retryable(error):
            # What user code raised on being cancelled is no failure of the run.
            cancelled, error = True, None
        values, rest, checkpoint_id, stopped = self._final_documents(snapshot)
        ended = "failed" if error is not None or cancelled else "interrupted" if stopped else "completed"
        for name, data in self._plan.closing(ended):
            self.connection.send(frames.EVENT, self.handle, frames.event_payload(name, data), urgent=False)
        if self.before_done is not None:
            self.before_done(self)
        if self._trace is not None:
            self._trace.finish(error, cancelled)
        header = {
            "status": "cancelled" if cancelled else "error" if error is not None else "success",
            "thread_status": "error" if error is not None else "interrupted" if stopped else "idle",
            "error": None if error is None else errors.public(error),
            "detail": None if error is None else errors.detail(error),
            "retryable": error is not None and errors.retryable(error),
            "interrupts": interrupts or {},
            "checkpoint_id": checkpoint_id,
            "has_state": bool(rest),
        }
        self.connection.send(frames.DONE, self.handle, frames.done_payload(dumps(header), values, rest))

    def _final_documents(self, snapshot: Any) -> tuple[bytes, bytes, str | None, bool]:
        """The values, the rest of the state, its checkpoint, and whether the thread waits for something."""
        if self._temporary:
            if not self._plan.has_values:
                return b"", b"", None, False
            raised = [state.interrupt(item) for item in self._plan.interrupts]
            return dumps(self._plan.last_values), dumps(state.minimal(raised)), None, bool(raised)
        if snapshot is None:
            return b"", b"", None, False
        rest = state.rest(snapshot)
        return dumps(snapshot.values), dumps(rest), rest["checkpoint_id"], bool(snapshot.next)


def to_command(command: dict[str, Any]) -> Command[Any]:
    """A command document `{resume, update, goto}` as langgraph's Command."""
    goto = command.get("goto")
    targets = goto if isinstance(goto, list) else [] if goto is None else [goto]
    sends = [Send(to["node"], to.get("input")) if isinstance(to, dict) else to for to in targets]
    update = command.get("update")
    if isinstance(update, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in update):
        update = [(key, value) for key, value in update]
    return Command(update=update, resume=command.get("resume"), goto=sends)


def _modes(kwargs: dict[str, Any]) -> list[str]:
    modes = kwargs.get("stream_mode") or ["values"]
    return [modes] if isinstance(modes, str) else modes


def _plan(modes: list[str], *, temporary: bool) -> Plan:
    return ProtocolPlan(temporary=temporary) if "lifecycle" in modes else Plan(modes, temporary=temporary)


def _durability(kwargs: dict[str, Any]) -> str | None:
    if durability := kwargs.get("durability"):
        return durability
    during = kwargs.get("checkpoint_during")
    return None if during is None else "async" if during else "exit"


def _config(spec: dict[str, Any], kwargs: dict[str, Any], server: dict[str, Any]) -> dict[str, Any]:
    """The run's config with what this host adds to it."""
    config = {key: value for key, value in (kwargs.get("config") or {}).items() if value is not None}
    configurable = dict(config.get("configurable") or {})
    configurable.setdefault("thread_id", spec.get("thread_id"))
    configurable.setdefault("run_id", spec["run_id"])
    configurable.setdefault("graph_id", spec["graph_id"])
    configurable.setdefault("assistant_id", spec.get("assistant_id"))
    if (who := user.of(configurable)) is not None:
        configurable["langgraph_auth_user"] = who
    config["configurable"] = configurable
    # The run's own metadata has its thread's merged in, which the config, made before the run was kept, cannot have.
    metadata = spec.get("metadata") or config.get("metadata") or {}
    config["metadata"] = {**metadata, "run_attempt": spec.get("attempt", 1), **server}
    config["run_id"] = UUID(spec["run_id"])
    return config


def _context(graph: Pregel, kwargs: dict[str, Any]) -> Any:
    """The run's context, reduced to what the graph's schema has. A run with a configurable alone is served from that."""
    given = kwargs.get("context")
    fields = context_fields(graph.context_schema)
    if fields is None:
        return given or None
    given = given or (kwargs.get("config") or {}).get("configurable") or {}
    own = {key: value for key, value in given.items() if key in fields}
    if own:
        return own
    try:
        # A schema whose fields all have defaults is there even when the run says nothing.
        return graph.context_schema()  # type: ignore[misc]
    except Exception:
        return None
