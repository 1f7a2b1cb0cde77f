"""Many runs at once, on many threads and on one."""

import asyncio

from helpers import finished, names, stream


async def test_fifty_runs_on_fifty_threads(client):
    async def once(number):
        thread_id = (await client.threads.create())["thread_id"]
        values = await client.runs.wait(thread_id, "three", input={"log": [number]})
        (run,) = await client.runs.list(thread_id)
        return number, values["log"], run["run_id"], run["status"]

    done = await asyncio.gather(*(once(number) for number in range(50)))
    assert all(log == [number, "one", "two", "three"] for number, log, _, _ in done)
    assert all(status == "success" for *_, status in done)
    assert len({run_id for _, _, run_id, _ in done}) == 50


async def test_sleeping_runs_overlap(client):
    """Runs that only wait don't hold each other up."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(
        *(client.runs.wait(None, "slow", input={"secs": 1.5, "log": []}) for _ in range(8))
    )
    assert loop.time() - began < 6


async def test_twenty_runs_on_one_thread_keep_their_order(client, thread_id):
    runs = [await client.runs.create(thread_id, "three", input={"log": [number]}) for number in range(20)]
    assert len({run["run_id"] for run in runs}) == 20
    for run in runs:
        assert (await finished(client, run))["status"] == "success"
    log = (await client.threads.get_state(thread_id))["values"]["log"]
    assert log == [item for number in range(20) for item in (number, "one", "two", "three")]
    assert (await client.threads.get(thread_id))["status"] == "idle"


async def test_waiting_for_all_twenty_at_once(client, thread_id):
    """Each wait gives the state as its own run left it."""
    answers = await asyncio.gather(
        *(client.runs.wait(thread_id, "three", input={"log": [number]}) for number in range(20))
    )
    lengths = sorted(len(answer["log"]) for answer in answers)
    assert lengths == [4 * count for count in range(1, 21)]
    for number, answer in enumerate(answers):
        assert answer["log"][-4:] == [number, "one", "two", "three"]


async def test_twenty_streams_at_once(http):
    body = {"assistant_id": "chat", "input": {"messages": "hi"}, "stream_mode": "messages-tuple"}
    streams = await asyncio.gather(*(stream(http, "POST", "/runs/stream", json=body) for _ in range(20)))
    assert all(names(events) == ["metadata"] + ["messages"] * 5 for events in streams)
    assert len({events[0].data["run_id"] for events in streams}) == 20


async def test_ids_of_many_quick_creations_are_unique_and_rise(client, thread_id):
    runs = [await client.runs.create(thread_id, "three", input={"log": []}, after_seconds=60) for _ in range(30)]
    ids = [run["run_id"] for run in runs]
    assert ids == sorted(set(ids))
    await client.threads.delete(thread_id)


async def test_deleting_busy_threads(client):
    """Nothing of theirs holds up the runs of others."""
    for _ in range(10):
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.create(thread_id, "slow", input={"secs": 20})
        await client.threads.delete(thread_id)
    assert (await client.runs.wait(None, "three", input={"log": []}))["log"] == ["one", "two", "three"]
