"""Every method of the synchronous client over real results, also from several threads that share its connections."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from helpers import HI, UUID, new_id

DONE = ["one", "two", "three"]

# Methods that have suites of their own.
ELSEWHERE = {"threads.stream"}


def thread_with_a_run(client, graph="three", **options):
    thread_id = client.threads.create()["thread_id"]
    client.runs.wait(thread_id, graph, input={"log": []}, **options)
    return thread_id


def test_every_method_is_called_in_this_file(sync_client):
    source = Path(__file__).read_text()
    resources = ("assistants", "threads", "runs", "crons", "store")
    methods = {
        f"{resource}.{name}"
        for resource in resources
        for name, _ in inspect.getmembers(getattr(sync_client, resource), inspect.ismethod)
        if not name.startswith("_")
    }
    assert {method for method in methods - ELSEWHERE if f"{method}(" not in source} == set()


def test_assistants(sync_client):
    client, mark = sync_client, {"mark": new_id()}
    made = client.assistants.create(
        "context_echo", {"tags": ["t"]}, context={"model_name": "m"}, metadata=mark, name="Sync", description="d"
    )
    assistant_id = made["assistant_id"]
    assert client.assistants.get(assistant_id) == made
    changed = client.assistants.update(assistant_id, name="Changed", metadata={"more": 1})
    assert (changed["version"], changed["name"]) == (2, "Changed")
    assert [one["version"] for one in client.assistants.get_versions(assistant_id)] == [2, 1]
    assert client.assistants.set_latest(assistant_id, 1)["name"] == "Sync"
    assert [one["assistant_id"] for one in client.assistants.search(metadata=mark)] == [assistant_id]
    page = client.assistants.search(metadata=mark, response_format="object")
    assert (len(page["assistants"]), page["next"]) == (1, None)
    assert client.assistants.count(metadata=mark) == 1
    assert client.assistants.count(metadata=mark, graph_id="three") == 0
    assert {"nodes", "edges"} == client.assistants.get_graph(assistant_id, xray=True).keys()
    assert "model_name" in client.assistants.get_schemas(assistant_id)["context_schema"]["properties"]
    assert client.assistants.get_subgraphs(assistant_id, recurse=True) == {}
    client.assistants.delete(assistant_id)
    with pytest.raises(NotFoundError):
        client.assistants.get(assistant_id)


def test_threads(sync_client):
    client, mark = sync_client, {"mark": new_id()}
    thread_id = new_id()
    thread = client.threads.create(thread_id=thread_id, metadata=mark)
    with pytest.raises(ConflictError):
        client.threads.create(thread_id=thread_id)
    assert client.threads.create(thread_id=thread_id, if_exists="do_nothing") == thread
    assert client.threads.get(thread_id) == thread
    assert client.threads.update(thread_id, metadata={"more": 1})["metadata"] == mark | {"more": 1}
    assert client.threads.update(thread_id, metadata={"quiet": 1}, return_minimal=True) is None
    client.runs.wait(thread_id, "three", input={"log": []})
    (found,) = client.threads.search(metadata=mark, status="idle", values={"log": DONE}, extract={"last": "values.log[-1]"})
    assert (found["thread_id"], found["extracted"]) == (thread_id, {"last": "three"})
    assert client.threads.count(metadata=mark) == 1
    assert client.threads.count(metadata=mark, status="busy") == 0
    copy = client.threads.copy(thread_id)
    assert client.threads.get_state(copy["thread_id"])["values"]["log"] == DONE
    client.threads.delete(copy["thread_id"])
    with pytest.raises(NotFoundError):
        client.threads.get(copy["thread_id"])


def test_prune(sync_client):
    client = sync_client
    kept, gone = thread_with_a_run(client), thread_with_a_run(client)
    assert client.threads.prune([kept], strategy="keep_latest") == {"pruned_count": 1}
    assert [state["values"]["log"] for state in client.threads.get_history(kept)] == [DONE]
    assert client.threads.prune([gone, new_id()]) == {"pruned_count": 1}
    with pytest.raises(NotFoundError):
        client.threads.get(gone)


def test_state(sync_client):
    client = sync_client
    thread_id = thread_with_a_run(client)
    history = client.threads.get_history(thread_id)
    assert [one["metadata"]["step"] for one in history] == [3, 2, 1, 0, -1]
    assert client.threads.get_state(thread_id) == history[0]
    assert client.threads.get_state(thread_id, checkpoint=history[2]["checkpoint"])["next"] == ["two"]
    assert client.threads.get_state(thread_id, checkpoint_id=history[1]["checkpoint_id"])["next"] == ["three"]
    assert len(client.threads.get_history(thread_id, before=history[3]["checkpoint"])) == 1
    client.threads.update_state(thread_id, {"log": ["x"]}, as_node="three")
    assert client.threads.get_state(thread_id)["values"]["log"] == [*DONE, "x"]


def test_runs(sync_client):
    client = sync_client
    thread_id = client.threads.create()["thread_id"]
    told = []
    run = client.runs.create(thread_id, "three", input={"log": []}, on_run_created=told.append)
    assert told == [{"run_id": run["run_id"], "thread_id": thread_id}]
    assert client.runs.join(thread_id, run["run_id"])["log"] == DONE
    got = client.runs.get(thread_id, run["run_id"])
    assert got["status"] == "success"
    assert client.runs.list(thread_id, status="success") == [got]
    assert client.runs.list(thread_id, select=["run_id"]) == [{"run_id": run["run_id"]}]
    client.runs.delete(thread_id, run["run_id"])
    assert client.runs.list(thread_id) == []
    batch = client.runs.create_batch([{"assistant_id": "three", "input": {"log": []}}] * 2)
    assert len({one["run_id"] for one in batch}) == 2
    with pytest.raises(Exception, match="RuntimeError: bad runtime"):
        client.runs.wait(None, "failing", input={"kind": "runtime"})


def test_stream(sync_client):
    parts = list(sync_client.runs.stream(None, "chat", input=HI, stream_mode=["messages-tuple", "values"]))
    assert parts[0].event == "metadata" and parts[-1].event == "values"
    assert UUID.fullmatch(parts[0].data["run_id"])
    assert "".join(part.data[0]["content"] for part in parts if part.event == "messages") == "Good day to you"


def test_stream_with_typed_parts(sync_client):
    parts = list(sync_client.runs.stream(None, "three", input={"log": []}, stream_mode="updates", version="v2"))
    updates = [part["data"] for part in parts if part["type"] == "updates"]
    assert updates == [{name: {"log": [name]}} for name in DONE]


def test_cancel(sync_client):
    client = sync_client
    thread_id = client.threads.create()["thread_id"]
    run = client.runs.create(thread_id, "slow", input={"secs": 90})
    client.runs.cancel(thread_id, run["run_id"], wait=True)
    assert client.runs.get(thread_id, run["run_id"])["status"] == "interrupted"
    runs = [client.runs.create(thread_id, "slow", input={"secs": 90}) for _ in range(2)]
    client.runs.cancel_many(thread_id=thread_id, run_ids=[one["run_id"] for one in runs])
    for one in runs:
        client.runs.join(thread_id, one["run_id"])
        assert client.runs.get(thread_id, one["run_id"])["status"] == "interrupted"


def test_join_stream(sync_client):
    thread_id = sync_client.threads.create()["thread_id"]
    run = sync_client.runs.create(
        thread_id, "slow", input={"secs": 0.3, "log": []}, stream_mode="updates", stream_resumable=True
    )
    parts = list(sync_client.runs.join_stream(thread_id, run["run_id"], last_event_id="-"))
    assert [list(part.data)[0] for part in parts if part.event == "updates"] == ["one", "sleep", "three"]


def test_thread_stream(sync_client):
    client = sync_client
    thread_id = client.threads.create()["thread_id"]
    run = client.runs.create(thread_id, "three", input={"log": []}, stream_mode="updates", stream_resumable=True)
    client.runs.join(thread_id, run["run_id"])
    heard = []
    for part in client.threads.join_stream(thread_id, last_event_id="-"):
        heard.append(part)
        if part.event == "metadata" and part.data.get("status") == "run_done":
            break
    assert [list(part.data)[0] for part in heard if part.event == "updates"] == DONE
    with pytest.raises(UnprocessableEntityError):
        list(client.threads.join_stream(thread_id, last_event_id="bogus"))


def test_crons(sync_client):
    client, mark, yearly = sync_client, {"mark": new_id()}, "0 0 1 1 *"
    thread_id = client.threads.create()["thread_id"]
    cron_id = client.crons.create("three", schedule=yearly, input={"log": []}, metadata=mark, timezone="UTC")["cron_id"]
    own = client.crons.create_for_thread(thread_id, "three", schedule=yearly, metadata=mark, enabled=False)["cron_id"]
    assert client.crons.count(metadata=mark) == 2
    assert [one["cron_id"] for one in client.crons.search(thread_id=thread_id)] == [own]
    assert client.crons.search(metadata=mark, enabled=True, select=["cron_id"]) == [{"cron_id": cron_id}]
    changed = client.crons.update(cron_id, schedule="30 6 * * *", metadata={"more": 1}, enabled=False)
    assert (changed["schedule"], changed["metadata"], changed["enabled"]) == ("30 6 * * *", mark | {"more": 1}, False)
    client.crons.delete(cron_id)
    with pytest.raises(NotFoundError):
        client.crons.delete(cron_id)
    client.threads.delete(thread_id)
    assert client.crons.count(metadata=mark) == 0


def test_interrupt_and_resume(sync_client):
    thread_id = thread_with_a_run(sync_client, "question")
    (interrupts,) = sync_client.threads.get(thread_id)["interrupts"].values()
    command = {"resume": {interrupts[0]["id"]: "yes"}}
    assert sync_client.runs.wait(thread_id, "question", command=command)["reply"] == "yes"


def test_store(sync_client):
    client, namespace = sync_client, ["sync", new_id()]
    client.store.put_item(namespace, "k", {"v": 1})
    assert client.store.get_item(namespace, "k")["value"] == {"v": 1}
    assert [one["key"] for one in client.store.search_items(namespace, filter={"v": 1})["items"]] == ["k"]
    assert client.store.list_namespaces(prefix=namespace) == {"namespaces": [namespace]}
    client.store.delete_item(namespace, "k")
    assert client.store.get_item(namespace, "k") is None


def test_from_several_threads(sync_client):
    """One client, one pool of HTTP/1.1 connections, many threads: nobody gets another's answer."""

    def once(number):
        thread_id = sync_client.threads.create(metadata={"number": number})["thread_id"]
        log = sync_client.runs.wait(thread_id, "three", input={"log": [number]})["log"]
        parts = list(sync_client.runs.stream(thread_id, "three", input={"log": [-number]}, stream_mode="updates"))
        assert sync_client.threads.get(thread_id)["metadata"]["number"] == number
        state = sync_client.threads.get_state(thread_id)["values"]["log"]
        assert (len(parts), state) == (4, [number, *DONE, -number, *DONE])
        return log[0]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(once, range(48))) == list(range(48))


def test_streams_side_by_side(sync_client):
    """Streams that are read at the same time, each in its own thread, hold up nobody else."""

    def words(_):
        parts = sync_client.runs.stream(None, "slow_chat", input=HI, stream_mode="messages-tuple")
        return "".join(part.data[0]["content"] for part in parts if part.event == "messages")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(words, range(16))) == {"Good day to you"}
