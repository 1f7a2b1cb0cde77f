"""How the graphs below the root fare, as their tasks tell it."""

from __future__ import annotations

from typing import Any

Told = tuple[tuple[str, ...], dict[str, Any]]


class Lifecycle:
    """Follows the subgraphs of one run. A subgraph's namespace ends in `node:<task>`, the task of the graph above that it runs in."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, ...], str] = {}
        self._open: dict[tuple[str, ...], str] = {}
        # The tool calls that tasks carry out, by task.
        self._tool_calls: dict[str, str] = {}

    def before(self, namespace: tuple[str, ...], task: dict[str, Any]) -> list[Told]:
        """What is told before a task's record: that its graph has started, if it is the first."""
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

    def after(self, namespace: tuple[str, ...], task: dict[str, Any]) -> list[Told]:
        """What is told after a task's record: how the subgraphs ended that ran in it."""
        if "result" not in task:
            return []
        status = "interrupted" if task.get("interrupts") else "failed" if task.get("error") else "completed"
        ended = [below for below, parent in self._open.items() if below[:-1] == namespace and parent == task.get("id")]
        return [self._end(below, status) for below in ended]

    def close(self, status: str) -> list[Told]:
        """Ends what is open, the innermost first; and the root if it waits for something, which its values alone may not tell."""
        told = [self._end(below, status) for below in sorted(self._open, key=len, reverse=True)]
        return [*told, ((), {"event": status})] if status == "interrupted" else told

    def _end(self, namespace: tuple[str, ...], status: str) -> Told:
        del self._open[namespace]
        return namespace, {"event": status, "graph_name": self._names[namespace]}


def _tool_call(given: Any) -> str | None:
    """The id of the tool call that a task was given: with its context, or as a list of calls."""
    calls = [given.get("tool_call")] if isinstance(given, dict) else given if isinstance(given, list) else []
    ids = (call.get("id") for call in calls if isinstance(call, dict))
    return next((each for each in ids if isinstance(each, str)), None)
