"""What a graph looks like from outside: its JSON schemas, its drawing, its subgraphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from langgraph.channels.base import BaseChannel
from langgraph.pregel import Pregel
from pydantic import BaseModel, create_model


async def schemas(graph: Pregel, graph_id: str) -> dict[str, Any]:
    """`graph.schemas`: the five schemas, null where one cannot be derived."""
    return _schemas(graph, f"{graph_id}_state")


async def subgraphs(graph: Pregel, params: dict[str, Any]) -> dict[str, Any]:
    """`graph.subgraphs`: schemas by namespace."""
    found = graph.aget_subgraphs(namespace=params.get("namespace") or None, recurse=bool(params.get("recurse")))
    return {
        namespace: _schemas(sub, sub.get_name("State")) async for namespace, sub in found if isinstance(sub, Pregel)
    }


async def draw(graph: Pregel, config: Any, params: dict[str, Any]) -> dict[str, Any]:
    """`graph.draw`: `{nodes, edges}`; `__end__` has an id and nothing else."""
    drawn = (await graph.aget_graph(config, xray=params.get("xray") or False)).to_json()
    nodes = []
    for node in drawn["nodes"]:
        if node["id"] == "__end__":
            nodes.append({"id": "__end__"})
            continue
        data = node.get("data")
        name = data.get("name") if isinstance(data, dict) else data
        shown = {"id": node["id"], "type": "runnable", "data": {"name": name or str(node["id"])}}
        if node.get("metadata"):
            shown["metadata"] = node["metadata"]
        nodes.append(shown)
    return {"nodes": nodes, "edges": drawn["edges"]}


def _schemas(graph: Pregel, state_name: str) -> dict[str, Any]:
    context = _derive(graph.get_context_jsonschema)
    return {
        "input_schema": _derive(graph.get_input_jsonschema),
        "output_schema": _derive(graph.get_output_jsonschema),
        "state_schema": _derive(lambda: _state_model(graph, state_name).model_json_schema()),
        "config_schema": context if context is not None else {},
        "context_schema": context,
    }


def _state_model(graph: Pregel, name: str) -> type[BaseModel]:
    """The state's channels as one model. All are optional: a state need not hold every channel."""
    fields: dict[str, Any] = {}
    for key in graph.stream_channels_list:
        channel = graph.channels[key]
        if isinstance(channel, BaseChannel):
            fields[key] = (channel.UpdateType, None)
    return create_model(name, **fields)


def _derive(make: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make()
        except Exception:
            return None
