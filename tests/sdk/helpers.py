"""What the tests share: raw server-sent events, waiting for a state, telling ids apart from data."""

import asyncio
import json
import os
import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, AsyncIterator

import httpx
import pytest

OTHER_SERVER = os.environ.get("LANGOPEN_TEST_URL")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HI = {"messages": [{"role": "user", "content": "hi"}]}

# The application with a login of its own.
AUTH_APP = Path(__file__).parent / "auth_app" / "langgraph.json"
# The application with the owner handler of LangGraph's documentation.
OWNER_APP = Path(__file__).parent / "owner_app" / "langgraph.json"
STUDIO = {"x-auth-scheme": "langsmith"}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def reference_differs(why: str):
    """Skips a test on another server: LangOpen does this differently on purpose."""
    return pytest.mark.skipif(bool(OTHER_SERVER), reason=f"the reference differs: {why}")


def library_differs(why: str):
    """Skips a test of TypeScript graphs: the JavaScript library does this differently, and so its users expect it."""
    return pytest.mark.skipif(os.environ.get("LANGOPEN_TEST_APP") == "app_ts", reason=f"the JavaScript library differs: {why}")


durable_only = pytest.mark.skipif(
    os.environ.get("LANGOPEN_TEST_DATABASE") == "memory:", reason="in memory nothing outlives the process"
)
def one_process_only(why: str):
    """What holds for `langopen up` alone."""
    return pytest.mark.skipif(bool(os.environ.get("LANGOPEN_TEST_SEPARATE")), reason=f"in separate processes {why}")


own_server_only = pytest.mark.skipif(bool(OTHER_SERVER), reason="starts its own server processes")


@dataclass
class Event:
    event: str
    data: Any
    id: str | None = None

    @property
    def order(self) -> tuple[int, int]:
        """The id `<ms>-<seq>` as numbers: to see that ids rise."""
        ms, seq = self.id.split("-")
        return int(ms), int(seq)


def parse_event(block: str) -> Event | None:
    fields = [line.partition(": ")[::2] for line in block.split("\r\n") if not line.startswith(":")]
    found = dict(fields)
    if not found:
        return None
    return Event(found.get("event", ""), json.loads(found["data"]), found.get("id"))


async def read_events(response: httpx.Response) -> AsyncIterator[Event]:
    pending = ""
    async for text in response.aiter_text():
        pending += text
        while "\r\n\r\n" in pending:
            block, pending = pending.split("\r\n\r\n", 1)
            if (event := parse_event(block)) is not None:
                yield event


async def stream(http: httpx.AsyncClient, method: str, path: str, stop_after: int | None = None, **options):
    """The events of one streaming request; with `stop_after` the connection is dropped after so many."""
    events: list[Event] = []
    async with http.stream(method, path, **options) as response:
        assert response.status_code == 200, (await response.aread()).decode()
        if stop_after == 0:
            return events
        async for event in read_events(response):
            events.append(event)
            if len(events) == stop_after:
                break
    return events


async def run_events(http: httpx.AsyncClient, thread_id: str, graph: str, **body) -> list[Event]:
    return await stream(http, "POST", f"/threads/{thread_id}/runs/stream", json={"assistant_id": graph, **body})


async def replay(http: httpx.AsyncClient, run: dict, after: str = "-", stop_after: int | None = None) -> list[Event]:
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
    return await stream(http, "GET", path, stop_after, headers={"Last-Event-ID": after})


def names(events) -> list[str]:
    return [event.event for event in events]


def normal(value: Any, seen: dict[str, str] | None = None) -> Any:
    """Replaces every id by `id-1`, `id-2`, … in order of appearance, so data compare exactly."""
    seen = {} if seen is None else seen
    if isinstance(value, dict):
        return {normal(key, seen): normal(item, seen) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [normal(item, seen) for item in value]
    if isinstance(value, str):
        return UUID.sub(lambda match: seen.setdefault(match[0], f"id-{len(seen) + 1}"), value)
    return value


async def until(check, seconds: float = 15, every: float = 0.03):
    """Waits until the coroutine function `check` gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while True:
        if result := await check():
            return result
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        await asyncio.sleep(every)


async def run_status(client, run: dict, *wanted: str, seconds: float = 15) -> dict:
    """The run, once it has one of the wanted statuses."""

    async def check():
        now = await client.runs.get(run["thread_id"], run["run_id"])
        return now if now["status"] in wanted else None

    return await until(check, seconds)


async def at_step(client, thread_id: str, word: str) -> None:
    """Waits until the thread's state has `word` in its log: the step before is committed."""

    async def check():
        state = await client.threads.get_state(thread_id)
        return word in ((state["values"] or {}).get("log") or [])

    await until(check)


async def finished(client, run: dict, seconds: float = 30) -> dict:
    return await run_status(client, run, "success", "error", "timeout", "interrupted", seconds=seconds)


def new_id() -> str:
    return str(uuid.uuid4())
