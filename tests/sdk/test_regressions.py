"""Races known from other Agent Servers, each forced as far as a client can; README.md lists them all with their tests."""

import asyncio
import json
import socket

import pytest

from helpers import finished, names, own_server_only, reference_differs, replay, run_events, run_status, stream

PATIENCE = 60


async def burst(client, thread_id, **work):
    return await client.runs.create(thread_id, "burst", input=work, stream_mode=["custom"], stream_resumable=True)


def numbers(events) -> list[int]:
    return [event.data["number"] for event in events if event.event == "custom"]


@own_server_only
@pytest.mark.parametrize("graph", ["blocking", "blocking_loop"])
async def test_a_blocking_node_runs_exactly_once(client, http, thread_id, tmp_path, graph):
    """It holds its process for many times the interval at which hosts are asked whether they live."""
    path = tmp_path / "effects"
    work = {"secs": 3, "log": [], "path": str(path)}
    run = await client.runs.create(thread_id, graph, input=work, stream_resumable=True)
    assert (await finished(client, run, PATIENCE))["status"] == "success"
    assert path.read_text().splitlines() == ["blocked"]
    attempts = [event.data["attempt"] for event in await replay(http, run) if event.event == "metadata"]
    assert attempts == [1]


@reference_differs("ids repeat")
async def test_ids_within_one_millisecond_are_unique_and_rise(client, http, thread_id):
    run = await burst(client, thread_id, total=500)
    events = await replay(http, run)
    assert numbers(events) == list(range(500))
    orders = [event.order for event in events]
    assert orders == sorted(set(orders))
    assert len({ms for ms, _ in orders}) < len(orders), "no two events fell into one millisecond"


@reference_differs("ids repeat, so some events are skipped")
async def test_rejoining_at_every_event_of_a_burst_gives_exactly_the_rest(client, http, thread_id):
    run = await burst(client, thread_id, total=60)
    everything = await replay(http, run)
    assert numbers(everything) == list(range(60))
    for count, event in enumerate(everything, 1):
        assert await replay(http, run, event.id) == everything[count:]


async def test_a_stream_opened_before_its_run_starts_has_every_event(client, http, thread_id):
    """The run waits for another on its thread while its stream is listened to, live only."""
    first = await client.runs.create(thread_id, "slow", input={"secs": 2, "log": []})
    work = {"total": 20, "secs": 0}  # the thread's state still has the first one's pause
    second = await client.runs.create(thread_id, "burst", input=work, stream_mode=["custom"])
    path = f"/threads/{thread_id}/runs/{second['run_id']}/stream"
    events = await asyncio.wait_for(stream(http, "GET", path), PATIENCE)
    assert names(events) == ["metadata"] + ["custom"] * 20
    assert numbers(events) == list(range(20))
    assert (await finished(client, first))["status"] == "success"


@pytest.mark.parametrize("after", ["-1", "0"])
async def test_a_stream_opened_while_its_run_goes_on_has_every_event(client, thread_id, after):
    run = await burst(client, thread_id, total=60, secs=0.02)
    await run_status(client, run, "running", "success", seconds=PATIENCE)
    await asyncio.sleep(0.3)
    joined = client.runs.join_stream(thread_id, run["run_id"], last_event_id=after)
    parts = [part async for part in joined]
    assert names(parts)[0] == "metadata"
    assert numbers(parts) == list(range(60))


async def test_the_first_events_of_quick_runs_are_not_lost(http, client):
    """The stream of a new run listens before a worker can have begun."""

    async def one():
        thread_id = (await client.threads.create())["thread_id"]
        return await run_events(http, thread_id, "burst", input={"total": 5}, stream_mode="custom")

    for events in await asyncio.gather(*(one() for _ in range(30))):
        assert names(events) == ["metadata"] + ["custom"] * 5


async def test_join_stream_has_the_events_of_subgraphs(client, thread_id):
    run = await client.runs.create(
        thread_id,
        "nested",
        input={"log": []},
        stream_mode=["custom", "updates"],
        stream_subgraphs=True,
        stream_resumable=True,
    )

    async def join():
        return [part async for part in client.runs.join_stream(thread_id, run["run_id"], last_event_id="-")]

    early = await join()
    await finished(client, run)
    assert await join() == early
    inside = [part for part in early if "|inner:" in part.event]
    assert [part.data["at"] for part in inside if part.event.startswith("custom|")] == ["deep", "deeper"]
    assert [list(part.data) for part in inside if part.event.startswith("updates|")] == [["deep"], ["deeper"]]
    assert names(early)[-1] == "updates" and "inner" in early[-1].data


async def test_a_stream_that_ended_has_its_end_committed(client):
    """Fifty at a time: whoever reads the run and its thread right after the last event finds them at rest."""

    async def one():
        thread_id = (await client.threads.create())["thread_id"]
        run_id = None
        async for part in client.runs.stream(thread_id, "three", input={"log": []}):
            if part.event == "metadata":
                run_id = part.data["run_id"]
        run, thread = await asyncio.gather(client.runs.get(thread_id, run_id), client.threads.get(thread_id))
        return run["status"], thread["status"], thread["values"]["log"]

    ends = await asyncio.gather(*(one() for _ in range(50)))
    assert ends == [("success", "idle", ["one", "two", "three"])] * 50


@reference_differs("ids repeat, so some events are skipped")
async def test_a_hundred_reconnects_in_one_run_lose_and_repeat_nothing(client, http, thread_id):
    run = await burst(client, thread_id, total=110, secs=0.01)
    got, last, connections = [], "-", 0
    while events := await replay(http, run, last, stop_after=1):
        got += events
        last = events[-1].id
        connections += 1
    assert connections >= 100
    assert numbers(got) == list(range(110))
    assert got == await replay(http, run)


@reference_differs("the streams go on")
@pytest.mark.parametrize("resumable", [False, True])
async def test_deleting_a_thread_ends_the_streams_of_its_run(client, http, thread_id, resumable):
    work = {"input": {"secs": 120, "log": []}, "stream_resumable": resumable}
    creating = asyncio.create_task(run_events(http, thread_id, "slow", **work))

    async def listed():
        return await client.runs.list(thread_id)

    while not (runs := await listed()):
        await asyncio.sleep(0.05)
    await run_status(client, runs[0], "running", seconds=PATIENCE)
    joining = asyncio.create_task(replay(http, runs[0]))
    await asyncio.sleep(0.5)
    await client.threads.delete(thread_id)
    await asyncio.wait_for(asyncio.gather(creating, joining), PATIENCE)


async def test_rejoining_a_finished_run_ends(client, thread_id):
    run = await burst(client, thread_id, total=3)
    await finished(client, run)

    async def join(**options):
        return [part async for part in client.runs.join_stream(thread_id, run["run_id"], **options)]

    assert await asyncio.wait_for(join(), PATIENCE) == []
    everything = await asyncio.wait_for(join(last_event_id="-"), PATIENCE)
    assert numbers(everything) == [0, 1, 2]
    assert await asyncio.wait_for(join(last_event_id=everything[-1].id), PATIENCE) == []


@pytest.mark.parametrize("resumable", [False, True])
async def test_a_client_that_never_reads_stalls_nobody(client, http, base_url, thread_id, resumable):
    """Its run writes more than the buffers between the two can hold."""
    total, size = 600, 20_000
    body = {
        "assistant_id": "burst",
        "input": {"total": total, "size": size},
        "stream_mode": ["custom"],
        "stream_resumable": resumable,
        "on_disconnect": "continue",
    }
    content = json.dumps(body).encode()
    host, port = base_url.removeprefix("http://").split(":")
    head = (
        f"POST /threads/{thread_id}/runs/stream HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        silent.connect((host, int(port)))
        silent.sendall(head.encode() + content)
        while not (runs := await client.runs.list(thread_id)):
            await asyncio.sleep(0.05)
        others = [client.runs.wait(None, "three", input={"log": []}) for _ in range(5)]
        for values in await asyncio.wait_for(asyncio.gather(*others), PATIENCE):
            assert values["log"] == ["one", "two", "three"]
        assert (await finished(client, runs[0], PATIENCE))["status"] == "success"
        state = await client.threads.get_state(thread_id)
        assert state["values"]["told"] == total
        assert (await client.threads.get(thread_id))["status"] == "idle"
        if resumable:
            assert numbers(await replay(http, runs[0])) == list(range(total))
