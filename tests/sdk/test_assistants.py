"""Assistants: the ones made from the configuration, and those that clients make."""

import uuid

import pytest
from langgraph_sdk.errors import NotFoundError

from helpers import UUID, new_id

NAMESPACE = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
FIELDS = {
    "assistant_id", "graph_id", "config", "context", "metadata", "name", "description", "version", "created_at",
    "updated_at",
}  # fmt: skip


def of_graph(graph: str) -> str:
    return str(uuid.uuid5(NAMESPACE, graph))


async def test_every_graph_has_its_assistant(client):
    found = await client.assistants.search(metadata={"created_by": "system"}, limit=100)
    by_graph = {one["graph_id"]: one for one in found}
    assert {"chat", "question", "packaged", "by_config", "by_runtime"} <= by_graph.keys()
    assert by_graph["chat"]["assistant_id"] == of_graph("chat")
    assert by_graph["question"]["description"] == "Asks before it goes on"
    assert by_graph["chat"]["version"] == 1
    assert by_graph["chat"].keys() == FIELDS


async def test_create_and_get(client):
    made = await client.assistants.create(
        "chat", name="Tester", description="for a test", metadata={"team": "a"}, context={"model_name": "m"}
    )
    assert made.keys() == FIELDS
    assert UUID.fullmatch(made["assistant_id"])
    assert (made["name"], made["description"], made["version"]) == ("Tester", "for a test", 1)
    assert made["metadata"] == {"team": "a"}
    assert made["context"] == {"model_name": "m"}
    assert made["config"] == {"configurable": {"model_name": "m"}}
    assert await client.assistants.get(made["assistant_id"]) == made


async def test_created_with_nothing_but_a_graph(client):
    made = await client.assistants.create("chat")
    assert (made["name"], made["metadata"], made["config"]) == ("Untitled", {}, {})
    assert made["created_at"].endswith("+00:00")


async def test_same_id_twice(client, http):
    body = {"graph_id": "chat", "assistant_id": new_id(), "name": "first"}
    first = await http.post("/assistants", json=body)
    again = await http.post("/assistants", json=body | {"name": "second"})
    assert (first.status_code, again.status_code) == (200, 409)
    assert again.json()["detail"]
    kept = await http.post("/assistants", json=body | {"name": "second", "if_exists": "do_nothing"})
    assert kept.status_code == 200
    assert kept.json() == first.json()


async def test_each_patch_makes_a_version(client):
    made = await client.assistants.create("chat", metadata={"a": 1, "b": 1}, config={"tags": ["x"]})
    aid = made["assistant_id"]
    second = await client.assistants.update(aid, metadata={"b": 2}, config={"tags": ["y"]})
    assert (second["version"], second["metadata"]) == (2, {"a": 1, "b": 2})
    assert second["config"]["tags"] == ["y"]
    assert (await client.assistants.update(aid))["version"] == 3
    versions = await client.assistants.get_versions(aid)
    assert [one["version"] for one in versions] == [3, 2, 1]

    back = await client.assistants.set_latest(aid, 1)
    assert (back["version"], back["metadata"]) == (1, {"a": 1, "b": 1})
    assert (await client.assistants.get(aid))["version"] == 1
    assert (await client.assistants.update(aid, name="again"))["version"] == 4
    with pytest.raises(NotFoundError):
        await client.assistants.set_latest(aid, 99)


async def test_search_filters_sorts_and_pages(client, http):
    group = new_id()
    names = ["Alpha", "beta", "Gamma"]
    for name in names:
        await client.assistants.create("chat", name=name, metadata={"group": group})
    mine = {"group": group}
    assert [one["name"] for one in await client.assistants.search(metadata=mine)] == names[::-1]
    by_name = await client.assistants.search(metadata=mine, sort_by="name", sort_order="asc")
    assert [one["name"] for one in by_name] == names
    assert [one["name"] for one in await client.assistants.search(metadata=mine, name="AMM")] == ["Gamma"]
    assert await client.assistants.search(metadata=mine, graph_id="three") == []
    page = await http.post("/assistants/search", json={"metadata": mine, "limit": 2})
    assert len(page.json()) == 2
    assert page.headers["x-pagination-next"] == "2"
    last = await http.post("/assistants/search", json={"metadata": mine, "limit": 2, "offset": 2})
    assert len(last.json()) == 1
    assert "x-pagination-next" not in last.headers
    selected = await client.assistants.search(metadata=mine, select=["name", "version"])
    assert all(one.keys() == {"name", "version"} for one in selected)


async def test_delete(client, http):
    aid = (await client.assistants.create("chat"))["assistant_id"]
    answer = await http.delete(f"/assistants/{aid}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await http.delete(f"/assistants/{aid}")).status_code == 404
    assert (await http.get(f"/assistants/{aid}")).status_code == 404


async def test_delete_with_its_threads(client, http):
    aid = (await client.assistants.create("three"))["assistant_id"]
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], aid, input={"log": []})
    await client.assistants.delete(aid, delete_threads=True)
    assert (await http.get(f"/threads/{thread['thread_id']}")).status_code == 404


async def test_graph_drawing(client, http):
    drawn = await client.assistants.get_graph(of_graph("three"))
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "one", "two", "three", "__end__"]
    assert drawn["nodes"][-1] == {"id": "__end__"}
    edges = [(edge["source"], edge["target"]) for edge in drawn["edges"]]
    assert edges == [("__start__", "one"), ("one", "two"), ("two", "three"), ("three", "__end__")]
    assert (await http.get("/assistants/three/graph")).json() == drawn
    inside = await client.assistants.get_graph(of_graph("nested"), xray=True)
    assert {"inner:deep", "inner:deeper"} <= {node["id"] for node in inside["nodes"]}
    assert (await http.get(f"/assistants/{of_graph('nested')}/graph?xray=0")).status_code == 422


async def test_schemas(client):
    schemas = await client.assistants.get_schemas(of_graph("context_echo"))
    keys = {"graph_id", "input_schema", "output_schema", "state_schema", "config_schema", "context_schema"}
    assert schemas.keys() == keys
    assert schemas["graph_id"] == "context_echo"
    assert {"model_name", "temperature"} == schemas["context_schema"]["properties"].keys()
    assert {"key", "value", "seen"} <= schemas["input_schema"]["properties"].keys()


async def test_subgraphs(client):
    found = await client.assistants.get_subgraphs(of_graph("nested"))
    assert found.keys() == {"inner"}
    assert {"log", "secs"} <= found["inner"]["state_schema"]["properties"].keys()
    assert await client.assistants.get_subgraphs(of_graph("three")) == {}


async def test_a_run_takes_the_assistants_context(client, thread_id):
    made = await client.assistants.create("context_echo", context={"model_name": "from assistant", "temperature": 0.5})
    state = await client.runs.wait(thread_id, made["assistant_id"], input={}, context={"temperature": 0.9})
    assert state["seen"]["context"] == {"model_name": "from assistant", "temperature": 0.9}
