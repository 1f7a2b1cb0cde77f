"""A builder that is not compiled yet, found by its module's name."""

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from .words import GREETING


class Greeting(TypedDict, total=False):
    name: str
    text: str


def greet(state: Greeting):
    return {"text": f"{GREETING}, {state['name']}"}


builder = StateGraph(Greeting).add_node("greet", greet).add_edge(START, "greet").add_edge("greet", END)
