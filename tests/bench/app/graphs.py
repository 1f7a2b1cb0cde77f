"""Graphs for the benchmark: they use no network and no real model, and do the same work every time."""

import asyncio
import os
import time
from typing import TypedDict

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph


def single(name, node):
    return StateGraph(MessagesState).add_node(name, node).add_edge(START, name).compile()


async def reply(state: MessagesState):
    return {"messages": [AIMessage(content="ok")]}


noop = single("reply", reply)


TOKENS = " ".join(f"w{i}" for i in range(100))


async def speak(state: MessagesState):
    """A model answers with 100 words; the library streams each word and each space as a chunk."""
    model = GenericFakeChatModel(messages=iter([AIMessage(content=TOKENS)]))
    return {"messages": [await model.ainvoke(state["messages"])]}


tokens = single("speak", speak)


class Clock(GenericFakeChatModel):
    """A model that emits the current time, in seconds, a hundred times.

    The last message gives the pause before each, in seconds.
    """

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for _ in range(100):
            await asyncio.sleep(float(messages[-1].content))
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{time.time():.6f} "))


async def tell_time(state: MessagesState):
    return {"messages": [await Clock(messages=iter([])).ainvoke(state["messages"])]}


clock = single("tell_time", tell_time)


async def emit(state: MessagesState):
    write = get_stream_writer()
    for i in range(100):
        write({"i": i})
        await asyncio.sleep(0)
    return {"messages": [AIMessage(content="done")]}


custom = single("emit", emit)


class Steps(TypedDict):
    n: int
    messages: list


async def step(state: Steps):
    return {"n": state.get("n", 0) + 1}


def more(state: Steps):
    return "step" if state["n"] % 10 else END


steps = (
    StateGraph(Steps)
    .add_node("step", step)
    .add_edge(START, "step")
    .add_conditional_edges("step", more, ["step", END])
    .compile()
)


async def nap(state: MessagesState):
    await asyncio.sleep(1.0)
    return {"messages": [AIMessage(content="rested")]}


sleepy = single("nap", nap)


async def rest(state: MessagesState):
    """Report the process ids of host and runner, then run longer than any client waits."""
    get_stream_writer()({"host": os.getpid(), "runner": os.getppid()})
    await asyncio.sleep(120)
    return {"messages": [AIMessage(content="at last")]}


patient = single("rest", rest)
