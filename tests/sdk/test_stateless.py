"""Runs without a thread of one's own."""

import asyncio

import pytest

from helpers import HI, UUID, names, stream, until

IN = {"log": ["in"]}
DONE = ["in", "one", "two", "three"]


async def test_wait(client, http):
    assert (await client.runs.wait(None, "three", input=IN))["log"] == DONE
    answer = await http.post("/runs/wait", json={"assistant_id": "three", "input": IN})
    assert answer.json()["log"] == DONE
    thread_id = UUID.findall(answer.headers["content-location"])[0]

    async def gone():
        return (await http.get(f"/threads/{thread_id}")).status_code == 404

    await until(gone, seconds=5)


async def test_stream(http):
    body = {"assistant_id": "three", "input": IN, "stream_mode": ["updates"]}
    events = await stream(http, "POST", "/runs/stream", json=body)
    assert names(events) == ["metadata", "updates", "updates", "updates"]


async def test_stream_tells_its_run(http):
    body = {"assistant_id": "three", "input": IN}
    async with http.stream("POST", "/runs/stream", json=body) as answer:
        text = (await answer.aread()).decode()
    location = answer.headers["content-location"]
    (run_id,) = UUID.findall(location)
    assert location == f"/runs/{run_id}"
    assert run_id in text


async def test_create_in_the_background(client, http):
    answer = await http.post("/runs", json={"assistant_id": "three", "input": IN, "on_completion": "keep"})
    run = answer.json()
    assert answer.headers["content-location"] == f"/runs/{run['run_id']}"
    assert UUID.fullmatch(run["thread_id"])
    state = await client.runs.join(run["thread_id"], run["run_id"])
    assert state["log"] == DONE


async def test_keep(client, http):
    answer = await http.post("/runs/wait", json={"assistant_id": "three", "input": IN, "on_completion": "keep"})
    thread_id = UUID.findall(answer.headers["content-location"])[0]
    assert (await client.threads.get_state(thread_id))["values"]["log"] == DONE
    assert (await client.threads.get(thread_id))["status"] == "idle"


async def test_chat_by_the_sdk(client):
    parts = [part async for part in client.runs.stream(None, "chat", input=HI, stream_mode="messages-tuple")]
    assert "".join(part.data[0]["content"] for part in parts if part.event == "messages") == "Good day to you"


async def test_error(client):
    answer = await client.runs.wait(None, "failing", input={"kind": "value"}, raise_error=False)
    assert answer["__error__"]["error"] == "ValueError"


async def test_interrupt_without_a_thread(client):
    answer = await client.runs.wait(None, "question", input={"log": []})
    assert answer["__interrupt__"][0]["value"] == {"question": "go on?"}


async def test_subgraphs(http):
    body = {"assistant_id": "nested", "input": {"log": []}, "stream_mode": "updates", "stream_subgraphs": True}
    events = await stream(http, "POST", "/runs/stream", json=body)
    assert [event.event.partition(":")[0] for event in events] == [
        "metadata", "updates", "updates|inner", "updates|inner", "updates",
    ]  # fmt: skip


@pytest.mark.parametrize("on_disconnect", ["cancel", "continue"])
async def test_on_disconnect(client, http, tmp_path, on_disconnect):
    """A counter file outside tells whether the graph went on."""
    path = tmp_path / "steps"
    steps = {"path": str(path), "total": 4, "secs": 0.4}
    body = {"assistant_id": "counter", "input": steps, "on_disconnect": on_disconnect}
    async with http.stream("POST", "/runs/stream", json=body):

        async def began():
            return path.exists()

        await until(began)
    if on_disconnect == "continue":

        async def ended():
            return "end 3" in path.read_text()

        await until(ended, seconds=8)
    else:
        await asyncio.sleep(2.2)
        assert "end 3" not in path.read_text()
