"""The threads that execute sync nodes, imports and sync handlers: the loop's default executor."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from langopen_host import scope
from langopen_host.scope import Scope

# How many jobs execute at once; asyncio's own default.
LIMIT = min(32, (os.cpu_count() or 1) + 4)


class _Job:
    __slots__ = ("abandoned", "call", "future", "run")

    def __init__(self, call: Callable[[], Any], run: Scope | None) -> None:
        self.call = call
        self.run = run
        self.future: Future[Any] = Future()
        self.abandoned = False

    def execute(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Threads(ThreadPoolExecutor):
    """Executes at most `limit` jobs at once.

    A thread cannot be stopped. When a run is over and a job of it still executes, that job is abandoned: it no longer
    counts, and another thread takes its place. So runs that were cancelled in a sync node cannot use up the threads of
    later runs.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        # asyncio accepts a ThreadPoolExecutor alone. Nothing of its own machinery is used.
        super().__init__(max_workers=limit)
        self._limit = limit
        self._changed = threading.Condition()
        self._pending: deque[_Job] = deque()
        self._executing: set[_Job] = set()
        self._alive = 0
        self._waiting = 0
        self._abandoned = 0

    @property
    def abandoned(self) -> int:
        """How many jobs of runs that are over still execute."""
        return self._abandoned

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job = _Job(lambda: fn(*args, **kwargs), scope.current_run())
        with self._changed:
            self._pending.append(job)
            try:
                self._provide()
            except RuntimeError:
                # The system has no more threads. Those that are there will get to the job.
                if not self._alive:
                    self._pending.remove(job)
                    raise
        return job.future

    def abandon(self, run: Scope) -> None:
        """Stops counting the jobs of a run that is over."""
        with self._changed:
            for job in self._executing:
                if job.run is run and not job.abandoned:
                    job.abandoned = True
                    self._abandoned += 1
            try:
                self._provide()
            except RuntimeError:
                pass

    def _provide(self) -> None:
        """Wakes or starts threads for the pending jobs. The caller holds the lock."""
        self._changed.notify(len(self._pending))
        while self._waiting < len(self._pending) and self._alive - self._abandoned < self._limit:
            thread = threading.Thread(target=self._serve, name="langopen-sync", daemon=True)
            thread.start()
            self._alive += 1
            # It counts as waiting from the start, so that the next job does not start a second one for this job.
            self._waiting += 1

    def _serve(self) -> None:
        wanted = True
        while wanted:
            job = self._next()
            job.execute()
            wanted = self._done(job)
            # A waiting thread must not keep a run's objects alive.
            del job

    def _next(self) -> _Job:
        with self._changed:
            while not self._pending:
                self._changed.wait()
            self._waiting -= 1
            job = self._pending.popleft()
            self._executing.add(job)
            return job

    def _done(self, job: _Job) -> bool:
        """Whether the thread is still wanted: once an abandoned job ends, there is a thread too many."""
        with self._changed:
            self._executing.discard(job)
            self._abandoned -= job.abandoned
            if self._alive - self._abandoned > self._limit:
                self._alive -= 1
                return False
            self._waiting += 1
            return True
