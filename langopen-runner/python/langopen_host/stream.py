"""A run's stream: the modes that langgraph has to stream, and the events that their chunks become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langopen_host.messages import Accumulator, Event, Tuples
from langopen_host.serialize import dumps
from langopen_host.state import checkpoint

_NAMES = {mode: mode.encode() for mode in ("values", "updates", "custom", "tasks", "checkpoints", "debug", "tools")}
INTERRUPT = "__interrupt__"


class Plan:
    """The requested modes (`kwargs.stream_mode`), translated for langgraph.

    `modes` is langgraph's list. With `events`, astream_events drives the graph. A run without checkpoints always
    streams `values`, because they are its only result.
    """

    def __init__(self, requested: list[str], *, temporary: bool) -> None:
        wanted = set(requested)
        self.events = "events" in wanted
        self._shown = wanted & _NAMES.keys()
        self._temporary = temporary
        self._tuples = Tuples() if "messages-tuple" in wanted else None
        self._accumulator = Accumulator() if "messages" in wanted and self._tuples is None else None
        self.modes = sorted(self._shown)
        if self._tuples or self._accumulator:
            self.modes.append("messages")
        if "values" not in wanted and (temporary or not self.modes):
            self.modes.append("values")
        self.last_values: Any = None
        self.interrupts: list[Any] = []
        self.has_values = False

    # Additional arguments of the graph's stream, and additional keys of its configurable.
    options: dict[str, Any] = {}
    configurable: dict[str, Any] = {}

    def converter(self, *, subgraphs: bool) -> Callable[[Any], list[Event]]:
        """The function that converts a chunk of langgraph's stream, which has a namespace if subgraphs are streamed."""
        convert = self.convert
        return (lambda chunk: convert(*chunk)) if subgraphs else (lambda chunk: convert((), *chunk))

    def closing(self, status: str) -> list[Event]:
        """The events after the last chunk of a graph that ended as `completed`, `interrupted` or `failed`."""
        return []

    def convert(self, namespace: tuple[str, ...], mode: str, payload: Any) -> list[Event]:
        """The events for one chunk of langgraph's stream."""
        if mode == "messages":
            if self._tuples is not None:
                return [(named(b"messages", namespace), self._tuples.data(payload))]
            return self._accumulator.events(payload) if self._accumulator is not None else []
        if mode == "values" and self._temporary and not namespace:
            self._remember(payload)
        if mode not in self._shown:
            return []
        if mode == "debug":
            payload = _debug(payload)
        return [(named(_NAMES[mode], namespace), dumps(payload))]

    def _remember(self, payload: Any) -> None:
        if isinstance(payload, dict) and INTERRUPT in payload:
            self.interrupts.extend(payload[INTERRUPT])
            payload = {key: value for key, value in payload.items() if key != INTERRUPT}
            if not payload and self.has_values:
                return
        self.last_values = payload
        self.has_values = True


def named(name: bytes, namespace: tuple[str, ...]) -> bytes:
    return b"%b|%b" % (name, "|".join(namespace).encode()) if namespace else name


def _debug(payload: dict[str, Any]) -> dict[str, Any]:
    """A debug record. One of a checkpoint has the API's checkpoints beside langgraph's configs."""
    if payload.get("type") != "checkpoint":
        return payload
    inner = payload["payload"]
    tasks = []
    for task in inner["tasks"]:
        config = task.get("state")
        if isinstance(config, dict) and "configurable" in config:
            task = {key: value for key, value in task.items() if key != "state"}
            task["checkpoint"] = config["configurable"]
        tasks.append(task)
    return {
        **payload,
        "payload": {
            **inner,
            "tasks": tasks,
            "checkpoint": checkpoint(inner["config"]),
            "parent_checkpoint": checkpoint(inner["parent_config"]),
        },
    }
