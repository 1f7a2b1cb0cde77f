"""Graphs that tell what they were given: config, context, store, factory arguments."""

from contextlib import asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph_sdk.runtime import ServerRuntime
from typing_extensions import TypedDict


class Context(TypedDict, total=False):
    model_name: str
    temperature: float


class Seen(TypedDict, total=False):
    key: str
    value: dict
    seen: Any


def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else f"<{type(value).__name__}>"


def tell(state: Seen, config: RunnableConfig, runtime: Runtime[Context]):
    seen = {key: plain(config.get(key)) for key in ("configurable", "metadata", "tags", "recursion_limit")}
    return {"seen": seen | {"context": plain(runtime.context)}}


async def remember(state: Seen, runtime: Runtime):
    namespace = ("suite", "graph")
    await runtime.store.aput(namespace, state["key"], state["value"])
    item = await runtime.store.aget(namespace, state["key"])
    found = await runtime.store.asearch(("suite",), limit=1000)
    return {"seen": {"value": item.value, "keys": sorted(one.key for one in found)}}


def single(name, node, **options):
    return StateGraph(Seen, **options).add_node(name, node).add_edge(START, name).add_edge(name, END)


context_echo = single("tell", tell, context_schema=Context).compile()
store_user = single("remember", remember).compile()
uncompiled = single("tell", tell)


def by_config(config: RunnableConfig):
    """The graph's very shape follows the config."""
    name = (config.get("configurable") or {}).get("shape", "round")
    return single(name, lambda state: {"seen": f"shape {name}"})


@asynccontextmanager
async def by_runtime(runtime: ServerRuntime):
    executing = runtime.execution_runtime is not None
    seen = {"access": runtime.access_context, "executing": executing}
    yield single("tell", lambda state: {"seen": seen}).compile()
