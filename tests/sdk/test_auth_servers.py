"""The application's own login where servers start: with API keys beside it, with what is wrong with it, and while hosts are away."""

import asyncio
import subprocess
from pathlib import Path

import httpx

from helpers import AUTH_APP, STUDIO, bearer, own_server_only
from server import Server, find_binary

pytestmark = own_server_only


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """The application with another line."""
    for name in ("agent.py", "login.py", "langgraph.json"):
        text = (AUTH_APP.parent / name).read_text()
        (tmp_path / name).write_text(text.replace(old, new))
    return tmp_path / "langgraph.json"


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(find_binary()), *arguments], capture_output=True, text=True, timeout=60)


def test_api_keys_beside_the_login(tmp_path, cache_dir):
    made = command("keys", "new", "--name", "ci", "--identity", "ci@acme", "--permission", "p1")
    assert made.returncode == 0, made.stderr
    key = next(word for word in made.stdout.split() if word.startswith("lok_"))
    record = made.stdout[made.stdout.index("[[keys]]") :]
    assert key not in record
    keys = tmp_path / "keys.toml"
    keys.write_text(record)
    server = Server(tmp_path / "data", cache_dir, AUTH_APP, {"LANGOPEN_API_KEYS_FILE": str(keys)})
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            for headers in ({"x-api-key": key}, bearer(key)):
                thread = http.post("/threads", json={}, headers=headers)
                assert thread.json()["metadata"] == {"owner": "ci@acme"}, "the handlers decide about keys too"
            assert http.post("/threads", json={}, headers=bearer("alice")).json()["metadata"] == {"owner": "alice"}
            for headers in ({}, {"x-api-key": key[:-1]}, bearer(key + "x"), {"x-api-key": "lok_"} | bearer("alice"), STUDIO):
                assert http.post("/threads", json={}, headers=headers).status_code == 401, headers
        assert key not in server.logs()
    finally:
        server.stop()


def test_an_app_without_an_authenticate_handler_does_not_start(tmp_path, cache_dir):
    config = changed(tmp_path, "@auth.authenticate", "")
    outcome = subprocess.run(
        Server(tmp_path / "data", cache_dir, config).command, env=Server(tmp_path / "data", cache_dir).env,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert outcome.returncode == 1 and "authenticate" in outcome.stderr, outcome.stderr


def test_a_login_that_cannot_be_imported_says_why(tmp_path, cache_dir):
    config = changed(tmp_path, "asked = 0", "import no_such_module")
    server = Server(tmp_path / "data", cache_dir, config)
    outcome = subprocess.run(server.command, env=server.env, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 1
    assert "no_such_module" in outcome.stderr and "./login.py:auth" in outcome.stderr, outcome.stderr


def test_uncovered_resources_are_told_and_studio_can_be_shut_out(tmp_path, cache_dir):
    config = changed(tmp_path, "@auth.on\n", "")
    config.write_text(config.read_text().replace('"path": "./login.py:auth"', '"path": "./login.py:auth", "disable_studio_auth": true'))
    server = Server(tmp_path / "data", cache_dir, config).start()
    try:
        said = server.logs()
        assert "crons.create" in said and "threads.read" in said and "store.put" not in said
        assert httpx.post(f"{server.url}/threads", json={}, headers=STUDIO).status_code == 401
    finally:
        server.stop()


async def test_nobody_gets_in_while_hosts_are_away(tmp_path, cache_dir):
    config = changed(tmp_path, "await asyncio.sleep(60)", "import os; os._exit(3)")
    server = Server(tmp_path / "data", cache_dir, config, hosts=2).start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as http:
            thread = (await http.post("/threads", json={}, headers=bearer("alice"))).json()["thread_id"]
            killing = {"assistant_id": "slow", "input": {}}
            for _ in range(6):
                await http.post("/runs", json=killing, headers=bearer("alice"))
            for _ in range(40):
                answers = await asyncio.gather(
                    http.get(f"/threads/{thread}", headers=bearer("bob")), http.get(f"/threads/{thread}")
                )
                assert answers[0].status_code in (404, 503), answers[0].text
                assert answers[1].status_code in (401, 503), answers[1].text
    finally:
        server.stop()
