"""`langopen up` on a JavaScript application that can't work: it ends, with a message that helps."""

import json
import subprocess
from pathlib import Path

import pytest

from helpers import own_server_only
from server import HERE, environment, find_binary, free_port

pytestmark = own_server_only
APP = HERE / "app_ts"
GRAPH = """
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
const State = Annotation.Root({ word: Annotation<string> });
export const graph = new StateGraph(State).addNode("a", () => ({ word: "a" })).addEdge(START, "a").addEdge("a", END).compile();
export const number: number = 5;
"""


@pytest.fixture
def app(tmp_path) -> Path:
    """An application beside whose code there is nothing to install: it borrows the packages of the suite's."""
    (tmp_path / "graph.ts").write_text(GRAPH)
    (tmp_path / "langgraph.json").write_text(json.dumps({"node_version": "20", "graphs": {"agent": "./graph.ts:graph"}}))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "package-lock.json").write_text("{}")
    return tmp_path


@pytest.fixture
def packages(app, suite_server):
    """The packages of the suite's application, which its server has installed."""
    if not (APP / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=APP, check=True)
    # One by one: the folder itself would bear the note of whoever installed it.
    (app / "node_modules").mkdir()
    for package in (APP / "node_modules").glob("[!.]*"):
        (app / "node_modules" / package.name).symlink_to(package)


def up(app, cache_dir, **env):
    command = [
        str(find_binary()), "up", "--config", str(app / "langgraph.json"), "--port", str(free_port()), "--data", str(app / "data"),
        "--hosts", "1",
    ]  # fmt: skip
    return subprocess.run(
        command, env=environment(cache_dir, env), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


def assert_explained(outcome, *words: str) -> None:
    assert outcome.returncode not in (0, 101, -6, -11), outcome.stderr
    for word in words:
        assert word in outcome.stderr, f"{word!r} is missing in:\n{outcome.stderr}"
    assert "panicked at" not in outcome.stderr


def test_lock_file_missing(app, cache_dir):
    (app / "package-lock.json").unlink()
    assert_explained(up(app, cache_dir), str(app / "package.json"), "there is no lock file", "npm install")


def test_node_absent(app, cache_dir, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    assert_explained(up(app, cache_dir, PATH=str(empty)), "Node.js 20 or newer was not found", "https://nodejs.org")


def test_node_too_old(app, cache_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    old = folder / "node"
    old.write_text("#!/bin/sh\necho v16.20.2\n")
    old.chmod(0o755)
    assert_explained(up(app, cache_dir, PATH=str(folder)), f"{old}: is Node.js 16.20.2")


def test_package_manager_missing(app, cache_dir, tmp_path_factory):
    (app / "package-lock.json").unlink()
    (app / "pnpm-lock.yaml").write_text("lockfileVersion: '9.0'\n")
    folder = tmp_path_factory.mktemp("node")
    node = folder / "node"
    node.write_text("#!/bin/sh\necho v22.1.0\n")
    node.chmod(0o755)
    assert_explained(up(app, cache_dir, PATH=str(folder)), "pnpm-lock.yaml is for pnpm", "pnpm is not on PATH")


def test_lock_file_that_does_not_fit(app, cache_dir):
    (app / "package.json").write_text('{"type": "module", "dependencies": {"@langchain/langgraph": "1.7.3"}}')
    assert_explained(up(app, cache_dir), "Installing the packages of", "npm ci", str(app))
    assert not (app / "node_modules" / ".langopen").exists()


def test_typescript_does_not_compile(app, cache_dir, packages):
    (app / "graph.ts").write_text("const x = 1;\nexport const graph = {{;\n")
    assert_explained(up(app, cache_dir), "agent", "graph.ts:2", "ERROR")


def test_module_throws(app, cache_dir, packages):
    (app / "graph.ts").write_text("const x: string | undefined = undefined;\nexport const graph = x!.length;\n")
    assert_explained(up(app, cache_dir), "TypeError", "graph.ts:2")


def test_package_that_is_not_there(app, cache_dir, packages):
    (app / "graph.ts").write_text('import { lost } from "no-such-package-of-the-test";\nexport const graph = lost;\n')
    assert_explained(up(app, cache_dir), "no-such-package-of-the-test")


def test_export_missing_or_of_another_kind(app, cache_dir, packages):
    config = {"node_version": "20", "graphs": {"agent": "./graph.ts:grahp"}}
    (app / "langgraph.json").write_text(json.dumps(config))
    assert_explained(up(app, cache_dir), "'grahp'", "'graph', 'number'")
    (app / "langgraph.json").write_text(json.dumps(config | {"graphs": {"agent": "./graph.ts:number"}}))
    assert_explained(up(app, cache_dir), "'number'", "is a number")
