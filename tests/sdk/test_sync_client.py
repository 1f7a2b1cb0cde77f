"""The same through the synchronous client, also from several threads."""

from concurrent.futures import ThreadPoolExecutor

from helpers import HI


def test_round(sync_client):
    client = sync_client
    assistant = client.assistants.create("three", name="sync")
    assert client.assistants.get(assistant["assistant_id"])["name"] == "sync"
    thread = client.threads.create(metadata={"by": "sync"})
    thread_id = thread["thread_id"]
    values = client.runs.wait(thread_id, assistant["assistant_id"], input={"log": []})
    assert values["log"] == ["one", "two", "three"]
    assert client.threads.get_state(thread_id)["values"] == values
    assert len(client.threads.get_history(thread_id, limit=10)) == 5
    client.threads.update_state(thread_id, {"log": ["x"]}, as_node="three")
    assert client.threads.get_state(thread_id)["values"]["log"][-1] == "x"
    client.threads.delete(thread_id)
    client.assistants.delete(assistant["assistant_id"])


def test_stream(sync_client):
    parts = list(sync_client.runs.stream(None, "chat", input=HI, stream_mode=["messages-tuple", "values"]))
    assert parts[0].event == "metadata" and parts[-1].event == "values"
    assert "".join(part.data[0]["content"] for part in parts if part.event == "messages") == "Good day to you"


def test_create_join_and_cancel(sync_client):
    thread_id = sync_client.threads.create()["thread_id"]
    run = sync_client.runs.create(thread_id, "three", input={"log": []})
    assert sync_client.runs.join(thread_id, run["run_id"])["log"] == ["one", "two", "three"]
    run = sync_client.runs.create(thread_id, "slow", input={"secs": 30})
    sync_client.runs.cancel(thread_id, run["run_id"], wait=True)
    assert sync_client.runs.get(thread_id, run["run_id"])["status"] == "interrupted"


def test_join_stream(sync_client):
    thread_id = sync_client.threads.create()["thread_id"]
    run = sync_client.runs.create(
        thread_id, "slow", input={"secs": 0.3, "log": []}, stream_mode="updates", stream_resumable=True
    )
    parts = list(sync_client.runs.join_stream(thread_id, run["run_id"], last_event_id="-"))
    assert [list(part.data)[0] for part in parts if part.event == "updates"] == ["one", "sleep", "three"]


def test_store(sync_client):
    sync_client.store.put_item(["suite", "sync"], "k", {"v": 1})
    assert sync_client.store.get_item(["suite", "sync"], "k")["value"] == {"v": 1}
    sync_client.store.delete_item(["suite", "sync"], "k")
    assert sync_client.store.get_item(["suite", "sync"], "k") is None


def test_from_several_threads(sync_client):
    def once(number):
        thread_id = sync_client.threads.create()["thread_id"]
        return sync_client.runs.wait(thread_id, "three", input={"log": [number]})["log"][0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(once, range(16))) == list(range(16))
