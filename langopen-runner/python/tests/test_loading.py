"""Every form of a target, and every error that one can have."""

from __future__ import annotations

import sys
from pathlib import Path

from helpers import fatal, thread, with_runner

GRAPH = """
from typing_extensions import TypedDict
from langgraph.graph import StateGraph, START
class S(TypedDict): x: str
def build(word):
    return StateGraph(S).add_node("n", lambda s: {"x": word}).add_edge(START, "n").compile()
"""


def test_targets(tmp_path: Path) -> None:
    (tmp_path / "pkg" / "deep").mkdir(parents=True)
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "deep" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "tools.py").write_text(GRAPH)
    (tmp_path / "pkg" / "deep" / "agent.py").write_text("from ..tools import build\ngraph = build('package')\n")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "sibling.py").write_text(GRAPH)
    (tmp_path / "flat" / "json.py").write_text("from sibling import build\ngraph = build('sibling')\n")
    (tmp_path / "src" / "lib").mkdir(parents=True)
    (tmp_path / "src" / "lib" / "__init__.py").write_text(GRAPH + "graph = build('module')\nclass Box: inner = graph\n")
    (tmp_path / "named.py").write_text(
        GRAPH + "graph = build('named'); graph.name = 'Nice Name'\nimport asyncio\nasyncio.run(asyncio.sleep(0))\n"
    )
    graphs = {
        "package": "./pkg/deep/agent.py:graph",
        "sibling": "flat/json.py:graph",
        "module": "lib:graph",
        "dotted": "lib:Box.inner",
        "absolute": f"{tmp_path}/named.py:graph",
        "described": {"target": "./named.py:graph", "description": "what it does"},
    }

    async def check(runner) -> None:
        assert runner.fatal is None, runner.fatal
        assert [item["graph_id"] for item in runner.ready] == list(graphs)
        assert {item["graph_id"]: item["name"] for item in runner.ready}["absolute"] == "Nice Name"
        assert runner.ready[0]["name"] == "package"
        assert runner.ready[-1]["description"] == "what it does"
        for graph_id, word in (("package", "package"), ("sibling", "sibling"), ("module", "module"), ("dotted", "module")):
            assert (await runner.run(graph_id, input={"x": ""})).values == {"x": word}

    with_runner(check, graphs, base_dir=tmp_path, search_path=[str(tmp_path / "src")])


def test_hello_and_ping() -> None:
    async def check(runner) -> None:
        assert runner.hello["protocol"] == 2 and runner.hello["token"] == "t0"
        assert runner.hello["pid"] == runner.process.pid
        assert runner.hello["python_version"] == ".".join(map(str, sys.version_info[:3]))
        assert await runner.ping() == b"12345678"

    with_runner(check, {"chat": "./graphs.py:chat"})


def test_failures(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f():\n    raise ZeroDivisionError('at import')\nf()\n")
    (tmp_path / "syntax.py").write_text("def f(:\n")
    cases = {
        "./graphs.py:nothing_here": ("AttributeError", "'chat'"),
        "./graphs.py:not_a_graph": ("TypeError", "int"),
        "./absent.py:graph": ("FileNotFoundError", "absent.py"),
        "no.such.module:graph": ("ModuleNotFoundError", "no"),
        "./graphs.py": ("GraphLoadError", "path/to/file.py:variable"),
        f"{tmp_path}/broken.py:graph": ("ZeroDivisionError", "at import"),
        f"{tmp_path}/syntax.py:graph": ("SyntaxError", "syntax"),
    }
    for target, (kind, text) in cases.items():
        document, status = fatal({"g": target})
        assert document["error"] == kind, document
        assert text in document["message"], document
        assert document["graph_id"] == "g" and document["target"] == target
        assert "langopen_host" not in document["traceback"], document["traceback"]
        assert status == 1


def test_factories() -> None:
    async def check(runner) -> None:
        async def log(graph_id: str, **given):
            return (await runner.run(graph_id, input={"log": []}, **given)).values["log"]

        assert await log("make_graph", configurable={"which": "w"}) == ["w:True"]
        assert await log("make_graph_async") == ["async"]
        user = {"identity": "ann", "permissions": []}
        got = await log("make_with_runtime", context={"model_name": "m"}, configurable={"langgraph_auth_user": user})
        assert got == ["threads.create_run:m:ann"]
        assert await log("make_by_generator") == ["threads.create_run"]
        await runner.ping()
        assert [entry["message"] for entry in runner.logs] == ["opened", "closed"]
        wrong = await runner.run("make_wrong", input={})
        assert wrong.header["error"]["error"] == "TypeError" and not wrong.header["has_state"]
        at = {"configurable": {"thread_id": thread()}}
        drawn = await runner.call("graph.draw", graph_id="make_graph", config={"configurable": {"which": "q"}}, xray=False)
        assert [node["id"] for node in drawn["nodes"]] == ["__start__", "q", "__end__"]
        assert (await runner.call("state.get", graph_id="make_with_runtime", config=at, subgraphs=False))["state"]["values"] == {}

    with_runner(check)


def test_user_saver_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        GRAPH
        + "from langgraph.checkpoint.memory import InMemorySaver\n"
        + "graph = StateGraph(S).add_node('n', lambda s: {'x': 'y'}).add_edge(START, 'n').compile(checkpointer=InMemorySaver())\n"
    )

    async def check(runner) -> None:
        await runner.run("own", thread(), input={"x": ""})
        assert "checkpoints.put" in runner.tables.calls
        assert any("checkpointer of its own" in entry["message"] for entry in runner.logs)

    with_runner(check, {"own": "./own.py:graph"}, base_dir=tmp_path)
