"""`langopen up` on something that can't work: it ends, with a message that helps."""

import json
import socket
import subprocess
from pathlib import Path

import pytest
from langgraph_sdk import get_sync_client

from helpers import durable_only, one_process_only, own_server_only
from server import Server, environment, find_binary, free_port

pytestmark = own_server_only

GRAPH = """
from langgraph.graph import END, START, StateGraph

builder = StateGraph(dict).add_node("a", lambda state: state).add_edge(START, "a").add_edge("a", END)
graph = builder.compile()
number = 5
"""


class App:
    """An application in a folder of its own, wrong in one way."""

    def __init__(self, folder: Path, cache: Path):
        self.folder, self.cache = folder, cache
        self.data = folder / "data"
        (folder / "graph.py").write_text(GRAPH)
        # A package, not the folder, so that all these applications share one environment.
        self.config = {"dependencies": ["langgraph>=1.0,<2"], "graphs": {"agent": "./graph.py:graph"}}

    def up(self, config: dict | str | None = None, data: Path | None = None, port: int | None = None):
        path = self.folder / "langgraph.json"
        if config is not None:
            path.write_text(config if isinstance(config, str) else json.dumps(config))
        command = [
            str(find_binary()), "up", "--config", str(path), "--port", str(port or free_port()),
            "--data", str(data or self.data), "--hosts", "1",
        ]  # fmt: skip
        return subprocess.run(
            command, env=environment(self.cache), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
        )


@pytest.fixture
def app(tmp_path, cache_dir):
    return App(tmp_path, cache_dir)


def assert_explained(outcome, *words: str) -> str:
    """Non-zero, and the message on stderr has every word; no panic of the server's own."""
    assert outcome.returncode not in (0, 101, -6, -11), outcome.stderr
    for word in words:
        assert word in outcome.stderr, f"{word!r} is missing in:\n{outcome.stderr}"
    assert "panicked at" not in outcome.stderr
    assert "RUST_BACKTRACE" not in outcome.stderr
    assert "error" in outcome.stderr.lower()
    return outcome.stderr


def test_import_fails(app):
    (app.folder / "graph.py").write_text("import nonexistent_thing_of_the_test\n")
    said = assert_explained(app.up(app.config), "agent", "graph.py", "nonexistent_thing_of_the_test")
    assert "ModuleNotFoundError" in said


def test_import_raises(app):
    (app.folder / "graph.py").write_text("x = 1\nraise ValueError('broken on purpose')\n")
    assert_explained(app.up(app.config), "graph.py", "ValueError", "broken on purpose")


def test_syntax_error(app):
    (app.folder / "graph.py").write_text("def broken(:\n    pass\n")
    assert_explained(app.up(app.config), "graph.py", "SyntaxError")


def test_attribute_missing(app):
    config = app.config | {"graphs": {"agent": "./graph.py:grahp"}}
    assert_explained(app.up(config), "agent", "graph.py", "grahp")


def test_attribute_is_not_a_graph(app):
    config = app.config | {"graphs": {"agent": "./graph.py:number"}}
    assert_explained(app.up(config), "agent", "number", "int")


def test_file_missing(app):
    config = app.config | {"graphs": {"agent": "./missing.py:graph"}}
    assert_explained(app.up(config), "agent", "missing.py")


def test_target_without_a_variable(app):
    config = app.config | {"graphs": {"agent": "./graph.py"}}
    assert_explained(app.up(config), "agent", "graph.py", "langgraph.json")


def test_dependency_does_not_exist(app):
    config = app.config | {"dependencies": ["langopen-test-package-that-is-nowhere==99.0"]}
    assert_explained(app.up(config), "langopen-test-package-that-is-nowhere")


def test_dependency_folder_missing(app):
    config = app.config | {"dependencies": ["./no-such-folder"]}
    assert_explained(app.up(config), "no-such-folder")


def test_config_missing(app):
    assert_explained(app.up(), str(app.folder / "langgraph.json"))


def test_config_is_not_json(app):
    assert_explained(app.up('{"graphs": {\n  "agent": oops\n}}'), "langgraph.json:2")


def test_config_without_graphs(app):
    assert_explained(app.up({"dependencies": ["."]}), "langgraph.json", "graphs")


def test_unknown_key(app):
    """A note names the key and the nearest known one; something else ends this start."""
    outcome = app.up(app.config | {"grpahs": {}, "graphs": {"agent": "./graph.py:missing"}})
    assert_explained(outcome, "missing")
    assert "`grpahs`: this key is unknown and has no effect. Did you mean `graphs`?" in outcome.stdout


@pytest.mark.parametrize(("key", "value"), [("graphs", []), ("dependencies", "."), ("env", 5), ("python_version", 3)])
def test_wrong_type_of_a_key(app, key, value):
    assert_explained(app.up(app.config | {key: value}), "langgraph.json", key)


def test_port_in_use(app):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_explained(app.up(app.config, port=port), str(port), "in use")


def test_data_folder_cannot_be_made(app):
    """Below a file there can be no folder, whoever asks."""
    (app.folder / "file").write_text("kept")
    data = app.folder / "file" / "data"
    assert_explained(app.up(app.config, data=data), str(data))
    assert (app.folder / "file").read_text() == "kept"


@one_process_only("nobody holds the folder")
def test_data_folder_in_use(app, suite_server):
    """Two servers on one folder would take each other's runs."""
    assert_explained(app.up(app.config, data=suite_server.data), str(suite_server.data))


def test_unknown_option():
    outcome = subprocess.run([str(find_binary()), "up", "--nonsense"], capture_output=True, text=True, timeout=20)
    assert outcome.returncode == 2
    assert "--nonsense" in outcome.stderr


@durable_only
def test_data_survives_a_failed_start(app, cache_dir):
    """A start that fails changes nothing in the data that are there."""
    app.up({"graphs": {}})
    (app.folder / "langgraph.json").write_text(json.dumps(app.config))
    server = Server(app.data, cache_dir, config=app.folder / "langgraph.json")
    server.start()
    with get_sync_client(url=server.url) as client:
        thread = client.threads.create(metadata={"kept": True})
    server.stop()
    assert_explained(app.up(app.config | {"graphs": {"agent": "./graph.py:grahp"}}), "grahp")
    (app.folder / "langgraph.json").write_text(json.dumps(app.config))
    server.start()
    with get_sync_client(url=server.url) as client:
        assert client.threads.get(thread["thread_id"]) == thread
    server.stop()
