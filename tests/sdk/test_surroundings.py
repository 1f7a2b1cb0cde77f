"""What user code sees of the machine: its variables, the platform's files, other processes."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from langgraph_sdk import get_sync_client

from helpers import one_process_only, own_server_only
from server import Server, environment, find_binary, free_port

pytestmark = [own_server_only, one_process_only("the tests of the programs look at the runner")]

GRAPH = """
import os, tempfile
from pathlib import Path
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    paths: list
    env: dict
    read: dict
    new: str


def look(state):
    read = {}
    for path in [*state["paths"], f"/proc/{os.getppid()}/environ", f"/proc/{os.getppid()}/mem"]:
        try:
            if os.path.isdir(path):
                read[path] = bool(os.listdir(path))
            else:
                with open(path, "rb") as file:
                    read[path] = bool(file.read(1))
        except OSError as error:
            read[path] = type(error).__name__
    try:
        os.kill(os.getppid(), 0)
        read["signal"] = True
    except OSError as error:
        read["signal"] = type(error).__name__
    # The application works in its own folder and in a temporary one, as ever.
    Path("notes.txt").write_text("a note")
    new = Path("notes.txt").read_text()
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write(new)
        file.seek(0)
        new = file.read()
    return {"env": dict(os.environ), "read": read, "new": new}


graph = StateGraph(State).add_node("look", look).add_edge(START, "look").add_edge("look", END).compile()
"""

# A build backend that keeps what it sees: `setup.py` and npm scripts run in the same environment.
BACKEND = """
import json, os, pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    pathlib.Path(os.getcwd(), "seen.json").write_text(json.dumps(dict(os.environ)))
    try:
        parent = pathlib.Path(f"/proc/{os.getppid()}/environ").read_bytes()
    except OSError:
        parent = b""
    info = "probe-1.0.dist-info/"
    files = {
        "probe.pth": "",
        info + "METADATA": "Metadata-Version: 2.1\\nName: probe\\nVersion: 1.0\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "RECORD"] = "".join(f"{name},,\\n" for name in files) + f"{info}RECORD,,\\n"
    with zipfile.ZipFile(pathlib.Path(folder) / "probe-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    return "probe-1.0-py3-none-any.whl"

build_wheel = build_editable
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "probe"
version = "1.0"
requires-python = ">=3.11"
"""

PLATFORM = {
    "LANGOPEN_RUNNER_TOKEN": "the-token-of-the-runner",
    "DATABASE_DIRECT_URL": "postgres://u:secret-of-postgres@h/d",
    "PGPASSWORD": "secret-of-libpq",
    "POSTGRES_PASSWORD": "secret-of-compose",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-key=secret-of-the-collector",
}
OWN = {
    "DATABASE_URL": "postgres://app:own@elsewhere/app",
    "REDIS_URL": "redis://elsewhere:6379/1",
    "OPENAI_API_KEY": "sk-own",
    "HTTPS_PROXY": os.environ.get("HTTPS_PROXY", ""),
}


def make(folder: Path, **config) -> Path:
    folder.mkdir()
    (folder / "graph.py").write_text(GRAPH)
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"dependencies": ["langgraph>=1.0,<2"], "graphs": {"agent": "./graph.py:graph"}} | config))
    return path


def look(server: Server, paths: list[Path]) -> dict:
    with get_sync_client(url=server.url) as client:
        return client.runs.wait(None, "agent", input={"paths": [str(path) for path in paths]})


@pytest.mark.parametrize("place", ["beside", "inside"])
def test_hosts_see_nothing_of_the_platform(tmp_path, cache_dir, place):
    config = make(tmp_path / "app", env={"GIVEN": "by the file"})
    data = tmp_path / "data" if place == "beside" else config.parent / ".langopen"
    keys = tmp_path / "keys.toml"
    keys.write_text("keys = []\n")
    server = Server(data, cache_dir, config=config, env=PLATFORM | {k: v for k, v in OWN.items() if v})
    try:
        server.start()
        other = cache_dir / "another-application"
        other.mkdir(exist_ok=True)
        (other / "secret").write_text("x")
        seen = look(server, [data / "langopen.db", data, other / "secret", config])
        pid = server.process.pid
        logs = server.logs()
    finally:
        server.stop()
    env = seen["env"]
    assert not PLATFORM.keys() & env.keys()
    assert not [name for name in env if name.startswith("LANGOPEN_") and not name.startswith("LANGOPEN_HOST_")]
    assert not [name for name, value in env.items() if "secret-of-" in value]
    assert {name: env[name] for name, value in OWN.items() if value} == {k: v for k, v in OWN.items() if v}
    assert env["GIVEN"] == "by the file" and env["PATH"] and seen["new"] == "a note"

    assert (stat.S_IMODE(data.stat().st_mode), data.stat().st_uid) == (0o700, os.getuid())
    for file in data.iterdir():
        assert not file.is_file() or stat.S_IMODE(file.stat().st_mode) == 0o600, file
    if "graph hosts cannot read" not in logs:
        pytest.skip(f"no Landlock here:\n{logs}")
    read = seen["read"]
    assert read[str(config)] is True
    hidden = [data / "langopen.db", other / "secret", f"/proc/{pid}/environ", f"/proc/{pid}/mem"]
    assert not [path for path in map(str, hidden) if read[path] is True], read


def test_installers_see_nothing_of_the_platform(tmp_path, cache_dir):
    config = make(tmp_path / "app", dependencies=["langgraph>=1.0,<2", "./probe"], env={"GIVEN": "to graphs alone"})
    (config.parent / "probe").mkdir()
    (config.parent / "probe/backend.py").write_text(BACKEND)
    (config.parent / "probe/pyproject.toml").write_text(PYPROJECT)
    server = Server(tmp_path / "data", tmp_path / "environments", config=config, env=PLATFORM | {"OPENAI_API_KEY": "sk-own"})
    try:
        server.start()
    finally:
        server.stop()
    seen = json.loads((config.parent / "probe/seen.json").read_text())
    assert not PLATFORM.keys() & seen.keys() and "GIVEN" not in seen
    assert not [name for name in seen if name.startswith("LANGOPEN_")]
    assert seen["OPENAI_API_KEY"] == "sk-own" and seen["PATH"]


def test_configurations_as_people_write_them(tmp_path, cache_dir):
    """The stock command line accepts all of this."""
    config = make(
        tmp_path / "app",
        name="agent", version="1.0", cors={"allow_origins": ["*"]}, api_version=">~=0.15.0rc1", env="missing.env",
        store={"type": "postgres", "uri": "postgres://u:hush@h"},
    )  # fmt: skip
    server = Server(tmp_path / "data", cache_dir, config=config)
    try:
        server.start()
        logs = server.logs()
    finally:
        server.stop()
    for note in ["`cors`", "`http.cors`", "`store.type`", "missing.env does not exist"]:
        assert note in logs, logs
    assert "hush" not in logs


def test_require_and_off_are_told(tmp_path, cache_dir):
    config = make(tmp_path / "app", graphs={"agent": "./graph.py:missing"})
    for mode, says in [("off", "off: graph hosts can read whatever this user can"), ("auto", "sandbox")]:
        command = [str(find_binary()), "up", "--config", str(config), "--port", str(free_port()), "--data", str(tmp_path / "data")]
        done = subprocess.run(
            [*command, "--hosts", "1", "--sandbox", mode], env=environment(cache_dir), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 1 and says in done.stdout, done.stdout + done.stderr


def test_secrets_come_from_files(tmp_path, cache_dir):
    config = make(tmp_path / "app")
    url = tmp_path / "url"
    url.write_text("memory:\n")
    server = Server(tmp_path / "data", cache_dir, config=config, env={"LANGOPEN_DATABASE_URL_FILE": str(url)})
    server.database = []
    try:
        server.start()
        assert "in memory" in server.logs()
    finally:
        server.stop()
    url.write_text("")
    command = [str(find_binary()), "up", "--config", str(config), "--port", str(free_port()), "--data", str(tmp_path / "data")]
    done = subprocess.run([*command, "--database-file", str(url)], env=environment(cache_dir), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "--database-file cannot be read" in done.stderr and "empty" in done.stderr
