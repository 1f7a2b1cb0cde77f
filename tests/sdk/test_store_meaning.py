"""Searching the store by what texts mean: `store.index` of langgraph.json with a function of the application's own."""

import json

import pytest
from langgraph_sdk import get_client

from helpers import durable_only, new_id, own_server_only
from server import HERE, Server

pytestmark = own_server_only
APP = HERE / "meaning_app" / "langgraph.json"


@pytest.fixture(scope="module")
def meaning_server(tmp_path_factory, cache_dir):
    server = Server(tmp_path_factory.mktemp("meaning") / "data", cache_dir, APP).start()
    yield server
    server.stop()


@pytest.fixture
def base_url(meaning_server):
    return meaning_server.url


async def test_nearest_first_with_scores(client):
    space = ["meaning", new_id()]
    notes = {"pets": "a cat and a dog", "cats": "cat, cat, cat", "sea": "a boat"}
    for key, text in notes.items():
        await client.store.put_item(space, key, {"text": text, "other": "boat boat boat"})
    await client.store.put_item(space, "hidden", {"text": "cat"}, index=False)
    await client.store.put_item(space, "numbers", {"count": 5})
    found = (await client.store.search_items(space, query="my cat", limit=10))["items"]
    assert [item["key"] for item in found][:3] == ["cats", "pets", "sea"]
    scores = [item["score"] for item in found]
    assert scores[0] > 0.99 and 0.6 < scores[1] < 0.8 and scores[2] < 0.1
    # What has no vector comes last, without a score.
    assert {item["key"] for item in found[3:]} == {"hidden", "numbers"} and scores[3:] == [None, None]
    page = (await client.store.search_items(space, query="cat", limit=1, offset=1))["items"]
    assert [item["key"] for item in page] == ["pets"]
    filtered = (await client.store.search_items(space, query="cat", filter={"text": "a boat"}))["items"]
    assert [item["key"] for item in filtered] == ["sea"]
    # Without a query there is no order of meaning, and no score.
    assert {item["score"] for item in (await client.store.search_items(space))["items"]} == {None}


async def test_paths_of_an_item(client):
    space = ["meaning", new_id()]
    await client.store.put_item(space, "book", {"chapters": [{"title": "cat"}, {"title": "boat"}]}, index=["chapters[*].title"])
    for query in ("cat", "boat"):
        (found,) = (await client.store.search_items(space, query=query))["items"]
        assert found["score"] > 0.99, query
    await client.store.put_item(space, "book", {"text": "tree"})
    (found,) = (await client.store.search_items(space, query="cat"))["items"]
    assert found["score"] < 0.1, "the old vectors are gone"


async def test_graphs_search_alike(client):
    space = new_id()
    await client.store.put_item([space], "sea", {"text": "boat"})
    values = await client.runs.wait(None, "notes", input={"space": space, "note": "cat dog", "question": "dog"})
    (first, score), (second, _), (last, unscored) = values["found"]
    assert (first, second, last, unscored) == ("note", "sea", "unseen", None)
    assert 0.6 < score < 0.8
    (found, *_) = (await client.store.search_items([space], query="dog"))["items"]
    assert found["key"] == "note", "what a graph put is found through the API"


async def test_a_failing_embedding(client, http):
    space = ["meaning", new_id()]
    body = {"namespace": space, "key": "k", "value": {"text": "this cannot be embedded"}}
    assert (await http.put("/store/items", json=body)).status_code == 500
    assert await client.store.get_item(space, "k") is None, "nothing half-written"
    assert (await http.get("/ok")).status_code == 200


@durable_only
async def test_vectors_survive_a_restart(meaning_server):
    space = ["meaning", new_id()]
    async with get_client(url=meaning_server.url) as client:
        await client.store.put_item(space, "tree", {"text": "tree"})
    meaning_server.kill()
    meaning_server.start()
    async with get_client(url=meaning_server.url) as client:
        (found,) = (await client.store.search_items(space, query="tree"))["items"]
        assert found["score"] > 0.99


@pytest.mark.parametrize(
    ("embed", "words"),
    [
        ("./embedding.py:absent", "'absent'"),
        ("./absent.py:embed", "does not exist"),
        ("nobody:model", "store.index.embed"),
    ],
)
def test_an_embedding_that_is_not_there(tmp_path, cache_dir, embed, words):
    config = json.loads(APP.read_text())
    config["store"]["index"]["embed"] = embed.replace("./", f"{APP.parent}/")
    # The same folder as dependency: the same Python environment.
    config["dependencies"] = [str(APP.parent)]
    config["graphs"] = {"notes": f"{APP.parent}/notes.py:notes"}
    path = tmp_path / "langgraph.json"
    path.write_text(json.dumps(config))
    server = Server(tmp_path / "data", cache_dir, path)
    with pytest.raises(RuntimeError, match=words):
        server.start()
