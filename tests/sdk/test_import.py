"""`langopen import`: what stock langgraph kept in Postgres goes on here."""

import contextlib
import json
import os
import re
import subprocess
import sys
import uuid

import psycopg
import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.postgres import PostgresSaver, ShallowPostgresSaver
from langgraph.store.postgres import PostgresStore
from langgraph.types import Command
from langgraph_sdk import get_client

from helpers import durable_only, own_server_only
from server import DATABASE, HERE, Server, database_of, environment, find_binary

SERVICE = os.environ.get("DATABASE_URL")
pytestmark = [
    own_server_only,
    durable_only,
    pytest.mark.skipif(SERVICE is None, reason="needs a Postgres in DATABASE_URL"),
]
APP = HERE / "import_app"
sys.path.insert(0, str(APP))

from talk import talk_builder, team_builder  # noqa: E402


@contextlib.contextmanager
def database():
    """A database of its own, beside the one that DATABASE_URL names."""
    name = f"langopen_import_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(SERVICE, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        yield re.sub(r"/[^/?]*(\?|$)", rf"/{name}\1", SERVICE, count=1)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def source():
    with database() as source:
        yield source


@contextlib.contextmanager
def stock(source):
    """The graphs as an application without us compiles them."""
    with PostgresSaver.from_conn_string(source) as saver, PostgresStore.from_conn_string(source) as store:
        saver.setup()
        store.setup()
        yield talk_builder.compile(saver, store=store), team_builder.compile(saver, store=store), store


def at(thread_id: str, **metadata) -> dict:
    return {"configurable": {"thread_id": thread_id}, "metadata": metadata}


def say(text: str, **more) -> dict:
    return {"messages": [HumanMessage(text)], **more}


class Import:
    """Runs of `langopen import` into one data folder, or into a Postgres of ours."""

    def __init__(self, source: str, data, cache, target: str | None = None) -> None:
        own = {} if target is None else {"LANGOPEN_DATABASE_URL": target}
        self.source, self.data, self.env = source, data, environment(cache, own)

    def command(self, *options: str) -> list:
        # Where the suite's servers have their data, when that is a Postgres.
        place = database_of(self.data)[:2]
        return [find_binary(), "import", "--from", self.source, "--data", self.data, *place, *options]

    def __call__(self, *options: str, status: int = 0) -> str:
        done = subprocess.run(self.command(*options), env=self.env, capture_output=True, text=True)
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        assert "postgres://" not in said.replace("postgres://…", "")
        return said

    @contextlib.contextmanager
    def serve(self, cache_dir):
        server = Server(self.data, cache_dir, config=APP / "langgraph.json", env=self.env)
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture
def imported(source, tmp_path, cache_dir):
    return Import(source, tmp_path / "data", cache_dir)


def history(graph, thread_id: str) -> list:
    """What the library itself says of a thread's past, as far as it has a JSON form."""
    states = graph.get_state_history(at(thread_id))
    return [shown(s.config, s.parent_config, s.next, s.values, s.metadata["step"]) for s in states]


def shown(config, parent, following, values, step) -> tuple:
    messages = [message["content"] if isinstance(message, dict) else message.content for message in values.get("messages", [])]
    rest = {key: value for key, value in values.items() if key != "messages"}
    parent_id = parent and (parent.get("configurable") or parent)["checkpoint_id"]
    return (config.get("configurable") or config)["checkpoint_id"], parent_id, list(following), messages, rest, step


@pytest.fixture(params=["sqlite", "postgres"])
def imported_anywhere(request, source, tmp_path, cache_dir):
    if request.param == "sqlite":
        yield Import(source, tmp_path / "data", cache_dir)
        return
    with database() as target:
        yield Import(source, tmp_path / "data", cache_dir, target)


async def test_conversations_go_on(source, imported_anywhere, cache_dir):
    imported = imported_anywhere
    plain, asked, sent = (str(uuid.uuid4()) for _ in range(3))
    with stock(source) as (talk, team, store):
        for turn in range(3):
            talk.invoke(say(f"turn {turn}", name="Ann"), at(plain, owner="ann", graph="talk"))
        # A fork: two checkpoints have the same parent.
        older = [state for state in talk.get_state_history(at(plain)) if state.next == ("reply",)][1]
        talk.invoke(None, older.config)
        talk.invoke(say("may I", ask=True, name=None), at(asked, owner="bob", graph="talk"))
        team.invoke({"topics": ["a", "b"]}, at(sent, owner="bob", graph="team"))
        pasts = {thread: history(talk, thread) for thread in (plain, asked)}
        inside = {task.state["configurable"]["checkpoint_ns"] for task in team.get_state(at(sent)).tasks}
        store.put(("users", "ann"), "taste", {"likes": ["tea", 1.5, None]})
        store.put(("users", "ann"), "later", {"n": 2}, ttl=60)
        store.put(("users",), "gone", {"n": 3}, ttl=60)
    with psycopg.connect(source, autocommit=True) as db:
        db.execute("UPDATE store SET expires_at = now() - interval '1 minute' WHERE key = 'gone'")

    counted = imported("--dry-run")
    assert "3 threads with" in counted and "3 store items" in counted and not imported.data.exists()
    options = ["--graph-key", "graph", "--metadata-key", "owner"]
    assert "threads  3 of 3" in imported(*options)

    with imported.serve(cache_dir) as server:
        async with get_client(url=server.url) as client:
            found = await client.threads.search(metadata={"owner": "bob"})
            assert {thread["thread_id"] for thread in found} == {asked, sent}
            for thread, past in pasts.items():
                states = await client.threads.get_history(thread, limit=100)
                assert [
                    shown(s["checkpoint"], s["parent_checkpoint"], s["next"], s["values"], s["metadata"]["step"])
                    for s in states
                ] == past
            await client.runs.wait(plain, "talk", input=say_json("one more"))
            values = (await client.threads.get_state(plain))["values"]
            assert values["messages"][-2]["content"] == "one more"
            assert values["messages"][-1]["content"].startswith("answer ") and values["name"] == "Ann"
            assert values["turns"] == pasts[plain][0][4]["turns"] + 1

            state = await client.threads.get_state(asked)
            assert state["next"] == ["ask"] and state["values"]["name"] is None
            assert state["tasks"][0]["interrupts"][0]["value"] == {"question": "sure?"}
            row = await client.threads.get(asked)
            assert row["status"] == "interrupted" and row["values"]["turns"] == 1
            assert row["metadata"]["graph_id"] == "talk"
            values = await client.runs.wait(asked, "talk", command={"resume": "quite"})
            assert values["answer"] == "quite"

            state = await client.threads.get_state(sent, subgraphs=True)
            assert {task["state"]["checkpoint"]["checkpoint_ns"] for task in state["tasks"]} == inside
            answers = {task["interrupts"][0]["id"]: task["interrupts"][0]["value"] * 2 for task in state["tasks"]}
            values = await client.runs.wait(sent, "team", command={"resume": answers})
            assert values["found"] == ["planned", "a: aa", "b: bb"]

            item = await client.store.get_item(["users", "ann"], "taste")
            assert item["value"] == {"likes": ["tea", 1.5, None]}
            found = (await client.store.search_items(["users"]))["items"]
            assert [item["key"] for item in found] == ["later", "taste"]
            await client.store.put_item(["users", "ann"], "taste", {"likes": ["coffee"]})

    # What has gone on here stays as it is.
    again = imported(*options)
    assert "0 new checkpoints and 0 writes" in again and "0 new items" in again
    with imported.serve(cache_dir) as server:
        async with get_client(url=server.url) as client:
            assert (await client.threads.get_state(asked))["values"]["answer"] == "quite"
            assert (await client.threads.get_state(plain))["values"]["messages"][-2]["content"] == "one more"
            assert (await client.store.get_item(["users", "ann"], "taste"))["value"] == {"likes": ["coffee"]}


def say_json(text: str) -> dict:
    return {"messages": [{"role": "user", "content": text}]}


async def test_ids_that_are_no_uuids(source, imported, cache_dir):
    with stock(source) as (talk, _, _):
        for thread_id in ("user-1", "user-2"):
            talk.invoke(say(f"hi from {thread_id}"), at(thread_id))
        own = str(uuid.uuid4())
        talk.invoke(say("hi"), at(own))
    refused = imported(status=1)
    assert "2 threads" in refused and "user-1" in refused and "--other-thread-ids map" in refused
    assert "2 threads whose ids are not UUIDs" in imported("--other-thread-ids", "skip", "--graph", "talk")
    imported("--other-thread-ids", "map", "--graph", "talk")
    with imported.serve(cache_dir) as server:
        async with get_client(url=server.url) as client:
            assert await client.threads.count() == 3
            (thread,) = await client.threads.search(metadata={"imported_thread_id": "user-2"})
            made = uuid.uuid5(uuid.NAMESPACE_URL, "langopen:thread:default/default/default:user-2")
            assert thread["thread_id"] == str(made)
            state = await client.threads.get_state(thread["thread_id"])
            assert state["values"]["messages"][0]["content"] == "hi from user-2"
            await client.runs.wait(thread["thread_id"], "talk", input=say_json("on we go"))
            assert len((await client.threads.get_state(thread["thread_id"]))["values"]["messages"]) == 4


@pytest.mark.skipif(DATABASE == "postgres", reason="watches the file grow")
async def test_an_import_that_was_cut_off_is_completed(source, imported, cache_dir):
    threads = [str(uuid.uuid4()) for _ in range(6)]
    with stock(source) as (talk, _, store):
        for thread in threads:
            for turn in range(8):
                talk.invoke(say(f"turn {turn}"), at(thread))
        pasts = {thread: history(talk, thread) for thread in threads}
        for number in range(30):
            store.put(("numbers",), str(number), {"n": number})
    command = imported.command("--graph", "talk", "--jobs", "2")
    before = 0
    for _ in range(4):
        # Killed as soon as it has written something more.
        process = subprocess.Popen(command, env=imported.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and written(imported.data) <= before:
            pass
        process.kill()
        process.wait()
        before = written(imported.data)
    imported("--graph", "talk")
    assert "0 new checkpoints and 0 writes" in imported("--graph", "talk")
    with imported.serve(cache_dir) as server:
        async with get_client(url=server.url) as client:
            for thread, past in pasts.items():
                states = await client.threads.get_history(thread, limit=100)
                assert [
                    shown(s["checkpoint"], s["parent_checkpoint"], s["next"], s["values"], s["metadata"]["step"])
                    for s in states
                ] == past
            assert len((await client.store.search_items(["numbers"], limit=100))["items"]) == 30


def written(data) -> int:
    """How much a data folder's database and its log hold. The program that writes them may take a log away meanwhile."""
    size = 0
    for path in data.glob("langopen.db*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


async def test_older_tables(source, imported, cache_dir):
    """Tables without task paths, all values in blobs, and sends that lie beside their checkpoint, as before langgraph 0.5."""
    thread, parent, child = str(uuid.uuid4()), *(str(uuid.UUID(int=number)) for number in (1, 2))
    with psycopg.connect(source, autocommit=True) as db, PostgresSaver.from_conn_string(source) as saver:
        for migration in saver.MIGRATIONS[:6]:
            db.execute(migration)
        dump = saver.serde.dumps_typed
        versions = {"topics": "00000000000000000000000000000001.0.5", "found": "00000000000000000000000000000002.0.5"}
        values = {"topics": ["x", "y"], "found": ["planned"]}
        for channel, version in versions.items():
            row = (thread, "", channel, version, *dump(values[channel]))
            db.execute("INSERT INTO checkpoint_blobs VALUES (%s, %s, %s, %s, %s, %s)", row)
        from langgraph.types import Send

        for number, topic in enumerate(("x", "y")):
            row = (thread, "", parent, f"task-{number}", 0, "__pregel_tasks", *dump(Send("errand", {"topic": topic})))
            db.execute("INSERT INTO checkpoint_writes VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", row)
        for checkpoint_id, before, step in ((parent, None, 0), (child, parent, 1)):
            document = {"v": 1, "id": checkpoint_id, "ts": "2024-08-01T00:00:00+00:00", "pending_sends": [],
                        "channel_versions": versions, "versions_seen": {"plan": versions, "__input__": {}}}  # fmt: skip
            metadata = {"source": "loop", "step": step, "writes": {"plan": None}, "parents": {}}
            row = (thread, "", checkpoint_id, before, None, json.dumps(document), json.dumps(metadata))
            db.execute("INSERT INTO checkpoints VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
        # The library, at its newest, on a copy of the same rows.
        saver.setup()
        expected = team_builder.compile(saver).get_state(at(thread))
        db.execute("ALTER TABLE checkpoint_writes DROP COLUMN task_path")
    assert [task.name for task in expected.tasks] == ["errand", "errand"]
    imported("--graph", "team")
    with imported.serve(cache_dir) as server:
        async with get_client(url=server.url) as client:
            state = await client.threads.get_state(thread)
            assert state["values"] == expected.values
            assert [(task["id"], task["name"]) for task in state["tasks"]] == [(t.id, t.name) for t in expected.tasks]
            values = await client.runs.wait(thread, "team", input=None)
            assert sorted(each["value"] for each in values["__interrupt__"]) == ["x", "y"]


async def test_a_shallow_saver(source, imported, cache_dir):
    """One that keeps the newest checkpoint alone."""
    thread = str(uuid.uuid4())
    with pytest.warns(DeprecationWarning), ShallowPostgresSaver.from_conn_string(source) as saver:
        saver.setup()
        talk = talk_builder.compile(saver)
        for turn in range(3):
            talk.invoke(say(f"turn {turn}", ask=turn == 2), at(thread))
    imported("--graph", "talk")
    with imported.serve(cache_dir) as server:
        async with get_client(url=server.url) as client:
            assert len(await client.threads.get_history(thread)) == 1
            values = await client.runs.wait(thread, "talk", command={"resume": "yes"})
            assert (values["answer"], values["turns"], len(values["messages"])) == ("yes", 3, 6)
    assert "0 new checkpoints" in imported()


def test_vectors_unreadable_values_and_damage(source, imported):
    threads = [str(uuid.uuid4()) for _ in range(2)]
    with stock(source) as (talk, _, store):
        for thread in threads:
            talk.invoke(say("hi"), at(thread))
        store.put(("notes",), "a", {"text": "cat"})
    with psycopg.connect(source, autocommit=True) as db:
        # As pgvector's columns are read, without the extension.
        db.execute("CREATE TABLE store_vectors (prefix text, key text, field_name text, embedding real[])")
        db.execute("INSERT INTO store_vectors VALUES ('notes', 'a', 'text', '{1,0.5}')")
        db.execute("UPDATE checkpoint_blobs SET type = 'pickle' WHERE thread_id = %s", (threads[0],))
        db.execute("UPDATE checkpoints SET checkpoint = '[]' WHERE thread_id = %s", (threads[1],))
    assert "encoded as \"pickle\"" in imported("--dry-run")
    said = imported(status=1)
    assert "1 new items of 1, with 1 vectors" in said and "encoded as \"pickle\"" in said
    assert f'thread "{threads[1]}": checkpoint' in said and "threads  1 of 2" in said


def test_a_source_without_tables_or_answer(source, imported):
    assert "no tables of langgraph" in imported(status=1)
    imported.source = "postgres://nobody:secret@127.0.0.1:1/nothing"
    said = imported(status=1)
    assert "cannot read the source" in said and "secret" not in said
    imported.source = "mysql://nobody:secret@127.0.0.1/nothing"
    assert "secret" not in imported(status=1)


def test_commands_resume_in_the_source_too(source):
    """What the tests above rely on: the stock library resumes what it kept."""
    thread = str(uuid.uuid4())
    with stock(source) as (talk, _, _):
        talk.invoke(say("may I", ask=True), at(thread))
        assert talk.invoke(Command(resume="yes"), at(thread))["answer"] == "yes"
