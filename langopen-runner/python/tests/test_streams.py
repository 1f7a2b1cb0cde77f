"""The events of each stream mode."""

from __future__ import annotations

from helpers import HI, thread, with_runner

PLAIN_AI = ["content", "additional_kwargs", "response_metadata", "type", "name", "id", "tool_calls", "invalid_tool_calls", "usage_metadata"]


def test_values_and_updates() -> None:
    async def check(runner) -> None:
        run = await runner.run("chat", thread(), input=HI, stream_mode=["values", "updates"])
        assert run.names == ["values", "updates", "values"]
        human = run.events[0][1]["messages"][0]
        assert list(human) == PLAIN_AI[:6] and human["type"] == "human"
        assert list(run.events[1][1]["model"]["messages"][0]) == PLAIN_AI
        assert run.values == run.events[2][1]
        assert list(run.state) == [
            "next", "tasks", "metadata", "created_at", "checkpoint", "parent_checkpoint",
            "interrupts", "checkpoint_id", "parent_checkpoint_id",
        ]  # fmt: skip
        assert list(run.state["checkpoint"]) == ["checkpoint_id", "thread_id", "checkpoint_ns"]
        metadata = run.state["metadata"]
        assert metadata["source"] == "loop" and metadata["step"] == 1 and metadata["parents"] == {}
        assert metadata["run_attempt"] == 1 and metadata["langgraph_plan"] == "enterprise" and metadata["created_by"] == "system"
        assert run.header["checkpoint_id"] == run.state["checkpoint_id"]

    with_runner(check)


def test_message_tuples() -> None:
    async def check(runner) -> None:
        run = await runner.run("chat", input=HI, stream_mode=["messages-tuple"])
        assert run.names == ["messages"] * 4
        chunks = [data[0] for _, data in run.events]
        assert "".join(chunk["content"] for chunk in chunks) == "Hello there friend"
        assert list(chunks[0]) == [*PLAIN_AI, "tool_call_chunks", "chunk_position"]
        assert {chunk["type"] for chunk in chunks} == {"AIMessageChunk"}
        assert [chunk["chunk_position"] for chunk in chunks] == [None, None, None, "last"]
        metadata = run.events[0][1][1]
        assert metadata["langgraph_node"] == "model" and metadata["graph_id"] == "chat" and metadata["run_attempt"] == 1
        quiet = await runner.run("quiet_chat", input=HI, stream_mode=["messages-tuple"])
        assert [data[0]["type"] for _, data in quiet.events] in ([], ["ai"])

    with_runner(check)


def test_legacy_messages() -> None:
    async def check(runner) -> None:
        run = await runner.run("chat", input=HI, stream_mode=["messages"])
        assert run.names == ["messages/metadata"] + ["messages/partial"] * 4
        key, value = next(iter(run.events[0][1].items()))
        assert list(value) == ["metadata"] and value["metadata"]["langgraph_node"] == "model"
        partials = [data[0] for data in run.named("messages/partial")]
        assert [message["content"] for message in partials] == ["Hello", "Hello there", *["Hello there friend"] * 2]
        assert all(list(message) == PLAIN_AI and message["type"] == "ai" and message["id"] == key for message in partials)
        both = await runner.run("chat", input=HI, stream_mode=["messages", "messages-tuple"])
        assert set(both.names) == {"messages"}
        whole = await runner.run("nested_chat", input=HI, stream_mode=["messages"])
        assert whole.names == ["messages/metadata", "messages/complete"]

    with_runner(check)


def test_custom_tasks_checkpoints_debug() -> None:
    async def check(runner) -> None:
        assert (await runner.run("chat", input=HI, stream_mode=["custom"])).events == [("custom", {"progress": "calling model"})]
        tasks = await runner.run("hitl", thread(), input={"log": ["in"]}, stream_mode=["tasks"])
        start, result, _, interrupted = (data for _, data in tasks.events)
        assert list(start) == ["id", "name", "input", "triggers", "metadata"]
        assert list(result) == ["id", "name", "error", "result", "interrupts"] and result["result"] == {"log": ["a"]}
        assert interrupted["result"] == {} and list(interrupted["interrupts"][0]) == ["value", "id", "response_schema"]

        points = await runner.run("nested", thread(), input={"log": ["in"]}, stream_mode=["checkpoints"])
        first = points.events[0][1]
        assert list(first) == ["config", "parent_config", "values", "metadata", "next", "tasks"]
        assert first["metadata"] == {"source": "input", "step": -1, "parents": {}} and first["parent_config"] is None
        assert not any(key.startswith("__pregel") for key in first["config"]["configurable"])

        debug = await runner.run("nested", thread(), input={"log": ["in"]}, stream_mode=["debug"])
        assert [data["type"] for _, data in debug.events[:4]] == ["checkpoint", "checkpoint", "task", "task_result"]
        payload = debug.events[0][1]["payload"]
        assert payload["checkpoint"]["checkpoint_ns"] == "" and payload["parent_checkpoint"] is None
        named = [task for _, data in debug.events if data["type"] == "checkpoint" for task in data["payload"]["tasks"]]
        sub = next(task for task in named if task["name"] == "sub")
        assert list(sub) == ["id", "name", "interrupts", "checkpoint"] and sub["checkpoint"]["checkpoint_ns"].startswith("sub:")

    with_runner(check)


def test_events() -> None:
    async def check(runner) -> None:
        run = await runner.run("chat", thread(), input=HI, stream_mode=["events", "values"])
        records = run.named("events")
        assert records[0]["event"] == "on_chain_start" and records[0]["name"] == "chat"
        kinds = [record["event"] for record in records]
        assert kinds.count("on_chat_model_stream") == 4 and kinds[-1] == "on_chain_end"
        assert all(record["name"] != "chat" for record in records if record["event"] == "on_chain_stream")
        assert len(run.named("values")) == 2

    with_runner(check)


def test_subgraphs() -> None:
    async def check(runner) -> None:
        run = await runner.run("nested", thread(), input={"log": ["in"]}, stream_mode=["values", "updates", "custom"], subgraphs=True)
        ns = next(name for name in run.names if "|" in name).split("|")[1]
        assert ns.startswith("sub:")
        assert run.names == [
            "values", "updates", "values", f"values|{ns}", f"custom|{ns}", f"updates|{ns}", f"values|{ns}", "updates", "values",
        ]  # fmt: skip
        outside = await runner.run("nested", thread(), input={"log": ["in"]}, stream_mode=["values", "updates", "custom"])
        assert not any("|" in name for name in outside.names) and "custom" not in outside.names
        silent = await runner.run("nested_chat", input=HI, stream_mode=["messages-tuple"])
        assert [data[0]["type"] for _, data in silent.events] == ["ai"]
        loud = await runner.run("nested_chat", input=HI, stream_mode=["messages-tuple"], subgraphs=True)
        assert len(loud.events) == 4 and all(name.startswith("messages|subchat:") for name in loud.names)

    with_runner(check)


def test_odd_values() -> None:
    async def check(runner) -> None:
        run = await runner.run("odd", input={"seen": 0})
        seen = run.values["seen"]
        assert seen["big"] == 2**80 and seen["nan"] is None and seen["set"] == [1] and seen["3"] == "eA=="
        assert seen["line"] == "\u2028"

    with_runner(check)
