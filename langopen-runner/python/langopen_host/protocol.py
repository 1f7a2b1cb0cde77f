"""The events of a run that was started through the event streaming protocol, in the protocol's own shapes.

Values, updates, custom events, tasks and tool calls have their usual names and shapes. The events that only the
protocol has are named `protocol/...`, with data `{"data": …, "node"?: …}`.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk
from langgraph.pregel import Pregel
from pydantic import BaseModel

from langopen_host.blocks import Assembly
from langopen_host.lifecycle import Lifecycle
from langopen_host.messages import Event
from langopen_host.serialize import dumps_compact
from langopen_host.stream import INTERRUPT, Plan, named

try:
    from langgraph._internal._constants import CONFIG_KEY_STREAM_MESSAGES_V2
except ImportError:  # a langgraph whose models stream tokens alone
    CONFIG_KEY_STREAM_MESSAGES_V2 = ""

_PLAIN = {"values": b"values", "custom": b"custom", "tasks": b"tasks", "tools": b"tools"}
# The stream modes that every version of langgraph knows.
_MODES = ["checkpoints", "custom", "messages", "tasks", "updates", "values"]


def _takes_version() -> bool:
    return "version" in inspect.signature(Pregel.astream).parameters


class ProtocolPlan(Plan):
    """The plan of a run that was started through the protocol."""

    def __init__(self, *, temporary: bool) -> None:
        super().__init__(["values"], temporary=temporary)
        self._parts = bool(CONFIG_KEY_STREAM_MESSAGES_V2) and _takes_version()
        self.modes = [*_MODES, "tools"] if self._parts else _MODES
        self._lifecycle = Lifecycle()
        # The messages that are being streamed, by namespace and model call.
        self._open: dict[tuple[str, ...], dict[str, str]] = {}
        self._assembly = Assembly()

    @property
    def options(self) -> dict[str, Any]:
        return {"version": "v2"} if self._parts else {}

    @property
    def configurable(self) -> dict[str, Any]:
        return {CONFIG_KEY_STREAM_MESSAGES_V2: True} if self._parts else {}

    def converter(self, *, subgraphs: bool) -> Callable[[Any], list[Event]]:
        return self._part if self._parts else super().converter(subgraphs=subgraphs)

    def _part(self, part: dict[str, Any]) -> list[Event]:
        namespace, mode, payload = tuple(part["ns"]), part["type"], part["data"]
        if mode != "values" or not (raised := part.get("interrupts")):
            return self.convert(namespace, mode, payload)
        if (fields := _fields(payload)) is not None:
            return self.convert(namespace, mode, {**fields, INTERRUPT: list(raised)})
        # Values that are no object cannot hold the interrupts beside their own data.
        asked = self.convert(namespace, mode, {INTERRUPT: list(raised)})
        return [*self.convert(namespace, mode, payload), *asked]

    def convert(self, namespace: tuple[str, ...], mode: str, payload: Any) -> list[Event]:
        if mode == "messages":
            return self._messages(namespace, *payload)
        if mode == "updates":
            updates = payload.items() if isinstance(payload, dict) else ()
            return [(named(b"updates", namespace), dumps_compact({node: update})) for node, update in updates]
        if mode == "checkpoints":
            return [(named(b"protocol/checkpoints", namespace), dumps_compact({"data": _envelope(payload)}))]
        if mode == "values" and self._temporary and not namespace:
            self._remember(payload)
        events = [(named(_PLAIN[mode], namespace), dumps_compact(payload))]
        if mode == "tasks":
            events[:0] = self._events(self._lifecycle.before(namespace, payload))
            events += self._events(self._lifecycle.after(namespace, payload))
        return events

    def _messages(self, namespace: tuple[str, ...], message: Any, metadata: dict[str, Any]) -> list[Event]:
        node = metadata.get("langgraph_node")
        if isinstance(message, BaseMessage):
            # A langgraph with content blocks streams a model's blocks itself. Its messages here are whole ones, of nodes
            # and of models that did not stream: clients read them in the values. An older langgraph streams chunks.
            pieces = self._assembly.add(message) if isinstance(message, BaseMessageChunk) and not self._parts else []
        else:
            pieces = [self._piece(namespace, message, str(metadata.get("run_id")))]
        name = named(b"protocol/messages", namespace)
        return [(name, dumps_compact({"data": data, "node": node} if node else {"data": data})) for data in pieces]

    def _piece(self, namespace: tuple[str, ...], piece: dict[str, Any], call: str) -> dict[str, Any]:
        """A piece of a message. While several messages are streamed, it names its message."""
        calls = self._open.setdefault(namespace, {})
        kind = piece.get("event")
        if kind == "message-start":
            calls[call] = str(piece.get("id"))
            return piece
        if len(calls) > 1 and call in calls:
            piece = {**piece, "id": calls[call]}
        if kind in ("message-finish", "error"):
            calls.pop(call, None)
        return piece

    def closing(self, status: str) -> list[Event]:
        """The events after the graph has ended as `completed`, `interrupted` or `failed`.

        The worker adds the root's own end once it has stored that.
        """
        pieces = [(b"protocol/messages", dumps_compact({"data": data})) for data in self._assembly.close()]
        return [*pieces, *self._events(self._lifecycle.close(status))]

    @staticmethod
    def _events(changes: list[tuple[tuple[str, ...], dict[str, Any]]]) -> list[Event]:
        return [(named(b"protocol/lifecycle", namespace), dumps_compact({"data": data})) for namespace, data in changes]


def _fields(values: Any) -> dict[str, Any] | None:
    """Values as a dict: of a dict, a dataclass or a model; else None."""
    if isinstance(values, dict):
        return values
    if isinstance(values, BaseModel):
        return {name: getattr(values, name) for name in type(values).model_fields}
    if dataclasses.is_dataclass(values) and not isinstance(values, type):
        return {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
    return None


def _envelope(payload: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint without its values."""
    metadata = payload.get("metadata") or {}
    envelope = {"id": payload["config"]["configurable"]["checkpoint_id"]}
    if parent := payload.get("parent_config"):
        envelope["parent_id"] = parent["configurable"]["checkpoint_id"]
    return {**envelope, "step": metadata.get("step"), "source": metadata.get("source")}
