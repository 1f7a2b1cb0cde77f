"""The owner handler of LangGraph's documentation, alone: one `@auth.on` that stamps `metadata.owner` and filters by it."""


import httpx
import pytest
from langgraph_sdk import get_client

from helpers import HI, OWNER_APP, bearer, finished, new_id, own_server_only, until
from server import Server

pytestmark = own_server_only
YEARLY = "0 0 1 1 *"


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache_dir):
    server = Server(tmp_path_factory.mktemp("owners") / "data", cache_dir, OWNER_APP)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def user(server):
    """Clients of users by their names."""
    made = {}

    def client(name: str):
        return made.setdefault(name, get_client(url=server.url, headers=bearer(name)))

    yield client
    for each in made.values():
        await each.aclose()


@pytest.fixture
async def alice(user):
    return user("alice")


@pytest.fixture
async def bob(user):
    return user("bob")


@pytest.fixture
async def http(server):
    """Raw HTTP as alice."""
    async with httpx.AsyncClient(base_url=server.url, headers=bearer("alice"), timeout=60) as http:
        yield http


def texts(values) -> list[str]:
    return [message["content"] for message in values["messages"]]


async def refused(status: int, *attempts, says: str = "") -> None:
    """Every one of the SDK's calls is answered with this status."""
    for attempt in attempts:
        with pytest.raises(httpx.HTTPStatusError, match=says) as caught:
            await attempt
        assert caught.value.response.status_code == status, caught.value


async def events(stream) -> list[str]:
    return [part.event async for part in stream]


async def test_runs_use_the_assistants_of_graphs(alice):
    thread = await alice.threads.create()
    assert thread["metadata"] == {"owner": "alice"}
    thread_id = thread["thread_id"]
    assert texts(await alice.runs.wait(thread_id, "agent", input=HI)) == ["hi", "alice: 1"]
    assert texts(await alice.runs.wait(thread_id, "agent", input=HI)) == ["hi", "alice: 1", "hi", "alice: 3"], "turn after turn"
    run = await alice.runs.create(thread_id, "agent", input=HI, stream_resumable=True)
    assert run["metadata"]["owner"] == "alice"
    assert len((await alice.runs.join(thread_id, run["run_id"]))["messages"]) == 6
    assert "values" in await events(alice.runs.join_stream(thread_id, run["run_id"], last_event_id="-1"))
    assert await events(alice.runs.stream(thread_id, run["assistant_id"], input=HI)) == ["metadata", "values", "values"]
    assert len(await alice.runs.list(thread_id)) == 4
    assert texts(await alice.runs.wait(None, "agent", input=HI)) == ["hi", "alice: 1"]
    assert (await events(alice.runs.stream(None, "agent", input=HI)))[-1] == "values"
    batch = await alice.runs.create_batch([{"assistant_id": "agent", "input": HI, "on_completion": "keep"}] * 2)
    for each in batch:
        assert (await finished(alice, each))["status"] == "success"
        assert (await alice.threads.get(each["thread_id"]))["metadata"]["owner"] == "alice"


async def test_the_assistants_of_graphs_are_not_shown(user, http):
    carol = user("carol")
    assert await carol.assistants.search() == [] and await carol.assistants.count() == 0
    [run] = await carol.runs.create_batch([{"assistant_id": "agent", "input": HI}])
    path = f"/assistants/{run['assistant_id']}"
    for method, at in (("GET", path), ("GET", f"{path}/graph"), ("GET", f"{path}/schemas"), ("DELETE", path)):
        assert (await http.request(method, at)).status_code == 404, (method, at)
    answer = await http.patch(path, json={"name": "mine"})
    assert (answer.status_code, answer.json()["detail"]) == (404, f"Assistant {run['assistant_id']} not found")


async def test_assistants_of_users_are_theirs_to_run(alice, bob):
    made = await alice.assistants.create("agent", metadata={"k": 1})
    assert made["metadata"] == {"k": 1, "owner": "alice"}
    assistant_id = made["assistant_id"]
    thread_id, other = [(await client.threads.create())["thread_id"] for client in (alice, bob)]
    assert (await alice.assistants.update(assistant_id, name="mine"))["metadata"]["owner"] == "alice"
    assert [each["version"] for each in await alice.assistants.get_versions(assistant_id)] == [2, 1]
    assert (await alice.assistants.set_latest(assistant_id, 1))["version"] == 1
    assert await alice.runs.wait(thread_id, assistant_id, input=HI)
    cron = await alice.crons.create(assistant_id, schedule=YEARLY, input=HI)
    await alice.crons.delete(cron["cron_id"])
    await refused(
        404,
        bob.assistants.get(assistant_id),
        bob.assistants.get_graph(assistant_id),
        bob.assistants.update(assistant_id, name="his"),
        bob.assistants.get_versions(assistant_id),
        bob.assistants.set_latest(assistant_id, 1),
        bob.assistants.delete(assistant_id),
        bob.runs.wait(other, assistant_id, input=HI),
        bob.runs.wait(None, assistant_id, input=HI),
        bob.runs.create(other, assistant_id, input=HI),
        bob.runs.create_batch([{"assistant_id": assistant_id, "input": HI}]),
        bob.crons.create(assistant_id, schedule=YEARLY),
        bob.crons.create_for_thread(other, assistant_id, schedule=YEARLY),
    )
    assert await bob.assistants.search(metadata={"k": 1}) == []
    await alice.assistants.delete(assistant_id)


async def test_a_handler_that_refuses_assistants_stops_no_run_of_a_graph(alice, user):
    banned = user("banned")
    made = await alice.assistants.create("agent")
    thread_id = (await banned.threads.create())["thread_id"]
    assert texts(await banned.runs.wait(thread_id, "agent", input=HI)) == ["hi", "banned: 1"]
    cron = await banned.crons.create("agent", schedule=YEARLY, input=HI)
    await banned.crons.delete(cron["cron_id"])
    await refused(
        403,
        banned.assistants.search(),
        banned.assistants.get(made["assistant_id"]),
        banned.runs.wait(thread_id, made["assistant_id"], input=HI),
        banned.crons.create(made["assistant_id"], schedule=YEARLY),
    )
    await alice.assistants.delete(made["assistant_id"])


async def test_a_handler_that_raises_says_why(user):
    readonly = user("readonly")
    attempts = [readonly.threads.create(), readonly.runs.wait(None, "agent", input=HI), readonly.crons.create("agent", schedule=YEARLY)]
    await refused(403, *attempts, says="Read only|403")
    assert await readonly.threads.search() == []


async def test_threads_are_their_makers(alice, bob):
    mark = {"mark": new_id()}
    thread_id = (await alice.threads.create(metadata=mark))["thread_id"]
    await alice.runs.wait(thread_id, "agent", input=HI)
    assert (await alice.threads.create(metadata=mark | {"owner": "bob"}))["metadata"]["owner"] == "alice"
    assert (await alice.threads.update(thread_id, metadata={"owner": "bob", "a": 1}))["metadata"]["owner"] == "alice"
    assert await alice.threads.count(metadata=mark) == 2 and await bob.threads.count(metadata=mark) == 0
    assert await bob.threads.search(metadata=mark) == []
    state = await alice.threads.get_state(thread_id)
    assert len(await alice.threads.get_history(thread_id)) == 3
    await alice.threads.update_state(thread_id, {"messages": [{"role": "user", "content": "more"}]})
    assert texts((await alice.threads.get_state(thread_id))["values"])[-1] == "more"
    copy = await alice.threads.copy(thread_id)
    assert copy["metadata"]["owner"] == "alice" and copy["metadata"]["a"] == 1
    [run] = await alice.runs.list(thread_id)
    await refused(
        404,
        bob.threads.get(thread_id),
        bob.threads.update(thread_id, metadata={"owner": "bob"}),
        bob.threads.delete(thread_id),
        bob.threads.get_state(thread_id),
        bob.threads.get_state(thread_id, checkpoint=state["checkpoint"]),
        bob.threads.get_history(thread_id),
        bob.threads.update_state(thread_id, {"messages": []}),
        bob.threads.prune([thread_id]),
        bob.runs.wait(thread_id, "agent", input=HI),
        bob.runs.create(thread_id, "agent", input=HI, if_not_exists="create"),
        bob.runs.list(thread_id),
        bob.runs.get(thread_id, run["run_id"]),
        bob.runs.cancel(thread_id, run["run_id"]),
        bob.runs.delete(thread_id, run["run_id"]),
        bob.crons.create_for_thread(thread_id, "agent", schedule=YEARLY),
    )
    assert await alice.threads.prune([thread_id, copy["thread_id"]]) == {"pruned_count": 2}


async def test_the_stream_of_anothers_run_says_that_there_is_none(alice, bob):
    thread_id = (await alice.threads.create())["thread_id"]
    run = await alice.runs.create(thread_id, "agent", input=HI, stream_resumable=True)
    heard = [part async for part in bob.runs.join_stream(thread_id, run["run_id"], last_event_id="-1")]
    assert [(part.event, part.data["message"]) for part in heard] == [("error", "404: Thread not found")]
    heard = [part async for part in alice.runs.join_stream(thread_id, new_id())]
    assert [(part.event, part.data["message"]) for part in heard] == [("error", "404: Run not found")]


async def test_a_run_that_asks_is_answered_by_its_owner(alice, bob):
    thread_id = (await alice.threads.create())["thread_id"]
    asked = await alice.runs.wait(thread_id, "asker", input=HI)
    assert [each["value"] for each in asked["__interrupt__"]] == ["go on?"]
    await refused(404, bob.runs.wait(thread_id, "asker", command={"resume": "no"}))
    assert texts(await alice.runs.wait(thread_id, "asker", command={"resume": "yes"})) == ["hi", "answered yes"]


async def test_runs_are_cancelled_by_their_owner(alice, bob):
    thread_id = (await alice.threads.create())["thread_id"]
    run = await alice.runs.create(thread_id, "slow", input=HI)
    await refused(
        404,
        bob.runs.cancel(thread_id, run["run_id"]),
        bob.runs.cancel_many(thread_id=thread_id, run_ids=[run["run_id"]]),
        bob.runs.cancel_many(status="all"),
    )
    await alice.runs.cancel(thread_id, run["run_id"], wait=True)
    assert (await alice.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"


async def test_crons_are_their_makers_and_run_as_them(alice, bob):
    mark = {"mark": new_id()}
    cron = await alice.crons.create("agent", schedule="* * * * * *", input=HI, metadata=mark, on_run_completed="keep")
    assert cron["metadata"] == mark | {"owner": "alice"}
    cron_id = cron["cron_id"]
    await refused(404, bob.crons.update(cron_id, enabled=False), bob.crons.delete(cron_id))
    assert await bob.crons.search(metadata=mark) == [] and await bob.crons.count(metadata=mark) == 0

    async def ran():
        return [thread["values"] for thread in await alice.threads.search(metadata=mark) if thread["values"]]

    assert texts((await until(ran, 60))[0]) == ["hi", "alice: 1"]
    assert await bob.threads.search(metadata=mark) == []
    assert (await alice.crons.update(cron_id, enabled=False, metadata={"a": 1}))["metadata"] == mark | {"a": 1, "owner": "alice"}
    await alice.crons.delete(cron_id)


async def test_items_that_were_put_are_found_again(alice):
    place, store = [f"n{new_id()}"], alice.store
    await store.put_item(place, "plain", {"a": 1})
    await store.put_item(place, "owned", {"owner": "alice"})
    assert (await store.get_item(place, "plain"))["value"] == {"a": 1}
    assert (await store.list_namespaces(prefix=place))["namespaces"] == [place]
    assert [item["key"] for item in (await store.search_items(place))["items"]] == ["owned"], "the filter holds of values"
    await store.delete_item(place, "plain")
    assert await store.get_item(place, "plain") is None


async def test_a_handler_that_rewrites_namespaces_keeps_users_apart(user):
    one, two = user("shared:one").store, user("shared:two").store
    await one.put_item(["n"], "k", {"a": 1})
    assert (await one.get_item(["n"], "k"))["namespace"] == ["shared:one", "n"]
    assert [item["key"] for item in (await one.search_items(["n"]))["items"]] == ["k"]
    assert (await one.list_namespaces())["namespaces"] == [["shared:one", "n"]]
    assert await two.get_item(["n"], "k") is None and (await two.search_items(["n"]))["items"] == []
    assert (await two.list_namespaces())["namespaces"] == []
    await two.delete_item(["n"], "k")
    assert await one.get_item(["n"], "k") is not None
    await one.delete_item(["n"], "k")


async def test_the_protocol_knows_owners(alice, bob, http, server):
    async with alice.threads.stream(assistant_id="agent") as thread:
        await thread.run.start(input=HI)
        assert texts(await thread.output) == ["hi", "alice: 1"]
        thread_id = thread.thread_id
    assert (await alice.threads.get(thread_id))["metadata"]["owner"] == "alice"
    async with httpx.AsyncClient(base_url=server.url, headers=bearer("bob"), timeout=60) as other:
        start = {"id": 1, "method": "run.start", "params": {"assistant_id": "agent", "input": HI}}
        answer = (await other.post(f"/threads/{thread_id}/commands", json=start)).json()
        assert (answer["type"], answer["message"]) == ("error", "404: Thread or assistant not found.")
        assert (await other.post(f"/threads/{thread_id}/stream/events", json={"channels": ["values"]})).status_code == 404
