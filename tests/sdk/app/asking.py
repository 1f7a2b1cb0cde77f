"""Graphs that stop for a person: one question, two at once, one inside a subgraph."""

import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Talk(TypedDict, total=False):
    log: Annotated[list, operator.add]
    reply: Any


def say(word):
    def node(state: Talk):
        return {"log": [word]}

    return node


def ask(state: Talk):
    reply = interrupt({"question": "go on?"})
    return {"log": ["asked"], "reply": reply}


def ask_left(state: Talk):
    return {"log": [f"left:{interrupt({'side': 'left'})}"]}


def ask_right(state: Talk):
    return {"log": [f"right:{interrupt({'side': 'right'})}"]}


question = (
    StateGraph(Talk)
    .add_node("before", say("before"))
    .add_node("ask", ask)
    .add_node("after", say("after"))
    .add_edge(START, "before")
    .add_edge("before", "ask")
    .add_edge("ask", "after")
    .add_edge("after", END)
    .compile()
)

two_questions = (
    StateGraph(Talk)
    .add_node("left", ask_left)
    .add_node("right", ask_right)
    .add_node("other", say("other"))
    .add_node("join", say("join"))
    .add_edge(START, "left")
    .add_edge(START, "right")
    .add_edge(START, "other")
    .add_edge(["left", "right", "other"], "join")
    .add_edge("join", END)
    .compile()
)

inner_question = (
    StateGraph(Talk)
    .add_node("inner_ask", ask)
    .add_edge(START, "inner_ask")
    .add_edge("inner_ask", END)
    .compile()
)

nested_question = (
    StateGraph(Talk)
    .add_node("outer", say("outer"))
    .add_node("inner", inner_question)
    .add_edge(START, "outer")
    .add_edge("outer", "inner")
    .add_edge("inner", END)
    .compile()
)
