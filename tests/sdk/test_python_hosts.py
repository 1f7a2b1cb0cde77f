"""What applications rely on beyond the API: configs of assistants, histories by configurable, neighbours of bad runs."""

import asyncio
import json

import httpx
import pytest
from langgraph_sdk import get_client

from server import Server

GRAPHS = '''
import sys
from typing import Any
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    seen: Any


def graph(node):
    return StateGraph(State).add_node("n", node).add_edge(START, "n").compile()


async def leave(state):
    sys.exit(3)


async def wait(state):
    import asyncio
    await asyncio.sleep(1.0)
    return {"seen": "waited"}


def config(state, config):
    return {"seen": {key: config["configurable"].get(key) for key in ("user_id", "model")}}


leaves, waits, configured = graph(leave), graph(wait), graph(config)
'''
NAMES = ("leaves", "waits", "configured")


@pytest.fixture(scope="module")
def app(tmp_path_factory, cache_dir):
    """A server whose graphs get configs from the environment."""
    folder = tmp_path_factory.mktemp("python_hosts")
    (folder / "agent.py").write_text(GRAPHS)
    # A module of the application never replaces one of the standard library.
    (folder / "statistics.py").write_text("raise ImportError('the file of the application')")
    configs = {"configured": {"configurable": {"model": "from the environment"}, "tags": ["t"]}}
    config = {
        "dependencies": ["langgraph>=1.0,<2"],
        "graphs": {name: f"./agent.py:{name}" for name in NAMES},
        "env": {"LANGGRAPH_CONFIG": json.dumps(configs)},
    }
    path = folder / "langgraph.json"
    path.write_text(json.dumps(config))
    server = Server(folder / "data", cache_dir, config=path)
    server.start()
    yield server
    server.stop()


async def test_the_configs_of_system_assistants(app):
    async with get_client(url=app.url) as client:
        [assistant] = await client.assistants.search(graph_id="configured")
        assert assistant["config"] == {"configurable": {"model": "from the environment"}, "tags": ["t"]}
        assert assistant["context"] == {"model": "from the environment"}
        values = await client.runs.wait(None, "configured", input={})
        assert values["seen"] == {"user_id": "", "model": "from the environment"}


async def test_histories_by_configurable_and_a_user_id_of_the_client(app):
    async with get_client(url=app.url) as client:
        thread_id = (await client.threads.create())["thread_id"]
        config = {"configurable": {"user_id": "mine", "tier": {"name": "gold"}}}
        values = await client.runs.wait(thread_id, "configured", input={}, config=config)
        assert values["seen"]["user_id"] == "mine"
        for wanted, count in (({"user_id": "mine"}, 3), ({"tier": {"name": "gold"}}, 3), ({"tier": "iron"}, 0)):
            assert len(await client.threads.get_history(thread_id, limit=9, metadata=wanted)) == count


async def test_sys_exit_leaves_neighbours_alone(app):
    async with get_client(url=app.url) as client:
        neighbours = [asyncio.create_task(client.runs.wait(None, "waits", input={})) for _ in range(4)]
        await asyncio.sleep(0.3)
        failed = await client.runs.wait(None, "leaves", input={}, raise_error=False)
        assert failed["__error__"]["error"] == "SystemExit" and "sys.exit(3)" in failed["__error__"]["message"]
        assert [values["seen"] for values in await asyncio.gather(*neighbours)] == ["waited"] * 4


async def test_input_that_cannot_be_represented_fails_alone(app):
    async with get_client(url=app.url) as client, httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        neighbour = asyncio.create_task(client.runs.wait(None, "waits", input={}))
        await asyncio.sleep(0.3)
        body = b'{"assistant_id": "waits", "input": {"seen": 1e999}}'
        refused = await http.post("/runs/wait", content=body, headers={"content-type": "application/json"})
        assert refused.status_code == 422 or "__error__" in refused.json()
        assert (await neighbour)["seen"] == "waited"
