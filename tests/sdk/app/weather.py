"""A router in front of a weather subgraph that waits before it answers, so that a person can correct the city."""

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph


class Weather(MessagesState, total=False):
    route: str
    city: str


def route(state: Weather):
    return {"route": "weather" if "weather" in state["messages"][-1].text else "other"}


def where_to(state: Weather):
    return "weather_graph" if state["route"] == "weather" else "small_talk"


def small_talk(state: Weather):
    return {"messages": [AIMessage(content="Let us talk about the weather.")]}


def find_city(state: Weather):
    return {"city": "Lisbon"}


def tell(state: Weather):
    return {"messages": [AIMessage(content=f"It is sunny in {state['city']}.")]}


inner = (
    StateGraph(Weather)
    .add_node("find_city", find_city)
    .add_node("tell", tell)
    .add_edge(START, "find_city")
    .add_edge("find_city", "tell")
    .add_edge("tell", END)
    .compile(interrupt_before=["tell"])
)

weather = (
    StateGraph(Weather)
    .add_node("route", route)
    .add_node("small_talk", small_talk)
    .add_node("weather_graph", inner)
    .add_edge(START, "route")
    .add_conditional_edges("route", where_to, ["weather_graph", "small_talk"])
    .add_edge("weather_graph", END)
    .add_edge("small_talk", END)
    .compile()
)
