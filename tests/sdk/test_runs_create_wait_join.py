"""Runs in the background, waited for, joined, listed and deleted."""

import asyncio

import pytest

from helpers import HI, UUID, finished, new_id, run_status, until

FIELDS = {
    "run_id", "thread_id", "assistant_id", "metadata", "status", "kwargs", "multitask_strategy", "created_at",
    "updated_at",
}  # fmt: skip
KWARGS = {"input", "command", "config", "stream_mode", "interrupt_before", "interrupt_after", "webhook"}


async def test_create(client, http, thread_id):
    body = {"assistant_id": "three", "input": {"log": []}, "metadata": {"mark": 1}, "config": {"tags": ["t"]}}
    answer = await http.post(f"/threads/{thread_id}/runs", json=body)
    run = answer.json()
    assert FIELDS <= run.keys()
    assert KWARGS <= run["kwargs"].keys()
    assert answer.headers["content-location"] == f"/threads/{thread_id}/runs/{run['run_id']}"
    assert UUID.fullmatch(run["run_id"]) and run["run_id"][14] == "7"
    assert (run["thread_id"], run["status"], run["multitask_strategy"]) == (thread_id, "pending", "enqueue")
    assert (run["metadata"]["mark"], run["metadata"]["graph_id"]) == (1, "three")
    assert run["kwargs"]["input"] == {"log": []}
    assert run["kwargs"]["stream_mode"] == ["values"]
    assert run["kwargs"]["config"]["tags"] == ["t"]
    configurable = run["kwargs"]["config"]["configurable"]
    assert (configurable["run_id"], configurable["thread_id"]) == (run["run_id"], thread_id)
    assert configurable["graph_id"] == "three"
    assert (await finished(client, run))["status"] == "success"


async def test_thread_is_busy_from_creation_to_end(client, thread_id):
    run = await client.runs.create(thread_id, "slow", input={"secs": 0.6})
    assert (await client.threads.get(thread_id))["status"] == "busy"
    await run_status(client, run, "running")
    assert (await client.threads.get(thread_id))["status"] == "busy"
    await client.runs.join(thread_id, run["run_id"])

    async def idle():
        return (await client.threads.get(thread_id))["status"] == "idle"

    await until(idle, seconds=3)
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "success"


async def test_wait_gives_the_final_values(client, http, thread_id):
    assert await client.runs.wait(thread_id, "three", input={"log": ["in"]}) == {
        "log": ["in", "one", "two", "three"],
        "done": [],
    }
    answer = await http.post(f"/threads/{thread_id}/runs/wait", json={"assistant_id": "three", "input": {"log": []}})
    location = answer.headers["content-location"]
    assert location.startswith(f"/threads/{thread_id}/runs/")
    assert answer.headers["location"] == f"{location}/join"
    assert answer.headers["content-type"] == "application/json"


async def test_wait_gives_values_whatever_the_stream_mode(client, http, thread_id):
    for modes in (["updates"], ["messages-tuple"], "custom", ["values", "events"]):
        body = {"assistant_id": "three", "input": {"log": []}, "stream_mode": modes}
        values = (await http.post(f"/threads/{thread_id}/runs/wait", json=body)).json()
        assert values["log"][-3:] == ["one", "two", "three"], modes


async def test_wait_keeps_the_connection_alive(http, thread_id):
    """White space comes before the JSON of a long run, about every 5 s."""
    body = {"assistant_id": "slow", "input": {"secs": 6}}
    async with http.stream("POST", f"/threads/{thread_id}/runs/wait", json=body) as answer:
        text = "".join([chunk async for chunk in answer.aiter_text()])
    assert text.startswith("\n") and text.lstrip().startswith("{")


async def test_join_during_and_after(client, thread_id):
    run = await client.runs.create(thread_id, "slow", input={"secs": 0.5, "log": ["in"]})
    during = await client.runs.join(thread_id, run["run_id"])
    after = await client.runs.join(thread_id, run["run_id"])
    assert during == after
    assert during["log"] == ["in", "one", "slept", "three"]


async def test_many_can_join_one_run(client, thread_id):
    run = await client.runs.create(thread_id, "slow", input={"secs": 0.5})
    joins = await asyncio.gather(*(client.runs.join(thread_id, run["run_id"]) for _ in range(10)))
    assert all(one["log"] == ["one", "slept", "three"] for one in joins)


async def test_on_run_created_is_told_the_ids(client, thread_id):
    seen = []
    await client.runs.wait(thread_id, "three", input={"log": []}, on_run_created=seen.append)
    (run,) = await client.runs.list(thread_id)
    assert [(one["run_id"], one["thread_id"]) for one in seen] == [(run["run_id"], thread_id)]


async def test_wait_for_a_missing_thread(client, http):
    missing = new_id()
    body = {"assistant_id": "three", "input": {"log": []}}
    for path in ("runs", "runs/wait", "runs/stream"):
        answer = await http.post(f"/threads/{missing}/{path}", json=body)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Thread or assistant not found."})
    values = await client.runs.wait(missing, "three", input={"log": []}, if_not_exists="create")
    assert values["log"] == ["one", "two", "three"]
    assert (await client.threads.get(missing))["thread_id"] == missing


async def test_list(client, http, thread_id):
    runs = [await client.runs.create(thread_id, "three", input={"log": []}) for _ in range(3)]
    await finished(client, runs[-1])
    listed = await client.runs.list(thread_id)
    assert [one["run_id"] for one in listed] == [one["run_id"] for one in runs[::-1]]
    assert [one["run_id"] for one in await client.runs.list(thread_id, limit=1, offset=1)] == [runs[1]["run_id"]]
    assert len(await client.runs.list(thread_id, status="success")) == 3
    assert await client.runs.list(thread_id, status="error") == []
    chosen = await http.get(f"/threads/{thread_id}/runs?select=run_id&select=status")
    assert all(one.keys() == {"run_id", "status"} for one in chosen.json())


async def test_delete(client, http, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": []})
    (run,) = await client.runs.list(thread_id)
    path = f"/threads/{thread_id}/runs/{run['run_id']}"
    answer = await http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await http.get(path)).status_code == 404
    assert (await http.delete(path)).status_code == 404


async def test_after_seconds(client, thread_id):
    run = await client.runs.create(thread_id, "three", input={"log": ["late"]}, after_seconds=1.5)
    assert run["status"] == "pending"
    early = await client.runs.wait(thread_id, "three", input={"log": ["early"]})
    assert early["log"] == ["early", "one", "two", "three"]
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "pending"
    await finished(client, run)
    assert "late" in (await client.threads.get_state(thread_id))["values"]["log"][4:]


async def test_state_carries_over_between_runs(client, thread_id):
    for _ in range(2):
        values = await client.runs.wait(thread_id, "chat", input=HI)
    assert [message["type"] for message in values["messages"]] == ["human", "ai", "human", "ai"]


async def test_no_input_on_a_fresh_thread_is_the_runs_error(client, thread_id):
    answer = await client.runs.wait(thread_id, "three", input=None, raise_error=False)
    assert answer["__error__"]["error"] == "EmptyInputError"


@pytest.mark.parametrize("command", [{"goto": "three"}, {"goto": ["three"]}, {"goto": {"node": "three", "input": {}}}])
async def test_command_goto(client, thread_id, command):
    values = await client.runs.wait(thread_id, "three", command=command | {"update": {"log": ["commanded"]}})
    assert values["log"][0] == "commanded" and values["log"][-1] == "three"
