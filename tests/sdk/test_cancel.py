"""Ending runs early: pending, running, blocking; both actions; by disconnect; in bulk."""

import asyncio
import time

import pytest

from helpers import at_step, finished, new_id, reference_differs, run_events, run_status, stream, until

BY_CANCEL = "interrupt requested via POST /threads/{thread_id}/runs/{run_id}/cancel"
BY_ROLLBACK = "rollback requested via POST /threads/{thread_id}/runs/{run_id}/cancel"
BY_DISCONNECT = "client disconnected from the run stream (on_disconnect=cancel)"


async def sleeping(client, thread_id, **options):
    """A run that has committed its first step and sleeps in the second."""
    mark = new_id()
    run = await client.runs.create(thread_id, "slow", input={"secs": 30, "log": [mark]}, **options)

    async def in_second_step():
        log = (await client.threads.get_state(thread_id))["values"].get("log", [])
        return log[-2:] == [mark, "one"]

    await until(in_second_step)
    return run


async def cancel(http, run, **query):
    return await http.post(f"/threads/{run['thread_id']}/runs/{run['run_id']}/cancel", params=query)


async def test_interrupt(client, http, thread_id):
    run = await sleeping(client, thread_id)
    answer = await cancel(http, run)
    assert (answer.status_code, answer.content) == (202, b"")
    assert (await finished(client, run, seconds=5))["status"] == "interrupted"
    thread = await client.threads.get(thread_id)
    assert thread["status"] == "interrupted"
    assert thread["error"] == {"error": "UserInterrupt", "message": BY_CANCEL}
    state = await client.threads.get_state(thread_id)
    assert (state["values"]["log"], state["next"]) == ([run["kwargs"]["input"]["log"][0], "one"], ["sleep"])


async def test_interrupt_and_wait(client, http, thread_id):
    run = await sleeping(client, thread_id)
    answer = await cancel(http, run, wait="true", action="interrupt")
    assert answer.status_code == 200
    assert isinstance(answer.json(), dict)
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"


async def test_rollback_and_wait(client, http, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": []})
    run = await sleeping(client, thread_id)
    answer = await cancel(http, run, wait="1", action="rollback")
    assert answer.status_code == 200

    async def gone():
        return (await http.get(f"/threads/{thread_id}/runs/{run['run_id']}")).status_code == 404

    await until(gone, seconds=2)
    thread = await client.threads.get(thread_id)
    assert thread["status"] == "idle"
    assert thread["error"] == {"error": "UserRollback", "message": BY_ROLLBACK}
    state = await client.threads.get_state(thread_id)
    assert state["values"]["log"] == ["one", "two", "three"]
    assert len(await client.threads.get_history(thread_id, limit=50)) == 5


async def test_a_cancelled_thread_goes_on(client, http, thread_id):
    run = await client.runs.create(thread_id, "slow", input={"secs": 1.5, "log": []})
    await at_step(client, thread_id, "one")
    await cancel(http, run, wait="yes")
    values = await client.runs.wait(thread_id, "slow", input=None)
    assert values["log"] == ["one", "slept", "three"]


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_pending(client, http, thread_id, action):
    first = await sleeping(client, thread_id)
    run = await client.runs.create(thread_id, "three", input={"log": ["never"]})
    assert (await cancel(http, run, action=action)).status_code == 202
    path = f"/threads/{thread_id}/runs/{run['run_id']}"

    async def ended():
        answer = await http.get(path)
        return answer.status_code == 404 if action == "rollback" else answer.json()["status"] == "interrupted"

    await until(ended, seconds=5)
    assert (await client.runs.get(thread_id, first["run_id"]))["status"] == "running"
    await cancel(http, first, wait="1")
    assert "never" not in (await client.threads.get_state(thread_id))["values"]["log"]


async def test_delayed_run(client, http, thread_id):
    run = await client.runs.create(thread_id, "three", input={"log": []}, after_seconds=60)
    await cancel(http, run, wait="1")
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"
    assert (await client.threads.get(thread_id))["status"] == "idle"


async def test_finished_or_unknown_is_404(client, http, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": []})
    (run,) = await client.runs.list(thread_id)
    for one in (run, run | {"run_id": new_id()}, run | {"thread_id": new_id()}):
        answer = await cancel(http, one)
        assert answer.status_code == 404
        assert "detail" in answer.json()


async def test_streams_of_a_cancelled_run_just_end(client, http, thread_id):
    task = asyncio.create_task(run_events(http, thread_id, "slow", input={"secs": 30, "log": []}))
    await at_step(client, thread_id, "one")
    (run,) = await client.runs.list(thread_id)
    await cancel(http, run)
    events = await asyncio.wait_for(task, 5)
    assert [event.event for event in events] == ["metadata", "values", "values"]


async def test_joins_of_a_cancelled_run_end(client, http, thread_id):
    run = await sleeping(client, thread_id)
    task = asyncio.create_task(http.get(f"/threads/{thread_id}/runs/{run['run_id']}/join"))
    await asyncio.sleep(0.2)
    await cancel(http, run)
    answer = await asyncio.wait_for(task, 8)
    assert answer.status_code == 200 and isinstance(answer.json(), dict)


# On the reference blocking code in a node holds up every other run, and the cancel as well.
@reference_differs("a blocking node blocks the whole server")
@pytest.mark.parametrize("graph", ["blocking", "blocking_loop"])
async def test_blocking_node(client, http, thread_id, graph):
    """Code that blocks can't be stopped from outside, but the run ends, and other runs go on meanwhile."""
    run = await client.runs.create(thread_id, graph, input={"secs": 5, "log": []})
    await run_status(client, run, "running")
    await asyncio.sleep(0.3)
    began = time.monotonic()
    assert (await cancel(http, run)).status_code == 202
    assert time.monotonic() - began < 1
    other = (await client.threads.create())["thread_id"]
    assert (await client.runs.wait(other, "three", input={"log": []}))["log"] == ["one", "two", "three"]
    assert time.monotonic() - began < 4
    assert (await finished(client, run, seconds=12))["status"] == "interrupted"
    assert "three" not in (await client.threads.get_state(thread_id))["values"].get("log", [])


@pytest.mark.parametrize("kind", ["stream", "wait"])
@pytest.mark.parametrize("on_disconnect", ["cancel", "continue"])
async def test_on_disconnect(client, http, thread_id, kind, on_disconnect):
    body = {"assistant_id": "slow", "input": {"secs": 1.2, "log": []}, "on_disconnect": on_disconnect}
    async with http.stream("POST", f"/threads/{thread_id}/runs/{kind}", json=body) as answer:
        assert answer.status_code == 200
        await at_step(client, thread_id, "one")
    (run,) = await client.runs.list(thread_id)
    wanted = "interrupted" if on_disconnect == "cancel" else "success"
    assert (await finished(client, run, seconds=8))["status"] == wanted
    if on_disconnect == "cancel":

        async def error_told():
            return (await client.threads.get(thread_id)).get("error")

        assert await until(error_told, seconds=2) == {"error": "UserInterrupt", "message": BY_DISCONNECT}


@pytest.mark.parametrize("kind", ["stream", "join"])
async def test_cancel_on_disconnect_of_a_reader(client, http, thread_id, kind):
    run = await sleeping(client, thread_id)
    path = f"/threads/{thread_id}/runs/{run['run_id']}/{kind}"
    async with http.stream("GET", path, params={"cancel_on_disconnect": "true"}) as answer:
        assert answer.status_code == 200
        await asyncio.sleep(0.2)
    assert (await finished(client, run, seconds=8))["status"] == "interrupted"


async def test_leaving_readers_cancel_nothing_by_default(client, http, thread_id):
    run = await client.runs.create(thread_id, "slow", input={"secs": 1, "log": []})
    await stream(http, "GET", f"/threads/{thread_id}/runs/{run['run_id']}/stream", stop_after=0)
    assert (await finished(client, run))["status"] == "success"


async def test_bulk_by_ids(client, http, thread_id):
    runs = [await sleeping(client, thread_id), await client.runs.create(thread_id, "three", input={"log": []})]
    body = {"thread_id": thread_id, "run_ids": [run["run_id"] for run in runs]}
    answer = await http.post("/runs/cancel", json=body)
    assert (answer.status_code, answer.content) == (204, b"")
    for run in runs:
        assert (await finished(client, run, seconds=5))["status"] == "interrupted"
    assert (await http.post("/runs/cancel", json=body)).status_code == 404


@pytest.mark.parametrize("body", [{}, {"status": "all", "thread_id": new_id(), "run_ids": [new_id()]}, {"status": "x"}])
async def test_bulk_needs_one_way_of_naming(http, body):
    assert (await http.post("/runs/cancel", json=body)).status_code == 422
