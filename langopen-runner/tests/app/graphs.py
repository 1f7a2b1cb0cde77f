"""Graphs that do to their host what the tests need."""

import asyncio
import operator
import os
import signal
import time
from typing import Annotated, TypedDict

from langgraph.config import get_store, get_stream_writer
from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    log: Annotated[list, operator.add]
    seconds: float


def one_step(name, node):
    return StateGraph(State).add_node(name, node).add_edge(START, name).add_edge(name, END).compile()


async def count(state: State):
    print(f"the log has {len(state.get('log', []))} entries")
    return {"log": ["counted"]}


async def sleep(state: State):
    await asyncio.sleep(state.get("seconds", 30))
    return {"log": ["slept"]}


async def block(state: State):
    time.sleep(state.get("seconds", 1))
    return {"log": ["blocked"]}


async def write_much(state: State):
    write = get_stream_writer()
    for n in range(200):
        write({"n": n, "padding": "x" * 50_000})
    return {"log": ["flooded"]}


async def die(state: State):
    os.kill(os.getpid(), signal.SIGKILL)


async def put_item(state: State):
    await get_store().aput(("notes",), "one", {"text": "kept"})
    return {"log": ["remembered"]}


async def look_around(state: State):
    return {"log": sorted(os.environ)}


counter = one_step("count", count)
slow = one_step("sleep", sleep)
blocking = one_step("block", block)
flood = one_step("write", write_much)
deadly = one_step("die", die)
remember = one_step("put_item", put_item)
surroundings = one_step("look_around", look_around)
