"""Factories: callables that make a graph for each access, because it depends on the config, the user or the time."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import typing
from collections.abc import AsyncIterator, Callable
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from pydantic import BaseModel

from langopen_host import user

try:
    from langgraph._internal._config import DEFAULT_RECURSION_LIMIT
except ImportError:  # another version of langgraph
    DEFAULT_RECURSION_LIMIT = 25

EXECUTION = "threads.create_run"
_KINDS = inspect.Parameter


class Context(dict[str, Any]):
    """A factory's context: the values as the client gave them, by key. Attributes include the type's defaults."""

    __slots__ = ("_type",)

    def __init__(self, values: dict[str, Any], kind: Any) -> None:
        super().__init__(values)
        self._type = kind if makes_objects(kind) else None

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name.startswith("_") or self._type is None:
            raise AttributeError(name)
        fields = context_fields(self._type) or ()
        return getattr(self._type(**{key: value for key, value in self.items() if key in fields}), name)


class Factory:
    """A factory, with the meaning of its parameters, which is decided once when it is loaded."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = _as_context_manager(make)
        self._arguments, self._context_type = _arguments(make)

    @contextlib.asynccontextmanager
    async def open(
        self, config: RunnableConfig, access: str, store: BaseStore, context: dict[str, Any] | None
    ) -> AsyncIterator[Pregel]:
        """Makes the graph. It lives until the block ends: a context manager may hold connections that nodes use."""
        given = []
        for kind in self._arguments:
            if kind == "config":
                given.append(_whole(config, access))
            else:
                given.append(self._runtime(config, access, store, context))
        made = self._make(*given)
        if inspect.isawaitable(made):
            made = await made
        if hasattr(made, "__aenter__"):
            async with made as graph:
                yield compiled(graph)
        elif hasattr(made, "__enter__") and not isinstance(made, (Pregel, StateGraph)):
            with made as graph:
                yield compiled(graph)
        else:
            yield compiled(made)

    def _runtime(self, config: RunnableConfig, access: str, store: BaseStore, context: dict[str, Any] | None) -> Any:
        from langgraph_sdk import runtime

        who = user.of(config.get("configurable") or {})
        if access != EXECUTION:
            return runtime._ReadRuntime(access_context=access, user=who, store=store)  # type: ignore[arg-type]
        return runtime._ExecutionRuntime(
            access_context=EXECUTION, user=who, store=store, context=Context(context or {}, self._context_type)
        )


def _whole(config: RunnableConfig, access: str) -> dict[str, Any]:
    """The config with every key that the library's own configs have."""
    configurable = {**(config.get("configurable") or {}), "__is_for_execution__": access == EXECUTION}
    defaults = {"tags": [], "metadata": {}, "callbacks": None, "recursion_limit": DEFAULT_RECURSION_LIMIT}
    return {**defaults, **config, "configurable": configurable}


def compiled(graph: Any) -> Pregel:
    """The compiled graph of a target's or a factory's value."""
    if isinstance(graph, StateGraph):
        graph = graph.compile()
    if not isinstance(graph, Pregel):
        raise TypeError(f"A graph factory has to return a graph, not a {type(graph).__name__}")
    return graph


def context_fields(schema: Any) -> frozenset[str] | None:
    """The field names of a context schema, None when it is no class."""
    if not isinstance(schema, type):
        return None
    if issubclass(schema, BaseModel):
        names = {field.alias or name for name, field in schema.model_fields.items()} | set(schema.model_fields)
    elif dataclasses.is_dataclass(schema):
        names = {field.name for field in dataclasses.fields(schema) if field.init}
    else:
        names = {name for base in schema.__mro__ for name in getattr(base, "__annotations__", ())}
        names |= set(getattr(schema, "__required_keys__", ())) | set(getattr(schema, "__optional_keys__", ()))
    return frozenset(names)


def makes_objects(schema: Any) -> bool:
    """Whether a context of this schema is an object, and not a dict."""
    return isinstance(schema, type) and (issubclass(schema, BaseModel) or dataclasses.is_dataclass(schema))


def _as_context_manager(make: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(make):
        return contextlib.asynccontextmanager(make)
    if inspect.isgeneratorfunction(make):
        return contextlib.contextmanager(make)
    return make


def _arguments(make: Callable[..., Any]) -> tuple[list[str], Any]:
    """The positional arguments, `config` or `runtime` each, and the type of the runtime's context if it is named.

    A parameter is the runtime when its annotation says so. Beside a config, the name `runtime` is enough.
    """
    try:
        parameters = list(inspect.signature(make).parameters.values())
    except (TypeError, ValueError):
        return [], None
    try:
        hints = typing.get_type_hints(inspect.unwrap(make))
    except Exception:
        hints = {}
    arguments: list[str] = []
    context_type = None
    for parameter in parameters:
        if parameter.kind not in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD):
            continue
        hint = hints.get(parameter.name, parameter.annotation)
        known = "runtime" if _is_runtime(hint) else "config" if _is_config(hint) else None
        if known is None:
            if parameter.default is not _KINDS.empty and parameter.name not in ("config", "runtime"):
                break
            known = "runtime" if parameter.name == "runtime" and "config" in arguments else "config"
        if known == "runtime":
            context_type = next(iter(typing.get_args(hint)), None)
        arguments.append(known)
    if len(arguments) > 2:
        raise TypeError(f"A graph factory takes at most a config and a runtime, not {len(arguments)} parameters")
    return arguments, context_type


def _is_config(hint: Any) -> bool:
    return hint is RunnableConfig or hint is dict or "RunnableConfig" in str(hint)


def _is_runtime(hint: Any) -> bool:
    name = getattr(typing.get_origin(hint) or hint, "__name__", "") or str(hint)
    return any(known in name for known in ("ServerRuntime", "_ExecutionRuntime", "_ReadRuntime")) or (
        isinstance(hint, str) and "ServerRuntime" in hint
    )
