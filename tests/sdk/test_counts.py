"""Counting assistants and threads: the same filters as the searches, whole numbers as answers."""

import asyncio

import pytest

from helpers import finished, new_id, run_status


async def test_assistants(client, http):
    group = new_id()
    for n in range(3):
        await client.assistants.create("chat", name=f"Mine {group} {n}", metadata={"group": group, "n": n})
    mine = {"group": group}
    assert await client.assistants.count(metadata=mine) == 3
    assert await client.assistants.count(metadata=mine, graph_id="chat") == 3
    assert await client.assistants.count(metadata=mine, graph_id="three") == 0
    assert await client.assistants.count(name=f"MINE {group} 1") == 1
    assert await client.assistants.count(metadata=mine | {"n": 1.0}) == 1
    answer = await http.post("/assistants/count", json={"metadata": mine})
    assert (answer.status_code, answer.text) == (200, "3")
    assert "x-pagination-total" not in answer.headers
    assert (await http.post("/assistants/count", json={"graph_id": "none"})).status_code == 404


async def test_threads(client, http):
    group = {"group": new_id()}
    ids = [(await client.threads.create(metadata=group | {"n": n}))["thread_id"] for n in range(12)]
    assert await client.threads.count(metadata=group) == 12, "more than a page"
    assert await client.threads.count(metadata=group, status="idle") == 12
    assert await client.threads.count(metadata=group, status="busy") == 0
    assert await client.threads.count(metadata=group | {"n": 3}) == 1
    mark = new_id()
    await client.runs.wait(ids[0], "three", input={"log": [mark]})
    assert await client.threads.count(values={"log": [mark]}) == 1
    assert await client.threads.count(metadata=group, values={"log": [new_id()]}) == 0
    answer = await http.post("/threads/count", json={"metadata": group})
    assert (answer.status_code, answer.text) == (200, "12")


@pytest.mark.parametrize("path", ["/threads/count", "/assistants/count"])
@pytest.mark.parametrize("body", [[], None, {"metadata": 1}, {"metadata": None}])
async def test_wrong_bodies(http, path, body):
    answer = await http.post(path, json=body)
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


DOCUMENT = {
    "a": {"b": [1, {"c": None, "d": [True, "x"]}], "e": {"f": {"g": 1.5}}}, "it's": 'a "quote"', "clé": "🧵", "$.a": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    "part, fits",
    [
        ({"a": {"b": [1.0]}}, True),
        ({"a": {"b": [{"c": None}]}}, True),
        ({"a": {"b": [{"d": ["x"]}, 1]}}, True),
        ({"a": {"e": {"f": {"g": 1.5}}}}, True),
        ({"it's": 'a "quote"'}, True),
        ({"clé": "🧵", "$.a": 0}, True),
        ({"a": {"b": 1}}, False),
        ({"a": {"b": ["1"]}}, False),
        ({"a": {"b": [{"c": False}]}}, False),
        ({"it": "x' OR '1'='1"}, False),
        ({"' OR 1=1 --": 1}, False),
    ],
)
async def test_nested_containment(client, part, fits):
    group = new_id()
    thread = await client.threads.create(metadata=DOCUMENT | {"group": group})
    await client.threads.create(metadata={"group": group})
    part = part | {"group": group}
    expected = [thread["thread_id"]] if fits else []
    assert [one["thread_id"] for one in await client.threads.search(metadata=part)] == expected
    assert await client.threads.count(metadata=part) == len(expected)


async def test_deleting_an_assistant_ends_its_runs(client, http):
    assistant = await client.assistants.create("slow")
    thread = await client.threads.create()
    one = (thread["thread_id"], assistant["assistant_id"])
    running = await client.runs.create(*one, input={"secs": 60})
    await run_status(client, running, "running")
    pending = await client.runs.create(*one, input={"secs": 60})
    other = await client.runs.create(thread["thread_id"], "three", input={"log": []})
    path = f"/threads/{pending['thread_id']}/runs/{pending['run_id']}/stream"
    stream = asyncio.create_task(http.get(path))
    await asyncio.sleep(0.1)
    await client.assistants.delete(assistant["assistant_id"])
    assert (await client.runs.get(pending["thread_id"], pending["run_id"]))["status"] == "interrupted"
    assert (await asyncio.wait_for(stream, 30)).status_code == 200
    assert (await finished(client, running))["status"] == "interrupted"
    assert (await finished(client, other))["status"] == "success", "another assistant's run goes on"
