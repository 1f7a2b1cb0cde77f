"""A second run on a busy thread: the four strategies."""

import asyncio

import pytest

from helpers import at_step, finished, run_status

TEXT = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."


@pytest.fixture
async def first(client, thread_id):
    """A run that has committed its first step and now sleeps."""
    run = await client.runs.create(thread_id, "slow", input={"secs": 30, "log": ["first"]})
    await at_step(client, thread_id, "one")
    yield run
    thread = await client.threads.get(thread_id)
    if thread["status"] == "busy":
        await client.threads.delete(thread_id)


async def second(client, thread_id, strategy, **options):
    return await client.runs.create(
        thread_id, "three", input={"log": ["second"]}, multitask_strategy=strategy, **options
    )


async def log_of(client, thread_id):
    return (await client.threads.get_state(thread_id))["values"]["log"]


@pytest.mark.parametrize("path", ["runs", "runs/stream", "runs/wait"])
async def test_reject(client, http, thread_id, first, path):
    body = {"assistant_id": "three", "input": {"log": []}, "multitask_strategy": "reject"}
    answer = await http.post(f"/threads/{thread_id}/{path}", json=body)
    assert (answer.status_code, answer.json()) == (409, {"detail": TEXT})
    assert answer.headers["content-type"] == "application/json"
    assert (await client.runs.get(thread_id, first["run_id"]))["status"] == "running"
    assert len(await client.runs.list(thread_id)) == 1


async def test_reject_is_fine_on_an_idle_thread(client, thread_id):
    run = await second(client, thread_id, "reject")
    assert (await finished(client, run))["status"] == "success"


async def test_reject_counts_a_delayed_run(client, http, thread_id):
    await client.runs.create(thread_id, "three", input={"log": []}, after_seconds=60)
    body = {"assistant_id": "three", "input": {"log": []}, "multitask_strategy": "reject"}
    assert (await http.post(f"/threads/{thread_id}/runs", json=body)).status_code == 409
    await client.threads.delete(thread_id)


async def test_enqueue_is_the_default_and_keeps_the_order(client, thread_id):
    runs = [await client.runs.create(thread_id, "slow", input={"secs": 0.3, "log": [0]})]
    await run_status(client, runs[0], "running")
    for number in (1, 2):
        runs.append(await client.runs.create(thread_id, "slow", input={"secs": 0, "log": [number]}))
    assert [run["multitask_strategy"] for run in runs] == ["enqueue"] * 3
    statuses = [run["status"] for run in await client.runs.list(thread_id)]
    assert statuses == ["pending", "pending", "running"]
    await finished(client, runs[-1])
    assert await log_of(client, thread_id) == [
        item for number in range(3) for item in (number, "one", "slept", "three")
    ]
    assert [run["status"] for run in await client.runs.list(thread_id)] == ["success"] * 3


async def test_interrupt(client, thread_id, first):
    run = await second(client, thread_id, "interrupt")
    assert (await finished(client, run))["status"] == "success"
    assert (await client.runs.get(thread_id, first["run_id"]))["status"] == "interrupted"
    assert await log_of(client, thread_id) == ["first", "one", "second", "one", "two", "three"]
    assert (await client.threads.get(thread_id))["status"] == "idle"


async def test_interrupt_ends_waiting_runs_too(client, thread_id, first):
    waiting = await second(client, thread_id, "enqueue")
    run = await second(client, thread_id, "interrupt")
    await finished(client, run)
    for old in (first, waiting):
        assert (await client.runs.get(thread_id, old["run_id"]))["status"] == "interrupted"
    assert await log_of(client, thread_id) == ["first", "one", "second", "one", "two", "three"]


async def test_rollback(client, http, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": ["zero"]})
    old = await client.runs.create(thread_id, "slow", input={"secs": 30, "log": ["first"]})
    await at_step(client, thread_id, "first")
    run = await second(client, thread_id, "rollback")
    assert (await finished(client, run))["status"] == "success"
    assert (await http.get(f"/threads/{thread_id}/runs/{old['run_id']}")).status_code == 404
    assert await log_of(client, thread_id) == ["zero", "one", "two", "three", "second", "one", "two", "three"]
    history = await client.threads.get_history(thread_id, limit=50)
    assert len(history) == 10
    assert all("first" not in one["values"].get("log", []) for one in history)


async def test_rollback_removes_waiting_runs_too(client, http, thread_id, first):
    waiting = await second(client, thread_id, "enqueue")
    run = await second(client, thread_id, "rollback")
    await finished(client, run)
    for old in (first, waiting):
        assert (await http.get(f"/threads/{thread_id}/runs/{old['run_id']}")).status_code == 404
    assert await log_of(client, thread_id) == ["second", "one", "two", "three"]


async def test_many_interrupts_at_once(client, thread_id):
    """Whoever comes last wins; nothing is left running."""
    runs = await asyncio.gather(*(second(client, thread_id, "interrupt") for _ in range(8)))
    for run in runs:
        await finished(client, run)
    statuses = [run["status"] for run in await client.runs.list(thread_id, limit=20)]
    assert set(statuses) <= {"success", "interrupted"} and statuses[0] == "success"


async def test_one_of_many_rejects_wins(http, thread_id):
    body = {"assistant_id": "slow", "input": {"secs": 1}, "multitask_strategy": "reject"}
    path = f"/threads/{thread_id}/runs"
    answers = await asyncio.gather(*(http.post(path, json=body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
