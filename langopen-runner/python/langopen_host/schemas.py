"""Describes graphs: their JSON schemas, drawings and subgraphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from langgraph.channels.base import BaseChannel
from langgraph.pregel import Pregel
from pydantic import BaseModel, Field, TypeAdapter, create_model


async def schemas(graph: Pregel, graph_id: str) -> dict[str, Any]:
    """`graph.schemas`: the five schemas; null for one that cannot be derived."""
    return _schemas(graph, f"{graph_id}_state")


async def subgraphs(graph: Pregel, params: dict[str, Any]) -> dict[str, Any]:
    """`graph.subgraphs`: schemas by namespace."""
    found = graph.aget_subgraphs(namespace=params.get("namespace") or None, recurse=bool(params.get("recurse")))
    return {
        namespace: _schemas(sub, sub.get_name("State")) async for namespace, sub in found if isinstance(sub, Pregel)
    }


async def draw(graph: Pregel, config: Any, params: dict[str, Any]) -> dict[str, Any]:
    """`graph.draw`: `{nodes, edges}`. `__end__` has an id alone."""
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
    """The state's channels as one model. All are optional, because a state need not hold every channel.

    Fields have names of their own and the channels' as aliases: a model refuses names that start with an underscore.
    """
    fields: dict[str, Any] = {}
    for number, key in enumerate(graph.stream_channels_list):
        channel = graph.channels[key]
        if isinstance(channel, BaseChannel):
            title = key.replace("_", " ").strip().title()
            fields[f"channel_{number}"] = (_describable(channel.UpdateType), Field(None, alias=key, title=title))
    return create_model(name, **fields)


def _describable(kind: Any) -> Any:
    """The type, or `Any` when it has no JSON schema (`NotRequired[...]` inside `Annotated`, plain classes)."""
    try:
        TypeAdapter(kind).json_schema()
    except Exception:
        return Any
    return kind


def _derive(make: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make()
        except Exception:
            return None
