"""The application's `Auth` object: the arguments of its handlers, and the effect of their answers."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from fake_runner import HostError
from helpers import fatal, with_runner

GRAPHS = {"chat": "./graphs.py:chat"}
HEAD = "from langgraph_sdk import Auth\nauth = Auth()\nHTTPException = Auth.exceptions.HTTPException\n"


def with_auth(tmp_path: Path, source: str, check: Any) -> None:
    """Runs `check` against a host whose application has this `Auth` object."""
    (tmp_path / "login.py").write_text(HEAD + source)
    with_runner(check, GRAPHS, auth=f"{tmp_path}/login.py:auth")


def request(**given: Any) -> dict[str, Any]:
    headers = [["authorization", "Bearer alice"], ["host", "example.org:8000"], ["x-two", "1"], ["x-two", "2"]]
    document = {
        "method": "POST",
        "path": "/threads/a%20b/runs",
        "query": "x=1&y=",
        "path_params": [["thread_id", "a b"]],
        "headers": headers,
        "client": "127.0.0.1",
        "has_body": False,
        "body": None,
    }
    return {**document, **given}


def act(resource: str, action: str, value: dict[str, Any], **given: Any) -> dict[str, Any]:
    who = {"identity": "alice", "permissions": ["p1"], "user": {"identity": "alice", "org": "acme"}}
    return {**who, "resource": resource, "action": action, "value": value, **given}


def test_what_is_handled_is_told(tmp_path: Path) -> None:
    source = """
@auth.authenticate
async def who(body: dict, path: str): ...
@auth.on
async def any_(ctx, value): ...
@auth.on.threads
async def threads(ctx, value): ...
@auth.on.threads.create
async def create(ctx, value): ...
@auth.on.store(actions=["put", "get"])
async def store(ctx, value): ...
"""

    async def check(runner) -> None:
        handlers = [["*", "*"], ["store", "get"], ["store", "put"], ["threads", "*"], ["threads", "create"]]
        assert runner.auth == {"authenticate": True, "needs_body": True, "handlers": handlers}

    with_auth(tmp_path, source, check)

    async def without(runner) -> None:
        assert runner.auth is None

    with_runner(without, GRAPHS)


def test_parameters(tmp_path: Path) -> None:
    source = """
@auth.authenticate
def who(method, path, path_params, query_params, headers, authorization, scopes, user, scope, unknown=5):
    assert headers[b"authorization"] == headers["Authorization"] == b"Bearer alice"
    assert b"x-none" not in headers and headers.get("x-none") is None and headers["x-two"] == b"1"
    assert scope["type"] == "http" and scope["path"] == path and (b"x-two", b"2") in scope["headers"]
    assert scope["server"] == ("example.org", 8000) and scope["client"][0] == "127.0.0.1"
    assert user is None and scopes == []
    return {"identity": authorization, "seen": [method, path, path_params, query_params]}
"""

    async def check(runner) -> None:
        answer = await runner.call("auth.authenticate", **request())
        user = answer["identity"]["user"]
        assert user["seen"] == ["POST", "/threads/a b/runs", {"thread_id": "a b"}, {"x": "1", "y": ""}]
        assert user["identity"] == answer["identity"]["identity"] == "Bearer alice"
        assert (user["is_authenticated"], user["permissions"], user["display_name"]) == (True, [], "Bearer alice")

    with_auth(tmp_path, source, check)


@pytest.mark.parametrize("framework", [True, False])
def test_the_body_is_sent_when_it_is_wanted(tmp_path: Path, framework: bool) -> None:
    source = "import sys\n" + ("" if framework else "sys.modules['starlette.requests'] = None\n") + """
@auth.authenticate
async def who(request):
    assert type(request).__name__ == EXPECTED
    assert request.headers["authorization"] == "Bearer alice" and request.url.path == "/threads/a b/runs"
    assert request.method == "POST" and request.query_params["x"] == "1"
    return (await request.json())["user"] if request.headers.get("x-json") else "nobody"
"""
    source = source.replace("EXPECTED", repr("Request" if framework else "PlainRequest"))
    if framework:
        pytest.importorskip("starlette")

    async def check(runner) -> None:
        assert runner.auth["needs_body"] is True
        plain = request(path="/threads/a b/runs", has_body=True)
        assert (await runner.call("auth.authenticate", **plain))["identity"]["identity"] == "nobody"
        wants = {**plain, "headers": [*plain["headers"], ["x-json", "1"]]}
        assert await runner.call("auth.authenticate", **wants) == {"needs_body": True}
        wants["body"] = '{"user": "bob"}'
        assert (await runner.call("auth.authenticate", **wants))["identity"]["identity"] == "bob"

    with_auth(tmp_path, source, check)


def test_the_parsed_body(tmp_path: Path) -> None:
    source = """
@auth.authenticate
async def who(body):
    return "nobody" if body is None else body["user"]
"""

    async def check(runner) -> None:
        assert (await runner.call("auth.authenticate", **request()))["identity"]["identity"] == "nobody"
        assert await runner.call("auth.authenticate", **request(has_body=True)) == {"needs_body": True}
        with_body = request(has_body=True, body='{"user": "bob"}')
        assert (await runner.call("auth.authenticate", **with_body))["identity"]["identity"] == "bob"
        broken = request(has_body=True, body="{")
        assert (await runner.call("auth.authenticate", **broken))["identity"]["identity"] == "nobody"

    with_auth(tmp_path, source, check)


def test_users(tmp_path: Path) -> None:
    source = """
import uuid
from dataclasses import dataclass, field
from pydantic import BaseModel
class Model(BaseModel):
    identity: str = "m"
    org: str = "acme"
@dataclass
class Data:
    identity: str = "d"
    permissions: list = field(default_factory=lambda: ["x"])
class Plain:
    def __init__(self): self.org, self._secret = "acme", 1
    identity = property(lambda self: "p")
    is_authenticated = property(lambda self: True)
    display_name = property(lambda self: "P")
    permissions = property(lambda self: ("a", "b"))
USERS = {
    "text": "alice", "dict": {"identity": uuid.UUID(int=1), "permissions": ("a",), "key": "k"}, "model": Model(), "data": Data(),
    "plain": Plain(), "none": None, "nobody": {"permissions": []}, "empty": "", "guest": {"identity": "g", "is_authenticated": False},
}
@auth.authenticate
async def who(authorization): return USERS[authorization]
"""

    async def check(runner) -> None:
        async def user(name: str) -> Any:
            return await runner.call("auth.authenticate", **request(headers=[["authorization", name]]))

        def shown(identity: str, name: str | None = None, permissions: list[str] | None = None, **extra: Any) -> Any:
            known = {"identity": identity, "is_authenticated": True, "display_name": name or identity, "permissions": permissions or []}
            return {"identity": {"identity": identity, "permissions": permissions or [], "user": {**extra, **known}}}

        assert await user("text") == shown("alice")
        assert await user("dict") == shown(str(uuid.UUID(int=1)), permissions=["a"], key="k")
        assert await user("model") == shown("m", org="acme")
        assert await user("data") == shown("d", permissions=["x"])
        assert await user("plain") == shown("p", "P", ["a", "b"], org="acme")
        for name in ("none", "nobody", "empty"):
            with pytest.raises(HostError, match="identity"):
                await user(name)
        assert (await user("guest"))["refusal"]["status"] == 401

    with_auth(tmp_path, source, check)


def test_refusals_of_authenticate(tmp_path: Path) -> None:
    source = """
class Other(Exception):
    status_code, detail, headers = 403, {"why": 1}, None
Other.__name__ = "HTTPException"
@auth.authenticate
async def who(authorization):
    if authorization == "other": raise Other()
    if authorization == "crash": raise ValueError("secret")
    raise HTTPException(status_code=int(authorization), detail="No", headers={"WWW-Authenticate": "Bearer"})
"""

    async def check(runner) -> None:
        def ask(name: str) -> Any:
            return runner.call("auth.authenticate", **request(headers=[["authorization", name]]))

        for status in (401, 403):
            refusal = {"status": status, "detail": "No", "headers": [["WWW-Authenticate", "Bearer"]]}
            assert await ask(str(status)) == {"refusal": refusal}
        assert await ask("other") == {"refusal": {"status": 403, "detail": "{'why': 1}", "headers": []}}
        for name in ("418", "500", "crash"):
            with pytest.raises(HostError):
                await ask(name)
        assert any("The authenticate handler failed" in log["message"] for log in runner.logs)

    with_auth(tmp_path, source, check)


def test_the_most_special_handler_answers(tmp_path: Path) -> None:
    source = """
@auth.on
async def any_(ctx, value): return {"by": "any"}
@auth.on(actions="delete")
async def deletes(ctx, value): return {"by": "deletes"}
@auth.on.threads
async def threads(ctx, value): return {"by": "threads"}
@auth.on.threads.create
async def create(ctx, value): return {"by": "create"}
"""

    async def check(runner) -> None:
        async def by(resource: str, action: str) -> str:
            return (await runner.call("auth.authorize", **act(resource, action, {})))["answer"]["by"]

        assert await by("threads", "create") == "create"
        assert await by("threads", "delete") == "threads"
        assert await by("store", "delete") == "deletes"
        assert await by("crons", "read") == "any"

    with_auth(tmp_path, source, check)


def test_values_have_the_documented_types_and_changes_come_back(tmp_path: Path) -> None:
    source = """
from datetime import datetime
from uuid import UUID
@auth.on.threads.create
async def create(ctx, value):
    assert isinstance(value["thread_id"], UUID)
    assert (ctx.resource, ctx.action, ctx.permissions) == ("threads", "create", ["p1"])
    assert ctx.user.identity == ctx.user["identity"] == "alice" and ctx.user.org == "acme" and ctx.user.is_authenticated
    value["metadata"]["owner"] = ctx.user.identity
@auth.on.threads.search
async def search(ctx, value): assert [type(each) for each in value["ids"]] == [UUID] and value["thread_id"] is None
@auth.on.crons.create
async def cron(ctx, value): assert isinstance(value["end_time"], datetime)
@auth.on.store
async def store(ctx, value): value["namespace"] = (ctx.user.identity, *value["namespace"])
"""

    async def check(runner) -> None:
        thread_id = str(uuid.uuid4())
        made = await runner.call("auth.authorize", **act("threads", "create", {"thread_id": thread_id, "metadata": {"a": 1}}))
        assert made == {"answer": None, "value": {"thread_id": thread_id, "metadata": {"a": 1, "owner": "alice"}}}
        await runner.call("auth.authorize", **act("threads", "search", {"ids": [thread_id], "thread_id": None}))
        await runner.call("auth.authorize", **act("crons", "create", {"end_time": "2026-01-01T00:00:00+00:00"}))
        put = await runner.call("auth.authorize", **act("store", "put", {"namespace": ["n"], "key": "k", "value": {}}))
        assert put["value"]["namespace"] == ["alice", "n"]

    with_auth(tmp_path, source, check)


def test_answers_of_handlers(tmp_path: Path) -> None:
    source = """
@auth.on
async def any_(ctx, value):
    match value["do"]:
        case "allow": return True
        case "deny": return False
        case "filter": return {"$or": [{"owner": "alice"}, {"team": {"$contains": ["a"]}}]}
        case "assert": assert False, "not yours"
        case "http": raise HTTPException(status_code=418, detail="Teapot")
        case "crash": raise KeyError("x")
        case "wrong": return "yes"
        case "studio": return isinstance(ctx.user, Auth.types.StudioUser) and ctx.user.is_authenticated
"""

    async def check(runner) -> None:
        def do(what: str, **given: Any) -> Any:
            return runner.call("auth.authorize", **act("threads", "read", {"do": what}, **given))

        assert (await do("allow"))["answer"] is True
        assert (await do("deny"))["answer"] is False
        assert (await do("filter"))["answer"] == {"$or": [{"owner": "alice"}, {"team": {"$contains": ["a"]}}]}
        assert (await do("assert"))["refusal"] == {"status": 403, "detail": "not yours", "headers": []}
        assert (await do("http"))["refusal"] == {"status": 418, "detail": "Teapot", "headers": []}
        for what in ("crash", "wrong"):
            with pytest.raises(HostError):
                await do(what)
        assert (await do("studio"))["answer"] is False
        assert (await do("studio", user={"kind": "StudioUser"}))["answer"] is True

    with_auth(tmp_path, source, check)


def test_what_cannot_be_loaded_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "login.py").write_text(HEAD + "number = 5\nwrong = Auth()\n@wrong.authenticate\nasync def who(tokn): ...\n")
    (tmp_path / "broken.py").write_text("raise ZeroDivisionError('at import')\n")
    for name, kind, says in (
        ("login.py:number", "TypeError", "langgraph_sdk.Auth"),
        ("login.py:missing", "AttributeError", "missing"),
        ("login.py:wrong", "TypeError", "'tokn'"),
        ("broken.py:auth", "ZeroDivisionError", "at import"),
    ):
        target = f"{tmp_path}/{name}"
        document, status = fatal(GRAPHS, auth=target)
        assert (document["error"], document["graph_id"], document["target"], status) == (kind, None, target, 1)
        assert says in document["message"], document
