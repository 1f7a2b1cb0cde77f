"""The start and the end of subgraphs, derived from the tasks of a run."""

from __future__ import annotations

from typing import Any

Change = tuple[tuple[str, ...], dict[str, Any]]


class Lifecycle:
    """Follows the subgraphs of one run. A subgraph's namespace ends in `node:<task>`, the task that executes it."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, ...], str] = {}
        self._open: dict[tuple[str, ...], str] = {}
        # The tool calls that tasks execute, by task.
        self._tool_calls: dict[str, str] = {}

    def before(self, namespace: tuple[str, ...], task: dict[str, Any]) -> list[Change]:
        """The events before a task's record: its graph's start, when it is the graph's first task."""
        if "result" in task:
            return []
        if (tool_call := _tool_call(task.get("input"))) is not None:
            self._tool_calls[task["id"]] = tool_call
        if not namespace or namespace in self._names:
            return []
        node, _, parent = namespace[-1].partition(":")
        agent = (task.get("metadata") or {}).get("lc_agent_name")
        name = agent or node
        self._names[namespace] = name
        self._open[namespace] = parent
        data = {"event": "started", "namespace": list(namespace), "graph_name": name, "trigger_call_id": parent}
        if agent is not None and (tool_call := self._tool_calls.get(parent)) is not None:
            data["cause"] = {"type": "toolCall", "tool_call_id": tool_call}
        return [(namespace, data)]

    def after(self, namespace: tuple[str, ...], task: dict[str, Any]) -> list[Change]:
        """The events after a task's record: the end of the subgraphs that the task executed."""
        if "result" not in task:
            return []
        status = "interrupted" if task.get("interrupts") else "failed" if task.get("error") else "completed"
        ended = [below for below, parent in self._open.items() if below[:-1] == namespace and parent == task.get("id")]
        return [self._end(below, status) for below in ended]

    def close(self, status: str) -> list[Change]:
        """Ends the open subgraphs, the innermost first. The root's interruption is an event too."""
        changes = [self._end(below, status) for below in sorted(self._open, key=len, reverse=True)]
        return [*changes, ((), {"event": status})] if status == "interrupted" else changes

    def _end(self, namespace: tuple[str, ...], status: str) -> Change:
        del self._open[namespace]
        return namespace, {"event": status, "graph_name": self._names[namespace]}


def _tool_call(given: Any) -> str | None:
    """The id of the tool call in a task's input: beside its context, or in a list of calls."""
    calls = [given.get("tool_call")] if isinstance(given, dict) else given if isinstance(given, list) else []
    ids = (call.get("id") for call in calls if isinstance(call, dict))
    return next((each for each in ids if isinstance(each, str)), None)
