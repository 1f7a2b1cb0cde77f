"""An agent with two tools, `weather` and `calculate`.

By default, the agent uses a small built-in model that needs no network. This model picks the tool from the words of the
question, and streams an answer with the tool's result word by word. To use a real model, set `AGENT_MODEL`, for example
to `openai:gpt-4o-mini`.
"""

import ast
import asyncio
import operator
import os
import re
import uuid

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

SKIES = ["sunny", "cloudy", "windy", "rainy"]
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}


@tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    number = sum(map(ord, city.lower()))
    return f"{SKIES[number % len(SKIES)]}, {number % 30} °C in {city}"


@tool
def calculate(expression: str) -> str:
    """Work out an arithmetic expression with + - * / and parentheses."""
    try:
        return f"{expression} = {evaluate(ast.parse(expression, mode='eval').body):g}"
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError) as error:
        return f"cannot work out {expression!r}: {error}"


def evaluate(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](evaluate(left), evaluate(right))
        case ast.UnaryOp(op, operand) if type(op) in OPERATORS:
            return OPERATORS[type(op)](evaluate(operand))
    raise ValueError("only numbers, + - * / and parentheses are understood")


TOOLS = [weather, calculate]


class BuiltInModel(BaseChatModel):
    """Finds a city or an expression in the question, calls the tool, and puts its result into a sentence."""

    delay: float = 0.04  # seconds between words

    @property
    def _llm_type(self) -> str:
        return "built-in"

    def bind_tools(self, tools, **kwargs):
        return self  # the model's tools are built in

    def decide(self, messages) -> AIMessage:
        last = messages[-1]
        if isinstance(last, ToolMessage):
            return AIMessage(content=f"Here is what I found: {last.content}.")
        question = last.text
        if found := re.search(r"weather (?:like )?(?:in|at|for) ([\w .'-]*\w)", question, re.IGNORECASE):
            return self.call("weather", city=found[1])
        if found := re.search(r"[-(\d][-+*/(). \d]*[-+*/][-+*/(). \d]*[)\d]", question):
            return self.call("calculate", expression=found[0].strip())
        return AIMessage(content='I can tell the weather ("weather in Oslo") and do sums ("what is 6 * 7").')

    def call(self, name: str, **args) -> AIMessage:
        return AIMessage(content="", tool_calls=[{"name": name, "args": args, "id": f"call-{uuid.uuid4()}"}])

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=self.decide(messages))])

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        message = self.decide(messages)
        if message.tool_calls:
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_calls=message.tool_calls))
            return
        for word in re.findall(r"\S+\s*", message.content):
            await asyncio.sleep(self.delay)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager:
                await run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk


def make_model():
    """Return the model that `AGENT_MODEL` names, or the built-in one."""
    name = os.environ.get("AGENT_MODEL")
    if not name:
        return BuiltInModel()
    provider = name.partition(":")[0]
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise RuntimeError(
            f"AGENT_MODEL={name} needs the packages `langchain` and `langchain-{provider}`: "
            "add them to requirements.txt and start again"
        ) from error
    try:
        return init_chat_model(name)
    except ImportError as error:
        raise RuntimeError(
            f"AGENT_MODEL={name} needs the package `langchain-{provider}`: add it to requirements.txt and start again"
        ) from error
    except Exception as error:
        key = f"{provider.upper().replace('-', '_')}_API_KEY"
        hint = "" if os.environ.get(key) else f"; {key} is not set"
        raise RuntimeError(f"AGENT_MODEL={name} cannot be used{hint}: {error}") from error


model = make_model().bind_tools(TOOLS)


async def think(state: MessagesState):
    return {"messages": [await model.ainvoke(state["messages"])]}


agent = (
    StateGraph(MessagesState)
    .add_node("think", think)
    .add_node("tools", ToolNode(TOOLS))
    .add_edge(START, "think")
    .add_conditional_edges("think", tools_condition)
    .add_edge("tools", "think")
    .compile(name="agent")
)
