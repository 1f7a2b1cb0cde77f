"""The stream of a thread: run after run in one log."""

import asyncio

from helpers import finished, names, new_id, reference_differs, stream


async def listen(client, thread_id, runs: int, **options):
    """What the SDK hears until so many runs were over."""
    parts, over = [], 0
    async for part in await client.threads.join_stream(thread_id, **options):
        parts.append(part)
        over += part.event == "metadata" and part.data.get("status") == "run_done"
        if over == runs:
            return parts


async def run(client, thread_id, resumable: bool, graph="three", **options):
    options = {"input": {"log": []}, "stream_mode": ["values"], "stream_resumable": resumable} | options
    run = await client.runs.create(thread_id, graph, **options)
    return await finished(client, run)


@reference_differs("stream_mode of its own SDK is ignored, and ids repeat")
async def test_sdk_hears_runs_and_state_updates(client, thread_id):
    modes = ["run_modes", "state_update"]
    listening = [
        asyncio.create_task(asyncio.wait_for(listen(client, thread_id, 2, stream_mode=mode), 60))
        for mode in (modes, "lifecycle", "run_modes")
    ]
    await asyncio.sleep(1)
    first = await run(client, thread_id, resumable=True)
    await client.threads.update_state(thread_id, {"log": ["manual"]})
    second = await run(client, thread_id, resumable=False)
    everything, lifecycle, runs = await asyncio.gather(*listening)
    one_run = ["metadata", "values", "values", "values", "values", "metadata"]
    assert names(everything) == [*one_run, "state_update", *one_run]
    assert names(lifecycle) == ["metadata"] * 4
    assert names(runs) == one_run * 2
    update = everything[6].data
    assert update["thread_id"] == thread_id and "manual" in update["state"]["values"]["log"]
    assert [part.data["run_id"] for part in lifecycle] == [first["run_id"]] * 2 + [second["run_id"]] * 2
    ids = [tuple(map(int, part.id.split("-"))) for part in everything]
    assert ids == sorted(set(ids)), "unique and rising from run to run"
    again = await asyncio.wait_for(listen(client, thread_id, 1, stream_mode=modes, last_event_id="-"), 60)
    assert again == everything[:6]
    again = await asyncio.wait_for(listen(client, thread_id, 1, last_event_id=everything[2].id), 60)
    assert again == everything[3:6]


async def test_listening_before_the_thread_is_made(client):
    thread_id = new_id()
    listening = asyncio.create_task(asyncio.wait_for(listen(client, thread_id, 1), 60))
    await asyncio.sleep(1)
    await run(client, thread_id, resumable=False, if_not_exists="create")
    assert names(await listening)[0] == "metadata"


@reference_differs("it goes on for ever")
async def test_deleting_the_thread_ends_its_stream(client, http, thread_id):
    await client.runs.create(thread_id, "slow", input={"secs": 60, "log": []})
    listening = asyncio.create_task(stream(http, "GET", f"/threads/{thread_id}/stream"))
    await asyncio.sleep(1)
    await client.threads.delete(thread_id)
    await asyncio.wait_for(listening, 30)


async def test_wrong_input(http, thread_id):
    answer = await http.get(f"/threads/{thread_id}/stream", params={"stream_modes": "bogus"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "Invalid stream mode: bogus")
    answer = await http.get(f"/threads/{thread_id}/stream", headers={"Last-Event-ID": "abc"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Invalid last-event-id: must be a valid Redis stream ID"
