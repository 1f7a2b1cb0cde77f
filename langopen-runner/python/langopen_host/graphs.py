"""The graphs of this application, ready to be run with the platform's saver and store."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from langopen_host import factory, loading
from langopen_host.saver import HostSaver
from langopen_host.store import HostStore

logger = logging.getLogger("langopen")
_DEFAULT_NAME = "LangGraph"


class Graphs:
    """Graphs by id. A compiled graph is bound once, with and without a saver; a factory's on every access."""

    def __init__(self) -> None:
        self.saver = HostSaver()
        self.store = HostStore()
        self._described: list[dict[str, Any]] = []
        self._kept: dict[str, Pregel] = {}
        self._temporary: dict[str, Pregel] = {}
        self._factories: dict[str, factory.Factory] = {}

    def load(self, graph_id: str, target: str, description: str | None, base_dir: Path) -> None:
        """Imports a graph. What the user's code raises comes out as it is."""
        value = loading.load(graph_id, target, base_dir)
        name = graph_id
        if isinstance(value, (Pregel, StateGraph)):
            graph = factory.compiled(value)
            if isinstance(graph.checkpointer, object) and graph.checkpointer not in (None, True, False):
                logger.warning(
                    "Graph %r was compiled with a checkpointer of its own; the platform's replaces it", graph_id
                )
            if graph.store is not None:
                logger.warning("Graph %r was compiled with a store of its own; the platform's replaces it", graph_id)
            self._kept[graph_id] = kept = self._bind(graph, graph_id, temporary=False)
            self._temporary[graph_id] = self._bind(graph, graph_id, temporary=True)
            name = kept.name or graph_id
        else:
            self._factories[graph_id] = factory.Factory(value)
        self._described.append({"graph_id": graph_id, "name": name, "description": description})

    def described(self) -> list[dict[str, Any]]:
        """`[{graph_id, name, description}]`, in the order of the configuration."""
        return self._described

    def ready(self, graph_id: str, *, temporary: bool) -> Pregel | None:
        """The graph, None when a factory makes it."""
        return (self._temporary if temporary else self._kept).get(graph_id)

    @contextlib.asynccontextmanager
    async def open(
        self,
        graph_id: str,
        config: RunnableConfig,
        access: str,
        *,
        temporary: bool = False,
        context: dict[str, Any] | None = None,
    ) -> AsyncIterator[Pregel]:
        """The graph for one access; `access` is one of langgraph_sdk's access contexts."""
        if (graph := self.ready(graph_id, temporary=temporary)) is not None:
            yield graph
            return
        if (make := self._factories.get(graph_id)) is None:
            raise LookupError(f"There is no graph {graph_id!r}")
        async with make.open(config, access, self.store, context) as made:
            yield self._bind(made, graph_id, temporary=temporary)

    def _bind(self, graph: Pregel, graph_id: str, *, temporary: bool) -> Pregel:
        """A copy on which the saver and the store are ours. The nodes are shared with the original."""
        bound = copy.copy(graph)
        bound.checkpointer = None if temporary else self.saver
        bound.store = self.store
        if not bound.name or bound.name == _DEFAULT_NAME:
            bound.name = graph_id
        return bound
