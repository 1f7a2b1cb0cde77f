"""Library functions that the host calls, bound when it is imported.

A graph may replace functions in their modules (`json.dumps`, `orjson.loads`, `os._exit`, ...), for tests or by
mistake. The host imports its own from here, so such a graph breaks its own runs and not the host.
"""

from __future__ import annotations

from base64 import b64encode
from json import JSONEncoder
from os import _exit as exit_process
from os import getpid, urandom
from threading import get_ident
from time import monotonic, sleep, time_ns
from traceback import format_exception

from orjson import JSONDecodeError, OPT_NON_STR_KEYS
from orjson import dumps as orjson_dumps
from orjson import loads as orjson_loads
from ormsgpack import packb, unpackb

# Encodes what orjson refuses: integers above 64 bits, and lone surrogates.
encode_json = JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode

__all__ = [
    "JSONDecodeError",
    "OPT_NON_STR_KEYS",
    "b64encode",
    "encode_json",
    "exit_process",
    "format_exception",
    "get_ident",
    "getpid",
    "monotonic",
    "orjson_dumps",
    "orjson_loads",
    "packb",
    "sleep",
    "time_ns",
    "unpackb",
    "urandom",
]
