"""Hosts behave like Python, like the library, and like the server that applications were written for."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from fake_runner import HERE
from helpers import HI, fatal, thread, with_runner
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langopen_host.saver import make_serializer
from langopen_host.store_index import StoreIndex

NAMES = (
    "context_graph url place deep fields model paths custom static plain unannotated with_context with_both"
).split()
GRAPHS = {name: f"./faithful_graphs.py:{name}" for name in NAMES}
MODES = ["values", "updates", "messages", "tools", "lifecycle", "custom", "tasks", "checkpoints"]


def check_with(check, graphs=None, base_dir: Path = HERE, **options) -> None:
    with_runner(check, GRAPHS if graphs is None else graphs, base_dir=base_dir, **options)


def test_modules_of_the_application_do_not_replace_others(tmp_path: Path) -> None:
    agent = tmp_path / "src" / "agent"
    agent.mkdir(parents=True)
    for folder in (tmp_path, agent):
        for name in ("statistics", "orjson", "string"):
            (folder / f"{name}.py").write_text("raise ImportError('the file of the application')\n")
    (agent / "sibling.py").write_text("word = 'sibling'\n")
    (agent / "graph.py").write_text(
        f"import sys\nsys.path.append({str(HERE)!r})\nfrom sibling import word\nfrom faithful_graphs import paths\n"
    )

    async def check(runner) -> None:
        assert runner.fatal is None, runner.fatal
        file, path = (await runner.run("paths", input={"seen": 0})).values["seen"]
        assert file.startswith(sys.base_prefix)
        site = max(index for index, each in enumerate(path) if each.endswith("site-packages"))
        assert all(path.index(str(folder)) > site for folder in (tmp_path, agent, tmp_path / "src"))

    check_with(check, {"paths": "./src/agent/graph.py:paths"}, tmp_path, search_path=[str(tmp_path / "src")])


def test_what_a_second_host_cannot_take_has_a_hint(tmp_path: Path) -> None:
    (tmp_path / "port.py").write_text(
        "import socket\n"
        "one = socket.create_server(('127.0.0.1', 0))\n"
        "two = socket.socket()\n"
        "two.bind(one.getsockname())\n"
    )
    (tmp_path / "lock.py").write_text("import fcntl, os\nfile = open('lock', 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "other = open('lock', 'w')\nfcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)\n")  # fmt: skip
    (tmp_path / "other.py").write_text("open('absent')\n")
    for name, hinted in (("port", True), ("lock", True), ("other", False)):
        document, _ = fatal({"g": f"./{name}.py:graph"}, base_dir=tmp_path)
        assert ("--hosts 1" in document["message"]) is hinted, document


def test_values_that_messagepack_refuses_are_pickled() -> None:
    async def check(runner) -> None:
        at = thread()
        assert (await runner.run("url", at, input={"seen": 0})).values == {"seen": "https://example.com/a"}
        kinds = {kind for kind, _ in runner.tables.blobs.values()}
        assert "pickle" in kinds
        config = {"configurable": {"thread_id": at}}
        state = await runner.call("state.get", graph_id="url", config=config, subgraphs=False)
        assert state["state"]["values"] == {"seen": "https://example.com/a"}
        assert (await runner.run("place", thread(), input={"seen": 0})).values == {"seen": {"url": "https://example.com/a"}}

    check_with(check)


def test_the_settings_of_the_serializer_are_applied() -> None:
    async def check(runner) -> None:
        run = await runner.run("url", thread(), input={"seen": 0})
        assert run.header["status"] == "error" and "HttpUrl" in run.header["detail"]

    check_with(check, serde={"pickle_fallback": False})
    listed = make_serializer({"allowed_msgpack_modules": [["a", "b", "C"]], "allowed_json_modules": [["a", "B"]]})
    assert listed._allowed_msgpack_modules == {("a.b", "C")} and listed._allowed_json_modules == {("a", "B")}
    assert make_serializer({"allowed_msgpack_modules": None})._allowed_msgpack_modules is None
    assert make_serializer({"allowed_json_modules": True})._allowed_json_modules is True
    plain = JsonPlusSerializer()
    assert make_serializer(None)._allowed_msgpack_modules == plain._allowed_msgpack_modules


def test_every_key_of_the_configurable_is_in_the_metadata() -> None:
    async def check(runner) -> None:
        at = thread()
        user = {"identity": "ann", "permissions": ["p"]}
        given = {"foo": "x", "number": 3, "object": {"a": 1}, "list": [1], "none": None, "__hidden": 1}
        run = await runner.run("plain", at, input={"log": []}, configurable={**given, "langgraph_auth_user": user})
        metadata = run.state["metadata"]
        del given["__hidden"]
        assert given.items() <= metadata.items() and metadata["langgraph_auth_user_id"] == ""
        assert not {"__hidden", "langgraph_auth_user", "checkpoint_ns", "__after_seconds__"} & metadata.keys()
        config = {"configurable": {"thread_id": at}}
        for wanted, count in (({"foo": "x"}, 3), ({"object": {"a": 1}}, 3), ({"foo": "y"}, 0)):
            found = await runner.call(
                "state.history", graph_id="plain", config=config, limit=9, before=None, metadata=wanted
            )
            assert len(found) == count

    check_with(check)


def test_a_context_that_lacks_a_required_field_fails() -> None:
    async def check(runner) -> None:
        for context in ({}, {"age": 5}, {"other": 1}):
            run = await runner.run("context_graph", input={"seen": 0}, context=context)
            assert run.header["error"]["error"] == "TypeError", run.header
            assert "missing 1 required positional argument: 'name'" in run.header["error"]["message"]
        run = await runner.run("context_graph", input={"seen": 0}, context={"name": "n", "extra": 1})
        assert run.values["seen"] == ["n", 3]

    check_with(check)


def test_the_arguments_of_factories() -> None:
    async def check(runner) -> None:
        async def seen(graph_id: str, **given):
            return (await runner.run(graph_id, input={"seen": 0}, **given)).values["seen"]

        kind, keys = await seen("unannotated")
        assert kind == "dict" and {"callbacks", "configurable", "metadata", "recursion_limit", "tags"} <= set(keys)
        assert await seen("with_context") == ["threads.create_run", {}]
        context = {"name": "n", "extra": 1}
        assert await seen("with_context", context=context) == ["threads.create_run", context, "n", "n", 3]
        assert await seen("with_both") == ["threads.create_run", True, [], None]

    check_with(check)


def test_state_schemas_of_any_state() -> None:
    async def check(runner) -> None:
        schema = (await runner.call("graph.schemas", graph_id="deep", config={}))["state_schema"]
        assert schema == {
            "properties": {
                "messages": {"default": None, "items": {}, "title": "Messages", "type": "array"},
                "files": {"default": None, "title": "Files"},
                "todos": {"default": None, "items": {}, "title": "Todos", "type": "array"},
                "odd": {"default": None, "title": "Odd"},
                "schema": {"default": None, "title": "Schema", "type": "string"},
                "_private": {"default": None, "title": "Private", "type": "string"},
            },
            "title": "deep_state",
            "type": "object",
        }

    check_with(check)


def test_interrupts_of_states_that_are_objects() -> None:
    async def check(runner) -> None:
        for graph_id in ("fields", "model"):
            run = await runner.run(graph_id, thread(), input={"out": "x"}, stream_mode=MODES, subgraphs=True)
            [raised] = [value for value in run.named("values") if "__interrupt__" in value]
            assert [each["value"] for each in raised["__interrupt__"]] == [{"q": "?"}] and raised["out"] == "x"

    check_with(check)


def test_streams_of_the_protocol_hold_what_was_written() -> None:
    async def check(runner) -> None:
        custom = await runner.run("custom", thread(), input={"log": []}, stream_mode=MODES, subgraphs=True)
        assert custom.named("custom") == [{"a": 1}, "text", [1], {"name": "n", "payload": 2}]
        static = await runner.run("static", thread(), input=HI, stream_mode=MODES, subgraphs=True)
        assert not static.named("protocol/messages"), "no model streamed them"
        assert [each["id"] for each in static.named("values")[-1]["messages"]] == ["u1", "m1", "m2"]

    check_with(check)


def test_configs_of_system_assistants() -> None:
    configs = {"plain": {"configurable": {"a": 1}, "tags": ["t"]}}

    async def check(runner) -> None:
        assert {each["graph_id"]: each["config"] for each in runner.ready} == {"plain": configs["plain"], "url": None}

    two = {name: GRAPHS[name] for name in ("plain", "url")}
    check_with(check, two, env={"LANGGRAPH_CONFIG": json.dumps(configs)})
    document, _ = fatal(two, env={"LANGGRAPH_CONFIG": "[1]"})
    assert document["target"] == "LANGGRAPH_CONFIG" and "JSON object" in document["message"]


@pytest.mark.parametrize("fields", [None, ["$"]])
def test_an_index_without_fields_embeds_the_whole_value(fields) -> None:
    asked = []

    def embed(texts):
        asked.extend(texts)
        return [[1.0, 2.0] for _ in texts]

    index = StoreIndex(embed, 2, fields)
    assert asyncio.run(index.embed_value({"text": "x", "n": {"b": [1]}})) == [("$", [1.0, 2.0])]
    assert json.loads(asked[0]) == {"text": "x", "n": {"b": [1]}}
