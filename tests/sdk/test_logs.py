"""The log as JSON: every line of a run names the run, whichever part of the platform wrote it."""

import json

import httpx
import pytest
from langgraph_sdk import get_client

from helpers import finished, new_id, own_server_only, until
from server import APP_CONFIG, Server

pytestmark = own_server_only

RUN_IDS = {"run_id", "thread_id", "assistant_id", "graph_id", "attempt", "request_id"}
TENANT = {"organization": "default", "project": "default", "deployment": "default"}


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache_dir):
    folder = tmp_path_factory.mktemp("logs")
    config = json.loads(APP_CONFIG.read_text())
    config["http"] = {"logging_headers": {"includes": ["x-team", "authorization"], "excludes": []}}
    # Beside the application's own, whose graphs it names.
    path = APP_CONFIG.with_name(f"logs-{new_id()}.json")
    path.write_text(json.dumps(config))
    server = Server(folder / "data", cache_dir, config=path, env={"LOG_JSON": "true"})
    try:
        yield server.start()
    finally:
        server.stop()
        path.unlink()


def records(server, since: int = 0) -> list[dict]:
    """What the server wrote, to both outputs; each line must be a JSON object without nested ones."""
    found = []
    # The last line may not be whole yet.
    for line in server.logs(limit=10_000_000, since=since).split("\n")[:-1]:
        record = json.loads(line, object_pairs_hook=unique)
        assert not any(isinstance(value, dict) for value in record.values()), line
        assert {"timestamp", "level", "target", "message"} <= record.keys(), line
        found.append(record)
    return found


def unique(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), keys
    return dict(pairs)


async def lines_of(server, run_id: str, enough) -> list[dict]:
    async def check():
        found = [record for record in records(server) if run_id in json.dumps(record)]
        return found if enough(found) else None

    return await until(check, 60, every=0.2)


async def test_every_line_of_a_run_carries_its_ids(server):
    request_id = f"request-{new_id()}"
    async with get_client(url=server.url, headers={"x-request-id": request_id}) as client:
        thread = await client.threads.create()
        run = await client.runs.create(thread["thread_id"], "printing", input={})
        assert (await finished(client, run, 60))["status"] == "success"
        assert run["kwargs"]["config"]["configurable"]["langgraph_request_id"] == request_id
    ids = {
        "run_id": run["run_id"],
        "thread_id": thread["thread_id"],
        "assistant_id": run["assistant_id"],
        "graph_id": "printing",
        "request_id": request_id,
    }

    def enough(found):
        return {"langopen_api::access", "langopen::graph"} <= {record["target"] for record in found} and any(
            "run ended" in record["message"] for record in found
        )

    found = await lines_of(server, run["run_id"], enough)
    printed = [record for record in found if record["target"] == "langopen::graph"]
    messages = [record["message"] for record in printed]
    for words in ("plain line", "no newline", "to stderr"):
        assert any(words in message for message in messages), messages
    assert any(record["source"] == "stderr" for record in printed)
    created = [record for record in found if record["target"] == "langopen_api::access" and record["method"] == "POST"]
    assert len(created) == 1 and created[0]["route"] == "/threads/{thread_id}/runs"
    ended = [record for record in found if "run ended" in record["message"]]
    assert ended[0]["run_status"] == "success" and ended[0]["duration_ms"] > 0
    for record in [*printed, *ended]:
        assert {key: record.get(key) for key in ids} == ids, record
        assert record["attempt"] == 1
        assert record.items() >= TENANT.items()
    assert created[0].items() >= (ids | TENANT).items()


async def test_a_failure_is_logged_with_its_run(server):
    async with get_client(url=server.url) as client:
        thread = await client.threads.create()
        run = await client.runs.create(thread["thread_id"], "failing", input={})
        assert (await finished(client, run, 60))["status"] == "error"
    found = await lines_of(server, run["run_id"], lambda found: any("run ended" in each["message"] for each in found))
    failed = [record for record in found if "Traceback" in record["message"]]
    assert failed and all(RUN_IDS <= record.keys() for record in failed)
    assert [record["run_status"] for record in found if "run ended" in record["message"]] == ["error"]


async def test_each_request_has_one_line(server):
    since = server.log_size()
    request_id = f"request-{new_id()}"
    secret = new_id()
    headers = {"x-request-id": request_id, "x-team": "blue", "authorization": f"Bearer {secret}", "x-other": "unseen"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        assert (await http.get("/threads/not-an-id")).status_code == 422

    async def logged():
        return [each for each in records(server, since) if each.get("request_id") == request_id]

    (line,) = await until(logged, 60)
    assert (line["method"], line["route"], line["status"]) == ("GET", "/threads/{thread_id}", 422)
    assert line["level"] == "INFO" and line["duration_ms"] >= 0
    assert json.loads(line["headers"]) == {"x-team": "blue"}
    everything = server.logs(limit=10_000_000)
    assert secret not in everything and "unseen" not in everything


async def test_a_request_without_an_id_gets_one(server):
    async with get_client(url=server.url) as client:
        thread = await client.threads.create()
        run = await client.runs.create(thread["thread_id"], "three", input={})
        await finished(client, run, 60)
    given = run["kwargs"]["config"]["configurable"]["langgraph_request_id"]
    found = await lines_of(server, run["run_id"], lambda found: any("run ended" in each["message"] for each in found))
    assert {record["request_id"] for record in found if "run ended" in record["message"]} == {given}


def test_a_level_can_be_chosen_and_a_start_that_fails_is_a_record(tmp_path, cache_dir):
    missing = tmp_path / "langgraph.json"
    server = Server(tmp_path / "data", cache_dir, config=missing, env={"LOG_JSON": "true", "LOG_LEVEL": "ERROR"})
    with pytest.raises(RuntimeError):
        server.start()
    (record,) = records(server)
    assert record["level"] == "ERROR" and "langgraph.json" in record["message"]
