"""The Model Context Protocol with its stock client: every assistant is a tool."""

import json
from contextlib import asynccontextmanager

import pytest
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client


@pytest.fixture
def session(base_url):
    """Opens a client's session, greeted."""

    @asynccontextmanager
    async def open():
        async with streamablehttp_client(f"{base_url}/mcp") as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            yield session

    return open


async def test_tools_are_listed_and_called(session):
    async with session() as mcp:
        await mcp.send_ping()
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        assert tools["question"].description == "Asks before it goes on"
        assert tools["chat"].inputSchema["properties"]["messages"]["type"] == "string"
        result = await mcp.call_tool("chat", {"messages": "hi"})
        assert not result.isError
        state = json.loads(result.content[0].text)
        assert [message["type"] for message in state["messages"]] == ["human", "ai"]
        assert state["messages"][0]["content"] == "hi"


async def test_an_interrupt_is_in_the_state(session):
    async with session() as mcp:
        state = json.loads((await mcp.call_tool("question", {"log": []})).content[0].text)
        assert state["__interrupt__"][0]["value"] == {"question": "go on?"}


async def test_a_failure_is_a_result_and_an_unknown_tool_an_error(session):
    async with session() as mcp:
        result = await mcp.call_tool("failing", {"kind": "value"})
        assert result.isError and result.content[0].text.startswith("ValueError")
        with pytest.raises(McpError, match="Unknown tool: nobody"):
            await mcp.call_tool("nobody", {})
