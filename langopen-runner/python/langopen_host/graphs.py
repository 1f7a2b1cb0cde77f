"""The application's graphs, bound to the platform's saver and store."""

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
from langopen_host.primitives import JSONDecodeError, orjson_loads
from langopen_host.saver import HostSaver
from langopen_host.store import HostStore

logger = logging.getLogger("langopen")
_DEFAULT_NAME = "LangGraph"


class Graphs:
    """Graphs by id. A compiled graph is bound once, with and without a saver; a factory's graph on each access."""

    def __init__(self) -> None:
        self.saver = HostSaver()
        self.store = HostStore()
        self._described: list[dict[str, Any]] = []
        self._kept: dict[str, Pregel] = {}
        self._temporary: dict[str, Pregel] = {}
        self._factories: dict[str, factory.Factory] = {}
        self._configs: dict[str, Any] = {}

    def read_configs(self, text: str | None) -> None:
        """Reads LANGGRAPH_CONFIG: the configs of the graphs' system assistants, as a JSON object by graph id."""
        if not text:
            return
        try:
            configs = orjson_loads(text)
        except JSONDecodeError as error:
            raise ValueError(f"LANGGRAPH_CONFIG is not JSON: {error}") from error
        if not isinstance(configs, dict) or not all(isinstance(config, dict) for config in configs.values()):
            raise ValueError("LANGGRAPH_CONFIG has to be a JSON object with a config for each graph id")
        self._configs = configs

    def load(self, graph_id: str, target: str, description: str | None, base_dir: Path) -> None:
        """Imports a graph. Errors of the application's code are not wrapped."""
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
        described = {"graph_id": graph_id, "name": name, "description": description}
        self._described.append({**described, "config": self._configs.get(graph_id)})

    def described(self) -> list[dict[str, Any]]:
        """`[{graph_id, name, description, config}]`, in the order of the configuration."""
        return self._described

    def ready(self, graph_id: str, *, temporary: bool) -> Pregel | None:
        """The graph; None when a factory makes it."""
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
        """The graph for one access. `access` is an access context of langgraph_sdk."""
        if (graph := self.ready(graph_id, temporary=temporary)) is not None:
            yield graph
            return
        if (make := self._factories.get(graph_id)) is None:
            raise LookupError(f"There is no graph {graph_id!r}")
        async with make.open(config, access, self.store, context) as made:
            yield self._bind(made, graph_id, temporary=temporary)

    def _bind(self, graph: Pregel, graph_id: str, *, temporary: bool) -> Pregel:
        """A copy with the platform's saver and store. It shares its nodes with the original."""
        bound = copy.copy(graph)
        bound.checkpointer = None if temporary else self.saver
        bound.store = self.store
        if not bound.name or bound.name == _DEFAULT_NAME:
            bound.name = graph_id
        return bound
