"""Graphs beside a web app: one that answers, and two that ask the server by an SDK client without an address."""

import asyncio

from langgraph.graph import END, START, StateGraph
from langgraph_sdk import get_client
from typing_extensions import TypedDict

# Made while the application is imported, and used once it is served.
early = get_client()


class State(TypedDict, total=False):
    text: str
    seen: list


def _graph(node):
    return StateGraph(State).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile()


async def answer(state: State) -> State:
    return {"text": state.get("text", "") + "!"}


async def call(state: State) -> State:
    whole = await early.runs.wait(None, "echo", input={"text": "from a node"})
    client = get_client()
    parts = [part.event async for part in client.runs.stream(None, "echo", input={"text": "x"}, stream_mode="values")]
    return {"text": whole["text"], "seen": parts}


def call_from_thread(state: State) -> State:
    async def ask():
        return await get_client().runs.wait(None, "echo", input={"text": "from a thread"})

    return {"text": asyncio.run(ask())["text"]}


echo = _graph(answer)
caller = _graph(call)
sync_caller = _graph(call_from_thread)
