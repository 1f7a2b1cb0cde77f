"""Writes a note into the store, then looks for the one that fits."""

from typing import TypedDict

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime


class State(TypedDict, total=False):
    space: str
    note: str
    question: str
    found: list


async def look(state: State, runtime: Runtime) -> State:
    space = (state["space"],)
    if note := state.get("note"):
        await runtime.store.aput(space, "note", {"text": note})
        await runtime.store.aput(space, "unseen", {"text": note}, index=False)
    found = await runtime.store.asearch(space, query=state["question"], limit=3)
    return {"found": [[item.key, item.score] for item in found]}


notes = StateGraph(State).add_node(look).add_edge(START, "look").compile()
