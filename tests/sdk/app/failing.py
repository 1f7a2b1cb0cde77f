"""A graph whose second node raises what it is told to."""

import asyncio
import operator
from typing import Annotated

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class OwnError(Exception):
    """A class that the server doesn't know."""


class OwnValueError(ValueError):
    """A subclass of a class whose text is public."""


class Plan(TypedDict, total=False):
    log: Annotated[list, operator.add]
    kind: str


KINDS = {
    "value": lambda: ValueError("bad value: \u00e9\u2028\"quoted\""),
    "type": lambda: TypeError("bad type"),
    "key": lambda: KeyError("bad key"),
    "attribute": lambda: AttributeError("bad attribute"),
    "runtime": lambda: RuntimeError("bad runtime"),
    "recursion": lambda: RecursionError("bad recursion"),
    "timeout": lambda: TimeoutError("bad timeout"),
    "zero": lambda: ZeroDivisionError("secret of zero"),
    "os": lambda: OSError("secret of os"),
    "own": lambda: OwnError("secret of own"),
    "own_value": lambda: OwnValueError("text of own value"),
    "empty": lambda: ValueError(),
}


def start(state: Plan):
    return {"log": ["start"]}


def fail(state: Plan):
    kind = state.get("kind", "value")
    if kind == "none":
        return {"log": ["no failure"]}
    if kind == "exit":
        raise SystemExit(3)
    if kind == "cancelled":
        raise asyncio.CancelledError()
    if kind == "unserialisable":
        return {"log": [lambda: None]}
    raise KINDS[kind]()


def forever(state: Plan):
    return {"log": ["round"]}


failing = (
    StateGraph(Plan)
    .add_node("start", start)
    .add_node("fail", fail)
    .add_edge(START, "start")
    .add_edge("start", "fail")
    .add_edge("fail", END)
    .compile()
)

endless = StateGraph(Plan).add_node("forever", forever).add_edge(START, "forever").add_edge("forever", "forever").compile()
