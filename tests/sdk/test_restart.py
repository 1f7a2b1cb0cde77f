"""Processes that die: what was accepted is kept, and what was running goes on.

Each test has a server and a data folder of its own.
"""

import asyncio
import time

import httpx
import pytest
from langgraph_sdk import get_client

from helpers import durable_only, finished, names, new_id, own_server_only, replay, run_status, until
from server import Server

pytestmark = [own_server_only, durable_only]


@pytest.fixture
def server(tmp_path, cache_dir):
    server = Server(tmp_path / "data", cache_dir)
    server.start()
    yield server
    server.stop()
    print(server.logs(8_000))


class Session:
    """Clients of the server's present process."""

    def __init__(self, server: Server):
        self.client = get_client(url=server.url)
        self.http = httpx.AsyncClient(base_url=server.url, timeout=60)

    async def __aenter__(self):
        return self.client, self.http

    async def __aexit__(self, *_):
        await self.client.aclose()
        await self.http.aclose()


def lines(path) -> list[str]:
    return path.read_text().split("\n")[:-1] if path.exists() else []


async def counting(client, path, total=6, secs=0.4, **options):
    """A run that is in the middle of its work: two of its steps have ended."""
    thread_id = (await client.threads.create())["thread_id"]
    steps = {"path": str(path), "total": total, "secs": secs}
    run = await client.runs.create(thread_id, "counter", input=steps, durability="sync", **options)

    async def two_done():
        state = await client.threads.get_state(thread_id)
        return len((state["values"] or {}).get("done", [])) >= 2

    await until(two_done)
    return run


def assert_counted(path, total: int, stopped: list[str]) -> None:
    """Every step ran, in order, and once, except around the stop: a step's effect outside is there a moment before its checkpoint is kept, so
    the step that was cut off and the one before it may run again."""
    found = lines(path)
    cut = int(stopped[-1].split()[1])
    for kind in ("begin", "end"):
        steps = [int(line.split()[1]) for line in found if line.startswith(f"{kind} ")]
        assert sorted(set(steps), key=steps.index) == list(range(total)), found
        repeated = {step for step in steps if steps.count(step) > 1}
        assert all(step in (cut - 1, cut) and steps.count(step) == 2 for step in repeated), (cut, found)


@pytest.mark.parametrize("how", ["kill", "ctrl-c"])
async def test_running_run_goes_on(server, tmp_path, how):
    path = tmp_path / "steps"
    async with Session(server) as (client, http):
        run = await counting(client, path, total=10)
    if how == "kill":
        server.kill()
    else:
        began = time.monotonic()
        assert server.interrupt(seconds=15) == 0
        assert time.monotonic() - began < 10
    stopped = lines(path)
    await asyncio.sleep(1)
    at_rest = lines(path)
    assert len(at_rest) <= len(stopped) + 1, "the graph went on without its server"
    assert "end 9" not in at_rest
    server.start()
    async with Session(server) as (client, http):
        ended = await finished(client, run, seconds=60)
        assert ended["status"] == "success"
        state = await client.threads.get_state(run["thread_id"])
        assert state["values"]["done"] == list(range(10))
        assert (await client.threads.get(run["thread_id"]))["status"] == "idle"
    assert_counted(path, 10, at_rest)


async def test_everything_that_was_stored_is_there(server, tmp_path):
    key = new_id()
    async with Session(server) as (client, http):
        assistant = await client.assistants.create("three", name="kept", metadata={"a": 1})
        thread = await client.threads.create(metadata={"b": 2})
        thread_id = thread["thread_id"]
        await client.runs.wait(thread_id, "three", input={"log": ["in"]})
        asked = (await client.threads.create())["thread_id"]
        await client.runs.wait(asked, "question", input={"log": []})
        await client.store.put_item(["kept"], key, {"c": 3})
        before = [
            await client.assistants.get(assistant["assistant_id"]),
            await client.threads.get(thread_id),
            await client.threads.get_history(thread_id, limit=10),
            await client.runs.list(thread_id),
            await client.threads.get_state(asked),
            await client.store.get_item(["kept"], key),
        ]
    server.kill()
    server.start()
    async with Session(server) as (client, http):
        after = [
            await client.assistants.get(assistant["assistant_id"]),
            await client.threads.get(thread_id),
            await client.threads.get_history(thread_id, limit=10),
            await client.runs.list(thread_id),
            await client.threads.get_state(asked),
            await client.store.get_item(["kept"], key),
        ]
        assert after == before
        final = await client.runs.wait(asked, "question", command={"resume": "yes"})
        assert final == {"log": ["before", "asked", "after"], "reply": "yes"}
        values = await client.runs.wait(thread_id, "three", input={"log": []})
        assert len(values["log"]) == 7


async def test_pending_runs_follow_in_their_order(server, tmp_path):
    async with Session(server) as (client, http):
        thread_id = (await client.threads.create())["thread_id"]
        runs = [await client.runs.create(thread_id, "slow", input={"secs": 3, "log": [0]}, durability="sync")]
        await run_status(client, runs[0], "running")
        for number in (1, 2, 3):
            runs.append(await client.runs.create(thread_id, "three", input={"log": [number]}))
        late = await client.runs.create(None, "three", input={"log": []}, after_seconds=2, on_completion="keep")
    server.kill()
    server.start()
    async with Session(server) as (client, http):
        for run in (*runs, late):
            assert (await finished(client, run, seconds=60))["status"] == "success"
        log = (await client.threads.get_state(thread_id))["values"]["log"]
        firsts = [item for item in log if isinstance(item, int)]
        assert firsts == [0, 1, 2, 3]
        assert log[:4] == [0, "one", "slept", "three"]
        assert log[4:] == [item for number in (1, 2, 3) for item in (number, "one", "two", "three")]


async def test_a_stream_is_read_on_after_the_restart(server, tmp_path):
    path = tmp_path / "steps"
    async with Session(server) as (client, http):
        run = await counting(client, path, total=8, stream_mode=["custom", "values"], stream_resumable=True)
        before = await replay(http, run, stop_after=4)
    server.kill()
    server.start()
    async with Session(server) as (client, http):
        after = await replay(http, run, before[-1].id)
        everything = await replay(http, run)
        await finished(client, run, seconds=60)
    assert before + after == everything
    orders = [event.order for event in everything]
    assert orders == sorted(set(orders)), "ids repeat or fall"
    ticks = [event.data["tick"] for event in everything if event.event == "custom"]
    assert sorted(set(ticks), key=ticks.index) == list(range(8))
    assert len(ticks) <= 9
    attempts = [event.data["attempt"] for event in everything if event.event == "metadata"]
    assert attempts == [1, 2]
    assert everything[-1].data["done"] == list(range(8))


async def test_a_finished_stream_is_still_there(server):
    async with Session(server) as (client, http):
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(
            thread_id, "three", input={"log": []}, stream_mode=["updates"], stream_resumable=True
        )
        await finished(client, run)
        before = await replay(http, run)
    server.kill()
    server.start()
    async with Session(server) as (client, http):
        assert await replay(http, run) == before
    assert names(before) == ["metadata", "updates", "updates", "updates"]


async def test_killed_again_and_again(server, tmp_path):
    """Three kills in one run, as many as there are retries: each start goes on from the last checkpoint."""
    path = tmp_path / "steps"
    async with Session(server) as (client, http):
        run = await counting(client, path, total=10, secs=0.5)
    for _ in range(2):
        server.kill()
        done = len([line for line in lines(path) if line.startswith("end")])
        server.start()

        async def went_on():
            return len([line for line in lines(path) if line.startswith("end")]) >= done + 2

        await until(went_on, seconds=60)
    server.kill()
    server.start()
    async with Session(server) as (client, http):
        ended = await finished(client, run, seconds=60)
        assert ended["status"] == "success", (await client.threads.get(run["thread_id"]))["error"]
        assert (await client.threads.get_state(run["thread_id"]))["values"]["done"] == list(range(10))
    ends = [line for line in lines(path) if line.startswith("end")]
    assert sorted(set(ends), key=ends.index) == [f"end {number}" for number in range(10)]
    assert len(ends) <= 13, f"steps that had been stored were repeated: {ends}"


async def test_ctrl_c_with_nothing_to_do_is_quick(server):
    began = time.monotonic()
    assert server.interrupt(seconds=10) == 0
    assert time.monotonic() - began < 5


async def test_ctrl_c_ends_open_streams(server):
    async with Session(server) as (client, http):
        thread_id = (await client.threads.create())["thread_id"]
        body = {"assistant_id": "slow", "input": {"secs": 60, "log": []}}
        async with http.stream("POST", f"/threads/{thread_id}/runs/stream", json=body) as answer:
            assert answer.status_code == 200
            assert server.interrupt(seconds=15) == 0
