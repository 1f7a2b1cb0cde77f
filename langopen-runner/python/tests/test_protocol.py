"""The streams of runs that were started through the event streaming protocol."""

from __future__ import annotations

import json

from helpers import HI, thread, with_runner
from langchain_core.messages import AIMessageChunk

from langopen_host.blocks import Assembly
from langopen_host.lifecycle import Lifecycle
from langopen_host.protocol import ProtocolPlan

MODES = ["values", "updates", "messages", "tools", "lifecycle", "custom", "tasks", "checkpoints"]


def test_messages_are_streamed_in_blocks() -> None:
    async def check(runner) -> None:
        run = await runner.run("chat", thread(), input=HI, stream_mode=MODES, subgraphs=True)
        pieces = run.named("protocol/messages")
        assert [piece["data"]["event"] for piece in pieces] == [
            "message-start", "content-block-start", *["content-block-delta"] * 3, "content-block-finish", "message-finish",
        ]  # fmt: skip
        assert {piece["node"] for piece in pieces} == {"model"}
        assert pieces[0]["data"] == {"event": "message-start", "role": "ai", "id": pieces[0]["data"]["id"]}
        assert pieces[-2]["data"]["content"] == {"type": "text", "text": "Hello there friend"}
        first, last = run.named("values")
        assert first["messages"] == [{"type": "human", "content": "hi", "id": "u1"}]
        assert last["messages"][1]["id"] == pieces[0]["data"]["id"]
        assert not {"name", "invalid_tool_calls", "additional_kwargs"} & last["messages"][1].keys()
        [update] = run.named("updates")
        assert update["model"]["messages"] == last["messages"][1:]
        steps = [(each["data"]["step"], each["data"]["source"]) for each in run.named("protocol/checkpoints")]
        assert steps == [(-1, "input"), (0, "loop"), (1, "loop")]
        quiet = await runner.run("quiet_chat", thread(), input=HI, stream_mode=MODES, subgraphs=True)
        assert quiet.named("protocol/messages") == [], "no model streamed it"
        returned = await runner.run("written", thread(), input=HI, stream_mode=MODES, subgraphs=True)
        assert returned.named("protocol/messages") == []
        assert [message["id"] for message in returned.named("values")[-1]["messages"]] == ["u1", "w1", "w2"]

    with_runner(check)


def test_subgraphs_start_and_end() -> None:
    async def check(runner) -> None:
        run = await runner.run("nested_chat", thread(), input=HI, stream_mode=MODES, subgraphs=True)
        told = [(name, data["data"]) for name, data in run.events if name.startswith("protocol/lifecycle")]
        assert [data["event"] for _, data in told] == ["started", "completed"]
        name, started = told[0]
        assert name == "protocol/lifecycle|" + "|".join(started["namespace"])
        node, _, task = started["namespace"][0].partition(":")
        assert started["graph_name"] == node and started["trigger_call_id"] == task
        assert told[1] == (name, {"event": "completed", "graph_name": node})
        names = [each for each, _ in run.events]
        inner = "protocol/messages|" + started["namespace"][0]
        assert names.index(name) < names.index(inner)
        assert not [each for each in run.named("protocol/messages") if each["data"]["event"] == "message-start"]

    with_runner(check)


def test_interrupts_are_among_values_and_the_end_is_an_event() -> None:
    async def check(runner) -> None:
        run = await runner.run("hitl", thread(), input={"log": ["x"]}, stream_mode=MODES, subgraphs=True)
        raised = [value["__interrupt__"] for value in run.named("values") if "__interrupt__" in value]
        assert [[each["value"] for each in one] for one in raised] == [[{"question": "continue?"}]]
        assert run.events[-1] == ("protocol/lifecycle", {"data": {"event": "interrupted"}})
        for graph in ("dataclass_state", "pydantic_state"):
            asked = await runner.run(graph, thread(), input={"log": ["x"]}, stream_mode=MODES, subgraphs=True)
            *states, last = asked.named("values")
            assert states[-1] == {"log": ["x"]} and [each["value"] for each in last["__interrupt__"]] == ["go on?"], graph
            assert asked.events[-1] == ("protocol/lifecycle", {"data": {"event": "interrupted"}})
        failed = await runner.run("err", thread(), input={}, stream_mode=MODES, subgraphs=True)
        assert failed.header["status"] == "error"
        assert not failed.named("protocol/lifecycle")

    with_runner(check)


def test_chunks_of_tokens_become_blocks() -> None:
    assembly = Assembly()
    told = assembly.add(AIMessageChunk(content="Hel", id="m"))
    told += assembly.add(AIMessageChunk(content="lo", id="m", tool_call_chunks=[{"name": "add", "args": '{"a": 1}', "id": "c", "index": 0}]))
    assert [piece["event"] for piece in told] == ["message-start", "content-block-start", "content-block-delta", "content-block-delta"]
    closed = assembly.close()
    assert closed[0]["content"] == {"type": "text", "text": "Hello"}
    assert closed[2]["content"]["name"] == "add" and closed[2]["content"]["args"] == {"a": 1}
    assert closed[-1]["event"] == "message-finish" and assembly.close() == []


def test_a_subagent_names_the_tool_call_that_started_it() -> None:
    lifecycle = Lifecycle()
    call = {"type": "tool_call", "id": "call-1", "name": "task", "args": {}}
    assert lifecycle.before((), {"id": "t1", "name": "tools", "input": {"tool_call": call}}) == []
    inner = {"id": "t2", "name": "model", "input": {}, "metadata": {"lc_agent_name": "researcher"}}
    [(namespace, started)] = lifecycle.before(("tools:t1",), inner)
    assert namespace == ("tools:t1",) and started["graph_name"] == "researcher"
    assert started["cause"] == {"type": "toolCall", "tool_call_id": "call-1"}
    assert lifecycle.before(("tools:t1",), {**inner, "id": "t3"}) == []
    assert lifecycle.after((), {"id": "t1", "result": {}, "error": None, "interrupts": []}) == [
        (("tools:t1",), {"event": "completed", "graph_name": "researcher"}),
    ]
    assert lifecycle.close("interrupted") == [((), {"event": "interrupted"})]


def test_messages_that_are_streamed_at_once_name_themselves() -> None:
    plan = ProtocolPlan(temporary=False)

    def told(call: str, piece: dict) -> dict:
        [(_, data)] = plan.convert((), "messages", (piece, {"run_id": call, "langgraph_node": call}))
        return json.loads(data)["data"]

    told("left", {"event": "message-start", "role": "ai", "id": "l"})
    assert "id" not in told("left", {"event": "content-block-start", "index": 0, "content": {"type": "text", "text": ""}})
    told("right", {"event": "message-start", "role": "ai", "id": "r"})
    delta = {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": "x"}}
    assert (told("left", delta)["id"], told("right", delta)["id"]) == ("l", "r")
    told("left", {"event": "message-finish"})
    assert "id" not in told("right", delta)
