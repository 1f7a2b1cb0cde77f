"""A graph that records each step in a file and in the store. A checker compares both with the results of the runs."""

import asyncio
import os
import time
from operator import add
from typing import Annotated, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_store, get_stream_writer
from langgraph.graph import END, START, StateGraph

# With O_APPEND, the system writes such short lines atomically, even if several processes write at once.
FILE = os.open(os.environ["FAULTS_STEPS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


class State(TypedDict, total=False):
    steps: int
    pause: float
    at: int
    log: Annotated[list[str], add]


async def step(state: State, config: RunnableConfig) -> State:
    run_id, attempt, at = config["metadata"]["run_id"], config["metadata"]["run_attempt"], state["at"] + 1
    # Faults shift the wall clock. The monotonic clock is the same for all processes of the machine.
    os.write(FILE, f"{run_id} {attempt} {at} {time.clock_gettime_ns(time.CLOCK_MONOTONIC)} {os.getpid()}\n".encode())
    get_stream_writer()({"attempt": attempt, "step": at})
    await asyncio.sleep(state["pause"])
    # An attempt that has lost its lease must not write here, because a later attempt has continued.
    await get_store().aput(("steps", run_id), "last", {"step": at, "attempt": attempt})
    return {"at": at, "log": [f"{run_id} {at} {attempt}"]}


def more(state: State) -> str:
    return "step" if state["at"] < state["steps"] else END


graph = StateGraph(State)
graph.add_node("step", step)
graph.add_edge(START, "step")
graph.add_conditional_edges("step", more, ["step", END])
steps = graph.compile()
