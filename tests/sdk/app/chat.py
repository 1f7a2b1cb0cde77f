"""Graphs around a chat model: plain, with a tool, inside a subgraph."""

from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from models import ToolModel, WordsModel


async def answer(state: MessagesState):
    get_stream_writer()({"stage": "answering"})
    return {"messages": [await WordsModel().ainvoke(state["messages"])]}


async def answer_slowly(state: MessagesState):
    return {"messages": [await WordsModel(delay=0.15).ainvoke(state["messages"])]}


async def answer_at_length(state: MessagesState):
    text = "One day I will tell you everything that I know about the weather"
    return {"messages": [await WordsModel(text=text, delay=0.4).ainvoke(state["messages"])]}


def whole(state: MessagesState):
    return {"messages": [AIMessage(content="whole answer", id="whole-1")]}


async def answer_quietly(state: MessagesState):
    model = WordsModel().with_config(tags=["nostream"])
    return {"messages": [await model.ainvoke(state["messages"])]}


def one_node(name, node):
    return StateGraph(MessagesState).add_node(name, node).add_edge(START, name).add_edge(name, END)


chat = one_node("answer", answer).compile()
slow_chat = one_node("answer", answer_slowly).compile()
long_chat = one_node("answer", answer_at_length).compile()
whole_chat = one_node("whole", whole).compile()
quiet_chat = one_node("answer", answer_quietly).compile()
nested_chat = one_node("inner_chat", one_node("answer", answer).compile()).compile()


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b


async def think(state: MessagesState):
    return {"messages": [await ToolModel().ainvoke(state["messages"])]}


tool_agent = (
    StateGraph(MessagesState)
    .add_node("think", think)
    .add_node("tools", ToolNode([multiply]))
    .add_edge(START, "think")
    .add_conditional_edges("think", tools_condition)
    .add_edge("tools", "think")
    .compile()
)
