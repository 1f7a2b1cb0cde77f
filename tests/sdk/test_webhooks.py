"""Webhooks: who is told what when a run has ended, and where webhooks may not go.

The tests have servers of their own, whose applications allow this machine's own addresses, and a receiver that really listens.
"""

import asyncio
import functools
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from langgraph_sdk import get_client

from helpers import durable_only, finished, new_id, own_server_only, run_status, until
from server import HERE, Server, free_port
from test_cli_errors import App, assert_explained

pytestmark = own_server_only

RUN_FIELDS = {
    "run_id", "thread_id", "assistant_id", "metadata", "status", "kwargs", "multitask_strategy", "created_at", "updated_at",
    "langsmith_session_name",
}  # fmt: skip
FIELDS = RUN_FIELDS | {"run_started_at", "run_ended_at", "webhook_sent_at", "values"}
LEFT_OPEN = {"url": {"disable_loopback": False}}


class Receiver:
    """Remembers what it is sent, by path; answers 200, or the statuses that are lined up for a path."""

    def __init__(self, port: int = 0):
        received: list[tuple[str, dict, dict]] = []
        statuses: dict[str, list[int]] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received.append((self.path, headers, json.loads(body)))
                lined_up = statuses.get(self.path)
                self.send_response(lined_up.pop(0) if lined_up else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.received, self.statuses = received, statuses
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[dict]:
        return [body for seen, _, body in self.received if seen == path]

    async def told(self, path: str, count: int = 1, seconds: float = 60) -> list[dict]:
        async def came():
            return len(self.at(path)) >= count

        await until(came, seconds=seconds)
        assert len(self.at(path)) == count
        return self.at(path)


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


def serve(folder, cache, webhooks, http=None, env=None) -> Server:
    """A server on some of the suite's graphs, with this `webhooks` section."""
    folder.mkdir(exist_ok=True)
    for name in ("steps.py", "failing.py", "asking.py"):
        shutil.copy(HERE / "app" / name, folder / name)
    graphs = {"three": "steps", "slow": "steps", "failing": "failing", "question": "asking"}
    config = {
        "dependencies": ["langgraph>=1.0,<2"],
        "graphs": {name: f"./{module}.py:{name}" for name, module in graphs.items()},
        "env": {"LG_WEBHOOK_TOKEN": "t0ken"},
        **({"webhooks": webhooks} if webhooks is not None else {}),
        **({"http": http} if http else {}),
    }
    (folder / "langgraph.json").write_text(json.dumps(config))
    return Server(folder / "data", cache, folder / "langgraph.json", env).start()


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache_dir):
    headers = {"Authorization": "Bearer ${{ env.LG_WEBHOOK_TOKEN }}", "x-plain": "as it is"}
    server = serve(tmp_path_factory.mktemp("webhooks") / "app", cache_dir, LEFT_OPEN | {"headers": headers})
    yield server
    server.stop()
    print(server.logs(8_000))


@pytest.fixture
async def client(server):
    async with get_client(url=server.url) as client:
        yield client


@pytest.fixture
async def http(server):
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        yield http


@pytest.fixture
def hook(receiver):
    """A path of the test's own, and its URL."""
    path = f"/{new_id()}"
    return path, receiver.url(path)


def assert_run(told: dict, run: dict) -> None:
    for key in RUN_FIELDS - {"status", "updated_at"}:
        assert told[key] == run[key], key
    assert run["created_at"] <= told["run_ended_at"] <= told["webhook_sent_at"]
    assert told["updated_at"] == told["run_ended_at"]


async def test_success(client, receiver, hook, thread_id, server):
    path, url = hook
    run = await client.runs.create(thread_id, "three", input={"log": ["in"]}, webhook=url, metadata={"w": 1})
    assert run["kwargs"]["webhook"] == url
    [told] = await receiver.told(path)
    assert set(told) == FIELDS
    assert_run(told, run)
    assert told["status"] == "success" and told["metadata"]["w"] == 1
    assert told["values"]["log"] == ["in", "one", "two", "three"]
    assert told["created_at"] <= told["run_started_at"] <= told["run_ended_at"]
    [headers] = [headers for seen, headers, _ in receiver.received if seen == path]
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer t0ken" and headers["x-plain"] == "as it is"
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "success"
    assert "t0ken" not in server.logs()


async def test_crons_tell(client, receiver, thread_id):
    deleting = client.crons.create
    on_thread = functools.partial(client.crons.create_for_thread, thread_id)
    keeping = functools.partial(deleting, on_run_completed="keep")
    for create in (deleting, keeping, on_thread):
        path = f"/{new_id()}"
        cron = await create("three", schedule="* * * * * *", input={"log": ["due"]}, webhook=receiver.url(path))

        async def came():
            return receiver.at(path)

        told = (await until(came, seconds=60))[0]
        await client.crons.delete(cron["cron_id"])
        assert set(told) == FIELDS and told["status"] == "success"
        assert told["kwargs"]["config"]["configurable"]["cron_id"] == cron["cron_id"]
        assert (told["thread_id"] == thread_id) is (create is on_thread)
        if create is deleting:
            assert told["values"] is None, "its thread is gone"
        else:
            assert told["values"]["log"][:4] == ["due", "one", "two", "three"]


async def test_error(client, receiver, hook, thread_id):
    path, url = hook
    await client.runs.wait(thread_id, "failing", input={"log": ["in"], "kind": "own"}, webhook=url, raise_error=False)
    [told] = await receiver.told(path)
    assert set(told) == FIELDS | {"error"}
    assert told["status"] == "error" and told["values"]["log"] == ["in", "start"]
    assert told["error"] == (await client.threads.get(thread_id))["error"]
    assert "secret of own" not in json.dumps(told), "messages are masked as for every client"


async def test_a_question_is_a_success(client, receiver, hook, thread_id):
    path, url = hook
    await client.runs.wait(thread_id, "question", input={"log": []}, webhook=url)
    [told] = await receiver.told(path)
    assert set(told) == FIELDS
    assert (told["status"], told["values"]) == ("success", {"log": ["before"]})


@pytest.mark.parametrize("action, error", [("interrupt", "UserInterrupt"), ("rollback", "UserRollback")])
async def test_cancelled_while_running(client, receiver, hook, thread_id, action, error):
    path, url = hook
    run = await client.runs.create(thread_id, "slow", input={"secs": 60, "log": []}, webhook=url)
    await run_status(client, run, "running")
    await client.runs.cancel(thread_id, run["run_id"], wait=True, action=action)
    [told] = await receiver.told(path)
    assert_run(told, run)
    assert (told["status"], told["error"]["error"]) == ("interrupted", error)
    assert told["run_started_at"]


async def test_cancelled_while_pending(client, receiver, hook, thread_id):
    path, url = hook
    first = await client.runs.create(thread_id, "slow", input={"secs": 60, "log": []})
    run = await client.runs.create(thread_id, "three", input={"log": []}, webhook=url)
    await client.runs.cancel(thread_id, run["run_id"])
    [told] = await receiver.told(path)
    assert_run(told, run)
    assert (told["status"], told["error"]["error"], told["run_started_at"]) == ("interrupted", "UserInterrupt", None)
    await client.runs.cancel(thread_id, first["run_id"], wait=True)


@pytest.mark.parametrize("strategy, error", [("interrupt", "UserInterrupt"), ("rollback", "UserRollback")])
async def test_superseded(client, receiver, hook, thread_id, strategy, error):
    path, url = hook
    running = await client.runs.create(thread_id, "slow", input={"secs": 60, "log": []}, webhook=url)
    await run_status(client, running, "running")
    pending = await client.runs.create(thread_id, "three", input={"log": []}, webhook=url)
    last = await client.runs.create(thread_id, "three", input={"log": []}, multitask_strategy=strategy, webhook=url)
    told = {each["run_id"]: each for each in await receiver.told(path, 3)}
    for run in (running, pending):
        one = told[run["run_id"]]
        assert (one["status"], one["error"]["error"]) == ("interrupted", error)
    assert told[last["run_id"]]["status"] == "success"


async def test_stateless(client, http, receiver, hook):
    path, url = hook
    values = await client.runs.wait(None, "three", input={"log": []}, webhook=url)
    assert values["log"] == ["one", "two", "three"]
    [told] = await receiver.told(path)
    assert set(told) == FIELDS
    assert (told["status"], told["values"], told["kwargs"]["temporary"]) == ("success", None, True)
    kept = await client.runs.create(None, "three", input={"log": []}, webhook=url, on_completion="keep")
    told = {each["run_id"]: each for each in await receiver.told(path, 2)}
    assert told[kept["run_id"]]["values"]["log"] == ["one", "two", "three"]


async def test_stream_and_batch(client, receiver, hook, thread_id):
    path, url = hook
    async for _ in client.runs.stream(thread_id, "three", input={"log": []}, webhook=url):
        pass
    await receiver.told(path)
    runs = await client.runs.create_batch([{"assistant_id": "three", "input": {"log": []}, "webhook": url}] * 3)
    told = await receiver.told(path, 4)
    assert {each["run_id"] for each in told[1:]} == {run["run_id"] for run in runs}


async def test_a_receiver_that_fails_at_first(client, receiver, hook, thread_id):
    path, url = hook
    receiver.statuses[path] = [503]
    run = await client.runs.create(thread_id, "three", input={"log": []}, webhook=url)
    first, second = await receiver.told(path, 2)
    assert first["run_id"] == second["run_id"] == run["run_id"]
    assert first["webhook_sent_at"] < second["webhook_sent_at"]
    assert {**first, "webhook_sent_at": None} == {**second, "webhook_sent_at": None}
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "success"


async def test_a_receiver_that_refuses_is_told_once(client, receiver, hook, thread_id):
    path, url = hook
    receiver.statuses[path] = [404]
    run = await client.runs.create(thread_id, "three", input={"log": []}, webhook=url)
    await receiver.told(path)
    await asyncio.sleep(4)
    await receiver.told(path)
    assert (await finished(client, run))["status"] == "success"


async def test_a_receiver_that_comes_up_late(client, thread_id):
    port = free_port()
    run = await client.runs.create(thread_id, "three", input={"log": []}, webhook=f"http://127.0.0.1:{port}/late")
    await finished(client, run)
    await asyncio.sleep(0.5)
    receiver = Receiver(port)
    try:
        [told] = await receiver.told("/late", seconds=120)
        assert told["run_id"] == run["run_id"]
    finally:
        receiver.stop()


@pytest.mark.parametrize(
    "url, detail",
    [
        ("ftp://x", "Webhook host blocked: scheme 'ftp' not allowed"),
        ("http://169.254.169.254/x", "Webhook host blocked: blocked IP range"),
        ("http://[::ffff:169.254.169.254]/x", "Webhook host blocked: blocked IP range"),
        ("http://2852039166/x", "Webhook host blocked: blocked IP range"),
        ("http://0.0.0.0/x", "Webhook host blocked: blocked IP range"),
        ("hook", "Webhook host blocked: the URL has no scheme"),
    ],
)
async def test_some_urls_are_refused_whatever_the_rules(http, thread_id, url, detail):
    body = {"assistant_id": "three", "input": {"log": []}, "webhook": url}
    for path in (f"/threads/{thread_id}/runs", f"/threads/{thread_id}/runs/wait", "/runs", "/runs/stream"):
        answer = await http.post(path, json=body)
        assert (answer.status_code, answer.json()) == (422, {"detail": detail}), path
    assert (await http.get(f"/threads/{thread_id}/runs")).json() == []


async def test_rules_of_the_application(tmp_path, cache_dir, receiver):
    """The defaults refuse this machine; `allowed_fields` cuts down what is sent, and a name is looked up when it is used."""
    server = serve(tmp_path / "strict", cache_dir, None)
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
            for url in ("http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/x", "/hook"):
                answer = await http.post("/runs/wait", json={"assistant_id": "three", "input": {"log": []}, "webhook": url})
                assert answer.status_code == 422, url
                assert answer.json()["detail"].startswith("Webhook host blocked: "), url
            answer = await http.post("/runs/wait", json={"assistant_id": "three", "input": {"log": []}})
            assert answer.json()["log"] == ["one", "two", "three"]
    finally:
        server.stop()
    url = {"disable_loopback": False, "allowed_domains": ["*.example.com", "127.0.0.1"], "allowed_ports": [receiver.port]}
    server = serve(tmp_path / "listed", cache_dir, {"url": url, "allowed_fields": ["run_id", "status", "values"]})
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:

            async def create(url):
                return await http.post("/runs/wait", json={"assistant_id": "three", "input": {"log": []}, "webhook": url})

            refused = await create(f"http://localhost:{receiver.port}/x")
            assert refused.json() == {"detail": "Webhook host blocked: host 'localhost' not allowed"}
            refused = await create("http://127.0.0.1:1/x")
            assert refused.json() == {"detail": "Webhook host blocked: port 1 not allowed"}
            path = f"/{new_id()}"
            assert (await create(receiver.url(path))).status_code == 200
            [told] = await receiver.told(path)
            assert set(told) == {"run_id", "status", "values"}
    finally:
        server.stop()


async def test_webhooks_switched_off(tmp_path, cache_dir, receiver):
    server = serve(tmp_path / "off", cache_dir, LEFT_OPEN, http={"disable_webhooks": True})
    try:
        body = {"assistant_id": "three", "input": {"log": []}, "webhook": receiver.url("/off")}
        answer = httpx.post(f"{server.url}/runs/wait", json=body, timeout=60)
        assert answer.status_code == 422
        assert answer.json() == {"detail": "webhook: this server delivers no webhooks; leave the field out"}
    finally:
        server.stop()


@durable_only
async def test_a_server_killed_before_delivery_delivers_when_it_is_back(tmp_path, cache_dir):
    port = free_port()
    server = serve(tmp_path / "killed", cache_dir, LEFT_OPEN)
    try:
        async with get_client(url=server.url) as client:
            thread_id = (await client.threads.create())["thread_id"]
            run = await client.runs.create(thread_id, "three", input={"log": []}, webhook=f"http://127.0.0.1:{port}/kept")
            await finished(client, run)
        server.kill()
        receiver = Receiver(port)
        try:
            server.start()
            [told] = await receiver.told("/kept", seconds=120)
            assert (told["run_id"], told["status"]) == (run["run_id"], "success")
            assert told["values"]["log"] == ["one", "two", "three"]
        finally:
            receiver.stop()
    finally:
        server.stop()


@pytest.mark.parametrize(
    "headers, words",
    [
        ({"a": "${{ env.LG_WEBHOOK_NOT_THERE }}"}, ("webhooks.headers.a", "LG_WEBHOOK_NOT_THERE is not set")),
        ({"a": "${{ env.PATH }}"}, ("webhooks.headers.a", "does not begin with LG_WEBHOOK_")),
        ({"a b": "x"}, ("webhooks.headers", '"a b"')),
    ],
)
def test_headers_that_cannot_be_sent_end_the_start(tmp_path, cache_dir, headers, words):
    app = App(tmp_path, cache_dir)
    outcome = app.up(app.config | {"webhooks": {"headers": headers}})
    assert_explained(outcome, *words)
