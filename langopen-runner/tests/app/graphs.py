"""Graphs for the tests: each stresses its host in one way."""

import asyncio
import operator
import os
import signal
import subprocess
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


async def tell_pid(state: State):
    return {"log": [os.getpid()]}


async def overdraw_credit(state: State):
    """Sends events without regard to the credit, around the host library."""
    from langopen_host import frames, scope

    run = scope.current_run()
    event = frames.event_payload(b"custom", b'"' + b"x" * 1_000_000 + b'"')
    for _ in range(state.get("seconds", 0) or 3000):
        run.connection.send(frames.EVENT, run.run, event)
        await asyncio.sleep(0)
    await asyncio.sleep(60)


async def write_tokens(state: State):
    """Many short events, or one that is longer than all that the runner may hold of calls."""
    write = get_stream_writer()
    if state.get("log") == ["long"]:
        write("x" * 140_000_000)
        return {"log": ["written"]}
    for n in range(20_000):
        write(n)
        if n % 100 == 0:
            await asyncio.sleep(0)
    return {"log": ["written"]}


async def print_without_end(state: State):
    """Writes to the process's own output, without a newline."""

    def write():
        for _ in range(64):
            os.write(1, b"x" * 1_000_000)

    await asyncio.to_thread(write)
    return {"log": ["printed"]}


async def put_much(state: State):
    store = get_store()
    await asyncio.gather(*[store.aput(("hoard",), str(n), {"text": "x" * 100_000}) for n in range(500)])
    kept = len(await store.asearch(("hoard",), limit=1000))
    try:
        await store.aput(("hoard",), "long", {"text": "x" * 17_000_000})
    except Exception as error:
        return {"log": [kept, str(error)]}
    return {"log": [kept, "kept"]}


async def have_children(state: State):
    """Starts processes that try to outlive the host."""
    sleep = ["/bin/sleep", "600"]
    children = [
        subprocess.Popen(sleep).pid,
        subprocess.Popen(sleep, start_new_session=True).pid,
        subprocess.Popen(sleep, start_new_session=True, env={}).pid,
    ]
    # A shell that ends and orphans its child, which has its own session.
    left = subprocess.run(["/bin/sh", "-c", "setsid /bin/sleep 600 </dev/null >/dev/null 2>&1 & echo $!"], capture_output=True, text=True)
    write = get_stream_writer()
    write([os.getpid(), *children, int(left.stdout)])
    # Long enough for the runner to record them.
    await asyncio.sleep(state.get("seconds", 0))
    if state.get("log") == ["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600 if state.get("log") == ["block"] else 0)
    return {"log": ["started"]}


counter = one_step("count", count)
pid = one_step("pid", tell_pid)
overdraw = one_step("overdraw", overdraw_credit)
tokens = one_step("write_tokens", write_tokens)
chatter = one_step("chatter", print_without_end)
hoard = one_step("hoard", put_much)
family = one_step("family", have_children)
slow = one_step("sleep", sleep)
blocking = one_step("block", block)
flood = one_step("write", write_much)
deadly = one_step("die", die)
remember = one_step("put_item", put_item)
surroundings = one_step("look_around", look_around)
