"""A graph that shows a component of its own beside its answer."""

from typing import Annotated

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.ui import AnyUIMessage, push_ui_message, ui_message_reducer


class Cards(MessagesState):
    ui: Annotated[list[AnyUIMessage], ui_message_reducer]


def show(state: Cards):
    message = AIMessage(id=f"answer-{len(state['messages'])}", content="Here is the weather")
    card = push_ui_message("weather", {"city": "Oslo", "degrees": 3}, message=message)
    push_ui_message("weather", {"city": "Oslo", "degrees": 4}, id=card["id"], message=message, merge=True)
    return {"messages": [message]}


cards = StateGraph(Cards).add_node("show", show).add_edge(START, "show").add_edge("show", END).compile()
