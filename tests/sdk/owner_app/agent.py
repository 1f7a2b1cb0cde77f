"""Graphs whose users each own what they make: one answers, one asks first, one takes its time."""

import asyncio

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt


def reply(state: MessagesState, config: RunnableConfig):
    user = config["configurable"]["langgraph_auth_user"]
    return {"messages": [AIMessage(f"{user.identity}: {len(state['messages'])}")]}


def ask(state: MessagesState):
    return {"messages": [AIMessage(f"answered {interrupt('go on?')}")]}


async def wait(state: MessagesState):
    await asyncio.sleep(60)
    return {}


def one_node(node):
    return StateGraph(MessagesState).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile()


agent, asker, slow = map(one_node, (reply, ask, wait))
