"""Graphs that rely on what Python and the library promise."""

from __future__ import annotations

import operator
import statistics
import sys
from dataclasses import dataclass
from typing import Annotated, Any

from graphs import Echo, Log, line, one_node, say
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from langgraph_sdk.runtime import ServerRuntime
from pydantic import BaseModel, HttpUrl
from typing_extensions import NotRequired, TypedDict

URL = "https://example.com/a"


@dataclass
class Needs:
    name: str
    age: int = 3


class Place(BaseModel):
    url: HttpUrl


class Unknown:
    pass


class Deep(TypedDict):
    messages: Annotated[list, operator.add]
    files: Annotated[NotRequired[dict], lambda old, new: new]
    todos: NotRequired[Annotated[list, operator.add]]
    odd: Unknown
    schema: str
    _private: str


@dataclass
class Fields:
    out: str = ""
    answer: str = ""


class Model(BaseModel):
    out: str = ""
    answer: str = ""


def needs(state: Echo, runtime: Runtime[Needs]) -> Any:
    return {"seen": [runtime.context.name, runtime.context.age]}


def ask(state: Any) -> Any:
    return {"answer": interrupt({"q": "?"})}


def where(state: Echo) -> Any:
    return {"seen": [statistics.__file__, sys.path]}


async def write(state: Log) -> Any:
    for each in ({"a": 1}, "text", [1], {"name": "n", "payload": 2}):
        get_stream_writer()(each)
    return {"log": []}


async def answer(state: MessagesState) -> Any:
    return {"messages": [AIMessage("static", id="m1"), HumanMessage("h", id="m2")]}


def seen_by(runtime: Any) -> Any:
    return one_node(Echo, "n", lambda state: {"seen": runtime})


def unannotated(runtime):
    return seen_by([type(runtime).__name__, sorted(runtime)])


def with_context(runtime: ServerRuntime[Needs]) -> Any:
    context = runtime.execution_runtime and runtime.execution_runtime.context
    if not context:
        return seen_by([runtime.access_context, context])
    return seen_by([runtime.access_context, dict(context), context["name"], context.name, context.age])


def with_both(runtime: ServerRuntime, config: RunnableConfig) -> Any:
    return seen_by([runtime.access_context, config["recursion_limit"] > 0, config["tags"], config["callbacks"]])


context_graph = StateGraph(Echo, context_schema=Needs).add_node("n", needs).add_edge(START, "n").compile()
url = one_node(Echo, "n", lambda state: {"seen": HttpUrl(URL)})
place = one_node(Echo, "n", lambda state: {"seen": Place(url=URL)})
deep = one_node(Deep, "n", lambda state: {"messages": []})
fields = one_node(Fields, "n", ask)
model = one_node(Model, "n", ask)
paths = one_node(Echo, "n", where)
custom = line(a=write)
static = one_node(MessagesState, "n", answer)
plain = line(a=say("a"))
