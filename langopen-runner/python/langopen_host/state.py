"""Makes ThreadState documents of langgraph's snapshots, and serves the calls that read and change a thread's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.pregel import Pregel
from langgraph.types import Interrupt, StateSnapshot, StateUpdate

# Keys of a configurable that name a checkpoint, in the order in which the API shows them.
_CHECKPOINT_KEYS = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")


def document(snapshot: StateSnapshot) -> dict[str, Any]:
    """A ThreadState, `values` first, then the rest."""
    return {"values": snapshot.values, **rest(snapshot)}


def rest(snapshot: StateSnapshot) -> dict[str, Any]:
    """A ThreadState without its values."""
    at = checkpoint(snapshot.config) if snapshot.metadata is not None else None
    parent = checkpoint(snapshot.parent_config)
    return {
        "next": list(snapshot.next),
        "tasks": [_task(task) for task in snapshot.tasks],
        "metadata": snapshot.metadata,
        "created_at": snapshot.created_at,
        "checkpoint": at,
        "parent_checkpoint": parent,
        "interrupts": [interrupt(item) for item in snapshot.interrupts],
        "checkpoint_id": at["checkpoint_id"] if at else None,
        "parent_checkpoint_id": parent["checkpoint_id"] if parent else None,
    }


def minimal(interrupts: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The rest of a ThreadState of a run without checkpoints."""
    return {
        "next": [],
        "tasks": [],
        "metadata": None,
        "created_at": None,
        "checkpoint": None,
        "parent_checkpoint": None,
        "interrupts": interrupts or [],
        "checkpoint_id": None,
        "parent_checkpoint_id": None,
    }


def checkpoint(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """`{checkpoint_id, thread_id, checkpoint_ns[, checkpoint_map]}` of a snapshot's config."""
    conf = (config or {}).get("configurable")
    if not conf:
        return None
    named = {key: conf[key] for key in _CHECKPOINT_KEYS if key in conf}
    return named if named.get("checkpoint_id") else None


def interrupt(item: Interrupt) -> dict[str, Any]:
    """An interrupt in a state: `{id, value}`, and `response_schema` if the graph gave one."""
    shown = {"id": item.id, "value": item.value}
    if (schema := getattr(item, "response_schema", None)) is not None:
        shown["response_schema"] = schema
    return shown


def pending(snapshot: StateSnapshot) -> dict[str, list[dict[str, Any]]]:
    """The open interrupts by the id of the task that raised them, which may be a subgraph's."""
    found: dict[str, list[dict[str, Any]]] = {}
    for task in snapshot.tasks:
        if not task.interrupts:
            continue
        inner = pending(task.state) if isinstance(task.state, StateSnapshot) else {}
        if inner:
            found.update(inner)
        else:
            found[task.id] = [interrupt(item) for item in task.interrupts]
    return found


def _task(task: Any) -> dict[str, Any]:
    nested = task.state if isinstance(task.state, StateSnapshot) else None
    config = task.state if nested is None and isinstance(task.state, Mapping) else None
    return {
        "id": task.id,
        "name": task.name,
        "path": task.path,
        "error": None if task.error is None else task.error if isinstance(task.error, str) else repr(task.error),
        "interrupts": [interrupt(item) for item in task.interrupts],
        "checkpoint": _subgraph(config),
        "state": None if nested is None else document(nested),
        "result": task.result,
    }


def _subgraph(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    conf = (config or {}).get("configurable")
    return {key: conf[key] for key in ("thread_id", "checkpoint_ns", "checkpoint_id") if key in conf} if conf else None


async def interrupts_of(graph: Pregel, config: Any, snapshot: StateSnapshot) -> dict[str, list[dict[str, Any]]]:
    """The open interrupts by task. It reads subgraphs only if one of them is interrupted."""
    if any(task.interrupts and task.state is not None for task in snapshot.tasks):
        snapshot = await graph.aget_state(config, subgraphs=True)
    return pending(snapshot)


async def get(graph: Pregel, config: Any, params: dict[str, Any]) -> dict[str, Any]:
    """`state.get`: the ThreadState, and its summary beside it."""
    snapshot = await graph.aget_state(config, subgraphs=bool(params.get("subgraphs")))
    return {"state": document(snapshot), "thread": await _thread(graph, config, snapshot)}


async def history(graph: Pregel, config: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
    """`state.history`: ThreadStates, newest first."""
    states = graph.aget_state_history(
        config,
        filter=params.get("metadata") or None,
        before=params.get("before") or None,
        limit=params.get("limit"),
    )
    return [document(snapshot) async for snapshot in states]


async def update(graph: Pregel, config: Any, params: dict[str, Any]) -> dict[str, Any]:
    """`state.update`: one update, alone in its superstep."""
    given = StateUpdate(values=params.get("values"), as_node=params.get("as_node"))
    return await _apply(graph, config, [[given]])


async def bulk_update(graph: Pregel, config: Any, params: dict[str, Any]) -> dict[str, Any]:
    """`state.bulk_update`: supersteps of updates. An update has values or a command."""
    supersteps = [
        [
            StateUpdate(
                values=_command_values(given["command"]) if given.get("command") else given.get("values"),
                as_node=given.get("as_node"),
            )
            for given in superstep.get("updates") or []
        ]
        for superstep in params.get("supersteps") or []
    ]
    return await _apply(graph, config, supersteps)


def _command_values(command: dict[str, Any]) -> Any:
    from langopen_host.run import to_command

    return to_command(command)


async def _apply(graph: Pregel, config: Any, supersteps: list[list[StateUpdate]]) -> dict[str, Any]:
    at = (await graph.abulk_update_state(config, supersteps))["configurable"]
    newest = {"configurable": {"thread_id": at["thread_id"], "checkpoint_ns": ""}}
    snapshot = await graph.aget_state(newest)
    return {
        "checkpoint": {
            "thread_id": at["thread_id"],
            "checkpoint_ns": at.get("checkpoint_ns", ""),
            "checkpoint_id": at["checkpoint_id"],
        },
        "state": document(snapshot),
        "thread": await _thread(graph, newest, snapshot),
    }


async def _thread(graph: Pregel, config: Any, snapshot: StateSnapshot) -> dict[str, Any]:
    """The summary that updates the thread's row."""
    at = checkpoint(snapshot.config) if snapshot.metadata is not None else None
    return {
        "status": "interrupted" if snapshot.next else "idle",
        "interrupts": await interrupts_of(graph, config, snapshot),
        "checkpoint_id": at["checkpoint_id"] if at else None,
    }
