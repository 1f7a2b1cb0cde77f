"""Graphs of plain steps: quick, slow, blocking, counting in a file, printing, nested."""

import asyncio
import operator
import sys
import time
from typing import Annotated

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class Work(TypedDict, total=False):
    log: Annotated[list, operator.add]
    secs: float
    path: str
    total: int
    done: Annotated[list, operator.add]


def say(word):
    async def node(state: Work):
        get_stream_writer()({"at": word})
        return {"log": [word]}

    return node


async def sleep(state: Work):
    await asyncio.sleep(state.get("secs", 0))
    return {"log": ["slept"]}


def leave_line(state: Work):
    """With a path, a line there tells each time that a node runs."""
    if path := state.get("path"):
        with open(path, "a", encoding="utf-8") as file:
            file.write("blocked\n")


def block(state: Work):
    """Holds its thread, as ordinary synchronous code does."""
    leave_line(state)
    time.sleep(state.get("secs", 0))
    return {"log": ["blocked"]}


async def block_loop(state: Work):
    """Holds the event loop itself, as careless asynchronous code does."""
    leave_line(state)
    time.sleep(state.get("secs", 0))
    return {"log": ["blocked"]}


def chain(*nodes):
    builder = StateGraph(Work)
    previous = START
    for name, node in nodes:
        builder.add_node(name, node)
        builder.add_edge(previous, name)
        previous = name
    return builder.add_edge(previous, END).compile()


three = chain(("one", say("one")), ("two", say("two")), ("three", say("three")))
slow = chain(("one", say("one")), ("sleep", sleep), ("three", say("three")))
blocking = chain(("one", say("one")), ("block", block), ("three", say("three")))
blocking_loop = chain(("one", say("one")), ("block", block_loop), ("three", say("three")))
nested = chain(("outer", say("outer")), ("inner", chain(("deep", say("deep")), ("deeper", say("deeper")))))


async def tick(state: Work):
    """One step of `total`: what began and what ended is kept in the file, outside the graph."""
    number = len(state.get("done", []))
    with open(state["path"], "a", encoding="utf-8") as file:
        file.write(f"begin {number}\n")
    await asyncio.sleep(state.get("secs", 0))
    with open(state["path"], "a", encoding="utf-8") as file:
        file.write(f"end {number}\n")
    get_stream_writer()({"tick": number})
    return {"done": [number]}


def more(state: Work):
    return "tick" if len(state["done"]) < state["total"] else END


counter = (
    StateGraph(Work).add_node("tick", tick).add_edge(START, "tick").add_conditional_edges("tick", more).compile()
)


class Burst(TypedDict, total=False):
    total: int
    secs: float
    size: int
    told: int


async def tell_many(state: Burst):
    """So many events of that size, with a pause after each if one is asked for."""
    writer, filling = get_stream_writer(), "x" * state.get("size", 0)
    for number in range(state["total"]):
        writer({"number": number, "filling": filling})
        if secs := state.get("secs"):
            await asyncio.sleep(secs)
    return {"told": state["total"]}


burst = StateGraph(Burst).add_node("tell", tell_many).add_edge(START, "tell").add_edge("tell", END).compile()


def shout(state: Work):
    """Prints in every way that user code prints; none of it may disturb the server."""
    print("plain line")
    print("no newline", end="", flush=True)
    print("to stderr", file=sys.stderr)
    sys.stdout.write("\x00\x01{not json}\r\n")
    sys.stdout.buffer.write(b"\xff\xfe raw bytes\n")
    sys.stdout.flush()
    return {"log": ["printed"]}


printing = chain(("shout", shout))
