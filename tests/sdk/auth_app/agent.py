"""Graphs that tell who runs them."""

import asyncio
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    seen: dict[str, Any]
    note: str


def who(state: State, config: RunnableConfig, runtime: Runtime) -> State:
    configurable = config["configurable"]
    user = configurable["langgraph_auth_user"]
    return {
        "seen": {
            "identity": user.identity,
            "org": user["org"],
            "fields": dict(user),
            "id": configurable["langgraph_auth_user_id"],
            "permissions": list(configurable["langgraph_auth_permissions"]),
            "server": runtime.server_info.user.identity,
        }
    }


graph = StateGraph(State).add_node(who).add_edge(START, "who").add_edge("who", END).compile()


def make(config: RunnableConfig):
    """A graph of the caller's own: its one node is called after the user, whoever asks and for whatever."""
    user = config["configurable"].get("langgraph_auth_user")
    name = f"of_{user.identity}" if user else "of_nobody"
    builder = StateGraph(State).add_node(name, lambda state: {"note": name}).add_edge(START, name)
    return builder.add_edge(name, END).compile()


async def wait(state: State) -> State:
    await asyncio.sleep(60)
    return {}


slow = StateGraph(State).add_node(wait).add_edge(START, "wait").add_edge("wait", END).compile()
