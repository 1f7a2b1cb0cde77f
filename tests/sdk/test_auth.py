"""The application's own login: two users, and what each may see and do."""

import httpx
import pytest
from langgraph_sdk import get_client

from helpers import AUTH_APP, STUDIO, bearer, new_id, own_server_only, until
from server import Server

pytestmark = own_server_only


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache_dir):
    server = Server(tmp_path_factory.mktemp("auth") / "data", cache_dir, AUTH_APP)
    server.start()
    yield server
    server.stop()


class User:
    """A caller: the stock client, and raw HTTP."""

    def __init__(self, server: Server, headers: dict[str, str]):
        self.client = get_client(url=server.url, headers=headers)
        self.http = httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60)

    async def close(self):
        await self.client.aclose()
        await self.http.aclose()


@pytest.fixture
async def user(server):
    made = []

    def make(name: str | None = None, **headers: str) -> User:
        made.append(User(server, (bearer(name) if name else {}) | headers))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
async def alice(user):
    return user("alice")


@pytest.fixture
async def bob(user):
    return user("bob")


async def test_who_asks_is_found_out_by_the_handler(user):
    answer = await user().http.post("/threads", json={})
    assert (answer.status_code, answer.json()) == (401, {"detail": "No token"})
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = await user("forbidden").http.post("/threads", json={})
    assert (answer.status_code, answer.json()) == (403, {"detail": "Nope"})
    for token in ("teapot", "crash"):
        answer = await user(token).http.post("/threads", json={})
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        assert answer.headers["content-type"].startswith("text/plain")


async def test_the_server_itself_is_open(user):
    for path in ("/", "/ok", "/info", "/docs", "/openapi.json", "/metrics"):
        assert (await user().http.get(path)).status_code == 200, path


async def test_the_document_says_how_to_log_in(user):
    document = (await user().http.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/info"]["get"]["security"] == []
    assert document["paths"]["/info"]["get"]["operationId"], "what was there stays"
    assert "Assistant" in document["components"]["schemas"]


async def test_a_cron_acts_as_who_made_it(alice, bob):
    mark = {"mark": new_id()}
    thread_id = (await alice.client.threads.create())["thread_id"]
    options = {"schedule": "* * * * * *", "input": {}, "metadata": mark}
    made = [
        await alice.client.crons.create("who", on_run_completed="keep", **options),
        await alice.client.crons.create_for_thread(thread_id, "who", **options),
    ]
    answer = await bob.http.post(f"/threads/{thread_id}/runs/crons", json={"assistant_id": "who", "schedule": "0 0 1 1 *"})
    assert answer.status_code == 404, answer.text
    for path in (f"/runs/crons/{cron['cron_id']}" for cron in made):
        assert (await alice.http.get(path)).json()["metadata"] == mark | {"owner": "alice"}
        for method, body in (("GET", None), ("PATCH", {"enabled": False}), ("DELETE", None)):
            assert (await bob.http.request(method, path, json=body)).status_code == 404, (method, path)
    assert await bob.client.crons.search(metadata=mark) == [] and await bob.client.crons.count(metadata=mark) == 0
    assert {cron["cron_id"] for cron in await alice.client.crons.search(metadata=mark)} == {cron["cron_id"] for cron in made}

    async def ran():
        found = await alice.client.threads.search(metadata=mark, limit=100)
        own = await alice.client.threads.get(thread_id)
        seen = [[each["values"] for each in threads if each["values"]] for threads in (found, [own])]
        return seen if all(seen) else None

    for values in sum(await until(ran, 60), []):
        seen = values["seen"]
        assert (seen["identity"], seen["org"], seen["permissions"], seen["server"]) == ("alice", "acme", ["p1"], "alice")
    assert await bob.client.threads.search(metadata=mark) == []
    assert (await bob.http.get(f"/threads/{thread_id}/runs")).status_code == 404
    for cron in made:
        await alice.client.crons.delete(cron["cron_id"])


async def test_threads_belong_to_who_made_them(alice, bob):
    thread = await alice.client.threads.create(metadata={"a": 1})
    assert thread["metadata"] == {"a": 1, "owner": "alice"}
    thread_id = thread["thread_id"]
    values = await alice.client.runs.wait(thread_id, "who", input={})
    [run] = await alice.client.runs.list(thread_id)
    path, run_path = f"/threads/{thread_id}", f"/threads/{thread_id}/runs/{run['run_id']}"
    start = {"assistant_id": "who", "input": {}}
    for method, at, body, status in (
        ("GET", path, None, 404),
        ("PATCH", path, {"metadata": {"owner": "bob"}}, 404),
        ("DELETE", path, None, 404),
        ("POST", f"{path}/copy", None, 409),
        ("GET", f"{path}/state", None, 404),
        ("POST", f"{path}/state", {"values": {"note": "x"}}, 404),
        ("POST", f"{path}/history", {}, 404),
        ("GET", f"{path}/runs", None, 404),
        ("POST", f"{path}/runs", start, 404),
        ("POST", f"{path}/runs/wait", start, 404),
        ("POST", f"{path}/runs/stream", start, 404),
        ("GET", run_path, None, 404),
        ("GET", f"{run_path}/join", None, 404),
        ("POST", f"{run_path}/cancel", None, 404),
        ("DELETE", run_path, None, 404),
        ("POST", "/runs/cancel", {"thread_id": thread_id, "run_ids": [run["run_id"]]}, 404),
        ("POST", "/threads", {"thread_id": thread_id, "if_exists": "do_nothing"}, 409),
        ("POST", f"{path}/runs", {**start, "if_not_exists": "create"}, 404),
        ("POST", "/threads/prune", {"thread_ids": [thread_id]}, 404),
    ):
        answer = await bob.http.request(method, at, json=body)
        assert answer.status_code == status, f"{method} {at}: {answer.status_code} {answer.text}"
    found = await bob.http.post("/threads/search", json={"ids": [thread_id]})
    assert found.json() == [] and found.headers["x-pagination-total"] == "0"
    joined = await bob.http.get(f"{run_path}/stream")
    assert joined.status_code == 200 and joined.text.startswith("event: error") and "404: Thread not found" in joined.text
    assert (await alice.client.threads.get(thread_id))["values"] == values
    copy = await alice.client.threads.copy(thread_id)
    assert copy["metadata"]["owner"] == "alice"


async def test_what_a_search_filters(alice, bob, user):
    word = new_id()
    await alice.client.threads.create(metadata={"word": word})
    shown = await alice.client.threads.create(metadata={"word": word, "shared": True, "readers": ["bob", "carol"]})
    assert len(await alice.client.threads.search(metadata={"word": word})) == 2
    assert await bob.client.threads.search(metadata={"word": word}) == []
    found = await bob.client.threads.search(metadata={"word": word, "shared": True})
    assert [thread["thread_id"] for thread in found] == [shown["thread_id"]]
    assert await user("dave").client.threads.search(metadata={"word": word, "shared": True}) == []


@pytest.mark.parametrize(
    ("do", "status", "body"),
    [
        ("deny", 403, '{"detail":"Forbidden"}'),
        ("assert", 403, '{"detail":"not like this"}'),
        ("teapot", 418, '{"detail":"Teapot"}'),
        ("crash", 500, "Internal Server Error"),
        ("bad filter", 500, "Internal Server Error"),
        ("bad metadata", 500, "Internal Server Error"),
    ],
)
async def test_what_handlers_answer(alice, do, status, body):
    thread_id = new_id()
    answer = await alice.http.post("/threads", json={"thread_id": thread_id, "metadata": {"do": do}})
    assert (answer.status_code, answer.text) == (status, body)
    assert answer.headers.get("x-why") == ("tea" if do == "teapot" else None)
    assert (await alice.http.get(f"/threads/{thread_id}")).status_code == 404, "nothing was made"


async def test_graphs_see_the_user(alice):
    seen = (await alice.client.runs.wait(None, "who", input={}))["seen"]
    assert seen["identity"] == seen["id"] == seen["server"] == "alice"
    assert (seen["org"], seen["permissions"]) == ("acme", ["p1"])
    fields = {"identity", "permissions", "display_name", "is_authenticated", "org", "asked"}
    assert set(seen["fields"]) == fields and seen["fields"]["display_name"] == "D alice"


async def test_a_client_cannot_say_who_it_is(alice):
    config = {"configurable": {"langgraph_auth_user": {"identity": "root"}, "langgraph_auth_user_id": "root"}}
    seen = (await alice.client.runs.wait(None, "who", input={}, config=config))["seen"]
    assert seen["identity"] == seen["id"] == "alice"


async def test_factories_see_the_user_in_runs_states_and_drawings(alice):
    thread = await alice.client.threads.create()
    values = await alice.client.runs.wait(thread["thread_id"], "made", input={"note": ""})
    assert values["note"] == "of_alice"
    await alice.client.threads.update_state(thread["thread_id"], {"note": "by hand"}, as_node="of_alice")
    state = await alice.client.threads.get_state(thread["thread_id"])
    assert state["values"]["note"] == "by hand"
    assert "langgraph_auth_user" not in state["metadata"]
    history = await alice.client.threads.get_history(thread["thread_id"])
    assert any(past["next"] == ["of_alice"] for past in history)
    [assistant] = await alice.client.assistants.search(graph_id="made")
    drawn = await alice.client.assistants.get_graph(assistant["assistant_id"])
    assert "of_alice" in [node["id"] for node in drawn["nodes"]]


async def test_stateless_runs_and_their_threads(alice, bob):
    run = await alice.client.runs.create(None, "who", input={}, metadata={"kept": True}, on_completion="keep")
    assert run["metadata"]["owner"] == "alice"

    async def there():
        answer = await alice.http.get(f"/threads/{run['thread_id']}")
        return answer.status_code == 200 and answer.json()["status"] == "idle"

    await until(there, 60)
    assert (await bob.http.get(f"/threads/{run['thread_id']}")).status_code == 404


async def test_assistants(alice, bob):
    made = await alice.client.assistants.create("who")
    assert made["metadata"] == {"owner": "alice"}
    path = f"/assistants/{made['assistant_id']}"
    run = {"assistant_id": made["assistant_id"], "input": {}}
    for method, at, body, status in (
        ("GET", path, None, 404),
        ("PATCH", path, {"name": "bob's"}, 404),
        ("DELETE", path, None, 404),
        ("GET", f"{path}/graph", None, 404),
        ("GET", f"{path}/schemas", None, 404),
        ("POST", f"{path}/versions", {}, 404),
        ("POST", f"{path}/latest", {"version": 1}, 404),
        ("POST", "/runs/wait", run, 404),
        ("POST", "/runs/batch", [run], 404),
        ("POST", "/assistants", {"assistant_id": made["assistant_id"], "graph_id": "who", "if_exists": "do_nothing"}, 409),
    ):
        answer = await bob.http.request(method, at, json=body)
        assert answer.status_code == status, f"{method} {at}: {answer.status_code} {answer.text}"
    assert {each["name"] for each in await bob.client.assistants.search()} == {"who", "made", "slow"}
    await alice.client.assistants.delete(made["assistant_id"])


async def test_deleting_an_assistant_takes_only_the_threads_of_who_asks(alice, bob):
    made = await alice.client.assistants.create("who")
    own = await alice.client.threads.create(metadata={})
    await alice.client.runs.wait(own["thread_id"], made["assistant_id"], input={})
    other = await bob.client.threads.create()
    await bob.client.threads.update(other["thread_id"], metadata={"note": made["assistant_id"]})
    assert (await bob.http.delete(f"/assistants/{made['assistant_id']}?delete_threads=true")).status_code == 404
    answer = await alice.http.delete(f"/assistants/{made['assistant_id']}?delete_threads=true")
    assert answer.status_code == 204
    assert (await alice.http.get(f"/threads/{own['thread_id']}")).status_code == 404
    assert (await bob.http.get(f"/threads/{other['thread_id']}")).status_code == 200


async def test_others_runs_are_not_cancelled(alice, bob):
    thread = await alice.client.threads.create()
    run = await alice.client.runs.create(thread["thread_id"], "slow", input={})
    answer = await bob.http.post("/runs/cancel", json={"status": "all"})
    assert answer.status_code == 404, answer.text
    assert (await alice.client.runs.get(thread["thread_id"], run["run_id"]))["status"] in ("pending", "running")
    assert (await alice.http.post("/runs/cancel", json={"status": "all"})).status_code == 204


async def test_each_user_has_a_part_of_the_store(alice, bob):
    store, key = alice.client.store, new_id()
    await store.put_item(["n"], key, {"a": 1})
    assert (await store.get_item(["n"], key))["namespace"] == ["alice", "n"]
    assert await bob.client.store.get_item(["n"], key) is None
    assert (await bob.client.store.search_items([], filter={"a": 1}))["items"] == []
    assert [item["key"] for item in (await store.search_items(["n"]))["items"]] == [key]
    assert ["alice", "n"] in (await store.list_namespaces())["namespaces"]
    assert (await bob.client.store.list_namespaces())["namespaces"] == []
    await bob.client.store.delete_item(["n"], key=key)
    assert await store.get_item(["n"], key) is not None
    await store.delete_item(["n"], key=key)
    assert await store.get_item(["n"], key) is None


async def test_what_a_handler_writes_into_the_store_is_checked(alice):
    answer = await alice.http.put("/store/items", json={"namespace": ["n"], "key": "k", "value": {"to": "a bad place"}})
    assert answer.status_code == 422 and "a.b" in answer.text
    await alice.client.store.put_item(["stamps"], "mine", {"stamp": True})
    assert (await alice.client.store.get_item(["stamps"], "stamped"))["value"] == {"stamp": True, "by": "alice"}
    assert await alice.client.store.get_item(["stamps"], "mine") is None


async def test_a_filter_on_the_store_narrows_searches(alice, user):
    place, auditor = ["alice", new_id()], user("auditor")
    await alice.client.store.put_item(place[1:], "open", {"public": True})
    await alice.client.store.put_item(place[1:], "closed", {"public": False})
    assert [item["key"] for item in (await auditor.client.store.search_items(place))["items"]] == ["open"]
    assert (await auditor.client.store.get_item(place, "closed"))["value"] == {"public": False}
    assert (await auditor.client.store.list_namespaces(prefix=place))["namespaces"] == [place]
    for key in ("open", "closed"):
        await auditor.client.store.delete_item(place, key=key)
    assert await alice.client.store.get_item(place[1:], "closed") is None


async def test_answers_are_kept_per_cache_key(user):
    async def asked(**headers: str) -> int:
        return (await user("alice", **headers).client.runs.wait(None, "who", input={}))["seen"]["fields"]["asked"]

    first = await asked(**{"x-cached": "one"})
    assert await asked(**{"x-cached": "one"}) == first
    # Two processes count for themselves, so only the same answer tells that it was kept.
    answer = await user("forbidden", **{"x-cached": "two"}).http.post("/threads", json={})
    assert answer.status_code == 403
    assert (await user("alice", **{"x-cached": "two"}).http.post("/threads", json={})).status_code == 200, "no is not kept"


async def test_studio_needs_no_token_on_this_machine(user):
    studio = user(**STUDIO)
    thread = await studio.client.threads.create()
    assert thread["metadata"]["owner"] == "langgraph-studio-user"
    await studio.client.store.put_item(["studio"], "k", {"a": 1})
    assert (await studio.client.store.get_item(["studio"], "k"))["namespace"] == ["studio"], "handlers see a StudioUser"
    for more in ({"x-forwarded-for": "10.0.0.1"}, {"origin": "https://evil.example"}, {"via": "1.1 proxy"}):
        answer = await user(**STUDIO, **more).http.post("/threads", json={})
        assert answer.status_code == 401, more
