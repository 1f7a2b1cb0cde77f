"""Calls to the host: state, history, updates, forks, schemas, drawings; and the store."""

from __future__ import annotations

import json

import pytest
from fake_runner import HostError
from helpers import thread, with_runner


def test_history_and_old_states() -> None:
    async def check(runner) -> None:
        at = thread()
        run = await runner.run("slow", at, input={"log": ["in"], "secs": 0})
        config = {"configurable": {"thread_id": at}}
        ask = {"graph_id": "slow", "config": config, "limit": 10, "before": None, "metadata": None}
        states = await runner.call("state.history", **ask)
        assert [state["next"] for state in states] == [[], ["three"], ["two"], ["one"], ["__start__"]]
        assert {"values": run.values, **run.state} == states[0]
        assert states[1]["tasks"][0]["result"] == {"log": ["three"]}
        before = {"configurable": {"checkpoint_id": states[2]["checkpoint_id"]}}
        assert await runner.call("state.history", **{**ask, "before": before}) == states[3:]
        assert await runner.call("state.history", **{**ask, "metadata": {"step": 0}}) == states[3:4]
        old = {"configurable": {"thread_id": at, "checkpoint_id": states[2]["checkpoint_id"]}}
        got = await runner.call("state.get", graph_id="slow", config=old, subgraphs=False)
        assert got["thread"]["checkpoint_id"] == states[2]["checkpoint_id"]
        assert got["state"] == states[2]
        empty = await runner.call("state.get", graph_id="slow", config={"configurable": {"thread_id": thread()}}, subgraphs=False)
        assert empty["state"] == {
            "values": {}, "next": [], "tasks": [], "metadata": None, "created_at": None, "checkpoint": None,
            "parent_checkpoint": None, "interrupts": [], "checkpoint_id": None, "parent_checkpoint_id": None,
        }  # fmt: skip
        assert empty["thread"] == {"status": "idle", "interrupts": {}, "checkpoint_id": None}
        fork = await runner.run("slow", at, input=None, configurable={"checkpoint_id": states[2]["checkpoint_id"], "checkpoint_ns": ""})
        assert fork.values["log"] == ["in", "one", "two", "three"]

    with_runner(check)


def test_updates() -> None:
    async def check(runner) -> None:
        at = thread()
        await runner.run("slow", at, input={"log": ["in"], "secs": 0})
        config = {"configurable": {"thread_id": at}}

        async def update(values, as_node=None, **more):
            conf = {"configurable": {"thread_id": at, **more}}
            return await runner.call("state.update", graph_id="slow", config=conf, values=values, as_node=as_node)

        done = await update({"log": ["manual"]})
        assert list(done["checkpoint"]) == ["thread_id", "checkpoint_ns", "checkpoint_id"]
        assert done["state"]["values"]["log"] == ["in", "one", "two", "three", "manual"]
        assert done["state"]["metadata"]["source"] == "update" and done["state"]["metadata"]["graph_id"] == "slow"
        as_one = await update({"log": ["x"]}, "one")
        assert as_one["state"]["next"] == ["two"] and as_one["thread"]["status"] == "interrupted"
        states = await runner.call("state.history", graph_id="slow", config=config, limit=20, before=None, metadata=None)
        first = next(state for state in states if state["next"] == ["one"])
        forked = await update({"log": ["fork"]}, None, checkpoint_id=first["checkpoint_id"])
        assert forked["state"]["values"]["log"] == ["in", "fork"]
        assert (await update(None, "__copy__"))["state"]["values"]["log"] == ["in", "fork"]
        assert (await update(None, "__end__"))["state"]["next"] == []
        assert (await update({"log": ["again"]}, "__input__"))["state"]["next"] == ["__start__"]
        with pytest.raises(HostError) as failure:
            await update({"log": []}, "nope")
        assert str(failure.value) == "InvalidUpdateError: Node nope does not exist"
        fresh = {"configurable": {"thread_id": thread()}}
        steps = [
            {"updates": [{"values": {"log": ["i"]}, "as_node": "__input__"}]},
            {"updates": [{"values": {"log": ["one"]}, "as_node": "one"}]},
        ]
        bulk = await runner.call("state.bulk_update", graph_id="slow", config=fresh, supersteps=steps)
        assert bulk["state"]["values"] == {"log": ["one"]} and bulk["state"]["next"] == ["two"]
        with pytest.raises(HostError) as failure:
            await runner.call("state.bulk_update", graph_id="slow", config=fresh, supersteps=[])
        assert failure.value.kind == "ValueError"
        with pytest.raises(HostError):
            await runner.call("no.such", graph_id="slow")

    with_runner(check)


def test_schemas_and_drawings() -> None:
    async def check(runner) -> None:
        schemas = await runner.call("graph.schemas", graph_id="echo", config={})
        assert list(schemas) == ["input_schema", "output_schema", "state_schema", "config_schema", "context_schema"]
        assert schemas["state_schema"]["title"] == "echo_state"
        assert schemas["context_schema"]["properties"]["model_name"]["type"] == "string"
        assert schemas["config_schema"] == schemas["context_schema"]
        plain = await runner.call("graph.schemas", graph_id="slow", config={})
        assert plain["config_schema"] == {} and plain["context_schema"] is None
        drawn = await runner.call("graph.draw", graph_id="nested", config={}, xray=False)
        assert drawn["nodes"] == [
            {"id": "__start__", "type": "runnable", "data": {"name": "__start__"}},
            {"id": "outer", "type": "runnable", "data": {"name": "outer"}},
            {"id": "sub", "type": "runnable", "data": {"name": "sub"}},
            {"id": "__end__"},
        ]
        assert drawn["edges"][0] == {"source": "__start__", "target": "outer"}
        deep = await runner.call("graph.draw", graph_id="nested", config={}, xray=True)
        assert "sub:inner" in [node["id"] for node in deep["nodes"]]
        subs = await runner.call("graph.subgraphs", graph_id="nested", config={}, namespace=None, recurse=True)
        assert list(subs) == ["sub"] and subs["sub"]["state_schema"]["title"] == "LangGraphState"

    with_runner(check)


def test_store() -> None:
    async def check(runner) -> None:
        run = await runner.run("keeper", input={"out": 0})
        assert run.values["out"] == [{"text": "from graph"}, ["k"], [["mem", "a"]]]
        assert json.loads(runner.tables.items[("mem", "a"), "k"]["value"]) == {"text": "from graph"}
        assert (await runner.run("sync_keeper", input={"out": 0})).values["out"] == [{"n": 1}, None]
        runner.tables.refuse.add("store.put")
        assert (await runner.run("keeper", input={"out": 0})).header["retryable"]

    with_runner(check)
