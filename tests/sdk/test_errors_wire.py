"""Requests that are wrong in every way: a clear answer each time, and a server that goes on."""

import asyncio
import json

import pytest

from helpers import new_id, reference_differs

JSON = {"content-type": "application/json"}
BROKEN = "Invalid JSON in request body"


@pytest.fixture(autouse=True)
async def server_goes_on(http):
    yield
    assert (await http.get("/ok")).json()["ok"] is True


def is_error(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["detail"]
    assert isinstance(answer.json()["detail"], str) and answer.json()["detail"]
    return answer.json()["detail"]


BODIES = {
    "cut off": b'{"metadata": {',
    "not json": b"{metadata}",
    "empty": b"",
    "not utf-8": b'{"metadata": {"a": "\xff\xfe"}}',
    "lone surrogate": b'{"metadata": {"a": "x\\ud800y"}}',
    "not a number": b'{"metadata": {"a": NaN}}',
    "too deep": b'{"metadata": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "two values": b"{} {}",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/threads", "/runs/wait", "/threads/search", "/assistants"])
async def test_broken_json(http, name, path):
    answer = await http.post(path, content=BODIES[name], headers=JSON)
    detail = is_error(answer, 422)
    # What is wrong may follow.
    assert detail == BROKEN if name == "empty" else detail.startswith(BROKEN)


@pytest.mark.parametrize("body", [[], None, 5, "text", True])
@pytest.mark.parametrize("path", ["/threads", "/runs", "/runs/stream", "/threads/search", "/store/items/search"])
async def test_not_an_object(http, body, path):
    answer = await http.post(path, content=json.dumps(body), headers=JSON)
    is_error(answer, 422)


async def test_odd_but_good_json(http):
    async def metadata(content):
        answer = await http.post("/threads", content=content, headers=JSON)
        assert answer.status_code == 200, answer.text
        return answer.json()["metadata"]

    assert await metadata(b'{"metadata": {"a": "x\\u0000y"}}') == {"a": "x\ufffdy"}
    assert await metadata(b'{"metadata": {"a\\u0000": 1}}') == {"a\ufffd": 1}
    assert await metadata(b'{"metadata": {"a": 1}, "metadata": {"b": 2}}') == {"b": 2}
    large = await metadata(b'{"metadata": {"a": 123456789012345678901234567890}}')
    assert large == {"a": pytest.approx(123456789012345678901234567890)}
    assert await metadata(b'{"metadata": {"a": "\\ud83d\\ude80"}}') == {"a": "\U0001f680"}
    assert await metadata(b'{"metadata": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}")
    assert await metadata(b'  {"unknown": 1, "metadata": {}}  ') == {}


async def test_content_type_does_not_matter(http):
    answer = await http.post("/threads", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 200


RUN_FIELDS = {
    "assistant_id": [5, None, []],
    "config": [5, "x", []],
    "metadata": ["x", 5],
    "context": [5, "x"],
    "stream_mode": ["bogus", 5, ["values", "bogus"], "tools", "lifecycle"],
    "multitask_strategy": ["x", 5],
    "interrupt_before": [5, "x", [5]],
    "interrupt_after": [5],
    "after_seconds": ["soon"],
    "stream_subgraphs": ["yes", 1],
    "stream_resumable": ["x"],
    "durability": ["x", 5],
    "if_not_exists": ["x"],
    "command": [5, "x", {"goto": 5}],
    "webhook": [5, ""],
    "checkpoint": ["x", 5],
    "checkpoint_id": ["x"],
    "feedback_keys": ["x", [5]],
    "on_disconnect": ["x"],
}
RUN_CASES = [(field, value) for field, values in RUN_FIELDS.items() for value in values]
DEEP_CASES = [{"recursion_limit": "x"}, {"configurable": 5}, {"tags": "x"}, {"tags": [5]}]


@pytest.mark.parametrize(("field", "value"), RUN_CASES + [("config", config) for config in DEEP_CASES])
async def test_wrong_types_in_a_run(client, http, thread_id, field, value):
    body = {"assistant_id": "three", "input": {"log": []}, field: value}
    path = "stream" if field == "on_disconnect" else ""
    detail = is_error(await http.post(f"/threads/{thread_id}/runs/{path}".rstrip("/"), json=body), 422)
    assert "Error" not in detail and "Traceback" not in detail
    assert await client.runs.list(thread_id) == []


async def test_number_out_of_range(http):
    headers = {"content-type": "application/json"}
    for path in ("/threads", "/assistants", "/runs/wait", "/threads/search"):
        is_error(await http.post(path, content=b'{"metadata": {"a": 1e999}}', headers=headers), 422)


OTHER_CASES = [
    ("/threads", {"thread_id": 5}), ("/threads", {"thread_id": "x"}), ("/threads", {"metadata": 5}),
    ("/threads", {"metadata": None}), ("/threads", {"if_exists": "x"}), ("/threads", {"ttl": "x"}),
    ("/threads", {"supersteps": 5}), ("/threads/search", {"limit": 0}), ("/threads/search", {"limit": 1001}),
    ("/threads/search", {"offset": -1}), ("/threads/search", {"status": "x"}), ("/threads/search", {"sort_by": "x"}),
    ("/threads/search", {"select": ["x"]}),
    ("/assistants", {}), ("/assistants", {"graph_id": 5}), ("/assistants", {"graph_id": "three", "config": 5}),
    ("/assistants/search", {"select": ["x"]}), ("/assistants/search", {"limit": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), OTHER_CASES)
async def test_wrong_types_elsewhere(http, path, body):
    is_error(await http.post(path, json=body), 422)


async def test_wrong_type_is_named(http):
    detail = is_error(await http.post("/threads", json={"metadata": 5}), 422)
    assert "metadata" in detail and "object" in detail


async def test_unknown_assistants(http, thread_id):
    path = f"/threads/{thread_id}/runs"
    detail = is_error(await http.post(path, json={"assistant_id": "nobody"}), 422)
    assert "nobody" in detail and "chat" in detail
    assert is_error(await http.post(path, json={"assistant_id": new_id()}), 404) == "Thread or assistant not found."
    assert "chat" in is_error(await http.post("/assistants", json={"graph_id": "nobody"}), 404)


THREAD_PATHS = [
    ("GET", ""), ("DELETE", ""), ("PATCH", ""), ("GET", "/state"), ("POST", "/state"), ("GET", "/history"),
    ("POST", "/history"), ("GET", "/runs"), ("POST", "/runs"),
]  # fmt: skip
RUN_PATHS = [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/join"), ("GET", "/stream")]
ASSISTANT_PATHS = [
    ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/graph"), ("GET", "/schemas"), ("GET", "/subgraphs"),
    ("POST", "/versions"), ("POST", "/latest"),
]  # fmt: skip


async def ask(http, method, path):
    body = {"json": {"assistant_id": "three", "version": 1}} if method in ("POST", "PATCH") else {}
    return await http.request(method, path, **body)


@pytest.mark.parametrize(("method", "path"), THREAD_PATHS)
async def test_ids_of_threads(http, method, path):
    is_error(await ask(http, method, f"/threads/{new_id()}{path}"), 404)
    assert "Invalid thread ID" in is_error(await ask(http, method, f"/threads/not-a-uuid{path}"), 422)


@pytest.mark.parametrize(("method", "path"), RUN_PATHS)
async def test_ids_of_runs(http, thread_id, method, path):
    if path not in ("/join", "/stream"):
        is_error(await ask(http, method, f"/threads/{thread_id}/runs/{new_id()}{path}"), 404)
    assert "Invalid run ID" in is_error(await ask(http, method, f"/threads/{thread_id}/runs/nonsense{path}"), 422)


@pytest.mark.parametrize(("method", "path"), ASSISTANT_PATHS)
async def test_ids_of_assistants(http, method, path):
    is_error(await ask(http, method, f"/assistants/{new_id()}{path}"), 404)
    assert "Invalid assistant ID" in is_error(await ask(http, method, f"/assistants/not-a-uuid{path}"), 422)


async def test_copy_of_an_unknown_thread(http):
    assert is_error(await http.post(f"/threads/{new_id()}/copy"), 409) == "Conflict"


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/threads"), ("GET", "/threads"), ("DELETE", "/assistants"), ("PATCH", "/runs")]
)
async def test_wrong_method(http, method, path):
    answer = await http.request(method, path)
    assert is_error(answer, 405) == "Method Not Allowed"
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/nope", "/threads/x/nope/y", "/runs/x/y/z", "/%00", "/threads//state"])
async def test_unknown_path(http, path):
    for method in ("GET", "POST"):
        answer = await http.request(method, path)
        assert answer.status_code in (404, 405, 422)
        assert list(answer.json()) == ["detail"]


async def test_trailing_slash_redirects(client, http, thread_id):
    for method, path in [("POST", "/threads"), ("POST", "/assistants/search"), ("GET", f"/threads/{thread_id}/state")]:
        answer = await http.request(method, f"{path}/?a=b", json={})
        assert answer.status_code == 307
        assert answer.headers["location"].endswith(f"{path}?a=b")
        followed = await http.request(method, f"{path}/", json={}, follow_redirects=True)
        assert followed.status_code == 200


async def test_slow_senders_are_in_nobodys_way(http, base_url):
    """A hundred clients that send half a request and then nothing."""
    host, _, port = base_url.removeprefix("http://").partition(":")
    halves = [b"POST /threads HTTP/1.1\r\nhost: x\r\ncontent-le", b"POST /threads HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"]
    writers = []
    for number in range(100):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(halves[number % 2])
        await writer.drain()
        writers.append(writer)
    answers = await asyncio.gather(*(http.post("/threads", json={}) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    for writer in writers:
        writer.close()


@reference_differs("takes minutes")
async def test_huge_body(http):
    """100 MB, in a field that a client made up, and of nothing that is JSON."""
    text = "x" * (100 << 20)
    answer = await http.post("/threads", json={"made_up": text})
    assert answer.status_code == 200
    answer = await http.post("/threads", content=b"{" + b" " * (100 << 20) + b"]", headers=JSON)
    assert is_error(answer, 422) == BROKEN


async def test_large_body(http):
    text = "x" * (20 << 20)
    answer = await http.post("/threads", json={"metadata": {"a": text}})
    assert answer.status_code == 200
    assert answer.json()["metadata"]["a"] == text
    await http.delete(f"/threads/{answer.json()['thread_id']}")


@reference_differs("a bad number in a query is the server's own error text")
async def test_bad_numbers_in_queries(http, thread_id):
    for query in ("limit=x", "offset=-1", "limit=1e9", "limit=99999999999999999999"):
        is_error(await http.get(f"/threads/{thread_id}/runs?{query}"), 422)


async def test_many_bad_requests_at_once(http):
    answers = await asyncio.gather(*(http.post("/threads", content=b"{", headers=JSON) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {422}
