"""Graphs of an application that makes OpenTelemetry spans of its own, when there is somewhere to send them."""

import asyncio
import os

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from typing_extensions import TypedDict

if os.environ.get("APP_EXPORTS_SPANS"):
    provider = TracerProvider(resource=Resource.create({"service.name": "the-application"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
tracer = trace.get_tracer("agent")


class State(TypedDict, total=False):
    said: str
    secret: str
    secs: float


@tool
def lookup(word: str) -> str:
    """Looks a word up."""
    return word.upper()


async def think(state: State):
    usage = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    model = GenericFakeChatModel(messages=iter([AIMessage("a thought", usage_metadata=usage)]))
    with tracer.start_as_current_span("own thinking"):
        answer = await model.ainvoke(state.get("secret", "hi"))
    return {"said": answer.content}


def act(state: State):
    """Synchronous: it runs in a thread."""
    with tracer.start_as_current_span("own acting"):
        return {"said": lookup.invoke({"word": state["said"]})}


def fail(state: State):
    raise ValueError("no good")


def ask(state: State):
    return {"said": interrupt("well?")}


async def sleep(state: State):
    await asyncio.sleep(state.get("secs", 60))


def chain(**nodes):
    builder, before = StateGraph(State), START
    for name, node in nodes.items():
        builder.add_node(name, node).add_edge(before, name)
        before = name
    return builder.add_edge(before, END).compile()


agent = chain(think=think, act=act)
nested = chain(outer=chain(think=think), last=think)
failing = chain(think=think, fail=fail)
asking = chain(ask=ask)
slow = chain(sleep=sleep)
