"""Several deployments and API keys with roles, made and revoked by the command line beside a server that runs."""

import json
import subprocess

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError, PermissionDeniedError

from helpers import HI, durable_only, one_process_only, own_server_only, until
from server import Server, find_binary

pytestmark = [own_server_only, durable_only]


@pytest.fixture
def server(tmp_path, cache_dir):
    server = Server(tmp_path / "data", cache_dir)
    server.start()
    yield server
    server.stop()
    print(server.logs(8_000))


def langopen(server: Server, *arguments: str) -> str:
    command = [str(find_binary()), *arguments, *server.store]
    done = subprocess.run(command, env=server.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_key(server: Server, role: str, scope: str) -> tuple[str, str]:
    made = langopen(server, "keys", "create", "--name", role, "--role", role, "--scope", scope, "--json")
    return json.loads(made)["key_id"], json.loads(made)["key"]


async def status(url: str, key: str | None, path: str, body: dict) -> int:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        headers = {"x-api-key": key} if key else {}
        return (await http.post(path, json=body, headers=headers)).status_code


@one_process_only("each deployment needs a runner of its own")
async def test_deployments_of_one_address_are_apart(server):
    langopen(server, "deployments", "set", "prod", "--host", "prod.example")

    async def is_served():
        return await status(server.url, None, "/d/prod/threads/search", {}) == 200

    await until(is_served)
    async with get_client(url=server.url) as root, get_client(url=f"{server.url}/d/prod") as prod:
        thread_id = (await prod.threads.create())["thread_id"]
        # The stream is cut and taken up again by the path that the server told.
        chunks = [chunk async for chunk in prod.runs.stream(thread_id, "chat", input=HI, stream_resumable=True)]
        assert chunks[-1].event == "values", chunks
        run = (await prod.runs.list(thread_id))[0]
        again = [chunk async for chunk in prod.runs.join_stream(thread_id, run["run_id"], last_event_id="-1")]
        assert [chunk.event for chunk in again] == [chunk.event for chunk in chunks]
        with pytest.raises(NotFoundError):
            await root.threads.get(thread_id)
        assert await root.threads.count() == 0
    async with httpx.AsyncClient(base_url=server.url, headers={"host": "prod.example:80"}) as by_host:
        assert (await by_host.get(f"/threads/{thread_id}")).status_code == 200
    assert await status(server.url, None, "/d/nothing/threads/search", {}) == 404


async def test_keys_close_a_server_and_bind_what_their_bearers_may_do(server):
    assert await status(server.url, None, "/threads", {}) == 200
    everywhere = "default/default/*"
    _, developer = new_key(server, "developer", everywhere)
    viewer_id, viewer = new_key(server, "viewer", "default/default/default")

    async def is_closed():
        return await status(server.url, None, "/threads", {}) == 401

    await until(is_closed)
    assert await status(server.url, viewer, "/threads/search", {}) == 200
    assert await status(server.url, viewer, "/threads", {}) == 403
    assert await status(server.url, viewer, "/d/default/threads/search", {}) == 200
    assert await status(server.url, viewer, "/d/other/threads/search", {}) == 403
    assert await status(server.url, developer, "/threads", {}) == 400, "it is for several deployments"
    async with get_client(url=f"{server.url}/d/default", api_key=developer) as client:
        thread = await client.threads.create()
        values = await client.runs.wait(thread["thread_id"], "chat", input=HI)
        assert values["messages"]
        with pytest.raises(PermissionDeniedError):
            await client.threads.delete(thread["thread_id"])
    langopen(server, "keys", "revoke", viewer_id)

    async def is_revoked():
        return await status(server.url, viewer, "/threads/search", {}) == 401

    await until(is_revoked)
    log = server.logs(1_000_000)
    assert developer not in log and viewer not in log


async def test_limits_are_told(server):
    langopen(server, "deployments", "set", "default", "--max-runs-in-flight", "0")
    run = {"assistant_id": "chat", "input": HI}

    async def is_limited():
        return await status(server.url, None, "/runs", run) == 429

    await until(is_limited)
    async with httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.post("/runs", json=run)
    assert int(answer.headers["retry-after"]) > 0 and "max_runs_in_flight" in answer.json()["detail"]
    langopen(server, "deployments", "set", "default", "--max-runs-in-flight", "none", "--max-running-runs", "1")
    assert await status(server.url, None, "/runs/wait", run) == 200
