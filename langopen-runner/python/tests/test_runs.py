"""Runs from start to end: interrupts, errors, retries, cancellation, flow control, logs."""

from __future__ import annotations

import asyncio
import struct
import uuid

from helpers import HI, thread, with_runner

from langopen_host import frames


def test_interrupt_and_resume() -> None:
    async def check(runner) -> None:
        at = thread()
        first = await runner.run("hitl", at, input={"log": ["in"]})
        assert first.names == ["values"] * 3
        asked = first.events[2][1]
        assert asked["log"] == ["in", "a"] and list(asked["__interrupt__"][0]) == ["value", "id", "response_schema"]
        assert first.header["status"] == "success" and first.header["thread_status"] == "interrupted"
        ((task, (item,)),) = first.header["interrupts"].items()
        assert item == {"id": asked["__interrupt__"][0]["id"], "value": {"question": "continue?"}}
        assert first.state["next"] == ["ask"] and first.state["tasks"][0]["id"] == task
        assert first.state["interrupts"] == [item] and first.values == {"log": ["in", "a"]}
        again = await runner.run("hitl", at, command={"resume": "yes", "update": {"log": ["upd"]}}, stream_mode=["updates"])
        assert again.values == {"log": ["in", "a", "upd", "ask", "b"], "answer": "yes"}
        assert again.header["thread_status"] == "idle" and again.header["interrupts"] == {}
        other = await runner.run("hitl", thread(), input={"log": []}, stream_mode=["custom"])
        assert other.events == [] and other.header["thread_status"] == "interrupted"
        temporary = await runner.run("hitl", input={"log": []})
        assert "__interrupt__" in temporary.events[-1][1] and "__interrupt__" not in temporary.values

    with_runner(check)


def test_parallel_interrupts() -> None:
    async def check(runner) -> None:
        at = thread()
        first = await runner.run("parallel", at, input={"log": ["s"]}, stream_mode=["values"])
        assert len(first.header["interrupts"]) == 2
        ids = {item["value"]: item["id"] for (item,) in first.header["interrupts"].values()}
        bare = await runner.run("parallel", at, command={"resume": "x"})
        assert bare.header["error"]["error"] == "RuntimeError" and "multiple pending" in bare.header["error"]["message"]
        one = await runner.run("parallel", at, command={"resume": {ids["left?"]: 1}})
        assert [item["value"] for (item,) in one.header["interrupts"].values()] == ["right?"]
        two = await runner.run("parallel", at, command={"resume": {ids["right?"]: 2}})
        assert sorted(map(str, two.values["log"])) == sorted(map(str, ["s", ["left", 1], "ok", ["right", 2], "end"]))

    with_runner(check)


def test_subgraph_interrupt() -> None:
    async def check(runner) -> None:
        at = thread()
        run = await runner.run("nested", at, input={"log": ["in"], "ask": True}, stream_mode=["values", "updates"], subgraphs=True)
        outer = run.state["tasks"][0]
        assert outer["checkpoint"] == {"thread_id": at, "checkpoint_ns": f"sub:{outer['id']}"} and outer["state"] is None
        deep = await runner.call("state.get", graph_id="nested", config={"configurable": {"thread_id": at}}, subgraphs=True)
        inner = deep["state"]["tasks"][0]["state"]
        assert deep["state"]["tasks"][0]["checkpoint"] is None and inner["next"] == ["inner"]
        assert set(inner["checkpoint"]["checkpoint_map"]) == {"", f"sub:{outer['id']}"}
        assert list(run.header["interrupts"]) == [inner["tasks"][0]["id"]]
        sub = {"configurable": {"thread_id": at, "checkpoint_ns": f"sub:{outer['id']}"}}
        history = await runner.call("state.history", graph_id="nested", config=sub, limit=5, before=None, metadata=None)
        assert [item["next"] for item in history] == [["inner"], ["__start__"]]
        assert (await runner.run("nested", at, command={"resume": "R"})).values["log"][-1] == "inner:R"

    with_runner(check)


def test_static_interrupt_and_goto() -> None:
    async def check(runner) -> None:
        at = thread()
        run = await runner.run("slow", at, input={"log": [], "secs": 0}, interrupt_before=["two"])
        assert run.state["next"] == ["two"] and not any("__interrupt__" in data for _, data in run.events)
        assert (await runner.run("slow", at, input=None)).values["log"] == ["one", "two", "three"]
        sent = await runner.run("slow", at, command={"goto": [{"node": "three", "input": {"log": []}}]})
        assert sent.values["log"][-1] == "three"
        pairs = await runner.run("slow", at, command={"update": [["log", ["p"]]], "goto": "three"})
        assert pairs.values["log"][-2:] == ["p", "three"]
        empty = await runner.run("slow", thread(), input=None)
        assert empty.header["error"] == {"error": "EmptyInputError", "message": "Received no input for __start__"}

    with_runner(check)


def test_errors() -> None:
    async def check(runner) -> None:
        at = thread()
        plain = await runner.run("err", at, input={"log": [], "kind": "value"}, stream_mode=["values"])
        assert plain.header["error"] == {"error": "ValueError", "message": "boom value"}
        assert plain.header["status"] == plain.header["thread_status"] == "error" and not plain.header["retryable"]
        assert "boom value" in plain.header["detail"] and plain.state["tasks"][0]["error"] == "ValueError('boom value')"
        secret = await runner.run("err", input={"log": [], "kind": "secret"})
        assert secret.header["error"] == {"error": "Secret", "message": "An internal error occurred"}
        endless = await runner.run("loop", input={"log": []}, config={"recursion_limit": 3})
        assert endless.header["error"]["error"] == "GraphRecursionError" and "3" in endless.header["error"]["message"]

    with_runner(check)


def test_refused_writes_are_retryable() -> None:
    async def check(runner) -> None:
        runner.tables.refuse.add("checkpoints.put")
        for durability in ("async", "sync", "exit"):
            run = await runner.run("slow", thread(), input={"log": [], "secs": 0}, durability=durability)
            assert run.header["retryable"] and run.header["status"] == "error", (durability, run.header)
            assert run.header["error"]["message"] == "An internal error occurred"
        runner.tables.refuse = {"checkpoints.get"}
        assert (await runner.run("slow", thread(), input={"log": [], "secs": 0})).header["retryable"]

    with_runner(check)


def test_context_user_and_config() -> None:
    async def check(runner) -> None:
        user = {"identity": "ann", "permissions": ["p"]}
        given = {"input": {}, "config": {"tags": ["tt"], "recursion_limit": 9}, "configurable": {"langgraph_auth_user": user}}
        seen = (await runner.run("echo", context={"model_name": "m", "extra": 1}, **given)).values["seen"]
        assert seen["context"] == "m" and seen["user"] == "ann" and seen["graph_id"] == "echo"
        assert seen["tags"] == ["tt"] and seen["recursion_limit"] == 9
        assert seen["metadata"]["run_attempt"] == 1 and seen["metadata"]["langgraph_api_url"] == "http://127.0.0.1:2024"
        assert (await runner.run("echo", input={}, configurable={"model_name": "c"})).values["seen"]["context"] == "c"
        assert (await runner.run("echo", input={})).values["seen"]["context"] == "default"

    with_runner(check)


def test_durability() -> None:
    async def check(runner) -> None:
        for durability, puts in (("async", 5), ("sync", 5), ("exit", 1)):
            runner.tables.calls.clear()
            run = await runner.run("slow", thread(), input={"log": [], "secs": 0}, durability=durability)
            assert run.values["log"] == ["one", "two", "three"] and run.state["next"] == []
            assert runner.tables.calls.count("checkpoints.put") == puts
            assert runner.tables.calls.count("checkpoints.get") == 1
        runner.tables.calls.clear()
        await runner.run("slow", thread(), input={"log": [], "secs": 0}, fresh_thread=True)
        assert "checkpoints.get" not in runner.tables.calls

    with_runner(check)


def test_second_attempt() -> None:
    async def check(runner) -> None:
        at, run_id = thread(), str(uuid.uuid4())
        first = runner.start("slow", at, run_id=run_id, input={"log": ["in"], "secs": 3})
        while len(first.events) < 2:
            await asyncio.sleep(0.01)
        runner.cancel(first)
        await runner.finish(first)
        second = await runner.run("slow", at, run_id=run_id, attempt=2, input={"log": ["in"], "secs": 0}, command=None)
        assert second.header["status"] == "success" and second.values["log"] == ["in", "one", "two", "three"]
        third = await runner.run("slow", at, run_id=run_id, attempt=3, input={"log": ["in"], "secs": 0})
        assert third.values == second.values and third.header["status"] == "success"
        other = await runner.run("slow", thread(), attempt=2, input={"log": ["in"], "secs": 0})
        assert other.values["log"] == ["in", "one", "two", "three"]

    with_runner(check)


def test_second_attempt_after_writes_without_their_checkpoint() -> None:
    async def check(runner) -> None:
        at, run_id = thread(), str(uuid.uuid4())
        first = await runner.run("slow", at, run_id=run_id, input={"log": ["in"], "secs": 0})
        kept = runner.tables.checkpoints[at, ""]
        for lost in sorted(kept, reverse=True)[:2]:
            del kept[lost]
            again = await runner.run("slow", at, run_id=run_id, attempt=2, input={"log": ["in"], "secs": 0})
            assert again.header["status"] == "success" and again.values == first.values

    with_runner(check)


def test_cancel() -> None:
    async def check(runner) -> None:
        async def cancelled(graph_id: str, events: int, **given):
            run = runner.start(graph_id, thread(), **given)
            while len(run.events) < events:
                await asyncio.sleep(0.01)
            before = asyncio.get_running_loop().time()
            runner.cancel(run)
            await runner.finish(run)
            assert asyncio.get_running_loop().time() - before < 1
            assert run.header["status"] == "cancelled" and run.header["error"] is None, run.header
            return run

        waiting = await cancelled("slow", 2, input={"log": ["in"], "secs": 30})
        assert waiting.state["next"] == ["two"] and waiting.values["log"] == ["in", "one"]
        assert waiting.header["thread_status"] == "interrupted"
        blocked = await cancelled("blocking", 2, input={"log": ["in"], "secs": 3})
        assert blocked.state["next"] == ["two"]
        streaming = await cancelled("slow_chat", 3, input=HI, stream_mode=["messages-tuple"])
        assert streaming.state["next"] == ["model"]
        stubborn = await cancelled("stubborn", 2, input={"log": ["in"], "secs": 30})
        assert stubborn.values["log"][:2] == ["in", "one"]
        events = await cancelled("slow_chat", 3, input=HI, stream_mode=["events"])
        assert events.state["next"] == ["model"]

    with_runner(check)


def test_cancel_at_once_and_twice() -> None:
    async def check(runner) -> None:
        run = runner.start("slow", thread(), input={"log": ["in"], "secs": 30})
        runner.cancel(run)
        runner.cancel(run)
        await runner.finish(run)
        assert run.header["status"] == "cancelled"
        assert (await runner.run("slow", thread(), input={"secs": 0})).header["status"] == "success"
        kept = await runner.run("sync_parent", thread(), input={"log": []})
        assert kept.values["log"] == ["sync sub"], kept.header

    with_runner(check)


def test_flow_control() -> None:
    async def check(runner) -> None:
        runner.auto_credit = False
        run = runner.start("flood", thread(), input={"log": []}, stream_mode=["custom"])
        idle = runner.start("flood", thread(), input={"log": []}, stream_mode=["custom"])
        other = await runner.run("chat", input=HI)
        assert other.header["status"] == "success"
        await asyncio.sleep(0.3)
        assert (1 << 20) <= run.received < (1 << 20) + 200_000 and not run.ended.is_set()
        before = run.received
        runner.send(frames.CREDIT, run.handle, struct.pack(">I", 500_000))
        await asyncio.sleep(0.2)
        assert 400_000 < run.received - before < 700_000
        runner.send(frames.CREDIT, run.handle, struct.pack(">I", 100_000_000))
        await runner.finish(run)
        assert len(run.events) == 40 and run.header["status"] == "success"
        runner.cancel(idle)
        await runner.finish(idle)
        assert idle.header["status"] == "cancelled"

    with_runner(check)


def test_logs() -> None:
    async def check(runner) -> None:
        run_id = str(uuid.uuid4())
        await runner.run("noisy", run_id=run_id, input={"log": []})
        await runner.ping()
        await asyncio.sleep(0.05)
        assert {entry["run_id"] for entry in runner.logs} == {run_id}
        seen = {(entry["source"], entry["level"], entry["message"], entry["logger"]) for entry in runner.logs}
        assert seen == {
            ("stdout", "info", "printed in False", None),
            ("stdout", "info", "no newline", None),
            ("stderr", "warning", "to stderr", None),
            ("logging", "warning", "logged 7", "mine"),
        }

    with_runner(check)


def test_many_at_once() -> None:
    async def check(runner) -> None:
        runs = [runner.start("chat", thread(), input=HI, stream_mode=["messages-tuple"]) for _ in range(50)]
        for run in runs:
            await runner.finish(run)
            assert len(run.events) == 4 and len(run.values["messages"]) == 2

    with_runner(check)


def test_ends_with_the_connection_or_when_told() -> None:
    async def lost(runner) -> None:
        runner.start("slow", thread(), input={"secs": 30})
        await asyncio.sleep(0.1)
        runner._writer.close()
        assert await asyncio.wait_for(runner.process.wait(), 5) == 1

    async def told(runner) -> None:
        run = runner.start("slow", thread(), input={"secs": 30})
        await asyncio.sleep(0.1)
        runner.send(frames.SHUTDOWN, 0, b"")
        assert await asyncio.wait_for(runner.process.wait(), 5) == 0
        assert run.header["status"] == "cancelled"

    with_runner(lost, {"slow": "./graphs.py:slow"})
    with_runner(told, {"slow": "./graphs.py:slow"})
