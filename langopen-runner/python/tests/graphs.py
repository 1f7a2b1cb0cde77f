"""Graphs for the host's tests: no network, no model, one behaviour each."""

from __future__ import annotations

import asyncio
import logging
import operator
import sys
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config, get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from langgraph_sdk.runtime import ServerRuntime
from pydantic import BaseModel
from typing_extensions import TypedDict


class Parrot(BaseChatModel):
    """A model that streams its text word by word."""

    text: str = "Hello there friend"
    delay: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=self.text))])

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        words = self.text.split(" ")
        for index, word in enumerate(words):
            if self.delay:
                await asyncio.sleep(self.delay)
            last = index == len(words) - 1
            usage = {"input_tokens": 3, "output_tokens": len(words), "total_tokens": 3 + len(words)} if last else None
            yield ChatGenerationChunk(
                message=AIMessageChunk(content=word if index == 0 else " " + word, usage_metadata=usage)
            )


class Log(TypedDict, total=False):
    log: Annotated[list, operator.add]
    answer: Any
    secs: float
    ask: bool
    kind: str


async def speak(state: MessagesState) -> Any:
    get_stream_writer()({"progress": "calling model"})
    return {"messages": [await Parrot().ainvoke(state["messages"])]}


async def speak_slowly(state: MessagesState) -> Any:
    return {"messages": [await Parrot(text="a " * 200, delay=0.02).ainvoke(state["messages"])]}


async def whisper(state: MessagesState) -> Any:
    return {"messages": [await Parrot().with_config(tags=["nostream"]).ainvoke(state["messages"])]}


def line(*names: str, **nodes: Any) -> Any:
    graph = StateGraph(Log)
    before = START
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    return graph.add_edge(before, END).compile()


def one_node(state: type, name: str, node: Any) -> Any:
    return StateGraph(state).add_node(name, node).add_edge(START, name).add_edge(name, END).compile()


def say(word: str) -> Any:
    def node(state: Log) -> Any:
        return {"log": [word]}

    return node


def ask(state: Log) -> Any:
    answer = interrupt({"question": "continue?"})
    return {"log": ["ask"], "answer": answer}


async def rest(state: Log) -> Any:
    await asyncio.sleep(state.get("secs", 5))
    return {"log": ["two"]}


def block(state: Log) -> Any:
    time.sleep(state.get("secs", 5))
    return {"log": ["two"]}


class Secret(Exception):
    pass


def fail(state: Log) -> Any:
    if state.get("kind") == "secret":
        raise Secret("do not tell")
    raise ValueError("boom value")


chat = one_node(MessagesState, "model", speak)
slow_chat = one_node(MessagesState, "model", speak_slowly)
quiet_chat = one_node(MessagesState, "model", whisper)
hitl = line(a=say("a"), ask=ask, b=say("b"))
slow = line(one=say("one"), two=rest, three=say("three"))
blocking = line(one=say("one"), two=block)
err = line(a=say("a"), b=fail)
loop = StateGraph(Log).add_node("again", say("x")).add_edge(START, "again").add_edge("again", "again").compile()
uncompiled = StateGraph(Log).add_node("n", say("n")).add_edge(START, "n")


async def inner_node(state: Log) -> Any:
    get_stream_writer()({"inner": True})
    if state.get("ask"):
        return {"log": [f"inner:{interrupt('inner question')}"]}
    return {"log": ["inner"]}


nested = line(outer=say("outer"), sub=line(inner=inner_node))
nested_chat = one_node(MessagesState, "subchat", one_node(MessagesState, "inner_model", speak))

parallel = (
    StateGraph(Log)
    .add_node("left", lambda state: {"log": [["left", interrupt("left?")]]})
    .add_node("right", lambda state: {"log": [["right", interrupt("right?")]]})
    .add_node("ok", say("ok"))
    .add_node("end", say("end"))
    .add_edge(START, "left")
    .add_edge(START, "right")
    .add_edge(START, "ok")
    .add_edge(["left", "right", "ok"], "end")
    .compile()
)


@dataclass
class Context:
    model_name: str = "default"


class Echo(TypedDict, total=False):
    seen: Any


def echo_node(state: Echo, runtime: Runtime[Context]) -> Any:
    config = get_config()
    info = runtime.server_info
    return {
        "seen": {
            "context": runtime.context.model_name,
            "metadata": dict(config["metadata"]),
            "recursion_limit": config.get("recursion_limit"),
            "tags": config.get("tags"),
            "user": None if info is None or info.user is None else info.user.identity,
            "graph_id": None if info is None else info.graph_id,
        }
    }


echo = (
    StateGraph(Echo, context_schema=Context)
    .add_node("echo", echo_node)
    .add_edge(START, "echo")
    .add_edge("echo", END)
    .compile()
)


class Kept(TypedDict, total=False):
    out: Any


async def remember(state: Kept, runtime: Runtime) -> Any:
    store = runtime.store
    await store.aput(("mem", "a"), "k", {"text": "from graph"})
    item = await store.aget(("mem", "a"), "k")
    found = await store.asearch(("mem",), filter={"text": "from graph"})
    return {"out": [item.value, [hit.key for hit in found], await store.alist_namespaces(prefix=("mem",))]}


def remember_sync(state: Kept, runtime: Runtime) -> Any:
    runtime.store.put(("sync",), "k", {"n": 1})
    value = runtime.store.get(("sync",), "k").value
    runtime.store.delete(("sync",), "k")
    return {"out": [value, runtime.store.get(("sync",), "k")]}


keeper = one_node(Kept, "keep", remember)
sync_keeper = one_node(Kept, "keep", remember_sync)


def noise(state: Log) -> Any:
    print("printed in", threading.current_thread() is threading.main_thread())
    print("no newline", end="")
    print("to stderr", file=sys.stderr)
    logging.getLogger("mine").warning("logged %d", 7)
    return {"log": ["noise"]}


noisy = line(noise=noise)


async def flood_node(state: Log) -> Any:
    write = get_stream_writer()
    for index in range(40):
        write({"i": index, "pad": "x" * 100_000})
    return {"log": ["flood"]}


flood = line(flood=flood_node)


def odd_node(state: Echo) -> Any:
    return {"seen": {"big": 2**80, "nan": float("nan"), "surrogate": "\ud800", "line": "\u2028", "set": {1}, 3: b"x"}}


odd = one_node(Echo, "odd", odd_node)


def make_graph(config: RunnableConfig) -> Any:
    which = config["configurable"].get("which", "x")
    flag = config["configurable"]["__is_for_execution__"]
    return StateGraph(Log).add_node(which, say(f"{which}:{flag}")).add_edge(START, which)


async def make_graph_async() -> Any:
    return one_node(Log, "n", say("async"))


def make_wrong(config: RunnableConfig) -> Any:
    return 7


@asynccontextmanager
async def make_with_runtime(runtime: ServerRuntime[Context]) -> Any:
    execution = runtime.execution_runtime
    name = None if execution is None else execution.context.model_name
    user = runtime.user.identity if runtime.user else None
    yield one_node(Log, "n", say(f"{runtime.access_context}:{name}:{user}"))


async def make_by_generator(config: RunnableConfig, runtime: ServerRuntime) -> Any:
    print("opened")
    yield one_node(Log, "n", say(runtime.access_context))
    print("closed")


not_a_graph = 5


async def stubborn_node(state: Log) -> Any:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        pass
    return {"log": ["stubborn"]}


stubborn = line(one=say("one"), two=stubborn_node, three=rest)


def sync_parent_node(state: Log) -> Any:
    return {"log": [line(inner=say("sync sub")).invoke({"log": []})["log"][-1]]}


sync_parent = line(parent=sync_parent_node)


def write(state: MessagesState) -> Any:
    return {"messages": [AIMessageChunk(content="a chunk", id="w1"), AIMessage(content="a message", id="w2")]}


written = one_node(MessagesState, "write", write)


@dataclass
class DataclassState:
    log: Annotated[list, operator.add]


class PydanticState(BaseModel):
    log: Annotated[list, operator.add]


def ask_on(state: Any) -> Any:
    return {"log": [interrupt("go on?")]}


dataclass_state = one_node(DataclassState, "ask", ask_on)
pydantic_state = one_node(PydanticState, "ask", ask_on)
