"""Graphs that misbehave, and neighbours that must not notice."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import orjson
import ormsgpack
from graphs import Echo, Log, line, one_node, say
from langgraph.config import get_stream_writer


async def exits(state: Log) -> Any:
    if state.get("kind") == "nested":
        await asyncio.gather(asyncio.create_task(leave()), asyncio.sleep(1))
    sys.exit(3)


async def leave() -> None:
    raise KeyboardInterrupt


def exits_in_a_thread(state: Log) -> Any:
    sys.exit("told to the operator alone")


async def cancels_all(state: Log) -> Any:
    for task in asyncio.all_tasks():
        task.cancel()
    return {"log": ["cancelled"]}


def sleeps(state: Log) -> Any:
    get_stream_writer()("started")
    time.sleep(state.get("secs", 5))
    return {"log": ["slept"]}


async def breaks_json(state: Log) -> Any:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("replaced by the graph")

    for module, name in (
        (json, "dumps"), (json, "loads"), (orjson, "dumps"), (orjson, "loads"), (ormsgpack, "packb"),
        (ormsgpack, "unpackb"), (os, "getpid"), (os, "urandom"), (time, "time_ns"),
    ):  # fmt: skip
        setattr(module, name, broken)
    return {"log": ["broken"]}


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


async def fails_silently(state: Log) -> Any:
    raise Silent


def shouts(state: Log) -> Any:
    for _ in range(300):
        print("x" * 100_000, end="")
    return {"log": ["loud"]}


def one_long_line(state: Log) -> Any:
    print("y" * 200_000)
    sys.stdout.reconfigure(encoding="utf-8", line_buffering=True)
    return {"log": [sys.stdout.encoding, type(sys.stdout).__mro__[1].__name__]}


def deep_value(state: Echo) -> Any:
    value: Any = "bottom"
    for _ in range(100_000):
        value = [value]
    return {"seen": value}


def long_number(state: Echo) -> Any:
    return {"seen": 10**5_000}


exit_graph = line(a=say("a"), b=exits)
exit_in_thread = line(a=say("a"), b=exits_in_a_thread)
cancel_all = line(a=say("a"), b=cancels_all)
sleep_graph = line(a=sleeps)
break_json = line(a=breaks_json)
silent = line(a=fails_silently)
shout = line(a=shouts)
long_line = line(a=one_long_line)
deep = one_node(Echo, "deep", deep_value)
number = one_node(Echo, "number", long_number)
