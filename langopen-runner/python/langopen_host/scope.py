"""The run, or the call of the runner, that the current code works for.

All runs of a graph share it, with one saver and one store. These find the current run by a context variable, which
asyncio and langgraph pass on to tasks and threads.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

from langopen_host.connection import Connection

# How many bytes of unanswered checkpoint writes a run may have before its next write waits.
MAX_UNSETTLED = 16 * 1024 * 1024


class Scope:
    """The owner of calls to the runner: one run (`run` is its handle), or one call of the runner (`call` is its id)."""

    def __init__(self, connection: Connection, *, run: int | None = None, call: int | None = None) -> None:
        self.connection = connection
        self.loop = asyncio.get_running_loop()
        self.run = run
        self.call = call
        self.run_id: str | None = None
        # The thread whose checkpoints this run alone writes, and whether it had none at the start.
        self.thread_id: str | None = None
        self.fresh_thread = False
        self.write_behind = False
        self.latest: dict[tuple[str, str], Any] = {}
        self.writes: dict[tuple[str, str, str], dict[tuple[str, int], tuple[str, str, Any]]] = {}
        self.failure: BaseException | None = None
        self.on_failure: Any = None
        self._unsettled = 0
        self._unsettled_bytes = 0
        self._settled: asyncio.Future[None] | None = None

    def owner(self, params: dict[str, Any]) -> dict[str, Any]:
        """`params` with the run or the call that they belong to."""
        params["run"] = self.run
        if self.run is None:
            params["call"] = self.call
        return params

    def request(self, method: str, params: dict[str, Any]) -> asyncio.Future[Any]:
        return self.connection.request(method, self.owner(params))

    async def write(self, method: str, params: dict[str, Any], size: int) -> None:
        """A checkpoint write. It waits for the runner's answer only if the durability demands it."""
        if not self.write_behind or self._unsettled_bytes > MAX_UNSETTLED:
            await self.request(method, params)
            return
        self.connection.call(method, self.owner(params), _Receipt(self, size), urgent=False)
        self._unsettled += 1
        self._unsettled_bytes += size

    async def settle(self) -> None:
        """Waits until the runner has answered all writes. Raises the first failure."""
        while self._unsettled and self.failure is None:
            self._settled = self.loop.create_future()
            await self._settled
        if self.failure is not None:
            raise self.failure

    def _receipt(self, size: int, error: BaseException | None) -> None:
        self._unsettled -= 1
        self._unsettled_bytes -= size
        if error is not None and self.failure is None:
            self.failure = error
            if self.on_failure is not None:
                self.on_failure()
        if self._settled is not None and not self._settled.done() and (not self._unsettled or error is not None):
            self._settled.set_result(None)


class _Receipt:
    """Receives the reply to a write that no code awaits."""

    __slots__ = ("scope", "size")

    def __init__(self, scope: Scope, size: int) -> None:
        self.scope = scope
        self.size = size

    def set_result(self, result: Any, /) -> None:
        self.scope._receipt(self.size, None)

    def set_exception(self, error: BaseException, /) -> None:
        self.scope._receipt(self.size, error)


_current: ContextVar[Scope | None] = ContextVar("langopen_scope", default=None)


def enter(scope: Scope) -> None:
    """Makes `scope` the current one of this task, and of the tasks and threads that it starts."""
    _current.set(scope)


def current() -> Scope:
    scope = _current.get()
    if scope is None:
        raise RuntimeError(
            "The checkpointer and the store of LangOpen can be used only while a run or a request is being served. "
            "A thread started by hand needs contextvars.copy_context().run(...) around its target."
        )
    return scope


def current_run() -> Scope | None:
    """The run that the code belongs to. None for the code of a call, and for code of unknown origin."""
    scope = _current.get()
    return None if scope is None or scope.run is None else scope
