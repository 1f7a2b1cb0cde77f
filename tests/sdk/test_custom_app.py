"""`http.app`: an application's own routes and middleware beside the API."""

import asyncio
import json
import os
import time
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client

from helpers import new_id, own_server_only, until
from server import HERE, Server

pytestmark = own_server_only

WEBAPP = HERE / "webapp"


@pytest.fixture(scope="module")
def flags(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("flags")


@pytest.fixture(scope="module")
def web_server(tmp_path_factory, cache_dir, flags):
    """An application with middleware and a lifespan."""
    env = {"SUITE_FLAGS": str(flags), "HTTP_MAX_REQUEST_BODY_BYTES": str(20 * 1024 * 1024)}
    server = Server(tmp_path_factory.mktemp("web") / "data", cache_dir, WEBAPP / "langgraph.json", env).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory, cache_dir):
    """An application without middleware, under a prefix."""
    server = Server(tmp_path_factory.mktemp("plain") / "data", cache_dir, WEBAPP / "plain.json").start()
    yield server
    server.stop()


@pytest.fixture
async def web(web_server):
    async with httpx.AsyncClient(base_url=web_server.url, timeout=60) as web:
        yield web


@pytest.fixture
async def plain(plain_server):
    async with httpx.AsyncClient(base_url=plain_server.url, timeout=60) as plain:
        yield plain


async def test_own_routes_with_state_of_the_lifespan(web):
    answer = await web.get("/hello/w%C3%B6rld?a=1&a=2", headers={"x-agent": "é".encode("latin-1")})
    state = {"by_app": "started", "by_state": "started"}
    assert answer.json() == {"name": "wörld", "query": {"a": "2"}, "agent": "é", **state}
    assert answer.headers["x-middleware"] == "seen"
    assert (await web.get("/more/included")).json() == {"included": True}
    assert (await web.post("/hello/x")).status_code == 405
    assert (await web.get("/hello/x/", follow_redirects=True)).json()["name"] == "x"


async def test_own_routes_win_except_over_the_servers(web):
    assert (await web.get("/runs/afakeroute")).json() == {"mine": True}
    assert (await web.get("/ok")).json() == {"ok": True, "services": {}}
    assert (await web.get("/nowhere")).json() == {"detail": "Not Found"}
    assert (await web.put("/threads")).status_code == 405


async def test_middleware_sees_the_api(web, web_server):
    for path in ("/ok", "/info", "/docs", "/openapi.json", "/nowhere"):
        assert (await web.get(path)).headers["x-middleware"] == "seen", path
    answer = await web.post("/threads", json={}, headers={"x-stop": "1"})
    assert (answer.status_code, answer.json()) == (418, {"stopped": "/threads"})
    body = {"assistant_id": "echo", "input": {"text": "hello"}}
    answer = await web.post("/runs/wait", json=body, headers={"x-rewrite": "yes"})
    assert answer.json()["text"] == "a much longer greeting!"
    assert answer.headers["content-location"].startswith("/threads/")


async def test_the_sdk_works_through_middleware(web_server):
    async with get_client(url=web_server.url) as client:
        thread = await client.threads.create()
        created = []
        events = [
            part.event
            async for part in client.runs.stream(
                thread["thread_id"], "echo", input={"text": "a"}, stream_mode="values", on_run_created=created.append
            )
        ]
        assert events[0] == "metadata" and events.count("values") >= 2
        assert created and created[0]["thread_id"] == thread["thread_id"]
        assert (await client.threads.get_state(thread["thread_id"]))["values"]["text"] == "a!"


async def test_streams_are_not_held_back(web):
    arrived = []
    async with web.stream("GET", "/stream") as answer:
        async for text in answer.aiter_text():
            arrived.append((time.monotonic(), text))
    assert "".join(text for _, text in arrived) == "".join(f"part {number}\n" for number in range(5))
    assert len(arrived) >= 4
    assert arrived[-1][0] - arrived[0][0] > 1


async def test_bodies_of_any_size(web):
    async def pieces():
        for _ in range(48):
            yield b"y" * 256 * 1024

    counted = (await web.post("/count", content=pieces())).json()
    assert counted["total"] == 12 * 1024 * 1024 and counted["pieces"] > 10
    received = 0
    async with web.stream("GET", "/flood?size=24") as answer:
        async for piece in answer.aiter_bytes():
            received += len(piece)
    assert received == 24 * 1024 * 1024


async def test_bodies_past_the_limit(web, web_server):
    reader, writer = await asyncio.open_connection("127.0.0.1", web_server.port)
    # The head alone: a body that nobody takes would only be cut off.
    writer.write(b"POST /count HTTP/1.1\r\nhost: localhost\r\ncontent-length: 22020096\r\n\r\n")
    assert b" 413 " in await reader.readline()
    writer.close()


async def test_a_client_that_leaves_is_noticed(web, flags):
    name = new_id()
    async with web.stream("GET", f"/endless/{name}") as answer:
        async for _ in answer.aiter_text():
            break

    async def noticed():
        return (flags / f"gone-{name}").exists()

    await until(noticed, 30)
    # Nobody else is disturbed.
    assert (await web.get("/hello/after")).status_code == 200


async def test_errors_of_the_application(web):
    answer = await web.get("/error")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert (await web.post("/colour", json={})).status_code == 422


async def test_an_answer_that_breaks_off_does_not_look_whole(plain):
    with pytest.raises(httpx.RemoteProtocolError):
        await plain.get("/agents/break")


async def test_a_client_without_an_address_loops_back(web, web_server):
    answer = (await web.get("/loop")).json()
    assert (answer["metadata"]["made"], answer["own"]) == ("inside", {"mine": True})
    assert answer["result"]["text"] == "loop!"
    async with get_client(url=web_server.url) as client:
        assert (await client.threads.get(answer["thread_id"]))["status"] == "idle"
        called = await client.runs.wait(None, "caller", input={})
        assert called["text"] == "from a node!" and called["seen"][0] == "metadata" and "values" in called["seen"]
        assert (await client.runs.wait(None, "sync_caller", input={}))["text"] == "from a thread!"


async def test_the_document_has_the_applications_part(web):
    document = (await web.get("/openapi.json")).json()
    assert "/hello/{name}" in document["paths"] and "/threads" in document["paths"] and "/more/included" in document["paths"]
    body = document["paths"]["/colour"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/App_Thread"}
    assert set(document["components"]["schemas"]["App_Thread"]["properties"]) == {"colour"}
    assert "thread_id" in document["components"]["schemas"]["Thread"]["properties"]
    assert "get" in document["paths"]["/ok"] and "/store/items" not in document["paths"]


async def test_cross_origin_rules_hold_for_own_routes_too(web):
    ask = {"origin": "https://app.example", "access-control-request-method": "GET", "access-control-request-headers": "x-api-key"}
    for path in ("/hello/x", "/threads"):
        answer = await web.options(path, headers=ask)
        assert answer.headers["access-control-allow-origin"] == "https://app.example", path
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-headers"] == "x-api-key"
    answer = await web.get("/hello/x", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


async def test_groups_that_are_left_out(web):
    assert (await web.get("/store/items?namespace=a&key=b")).status_code == 404


async def test_websockets_of_the_application_are_refused(web):
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "eA=="}
    answer = await web.get("/socket", headers=headers)
    assert answer.status_code == 501 and "WebSocket" in answer.json()["detail"]


async def test_many_at_once(web):
    answers = await asyncio.gather(*(web.get(f"/hello/{number}") for number in range(60)))
    assert [answer.json()["name"] for answer in answers] == [str(number) for number in range(60)]


async def test_without_middleware_under_a_prefix(plain, plain_server):
    where = (await plain.get("/agents/where")).json()
    assert where == {"path": "/agents/where", "root": "/agents", "url": f"{plain_server.url}/agents/where"}
    assert (await plain.get("/where")).status_code == 404
    assert (await plain.get("/ok")).json() == {"ok": True, "services": {}}
    assert (await plain.get("/agents/threads")).json() == {"mine": True}
    assert "thread_id" in (await plain.post("/agents/threads", json={})).json()
    # What is for everything comes last, so that it does not hide the API.
    assert (await plain.get("/agents/info")).json()["flags"]["assistants"] is True
    assert (await plain.get("/agents/some/where")).text == "rest of /agents/some/where: 0"
    assert (await plain.post("/agents/some/where", content=b"abc")).text == "rest of /agents/some/where: 3"
    async with get_client(url=f"{plain_server.url}/agents") as client:
        assert (await client.runs.wait(None, "echo", input={"text": "p"}))["text"] == "p!"


def _write_app(folder: Path, code: str) -> Path:
    (folder / "web.py").write_text(code)
    (folder / "graph.py").write_text((WEBAPP / "graphs.py").read_text())
    (folder / "requirements.txt").write_text((WEBAPP / "requirements.txt").read_text())
    config = {"dependencies": ["."], "graphs": {"echo": "./graph.py:echo"}, "http": {"app": "./web.py:app"}}
    (folder / "langgraph.json").write_text(json.dumps(config))
    return folder / "langgraph.json"


ASGI = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = scope["path"].encode()
    await send({"type": "http.response.start", "status": 203, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
"""


def test_any_asgi_application(tmp_path, cache_dir):
    """Nothing is known of its routes: it gets what the API does not know."""
    server = Server(tmp_path / "data", cache_dir, _write_app(tmp_path, ASGI)).start()
    try:
        answer = httpx.get(f"{server.url}/any/path")
        assert (answer.status_code, answer.text) == (203, "/any/path")
        assert httpx.get(f"{server.url}/info").json()["host"]["kind"] == "self-hosted"
    finally:
        server.stop()


FAILING = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette

@asynccontextmanager
async def lifespan(app):
    raise ValueError("no database today")
    yield

app = Starlette(lifespan=lifespan)
"""


@pytest.mark.parametrize(("code", "words"), [(FAILING, ["no database today"]), ("app = 5\n", ["int", "ASGI"]), ("", ["app"])])
def test_an_application_that_does_not_start(tmp_path, cache_dir, code, words):
    server = Server(tmp_path / "data", cache_dir, _write_app(tmp_path, code))
    with pytest.raises(RuntimeError) as stopped:
        server.start()
    for word in [*words, "web.py"]:
        assert word in str(stopped.value)


def test_the_lifespan_ends_with_the_server(tmp_path, cache_dir):
    flags = tmp_path / "flags"
    flags.mkdir()
    server = Server(tmp_path / "data", cache_dir, WEBAPP / "langgraph.json", {"SUITE_FLAGS": str(flags)}, hosts=2).start()
    assert server.interrupt(60) == 0
    # Once in each of the two hosts.
    assert len(os.listdir(flags)) == 2
