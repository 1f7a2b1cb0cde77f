"""One run: from a RUN frame to its DONE."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

from langgraph.pregel import Pregel
from langgraph.types import Command, Send

from langopen_host import errors, frames, scope, state, user
from langopen_host.connection import Connection
from langopen_host.factory import EXECUTION, context_fields, makes_objects
from langopen_host.graphs import Graphs
from langopen_host.scope import Scope
from langopen_host.serialize import dumps
from langopen_host.spans import Trace
from langopen_host.protocol import ProtocolPlan
from langopen_host.stream import Plan

logger = logging.getLogger("langopen")

INITIAL_CREDIT = 1024 * 1024
# How many seconds a cancelled run may take to unwind. The host then reports its end, whatever its code does.
CANCEL_GRACE = 10.0
# How often in seconds it is cancelled again: a node may have swallowed the cancellation.
CANCEL_AGAIN = 2.0


class Run(Scope):
    """A run in flight. `spec` is the RUN frame's document. `server` is metadata of the host that every run gets."""

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
        self.task: asyncio.Task[None] | None = None
        self._cancelled = False
        # The graph has ended and the host collects its outcome: too late to cancel.
        self._finishing = False
        self._sent = False
        # Called before DONE: the runner ignores later frames of the run.
        self.before_done: Callable[[Scope], None] | None = None
        # Called after DONE, even while the run's code goes on.
        self.on_done: Callable[[Scope], None] | None = None

    @property
    def done(self) -> bool:
        """Whether the run's end has been reported. Its code may still execute."""
        return self._sent

    def start(self) -> asyncio.Task[None]:
        self.task = self.loop.create_task(self._main())
        # A task that is cancelled before its first step cannot send DONE itself.
        self.task.add_done_callback(lambda task: self._finish(_outcome(task)))
        return self.task

    def cancel(self) -> None:
        """Cancels the run; its DONE says `cancelled`. A node in a thread cannot be stopped: it goes on, unheard."""
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
        if self.task is not None and not self._finishing:
            self.task.cancel()

    async def _main(self) -> None:
        scope.enter(self)
        if self._trace is not None:
            self._trace.enter()
        graph_id = self._spec["graph_id"]
        try:
            if (graph := self._graphs.ready(graph_id, temporary=self._temporary)) is not None:
                await self._serve(graph)
                return
            context = self._kwargs.get("context") or {}
            async with self._graphs.open(
                graph_id, self._config, EXECUTION, temporary=self._temporary, context=context
            ) as graph:
                await self._serve(graph)
        except BaseException as error:
            # An error outside the graph's execution: its factory failed, or the run was cancelled during the factory.
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
        # Closed explicitly, so that the graph's tasks end even when a cancel arrives outside of the generator.
        async with aclosing(graph.astream(given, self._followed(), **self._options(graph, subgraphs))) as stream:
            async for chunk in stream:
                if self._cancelled:
                    raise asyncio.CancelledError
                for name, data in convert(chunk):
                    if self._credit <= 0:
                        await self._more_credit()
                    emit(name, data)

    async def _follow_events(self, graph: Pregel, given: Any) -> None:
        """`events` mode: stream records of the root hold the graph's own chunks; all others are events as they are."""
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
        """The config, with the trace's callbacks."""
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
        """The progress of an earlier attempt of this run: `none`, `started` or `finished`."""
        snapshot = await graph.aget_state(self._newest())
        if snapshot.metadata is None or snapshot.metadata.get("run_id") != self.run_id:
            return "none"
        # `next` leaves out a task whose writes were stored without the checkpoint that follows them. It still has to be
        # completed.
        if snapshot.tasks:
            return "started"
        return "finished" if snapshot.metadata.get("source") == "loop" else "none"

    def _newest(self) -> dict[str, Any]:
        return {"configurable": {"thread_id": self.thread_id, "checkpoint_ns": ""}}

    async def _final_state(self, graph: Pregel) -> tuple[Any, dict[str, Any]]:
        """The thread's snapshot and its open interrupts; None for a run without checkpoints."""
        if self._temporary:
            return None, {}
        newest = self._newest()
        snapshot = await graph.aget_state(newest)
        return snapshot, await state.interrupts_of(graph, newest, snapshot)

    def _emit(self, name: bytes, data: bytes) -> None:
        if self._sent:
            raise asyncio.CancelledError("the run has ended without waiting for its code")
        payload = frames.event_payload(name, data)
        self._credit -= len(payload) + frames.EVENT_COST
        self.connection.send(frames.EVENT, self.handle, payload, urgent=False)

    async def _more_credit(self) -> None:
        while self._credit <= 0:
            self._refill = self.loop.create_future()
            await self._refill

    def _finish(
        self, error: BaseException | None, snapshot: Any = None, interrupts: dict[str, Any] | None = None
    ) -> None:
        """Sends DONE, once. Its state is as complete as it could be read."""
        if self._sent or not self.connection.connected:
            return
        self._sent = True
        if isinstance(error, asyncio.CancelledError) and not self._cancelled:
            error = _unasked(error)
        cancelled = self._cancelled and (error is None or isinstance(error, asyncio.CancelledError))
        if cancelled:
            error = None
        if error is not None and self._cancelled and not errors.retryable(error):
            # An error that user code raised when it was cancelled is no failure of the run.
            cancelled, error = True, None
        try:
            self._send_done(error, cancelled, snapshot, interrupts or {})
        except BaseException as failed:
            self._send_failure(error or failed)
        if self.on_done is not None:
            self.on_done(self)

    def _send_failure(self, error: BaseException) -> None:
        """Ends a run whose outcome cannot be reported: it has no JSON form, or the graph broke what the host calls."""
        try:
            refuse(self.connection, self.handle, error)
            logger.error("The outcome of run %s cannot be reported: %s", self.run_id, errors.text(error))
        except BaseException:
            # Every run has to end: without a connection the platform executes it elsewhere.
            self.connection.close()

    def _send_done(
        self, error: BaseException | None, cancelled: bool, snapshot: Any, interrupts: dict[str, Any]
    ) -> None:
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
            "interrupts": interrupts,
            "checkpoint_id": checkpoint_id,
            "has_state": bool(rest),
        }
        self.connection.send(frames.DONE, self.handle, frames.done_payload(dumps(header), values, rest))

    def _final_documents(self, snapshot: Any) -> tuple[bytes, bytes, str | None, bool]:
        """The values, the rest of the state, its checkpoint, and whether the thread has a next node."""
        if self._temporary:
            if not self._plan.has_values:
                return b"", b"", None, False
            raised = [state.interrupt(item) for item in self._plan.interrupts]
            return dumps(self._plan.last_values), dumps(state.minimal(raised)), None, bool(raised)
        if snapshot is None:
            return b"", b"", None, False
        rest = state.rest(snapshot)
        return dumps(snapshot.values), dumps(rest), rest["checkpoint_id"], bool(snapshot.next)


def refuse(connection: Connection, handle: int, error: BaseException) -> None:
    """Ends a run with an error and without a state."""
    header = {
        "status": "error",
        "thread_status": "error",
        "error": errors.public(error),
        "detail": errors.detail(error),
        "retryable": errors.retryable(error),
        "interrupts": {},
        "checkpoint_id": None,
        "has_state": False,
    }
    connection.send(frames.DONE, handle, frames.done_payload(dumps(header), b"", b""))


def _outcome(task: asyncio.Task[None]) -> BaseException:
    """The error of a task that ended without a DONE of its own."""
    error = None if task.cancelled() else task.exception()
    return error or asyncio.CancelledError()


def _unasked(error: BaseException) -> errors.UnaskedCancel:
    unasked = errors.UnaskedCancel("Code in the graph host cancelled the run, and nobody asked for that")
    unasked.__cause__ = error
    return unasked


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
    """The run's config, with the host's additions."""
    config = {key: value for key, value in (kwargs.get("config") or {}).items() if value is not None}
    configurable = dict(config.get("configurable") or {})
    configurable.setdefault("thread_id", spec.get("thread_id"))
    configurable.setdefault("run_id", spec["run_id"])
    configurable.setdefault("graph_id", spec["graph_id"])
    configurable.setdefault("assistant_id", spec.get("assistant_id"))
    if (who := user.of(configurable)) is not None:
        configurable["langgraph_auth_user"] = who
    config["configurable"] = configurable
    # The run's metadata includes that of its thread. The config was made before the run was stored, and lacks it.
    metadata = spec.get("metadata") or config.get("metadata") or {}
    config["metadata"] = {**metadata, "run_attempt": spec.get("attempt", 1), **server}
    config["run_id"] = UUID(spec["run_id"])
    return config


def _context(graph: Pregel, kwargs: dict[str, Any]) -> Any:
    """The run's context, reduced to the fields of the graph's schema; the configurable serves a run without one.

    The library makes the object of a dataclass or a model, and so refuses a context that lacks a required field.
    """
    schema = graph.context_schema
    given = kwargs.get("context")
    fields = context_fields(schema)
    if fields is None:
        return given or None
    given = given or (kwargs.get("config") or {}).get("configurable") or {}
    own = {key: value for key, value in given.items() if key in fields}
    return own if own or makes_objects(schema) else None
