"""Python values as JSON text.

Clients see LangChain messages and pydantic models as their dumps, dataclasses as objects, sets as arrays, bytes as
base64. A value without a JSON form becomes its `repr`, so no value breaks a stream.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
)
from pydantic import BaseModel

from langopen_host.primitives import OPT_NON_STR_KEYS, b64encode, encode_json, orjson_dumps

_OPTIONS = OPT_NON_STR_KEYS
# The dump of these messages is their fields alone. Reading the fields is five times as fast as `model_dump`.
_PLAIN_MESSAGES = frozenset({AIMessage, AIMessageChunk, HumanMessage, SystemMessage})


def dumps(value: Any) -> bytes:
    """`value` as compact JSON."""
    try:
        return orjson_dumps(value, default=default, option=_OPTIONS)
    except TypeError:
        # Integers above 64 bits, lone surrogates and circular references are rare, and need the slow encoder.
        return encode_json(_plain(value, 0)).encode()


def dumps_compact(value: Any) -> bytes:
    """`value` as compact JSON, its messages without empty fields."""
    try:
        return orjson_dumps(value, default=_default_compact, option=_OPTIONS)
    except TypeError:
        return dumps(value)


def _default_compact(value: Any) -> Any:
    if not isinstance(value, BaseMessage):
        return default(value)
    dumped = default(value)
    if not isinstance(dumped, dict):
        return dumped
    compact = {"type": dumped.get("type"), "content": dumped.get("content"), "id": dumped.get("id")}
    kept = ("tool_call_id", "status", "artifact")
    compact.update((key, item) for key, item in dumped.items() if key not in compact and (item or key in kept))
    return compact


def default(value: Any) -> Any:
    """A JSON-able replacement for a value that orjson does not know."""
    kind = type(value)
    if kind in _PLAIN_MESSAGES:
        extra = value.__pydantic_extra__
        return {**value.__dict__, **extra} if extra else value.__dict__
    if isinstance(value, BaseModel):
        return _dump_model(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return list(value)
    if isinstance(value, (list, tuple, Set, deque)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(bytes(value)).decode()
    if isinstance(value, BaseException):
        return {"error": kind.__name__, "message": _text(value)}
    return _other(value, kind)


def _other(value: Any, kind: type) -> Any:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (Decimal, PurePath)) or kind.__module__ == "pydantic.networks":
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for method in ("model_dump", "to_dict", "_asdict", "dict", "tolist"):
        if not isinstance(value, type) and callable(dump := getattr(value, method, None)):
            try:
                return dump()
            except Exception:
                continue
    # Send and other plain objects of langgraph hold their data in slots.
    if kind.__module__.startswith("langgraph.") and getattr(kind, "__slots__", None):
        return {name: getattr(value, name, None) for name in kind.__slots__ if not name.startswith("_")}
    return _repr(value)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def _repr(value: Any) -> str:
    """The `repr`, which a class may fail to give, and a deeply nested value too."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _dump_model(value: BaseModel) -> Any:
    try:
        return value.model_dump()
    except Exception:
        return dict(value.__dict__)


def _plain(value: Any, depth: int) -> Any:
    """`value` in types that the standard library's encoder takes, with the choices that orjson makes."""
    if depth > 200:
        return _repr(value)[:1000]
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if kind is int:
        # Python refuses to write out longer integers.
        return value if value.bit_length() < 13_000 else _repr(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is dict:
        return {_plain_key(key): _plain(item, depth + 1) for key, item in value.items()}
    if kind in (list, tuple):
        return [_plain(item, depth + 1) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name), depth + 1) for f in dataclasses.fields(value)}
    return _plain(_without_natives(value), depth + 1)


def _without_natives(value: Any) -> Any:
    """`value` without the types that orjson knows itself (UUID, datetime, enum)."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if type(value).__module__ == "uuid":
        return str(value)
    return default(value)


def _plain_key(key: Any) -> str:
    if isinstance(key, str):
        return _plain(str.__str__(key), 0)
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, Enum):
        return _plain_key(key.value)
    return str(key)
