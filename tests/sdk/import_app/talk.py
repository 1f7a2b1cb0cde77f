"""Graphs that first run with langgraph's own saver and store, and then go on at ours."""

import operator
from typing import Annotated, Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict


class Talk(MessagesState, total=False):
    turns: int
    name: str | None
    ask: bool
    answer: Any


def reply(state: Talk):
    turns = (state.get("turns") or 0) + 1
    return {"messages": [AIMessage(f"answer {turns} of {len(state['messages'])}")], "turns": turns}


def ask(state: Talk):
    return {"answer": interrupt({"question": "sure?"}), "ask": False}


talk_builder = (
    StateGraph(Talk)
    .add_node("reply", reply)
    .add_node("ask", ask)
    .add_edge(START, "reply")
    .add_conditional_edges("reply", lambda state: "ask" if state.get("ask") else END, ["ask", END])
    .add_edge("ask", END)
)
talk = talk_builder.compile()


class Team(TypedDict, total=False):
    topics: list[str]
    found: Annotated[list[str], operator.add]


class Errand(TypedDict, total=False):
    topic: str
    found: list[str]


def look(state: Errand):
    return {"found": [f"{state['topic']}: {interrupt(state['topic'])}"]}


def hand_out(state: Team):
    return [Send("errand", {"topic": topic}) for topic in state["topics"]]


errand = StateGraph(Errand).add_node("look", look).add_edge(START, "look").add_edge("look", END).compile()
team_builder = (
    StateGraph(Team)
    .add_node("plan", lambda state: {"found": ["planned"]})
    .add_node("errand", errand)
    .add_edge(START, "plan")
    .add_conditional_edges("plan", hand_out, ["errand"])
    .add_edge("errand", END)
)
team = team_builder.compile()
