"""Copies of threads, and runs that start from an older checkpoint."""

from helpers import UUID


async def history(client, thread_id):
    return await client.threads.get_history(thread_id, limit=50)


async def test_copy_keeps_every_checkpoint(client, http, thread_id):
    await client.threads.update(thread_id, metadata={"kept": True})
    await client.runs.wait(thread_id, "three", input={"log": []})
    answer = await http.post(f"/threads/{thread_id}/copy")
    copy = answer.json()
    assert answer.status_code == 200
    assert UUID.fullmatch(copy["thread_id"]) and copy["thread_id"] != thread_id
    assert (copy["status"], copy["metadata"]["kept"]) == ("idle", True)
    old, new = await history(client, thread_id), await history(client, copy["thread_id"])
    assert [one["values"] for one in new] == [one["values"] for one in old]
    assert [one["checkpoint_id"] for one in new] == [one["checkpoint_id"] for one in old]
    assert {one["checkpoint"]["thread_id"] for one in new} == {copy["thread_id"]}
    assert {one["metadata"]["thread_id"] for one in new} == {copy["thread_id"]}


async def test_copy_lives_alone(client, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": []})
    copy = (await client.threads.copy(thread_id)) or None
    copies = [copy] if copy else await client.threads.search(metadata={"graph_id": "three"}, limit=1)
    copy_id = copies[0]["thread_id"]
    await client.runs.wait(copy_id, "three", input={"log": ["more"]})
    assert len(await history(client, copy_id)) == 10
    assert len(await history(client, thread_id)) == 5
    await client.threads.delete(thread_id)
    assert len(await history(client, copy_id)) == 10


async def test_copy_of_an_interrupted_thread_can_be_resumed(client, http, thread_id):
    await client.runs.wait(thread_id, "question", input={"log": []})
    copy = (await http.post(f"/threads/{thread_id}/copy")).json()["thread_id"]
    final = await client.runs.wait(copy, "question", command={"resume": "yes"})
    assert final == {"log": ["before", "asked", "after"], "reply": "yes"}
    assert (await client.threads.get(thread_id))["status"] == "interrupted"


async def test_run_from_a_checkpoint(client, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": ["in"]})
    old = next(one for one in await history(client, thread_id) if one["next"] == ["two"])
    final = await client.runs.wait(thread_id, "three", input=None, checkpoint_id=old["checkpoint_id"])
    assert final["log"] == ["in", "one", "two", "three"]
    after = await history(client, thread_id)
    parents = {one["checkpoint_id"]: one["parent_checkpoint_id"] for one in after}
    line = [after[0]["checkpoint_id"]]
    while parents[line[-1]]:
        line.append(parents[line[-1]])
    assert old["checkpoint_id"] in line
    assert len(after) > 5


async def test_new_input_from_a_checkpoint(client, thread_id):
    """What a front end does for "edit and regenerate"."""
    await client.runs.wait(thread_id, "three", input={"log": ["first"]})
    start = (await history(client, thread_id))[-1]
    await client.runs.wait(thread_id, "three", input={"log": ["second"]})
    final = await client.runs.wait(thread_id, "three", input={"log": ["edited"]}, checkpoint=start["checkpoint"])
    assert final["log"] == ["edited", "one", "two", "three"]


async def test_update_from_a_checkpoint_forks(client, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": ["in"]})
    old = next(one for one in await history(client, thread_id) if one["next"] == ["two"])
    forked = await client.threads.update_state(
        thread_id, {"log": ["forked"]}, checkpoint=old["checkpoint"], as_node="one"
    )
    state = await client.threads.get_state(thread_id)
    assert state["checkpoint_id"] == forked["checkpoint_id"]
    assert state["parent_checkpoint_id"] == old["checkpoint_id"]
    assert state["values"]["log"] == ["in", "one", "forked"]
    final = await client.runs.wait(thread_id, "three", input=None)
    assert final["log"] == ["in", "one", "forked", "two", "three"]


async def test_copy_marker_clones_a_checkpoint(client, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": ["in"]})
    old = next(one for one in await history(client, thread_id) if one["next"] == ["two"])
    await client.threads.update_state(thread_id, None, checkpoint=old["checkpoint"], as_node="__copy__")
    state = await client.threads.get_state(thread_id)
    assert state["values"]["log"] == ["in", "one"]
    assert state["metadata"]["source"] == "fork"
