"""Applications whose packages are installed by pnpm and by yarn, from the lock files that these wrote, with the real tools."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from helpers import own_server_only
from server import Server

pytestmark = [own_server_only, pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm to fetch the package managers")]

GRAPH = """
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import leftPad from "left-pad";
const State = Annotation.Root({ word: Annotation<string> });
const pad = ({ word }: typeof State.State) => ({ word: leftPad(word, 5, ".") });
export const graph = new StateGraph(State).addNode("pad", pad).addEdge(START, "pad").addEdge("pad", END).compile();
"""
PACKAGE = {
    "name": "app",
    "version": "1.0.0",
    "type": "module",
    "dependencies": {"@langchain/core": "1.4.0", "@langchain/langgraph": "1.7.3", "left-pad": "1.3.0"},
}
# The package that brings the tool, how it writes a lock file, and that file.
TOOLS = {
    "pnpm": ("pnpm@12.21.0", ["pnpm", "install", "--lockfile-only"], "pnpm-lock.yaml"),
    "yarn 1": ("yarn@1.22.22", ["yarn", "install", "--ignore-scripts", "--non-interactive"], "yarn.lock"),
    "yarn 4": ("@yarnpkg/cli-dist@4.18.1", ["yarn", "install", "--mode=update-lockfile"], "yarn.lock"),
}


@pytest.fixture(params=TOOLS)
def app(request, tmp_path_factory) -> tuple[Path, str]:
    """An application with a lock file and nothing installed, and a PATH on which the tool that wrote it is the first."""
    package, lock, lock_file = TOOLS[request.param]
    tools, folder = tmp_path_factory.mktemp("tools"), tmp_path_factory.mktemp("app")
    fetched = subprocess.run(
        ["npm", "install", "--prefix", str(tools), "--no-audit", "--no-fund", package], capture_output=True, text=True, timeout=120
    )
    if fetched.returncode:
        pytest.skip(f"{package} cannot be fetched: {fetched.stderr.strip()[-300:]}")
    path = f"{tools / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    (folder / "graph.ts").write_text(GRAPH)
    (folder / "package.json").write_text(json.dumps(PACKAGE))
    (folder / "langgraph.json").write_text(json.dumps({"node_version": "20", "graphs": {"agent": "./graph.ts:graph"}}))
    if request.param == "yarn 4":
        (folder / ".yarnrc.yml").write_text("enableTelemetry: false\n")
    # In CI these tools write no lock file.
    env = os.environ | {"PATH": path, "CI": "", "YARN_ENABLE_IMMUTABLE_INSTALLS": "false", "YARN_NODE_LINKER": "node-modules"}
    written = subprocess.run(lock, cwd=folder, env=env, capture_output=True, text=True, timeout=180)
    assert written.returncode == 0, written.stdout + written.stderr
    assert (folder / lock_file).is_file()
    shutil.rmtree(folder / "node_modules", ignore_errors=True)
    return folder, path


def test_packages_come_from_the_lock_file(app, cache_dir):
    folder, path = app
    server = Server(folder / "data", cache_dir, folder / "langgraph.json", {"PATH": path})
    try:
        server.start()
        answer = httpx.post(f"{server.url}/runs/wait", json={"assistant_id": "agent", "input": {"word": "hi"}}, timeout=60)
        assert answer.json() == {"word": "...hi"}
        assert (folder / "node_modules" / ".langopen").is_file()
        assert "installing the packages" in server.logs().lower()
        server.stop()
        before = server.log_size()
        server.start()
        assert "installing" not in server.logs(since=before).lower(), "they are there already"
    finally:
        server.stop()
