"""Streams that can be left and joined again: every event once, in order."""

import asyncio

import pytest

from helpers import HI, at_step, finished, names, new_id, reference_differs, replay, run_events, stream

MODES = ["values", "updates", "custom"]
ALL = ["metadata", "values"] + ["custom", "updates", "values"] * 3


async def resumable(client, thread_id, graph="three", **options):
    options = {"input": {"log": []}, "stream_mode": MODES, "stream_resumable": True} | options
    return await client.runs.create(thread_id, graph, **options)


async def test_live_events_carry_rising_ids(http, thread_id):
    events = await run_events(
        http, thread_id, "three", input={"log": []}, stream_mode=MODES, stream_resumable=True
    )
    assert names(events) == ALL
    assert [event.order for event in events] == sorted(event.order for event in events)


# The reference gives the same id to events of the same millisecond.
@reference_differs("ids repeat")
async def test_ids_are_unique(http, thread_id):
    events = await run_events(
        http, thread_id, "three", input={"log": []}, stream_mode=MODES, stream_resumable=True
    )
    assert len({event.id for event in events}) == len(events)


@pytest.mark.parametrize("start", ["-", "0", "-1"])
async def test_replay_of_everything(client, http, thread_id, start):
    run = await resumable(client, thread_id)
    await finished(client, run)
    events = await replay(http, run, start)
    assert names(events) == ALL
    assert events[0].data == {"run_id": run["run_id"], "attempt": 1}
    assert events == await replay(http, run, start)


async def test_replay_equals_the_live_stream(client, http, thread_id):
    live = await run_events(
        http, thread_id, "chat", input=HI, stream_mode=["values", "messages-tuple"], stream_resumable=True
    )
    (run,) = await client.runs.list(thread_id)
    assert await replay(http, run) == live


@reference_differs("ids repeat, so some events are skipped")
async def test_replay_after_each_id(client, http, thread_id):
    run = await resumable(client, thread_id)
    await finished(client, run)
    events = await replay(http, run)
    for count, event in enumerate(events, 1):
        assert await replay(http, run, event.id) == events[count:]


@reference_differs("ids repeat, so some events are skipped")
@pytest.mark.parametrize("size", [1, 2, 3])
async def test_reconnecting_again_and_again(client, http, thread_id, size):
    """Dropped after every few events while the run goes on: nothing is lost and nothing comes twice."""
    run = await resumable(client, thread_id, "slow", input={"secs": 0.5, "log": []})
    got, last = [], "-"
    while True:
        events = await replay(http, run, last, stop_after=size)
        if not events:
            break
        got += events
        last = events[-1].id
    await finished(client, run)
    assert got == await replay(http, run)
    assert names(got) == ["metadata", "values", "custom", "updates", "values", "updates", "values", *ALL[-3:]]


async def test_join_without_an_id_is_live_only(client, http, thread_id):
    run = await resumable(client, thread_id, "slow", input={"secs": 1, "log": []})
    await at_step(client, thread_id, "one")
    events = await stream(http, "GET", f"/threads/{thread_id}/runs/{run['run_id']}/stream")
    assert names(events) == ["updates", "values", "custom", "updates", "values"]
    assert events[-1].data["log"] == ["one", "slept", "three"]


async def test_join_early_then_live(client, http, thread_id):
    run = await resumable(client, thread_id, "slow", input={"secs": 0.6, "log": []})
    readers = await asyncio.gather(*(replay(http, run) for _ in range(10)))
    assert all(events == readers[0] for events in readers)
    assert names(readers[0])[0] == "metadata"
    assert readers[0][-1].data["log"] == ["one", "slept", "three"]


async def test_finished_runs_end_at_once(client, http, thread_id):
    run = await resumable(client, thread_id)
    await finished(client, run)
    path = f"/threads/{thread_id}/runs/{run['run_id']}/stream"
    assert await asyncio.wait_for(stream(http, "GET", path), 3) == []
    last = (await replay(http, run))[-1].id
    assert await asyncio.wait_for(replay(http, run, last), 3) == []


async def test_not_resumable_is_not_replayed(client, http, thread_id):
    run = await resumable(client, thread_id, stream_resumable=False)
    await finished(client, run)
    assert await asyncio.wait_for(replay(http, run), 3) == []


async def test_join_of_a_run_that_is_not_resumable(client, http, thread_id):
    run = await resumable(client, thread_id, "slow", input={"secs": 1, "log": []}, stream_resumable=False)
    await at_step(client, thread_id, "one")
    events = await stream(http, "GET", f"/threads/{thread_id}/runs/{run['run_id']}/stream")
    assert names(events) == ["updates", "values", "custom", "updates", "values"]
    assert all(event.id is None for event in events)


async def test_stream_mode_of_a_join_filters(client, http, thread_id):
    run = await resumable(client, thread_id)
    await finished(client, run)
    path = f"/threads/{thread_id}/runs/{run['run_id']}/stream"
    everything = {"headers": {"Last-Event-ID": "-"}}
    events = await stream(http, "GET", path, params={"stream_mode": "updates"}, **everything)
    assert names(events) == ["updates"] * 3
    events = await stream(http, "GET", path, params={"stream_mode": '["updates","custom"]'}, **everything)
    assert names(events) == ["custom", "updates"] * 3


# The reference uses only the last of several query parameters, though its SDK sends them so.
@reference_differs("repeated query parameters")
async def test_stream_mode_of_a_join_by_the_sdk(client, thread_id):
    run = await resumable(client, thread_id)
    await finished(client, run)
    parts = client.runs.join_stream(
        thread_id, run["run_id"], stream_mode=["updates", "custom"], last_event_id="-"
    )
    assert [part.event async for part in parts] == ["custom", "updates"] * 3


async def test_sdk_joins(client, thread_id):
    run = await resumable(client, thread_id, "slow", input={"secs": 0.4, "log": []})
    parts = [part async for part in client.runs.join_stream(thread_id, run["run_id"], last_event_id="-")]
    assert [part.event for part in parts][:2] == ["metadata", "values"]
    assert parts[-1].data["log"] == ["one", "slept", "three"]


async def test_error_reaches_a_reader_who_joined(client, http, thread_id):
    run = await resumable(client, thread_id, "failing", input={"kind": "value"})
    events = await replay(http, run)
    assert names(events) == ["metadata", "values", "updates", "values", "error"]
    assert events[-1].data["error"] == "ValueError"


async def test_unknown_run(http, client, thread_id):
    unknown = {"error": "HTTPException", "message": "404: Run not found"}
    [told] = await stream(http, "GET", f"/threads/{thread_id}/runs/{new_id()}/stream")
    assert (told.event, told.data) == ("error", unknown)
    parts = [part async for part in client.runs.join_stream(thread_id, new_id(), last_event_id="-")]
    assert [(part.event, part.data) for part in parts] == [("error", unknown)]


@reference_differs("it compares ids as text")
async def test_what_is_no_id_replays_everything(http, client, thread_id):
    run = await resumable(client, thread_id)
    await finished(client, run)
    everything = await replay(http, run)
    for nonsense in ("abc", "1-", "-2", "99999999999999999999-0"):
        assert await replay(http, run, after=nonsense) == everything, nonsense
