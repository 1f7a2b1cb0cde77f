"""How graphs are named in the configuration, and what they are given when they run."""

import uuid

import pytest

from helpers import reference_differs

NAMESPACE = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


async def seen(client, thread_id, graph, **body):
    return (await client.runs.wait(thread_id, graph, input=body.pop("input", {}), **body))["seen"]


async def test_module_and_variable(client, thread_id):
    values = await client.runs.wait(thread_id, "packaged", input={"name": "Ada"})
    assert values == {"name": "Ada", "text": "Welcome, Ada"}


async def test_builder_that_is_not_compiled(client, thread_id):
    assert "configurable" in await seen(client, thread_id, "uncompiled")


async def test_factory_of_config(client, thread_id):
    assert await seen(client, thread_id, "by_config") == "shape round"
    square = {"configurable": {"shape": "square"}}
    assert await seen(client, thread_id, "by_config", config=square) == "shape square"
    drawn = await client.assistants.get_graph(str(uuid.uuid5(NAMESPACE, "by_config")))
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "round", "__end__"]
    made = await client.assistants.create("by_config", config={"configurable": {"shape": "oval"}})
    drawn = await client.assistants.get_graph(made["assistant_id"])
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "oval", "__end__"]


# The reference builds the graph without the thread's config here, and doesn't find the node.
@reference_differs("state updates don't use the thread's config")
async def test_state_of_a_factorys_thread_uses_its_config(client, thread_id):
    """The graph is built again as the thread's last run had it."""
    await client.runs.wait(thread_id, "by_config", input={}, config={"configurable": {"shape": "square"}})
    await client.threads.update_state(thread_id, {"seen": "mine"}, as_node="square")
    state = await client.threads.get_state(thread_id)
    assert (state["values"]["seen"], state["next"]) == ("mine", [])


async def test_factory_of_runtime(client, thread_id):
    assert await seen(client, thread_id, "by_runtime") == {"access": "threads.create_run", "executing": True}
    drawn = await client.assistants.get_graph(str(uuid.uuid5(NAMESPACE, "by_runtime")))
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "tell", "__end__"]


async def test_what_a_node_sees(client, thread_id):
    config = {"configurable": {"mine": "x"}, "tags": ["a"], "recursion_limit": 17}
    given = await seen(client, thread_id, "context_echo", config=config, metadata={"from": "metadata"})
    assert (given["configurable"]["mine"], given["configurable"]["thread_id"]) == ("x", thread_id)
    assert given["configurable"]["graph_id"] == "context_echo"
    assert "a" in given["tags"] and given["recursion_limit"] == 17
    assert given["metadata"]["from"] == "metadata"
    assert given["metadata"]["run_attempt"] == 1
    assert given["metadata"]["run_id"] == given["configurable"]["run_id"]


async def test_context_is_filtered_by_its_schema(client, thread_id):
    given = await seen(client, thread_id, "context_echo", context={"model_name": "m", "stranger": 1})
    assert given["context"] == {"model_name": "m"}
    assert given["configurable"]["model_name"] == "m"


async def test_configurable_is_the_context_too(client, thread_id):
    given = await seen(client, thread_id, "context_echo", config={"configurable": {"model_name": "m"}})
    assert given["context"] == {"model_name": "m"}


async def test_config_and_context_together_are_refused(http, thread_id):
    body = {"assistant_id": "context_echo", "config": {"configurable": {"a": 1}}, "context": {"b": 1}}
    answer = await http.post(f"/threads/{thread_id}/runs", json=body)
    assert answer.status_code == 400
    assert "configurable and context" in answer.json()["detail"]


async def test_store_inside_a_graph(client, thread_id):
    key = str(uuid.uuid4())
    given = await seen(client, thread_id, "store_user", input={"key": key, "value": {"n": [1, {"é": None}]}})
    assert given["value"] == {"n": [1, {"é": None}]}
    assert key in given["keys"]
    item = await client.store.get_item(["suite", "graph"], key)
    assert item["value"] == {"n": [1, {"é": None}]}


@pytest.mark.parametrize("times", [3])
async def test_printing_disturbs_nothing(client, thread_id, times):
    for count in range(1, times + 1):
        values = await client.runs.wait(thread_id, "printing", input={})
        assert values["log"] == ["printed"] * count
