"""Converts the data of a request to the types that `langgraph_sdk.auth.types` documents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID


def _uuid(value: Any) -> Any:
    try:
        return UUID(value)
    except ValueError:
        return value  # The API refuses the request later.


def _time(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value


_TYPES: dict[str, Callable[[Any], Any]] = {
    "assistant_id": _uuid,
    "thread_id": _uuid,
    "run_id": _uuid,
    "cron_id": _uuid,
    "ids": lambda ids: [_uuid(each) for each in ids],
    "namespace": tuple,
    "suffix": tuple,
    "end_time": _time,
}


def typed(value: dict[str, Any]) -> dict[str, Any]:
    """A mutable copy: ids as UUIDs, namespaces as tuples, times as datetimes."""
    return {key: _TYPES[key](held) if held is not None and key in _TYPES else held for key, held in value.items()}
