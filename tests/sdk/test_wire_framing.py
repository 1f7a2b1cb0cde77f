"""The bytes of server-sent events and of kept-alive answers."""

import asyncio
import re

import pytest

from helpers import parse_event, run_events

BODY = {"assistant_id": "three", "input": {"log": []}, "stream_mode": ["values"]}


async def raw(http, method, path, **options):
    async with http.stream(method, path, **options) as answer:
        return answer, b"".join([chunk async for chunk in answer.aiter_raw()])


async def test_bytes_of_a_stream(http, thread_id):
    answer, content = await raw(http, "POST", f"/threads/{thread_id}/runs/stream", json=BODY)
    blocks = content.split(b"\r\n\r\n")
    assert blocks.pop() == b""
    assert len(blocks) == 5
    for block in blocks:
        assert re.fullmatch(rb"event: [a-z]+\r\ndata: \{[^\r\n]*\}", block), block
    assert blocks[1] == b'event: values\r\ndata: {"log":[],"done":[]}'
    run_id = parse_event(blocks[0].decode()).data["run_id"]
    assert blocks[0] == b'event: metadata\r\ndata: {"run_id":"%s","attempt":1}' % run_id.encode()
    run = f"/threads/{thread_id}/runs/{run_id}"
    assert answer.headers["location"] == f"{run}/stream"
    assert answer.headers["content-location"] == run


async def test_headers_of_a_stream(http, thread_id):
    answer, _ = await raw(http, "POST", f"/threads/{thread_id}/runs/stream", json=BODY)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers.get("content-encoding") is None


async def test_headers_of_a_join(client, http, thread_id):
    run = await client.runs.create(thread_id, "three", input={"log": []}, stream_resumable=True)
    path = f"/threads/{thread_id}/runs/{run['run_id']}"
    answer, _ = await raw(http, "GET", f"{path}/stream", headers={"Last-Event-ID": "-"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["location"] == f"{path}/stream"
    assert answer.headers["content-location"] == path


async def test_id_comes_after_data(http, thread_id):
    _, content = await raw(http, "POST", f"/threads/{thread_id}/runs/stream", json=BODY | {"stream_resumable": True})
    for block in content.split(b"\r\n\r\n")[:-1]:
        assert re.fullmatch(rb"event: [a-z]+\r\ndata: [^\r\n]*\r\nid: \d+-\d+", block), block


async def test_heartbeat_while_nothing_happens(http, thread_id):
    body = {"assistant_id": "slow", "input": {"secs": 6, "log": []}}
    _, content = await raw(http, "POST", f"/threads/{thread_id}/runs/stream", json=body)
    blocks = content.split(b"\r\n\r\n")
    assert b": heartbeat" in blocks
    assert 1 <= blocks.count(b": heartbeat") <= 2
    assert blocks.index(b": heartbeat") == 3


@pytest.mark.parametrize("text", ["\r\n\r\nevent: fake", "\u2028\u2029\x85", "\x0b\x0c\x1c", "data: x\ndata: y", "\ufeff"])
async def test_line_ends_in_data_stay_inside(http, thread_id, text):
    events = await run_events(http, thread_id, "three", input={"log": [text]})
    assert [event.event for event in events] == ["metadata"] + ["values"] * 4
    assert events[-1].data["log"] == [text, "one", "two", "three"]


async def test_sdk_reads_line_ends_in_data(client, thread_id):
    text = "\r\n\u2028\u2029\x85 end"
    parts = [part async for part in client.runs.stream(thread_id, "three", input={"log": [text]})]
    assert parts[-1].data["log"][0] == text


async def test_large_events(http, thread_id):
    text = "é" * 1_000_000
    events = await run_events(http, thread_id, "three", input={"log": [text]})
    assert [event.data["log"][0] == text for event in events[1:]] == [True] * 4


async def test_first_event_comes_before_the_end(http, thread_id):
    """Nothing holds events back until the stream is over."""
    body = {"assistant_id": "slow", "input": {"secs": 2, "log": []}}
    async with http.stream("POST", f"/threads/{thread_id}/runs/stream", json=body) as answer:
        loop_time = asyncio.get_running_loop().time
        times = [loop_time() async for chunk in answer.aiter_raw() if b"event: " in chunk]
    assert times[-1] - times[0] > 1.5


async def test_json_answers_are_compact(http, thread_id):
    answer = await http.get(f"/threads/{thread_id}")
    assert answer.headers["content-type"] == "application/json"
    assert b": " not in answer.content and b", " not in answer.content
