"""Parts that need no host: frames, JSON, messages."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections import namedtuple
from datetime import datetime, timezone
from enum import Enum

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langgraph.types import Interrupt, Send
from pydantic import BaseModel

from langopen_host import frames
from langopen_host.serialize import dumps


def test_decoder_takes_any_chunks() -> None:
    sent = [(1, 0, b""), (17, 9, b"x" * 1000), (5, 4294967295, b"12345678")]
    wire = b"".join(frames.HEADER.pack(len(p) + 5, k, s) + p for k, s, p in sent)
    for size in (1, 2, 7, 64, len(wire)):
        decoder, got = frames.Decoder(), []
        for at in range(0, len(wire), size):
            got += decoder.feed(wire[at : at + size])
        assert got == sent


def test_messages_as_their_dumps() -> None:
    for message in (
        HumanMessage("hi", id="1"),
        SystemMessage([{"type": "text", "text": "x"}]),
        AIMessage("a", tool_calls=[{"name": "t", "args": {"x": 1}, "id": "c"}], usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
        AIMessageChunk("a", tool_call_chunks=[{"name": "t", "args": "{", "id": "c", "index": 0}], chunk_position="last"),
        ToolMessage("r", tool_call_id="c", artifact={"a": 1}),
        HumanMessage("extra", other=1),
    ):
        got, want = json.loads(dumps(message)), message.model_dump(mode="json")
        assert got == want and list(got) == list(want)


class Colour(Enum):
    RED = "red"


class Model(BaseModel):
    when: datetime


@dataclasses.dataclass
class Point:
    x: int
    tags: set


def test_values_without_a_json_form() -> None:
    key = uuid.uuid4()
    Pair = namedtuple("Pair", "a b")
    value = {
        "point": Point(1, {"t"}),
        "pair": Pair(1, 2),
        "model": Model(when=datetime(2026, 1, 1, tzinfo=timezone.utc)),
        "bytes": b"\x00\x01",
        "send": Send("node", {"a": 1}),
        "interrupt": Interrupt(value=1, id="i"),
        "error": ValueError("no"),
        "type": int,
        "inf": float("inf"),
        "colour": Colour.RED,
        key: None,
    }
    for extra in ({}, {"big": 2**70}):
        got = json.loads(dumps({**value, **extra}))
        assert got["point"] == {"x": 1, "tags": ["t"]} and got["pair"] == [1, 2]
        assert got["bytes"] == "AAE=" and got["send"]["node"] == "node" and got["send"]["arg"] == {"a": 1}
        assert got["interrupt"] == {"value": 1, "id": "i", "response_schema": None}
        assert got["error"]["error"] == "ValueError" and got["inf"] is None and got["colour"] == "red"
        assert got["model"]["when"].startswith("2026-01-01T00:00:00") and str(key) in got
    assert json.loads(dumps("\ud83d lone")) == "\ufffd lone"
    assert dumps("a\u2028b").decode() == '"a\u2028b"'


def test_a_circle_ends() -> None:
    circle: list = []
    circle.append(circle)
    assert dumps(circle)


def test_checkpoint_ids_rise_above_those_that_were_read() -> None:
    from langgraph.checkpoint.base import empty_checkpoint
    from langgraph.checkpoint.base.id import uuid6
    from langopen_host.checkpoint_ids import stay_above

    now = str(uuid6())
    latest = f"{int(now[:8], 16) + 10:08x}{now[8:]}"  # made by a clock that is some hours ahead
    stay_above(now, latest, None, "1", "no id at all, but as long as one is")
    first, second = empty_checkpoint()["id"], str(uuid6(clock_seq=3))
    assert latest < first < second
    stay_above(now)
    assert str(uuid6()) > second
