"""The example application works as its README says."""

import pytest
from langgraph_sdk import get_client

from helpers import own_server_only
from server import HERE, Server

pytestmark = own_server_only
CONFIG = HERE.parent.parent / "examples" / "agent" / "langgraph.json"


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache_dir):
    server = Server(tmp_path_factory.mktemp("example") / "data", cache_dir, config=CONFIG)
    yield server.start()
    server.stop()


async def ask(server, question):
    async with get_client(url=server.url) as client:
        thread = await client.threads.create()
        asked = {"messages": [{"role": "user", "content": question}]}
        parts = client.runs.stream(thread["thread_id"], "agent", input=asked, stream_mode=["messages-tuple", "values"])
        parts = [part async for part in parts]
    tokens = [part.data[0] for part in parts if part.event == "messages"]
    return tokens, parts[-1].data["messages"]


async def test_a_tool_is_used_and_told(server):
    tokens, messages = await ask(server, "What is the weather in Oslo?")
    assert [message["type"] for message in messages] == ["human", "ai", "tool", "ai"]
    assert messages[1]["tool_calls"][0]["args"] == {"city": "Oslo"}
    assert "Oslo" in messages[3]["content"]
    words = [token["content"] for token in tokens if token["type"] == "AIMessageChunk" and token["content"]]
    assert len(words) > 5 and "".join(words) == messages[3]["content"]


async def test_sums(server):
    _, messages = await ask(server, "And what is (2 + 4) * 7?")
    assert "= 42" in messages[-1]["content"]


async def test_without_a_tool(server):
    _, messages = await ask(server, "hello")
    assert [message["type"] for message in messages] == ["human", "ai"]


def test_a_real_model_without_its_package(tmp_path, cache_dir):
    server = Server(tmp_path / "data", cache_dir, config=CONFIG, env={"AGENT_MODEL": "openai:gpt-4o-mini"})
    with pytest.raises(RuntimeError, match="langchain-openai"):
        server.start()
    server.stop()
