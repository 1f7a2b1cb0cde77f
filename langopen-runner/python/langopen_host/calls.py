"""Serves the runner's calls: they read and change a thread's state, and describe graphs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langgraph.pregel import Pregel

from langopen_host import schemas, state, user
from langopen_host.graphs import Graphs

Serve = Callable[[Pregel, Any, dict[str, Any]], Awaitable[Any]]


class Method:
    """One method: the access context that a factory receives, and the function that uses the graph."""

    def __init__(self, access: str, do: Serve) -> None:
        self._access = access
        self._do = do

    async def serve(self, graphs: Graphs, params: dict[str, Any]) -> Any:
        graph_id = params["graph_id"]
        config = dict(params.get("config") or {})
        configurable = dict(config.get("configurable") or {})
        if self._access.startswith("threads."):
            configurable.setdefault("checkpoint_ns", "")
        if self._access == "threads.update":
            configurable.setdefault("graph_id", graph_id)
        if (who := user.of(configurable)) is not None:
            configurable["langgraph_auth_user"] = who
        config["configurable"] = configurable
        async with graphs.open(graph_id, config, self._access, context=params.get("context")) as graph:
            return await self._do(graph, config, params)


async def _schemas(graph: Pregel, _config: Any, params: dict[str, Any]) -> Any:
    return await schemas.schemas(graph, params["graph_id"])


async def _subgraphs(graph: Pregel, _config: Any, params: dict[str, Any]) -> Any:
    return await schemas.subgraphs(graph, params)


METHODS = {
    "state.get": Method("threads.read", state.get),
    "state.history": Method("threads.read", state.history),
    "state.update": Method("threads.update", state.update),
    "state.bulk_update": Method("threads.update", state.bulk_update),
    "graph.schemas": Method("assistants.read", _schemas),
    "graph.draw": Method("assistants.read", schemas.draw),
    "graph.subgraphs": Method("assistants.read", _subgraphs),
}
