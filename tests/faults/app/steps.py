"""A graph that writes into a file what it does, so that it can be told afterwards how often each step was taken."""

import asyncio
import os
import time
from operator import add
from typing import Annotated, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

# Lines this short are written whole with O_APPEND, whoever writes at the same time.
FILE = os.open(os.environ["FAULTS_STEPS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


class State(TypedDict, total=False):
    steps: int
    pause: float
    at: int
    log: Annotated[list[str], add]


async def step(state: State, config: RunnableConfig) -> State:
    run_id, attempt, at = config["metadata"]["run_id"], config["metadata"]["run_attempt"], state["at"] + 1
    os.write(FILE, f"{run_id} {attempt} {at} {time.time_ns()}\n".encode())
    get_stream_writer()({"attempt": attempt, "step": at})
    await asyncio.sleep(state["pause"])
    return {"at": at, "log": [f"{run_id} {at}"]}


def more(state: State) -> str:
    return "step" if state["at"] < state["steps"] else END


graph = StateGraph(State)
graph.add_node("step", step)
graph.add_edge(START, "step")
graph.add_conditional_edges("step", more, ["step", END])
steps = graph.compile()
