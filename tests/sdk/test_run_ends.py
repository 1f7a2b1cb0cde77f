"""How runs end for reasons of the platform's, and fields that change nothing: timeout, lost processes, feedback keys, tracer, checkpoint_during."""

import json
import shutil

import httpx
import pytest
from langgraph_sdk import get_client

from helpers import names, own_server_only, reference_differs, run_events
from server import HERE, Server
from test_webhooks import Receiver

LOST = """
import os

from langgraph.graph import END, START, StateGraph

def die(state):
    os.kill(os.getpid(), 9)

graph = StateGraph(dict).add_node("die", die).add_edge(START, "die").add_edge("die", END).compile()
"""


def serve(folder, cache, limits) -> Server:
    folder.mkdir()
    shutil.copy(HERE / "app" / "steps.py", folder / "steps.py")
    (folder / "lost.py").write_text(LOST)
    config = {
        "dependencies": ["langgraph>=1.0,<2"],
        "graphs": {"slow": "./steps.py:slow", "blocking": "./steps.py:blocking", "lost": "./lost.py:graph"},
        "webhooks": {"url": {"disable_loopback": False}},
    }
    (folder / "langgraph.json").write_text(json.dumps(config))
    return Server(folder / "data", cache, folder / "langgraph.json", limits, hosts=2).start()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory, cache_dir):
    """A server on which runs may take three seconds."""
    server = serve(tmp_path_factory.mktemp("ends") / "app", cache_dir, {"BG_JOB_TIMEOUT_SECS": "3"})
    yield server
    server.stop()
    print(server.logs(8_000))


@pytest.fixture
def retrying(tmp_path, cache_dir):
    """A server on which runs are tried again once."""
    server = serve(tmp_path / "app", cache_dir, {"BG_JOB_MAX_RETRIES": "1"})
    yield server
    server.stop()
    print(server.logs(8_000))


@own_server_only
@pytest.mark.parametrize("graph", ["slow", "blocking"])
async def test_a_run_that_takes_too_long(impatient, graph):
    receiver = Receiver()
    try:
        async with get_client(url=impatient.url) as client, httpx.AsyncClient(base_url=impatient.url, timeout=60) as http:
            thread_id = (await client.threads.create())["thread_id"]
            body = {"input": {"secs": 20, "log": []}, "webhook": receiver.url("/late")}
            events = await run_events(http, thread_id, graph, **body)
            failure = {"error": "TimeoutError", "message": "the run took longer than 3 s"}
            assert names(events)[0] == "metadata" and events[-1].event == "error"
            assert events[-1].data == failure
            [run] = (await http.get(f"/threads/{thread_id}/runs", params={"status": "timeout"})).json()
            assert run["status"] == "timeout"
            thread = await client.threads.get(thread_id)
            assert (thread["status"], thread["error"]) == ("error", failure)
            joined = await http.get(f"/threads/{thread_id}/runs/{run['run_id']}/join")
            assert joined.json() == {"__error__": failure}
            [told] = await receiver.told("/late")
            assert (told["run_id"], told["status"], told["error"]) == (run["run_id"], "timeout", failure)
    finally:
        receiver.stop()


@own_server_only
async def test_a_run_whose_process_dies_every_time(retrying):
    async with get_client(url=retrying.url) as client, httpx.AsyncClient(base_url=retrying.url, timeout=60) as http:
        thread_id = (await client.threads.create())["thread_id"]
        events = await run_events(http, thread_id, "lost", input={})
        attempts = [event.data["attempt"] for event in events if event.event == "metadata"]
        assert attempts == [1, 2], "the first attempt and one retry"
        assert names(events).count("error") == 1 and events[-1].event == "error"
        assert events[-1].data["message"].startswith("the run ended its graph host 2 times; the last cause: ")
        [run] = await client.runs.list(thread_id)
        assert run["status"] == "error"
        # The server goes on.
        values = await client.runs.wait(None, "slow", input={"secs": 0, "log": []})
        assert values["log"] == ["one", "slept", "three"]


@reference_differs("without LangSmith it sends an error event for a run that succeeded")
async def test_feedback_keys_without_a_provider(client, http, thread_id):
    body = {"input": {"log": []}, "feedback_keys": ["thumb"]}
    events = await run_events(http, thread_id, "three", **body)
    assert set(names(events)) == {"metadata", "values"}
    for path in (f"/threads/{thread_id}/runs/wait", "/runs/wait"):
        answer = (await http.post(path, json={"assistant_id": "three", **body})).json()
        assert answer["__feedback__"] == {} and answer["log"][-3:] == ["one", "two", "three"], path
    run = (await client.runs.list(thread_id))[0]
    assert (run["status"], run["kwargs"]["feedback_keys"]) == ("success", ["thumb"])
    joined = (await http.get(f"/threads/{thread_id}/runs/{run['run_id']}/join")).json()
    assert joined["__feedback__"] == {}
    plain = (await http.post("/runs/wait", json={"assistant_id": "three", "input": {"log": ["feedback_keys"]}})).json()
    assert "__feedback__" not in plain
    failed = {"assistant_id": "failing", "input": {"kind": "value"}, "feedback_keys": ["thumb"]}
    assert list((await http.post("/runs/wait", json=failed)).json()) == ["__error__"]


async def test_fields_that_change_nothing(client, http, thread_id):
    more = {"langsmith_tracer": {"project_name": "p", "example_id": "e"}, "not_a_field": {"deep": [1]}}
    answer = await http.post(f"/threads/{thread_id}/runs/wait", json={"assistant_id": "three", "input": {"log": []}} | more)
    assert answer.json()["log"] == ["one", "two", "three"]
    [run] = await client.runs.list(thread_id)
    assert "not_a_field" not in json.dumps(run)


@pytest.mark.parametrize(
    "given, shown, checkpoints",
    [
        ({}, (True, "async"), 5),
        ({"checkpoint_during": True}, (True, "async"), 5),
        ({"checkpoint_during": False}, (False, "exit"), 1),
        ({"durability": "exit"}, (False, "exit"), 1),
        ({"checkpoint_during": False, "durability": "sync"}, (True, "sync"), 5),
    ],
)
async def test_checkpoint_during(client, http, thread_id, given, shown, checkpoints):
    await http.post(f"/threads/{thread_id}/runs/wait", json={"assistant_id": "three", "input": {"log": []}} | given)
    [run] = await client.runs.list(thread_id)
    assert (run["kwargs"]["checkpoint_during"], run["kwargs"]["durability"]) == shown
    assert len(await client.threads.get_history(thread_id, limit=100)) == checkpoints
