"""What clients see of a graph that fails: in the run, the thread, the state, the stream."""

import pytest

from helpers import finished, library_differs, names, reference_differs, run_events

PUBLIC = {
    "value": ("ValueError", 'bad value: é\u2028"quoted"'),
    "type": ("TypeError", "bad type"),
    "key": ("KeyError", "'bad key'"),
    "attribute": ("AttributeError", "bad attribute"),
    "runtime": ("RuntimeError", "bad runtime"),
    "recursion": ("RecursionError", "bad recursion"),
    "timeout": ("TimeoutError", "bad timeout"),
    "own_value": ("OwnValueError", "text of own value"),
    "empty": ("ValueError", ""),
}
MASKED = {"zero": "ZeroDivisionError", "os": "OSError", "own": "OwnError"}
EXPECTED = PUBLIC | {kind: (name, "An internal error occurred") for kind, name in MASKED.items()}


@pytest.mark.parametrize("kind", EXPECTED)
async def test_error_event(http, thread_id, kind):
    """A class that the server knows shows its text; any other hides it."""
    events = await run_events(http, thread_id, "failing", input={"kind": kind})
    assert names(events) == ["metadata", "values", "values", "error"]
    name, message = EXPECTED[kind]
    assert events[-1].data == {"error": name, "message": message}


async def test_everywhere_else(client, http, thread_id):
    run = await client.runs.create(thread_id, "failing", input={"kind": "value"})
    assert (await finished(client, run))["status"] == "error"
    thread = await client.threads.get(thread_id)
    assert thread["status"] == "error"
    assert thread["error"] == {"error": "ValueError", "message": PUBLIC["value"][1]}
    assert thread["values"] == {"log": ["start"], "kind": "value"}
    state = await client.threads.get_state(thread_id)
    assert (state["next"], state["values"]["log"]) == (["fail"], ["start"])
    assert state["tasks"][0]["error"].startswith("ValueError(")
    joined = (await http.get(f"/threads/{thread_id}/runs/{run['run_id']}/join")).json()
    assert joined == {"__error__": {"error": "ValueError", "message": PUBLIC["value"][1]}}


async def test_wait_raises_in_the_client(client, http, thread_id):
    with pytest.raises(Exception, match="RuntimeError: bad runtime"):
        await client.runs.wait(thread_id, "failing", input={"kind": "runtime"})
    body = {"assistant_id": "failing", "input": {"kind": "runtime"}}
    answer = await http.post(f"/threads/{thread_id}/runs/wait", json=body)
    assert answer.status_code == 200
    assert answer.json() == {"__error__": {"error": "RuntimeError", "message": "bad runtime"}}


async def test_a_thread_recovers_from_an_error(client, thread_id):
    await client.runs.wait(thread_id, "failing", input={"kind": "value"}, raise_error=False)
    await client.threads.update_state(thread_id, {"kind": "none"}, as_node="start")
    values = await client.runs.wait(thread_id, "failing", input=None)
    assert values["log"] == ["start", "no failure"]
    thread = await client.threads.get(thread_id)
    assert (thread["status"], thread["error"]) == ("idle", None)


async def test_recursion_limit(client, http, thread_id):
    events = await run_events(http, thread_id, "endless", input={"log": []}, config={"recursion_limit": 3})
    assert events[-1].event == "error"
    assert events[-1].data["error"] == "GraphRecursionError"
    assert "Recursion limit of 3" in events[-1].data["message"]
    assert names(events)[:-1].count("values") == 4
    assert (await client.threads.get(thread_id))["status"] == "error"


async def test_wrong_input_is_the_runs_error(client, http, thread_id):
    events = await run_events(http, thread_id, "three", input="a string")
    assert names(events)[-1] == "error"
    run = (await client.runs.list(thread_id))[0]
    assert run["status"] == "error"


# On the reference one of these ends the whole server process.
@reference_differs("a node can end the server process")
@pytest.mark.parametrize("kind", ["exit", "cancelled"])
async def test_a_node_cannot_stop_the_server(client, thread_id, kind):
    run = await client.runs.create(thread_id, "failing", input={"kind": kind})
    assert (await finished(client, run))["status"] in ("error", "interrupted")
    assert (await client.threads.get(thread_id))["status"] in ("error", "interrupted", "idle")
    after = (await client.threads.create())["thread_id"]
    assert (await client.runs.wait(after, "three", input={"log": []}))["log"] == ["one", "two", "three"]


@library_differs("every value has a stored form")
@reference_differs("a value that cannot be stored leaves the run in doubt")
async def test_a_value_that_cannot_be_stored(client, thread_id):
    run = await client.runs.create(thread_id, "failing", input={"kind": "unserialisable"})
    assert (await finished(client, run))["status"] == "error"
    assert (await client.threads.get(thread_id))["status"] == "error"
