"""What a client, a load balancer or a person asks of the server itself."""

import pytest


@pytest.mark.parametrize("path", ["/ok", "/", "/ok?check_db=1"])
async def test_ok(http, path):
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["ok"] is True
    assert isinstance(answer.json()["services"], dict)


async def test_head_of_ok(http):
    answer = await http.head("/ok")
    assert answer.status_code == 200
    assert answer.content == b""


async def test_info(http):
    info = (await http.get("/info")).json()
    assert {"version", "langgraph_py_version", "flags", "host"} <= info.keys()
    assert {"assistants", "crons", "langsmith"} <= info["flags"].keys()
    assert info["flags"]["assistants"] is True
    assert info["host"]["kind"] == "self-hosted"


async def test_docs_are_a_page(http):
    answer = await http.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "<html" in answer.text


async def test_openapi_lists_the_served_paths(http):
    spec = (await http.get("/openapi.json")).json()
    assert spec["openapi"].startswith("3.")
    wanted = {
        "/assistants": {"post"},
        "/assistants/search": {"post"},
        "/assistants/{assistant_id}": {"get", "patch", "delete"},
        "/threads": {"post"},
        "/threads/{thread_id}": {"get", "patch", "delete"},
        "/threads/{thread_id}/state": {"get", "post"},
        "/threads/{thread_id}/history": {"get", "post"},
        "/threads/{thread_id}/runs": {"get", "post"},
        "/threads/{thread_id}/runs/stream": {"post"},
        "/threads/{thread_id}/runs/wait": {"post"},
        "/threads/{thread_id}/runs/{run_id}/join": {"get"},
        "/threads/{thread_id}/runs/{run_id}/cancel": {"post"},
        "/runs": {"post"},
        "/runs/stream": {"post"},
        "/runs/wait": {"post"},
        "/runs/batch": {"post"},
        "/store/items": {"get", "put", "delete"},
    }
    for path, methods in wanted.items():
        assert methods <= spec["paths"].get(path, {}).keys(), path


async def test_cors_preflight(http):
    headers = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-api-key,x-auth-scheme",
    }
    answer = await http.options("/threads/search", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "x-api-key" in allowed and "x-auth-scheme" in allowed
    exposed = (await http.get("/ok", headers={"Origin": "http://localhost:3000"})).headers
    assert "content-location" in exposed["access-control-expose-headers"].lower()
