"""What is kept of threads, how much that is, and for how long."""

import asyncio
import json
import time

import pytest
from langgraph_sdk import get_client

from helpers import new_id, one_process_only, own_server_only
from server import APP_CONFIG, Server

THREE = {"log": []}


async def with_history(client, runs: int = 2) -> str:
    thread_id = (await client.threads.create())["thread_id"]
    for _ in range(runs):
        await client.runs.wait(thread_id, "three", input=THREE)
    return thread_id


async def history(client, thread_id) -> list[str]:
    states = await client.threads.get_history(thread_id, limit=100)
    return [state["checkpoint"]["checkpoint_id"] for state in states]


async def test_prune_removes_threads(client):
    threads = [await with_history(client, 1) for _ in range(3)]
    pruned = await client.threads.prune([*threads[:2], new_id()])
    assert pruned == {"pruned_count": 2}, "one that is not there is left out"
    for gone in threads[:2]:
        with pytest.raises(Exception, match="not found"):
            await client.threads.get(gone)
    assert (await client.threads.get(threads[2]))["status"] == "idle"


async def test_prune_keeps_the_latest_state(client):
    thread_id = await with_history(client)
    before = await client.threads.get_state(thread_id)
    ids = await history(client, thread_id)
    assert len(ids) > 5
    assert await client.threads.prune([thread_id], strategy="keep_latest") == {"pruned_count": 1}
    assert await history(client, thread_id) == ids[:1]
    after = await client.threads.get_state(thread_id)
    assert after["values"] == before["values"] and after["checkpoint"] == before["checkpoint"]
    values = await client.runs.wait(thread_id, "three", input=THREE)
    assert values["log"][: len(before["values"]["log"])] == before["values"]["log"], "the thread goes on from it"


async def test_prune_keeps_an_open_question(client):
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "question", input={"log": []})
    (asked,) = (await client.threads.get(thread_id))["interrupts"].values()
    await client.threads.prune([thread_id], strategy="keep_latest")
    (still,) = (await client.threads.get(thread_id))["interrupts"].values()
    assert still == asked
    values = await client.runs.wait(thread_id, "question", command={"resume": "yes"})
    assert "__interrupt__" not in values


async def test_busy_threads_are_not_pruned(client):
    thread_id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread_id, "three", input=THREE, after_seconds=600)
    assert await client.threads.prune([thread_id]) == {"pruned_count": 0}
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
    assert await client.threads.prune([thread_id]) == {"pruned_count": 1}


async def test_bad_prunes(http):
    for body in ({}, {"thread_ids": "x"}, {"thread_ids": ["x"]}, {"thread_ids": [new_id()], "strategy": "nonsense"}):
        answer = await http.post("/threads/prune", json=body)
        assert answer.status_code == 422, answer.text


async def test_storage(client, http):
    thread_id = await with_history(client)
    storage = (await http.get(f"/threads/{thread_id}/storage")).json()
    assert storage["thread_id"] == thread_id
    assert storage["checkpoints"]["count"] == len(await history(client, thread_id))
    parts = [storage[part]["bytes"] for part in ("checkpoints", "channel_values", "pending_writes")]
    assert storage["total_bytes"] == sum(parts) and storage["checkpoints"]["bytes"] > 0
    channels = storage["channel_values"]["by_channel"]
    assert channels["log"]["versions"] > 1 and channels["log"]["bytes"] > 0
    assert storage["channel_values"]["count"] == sum(channel["versions"] for channel in channels.values())
    await client.threads.prune([thread_id], strategy="keep_latest")
    assert (await http.get(f"/threads/{thread_id}/storage")).json()["total_bytes"] < storage["total_bytes"]
    assert (await http.get(f"/threads/{new_id()}/storage")).status_code == 404


async def test_a_thread_tells_its_ttl(client, http):
    thread = await client.threads.create(ttl={"ttl": 5, "strategy": "keep_latest"})
    path = f"/threads/{thread['thread_id']}"
    assert "ttl" not in (await http.get(path)).json()
    ttl = (await http.get(path, params={"include": "ttl"})).json()["ttl"]
    assert (ttl["strategy"], ttl["ttl_minutes"]) == ("keep_latest", 5)
    assert ttl["expires_at"] > thread["created_at"]
    await client.threads.update(thread["thread_id"], metadata={}, ttl=10)
    ttl = (await http.get(path, params={"include": "ttl"})).json()["ttl"]
    assert (ttl["strategy"], ttl["ttl_minutes"]) == ("delete", 10)
    forever = (await client.threads.create())["thread_id"]
    assert not (await http.get(f"/threads/{forever}", params={"include": "ttl"})).json().get("ttl")
    for bad in (0, -1, "x", {"ttl": "x"}, {"ttl": 1, "strategy": "x"}, {}):
        assert (await http.post("/threads", json={"ttl": bad})).status_code == 422, bad


@one_process_only("workers sweep in an interval of their own")
@own_server_only
async def test_threads_expire(tmp_path, cache_dir):
    """By the configuration, those that runs make too; a thread's own time wins."""
    config = json.loads(APP_CONFIG.read_text())
    folder = APP_CONFIG.parent
    config["dependencies"] = [str(folder)]
    config["graphs"] = {"three": f"{folder}/steps.py:three"}
    config["checkpointer"] = {"ttl": {"default_ttl": 0.05, "sweep_interval_minutes": 0.01}}
    path = tmp_path / "langgraph.json"
    path.write_text(json.dumps(config))
    server = Server(tmp_path / "data", cache_dir, path).start()
    try:
        async with get_client(url=server.url) as client:
            kept = (await client.threads.create(ttl=60))["thread_id"]
            cut = await client.threads.create(ttl={"ttl": 0.05, "strategy": "keep_latest"})
            for _ in range(2):
                await client.runs.wait(cut["thread_id"], "three", input=THREE)
            made = (await client.threads.create())["thread_id"]
            implicit = new_id()
            await client.runs.wait(implicit, "three", input=THREE, if_not_exists="create")
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                left = {thread["thread_id"] for thread in await client.threads.search(limit=100)}
                if left == {kept, cut["thread_id"]} and len(await history(client, cut["thread_id"])) == 1:
                    break
                await asyncio.sleep(0.3)
            assert left == {kept, cut["thread_id"]}, (made, implicit)
            assert len(await history(client, cut["thread_id"])) == 1
            assert (await client.threads.get_state(cut["thread_id"]))["values"]["log"]
    finally:
        server.stop()
