"""A conversation graph, equivalent to the one in TypeScript."""

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph


def say(state: MessagesState):
    return {"messages": [AIMessage(f"{len(state['messages'])} so far")]}


talk = StateGraph(MessagesState).add_node("say", say).add_edge(START, "say").add_edge("say", END)
