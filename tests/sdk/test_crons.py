"""Crons through the stock SDK: their rows, and that they fire."""

import asyncio
import time
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError

from helpers import durable_only, own_server_only, until
from server import Server

YEARLY = "0 0 1 1 *"
EVERY_SECOND = "* * * * * *"
# A machine that does other things too may take its time.
PATIENCE = 60


@pytest.fixture
async def crons(client):
    """The SDK's client for crons; those that the test made are gone afterwards."""
    made = []
    create, create_for_thread = client.crons.create, client.crons.create_for_thread

    async def remember(cron):
        made.append((await cron)["cron_id"])
        return await client.http.get(f"/runs/crons/{made[-1]}")

    client.crons.create = lambda *args, **kwargs: remember(create(*args, **kwargs))
    client.crons.create_for_thread = lambda *args, **kwargs: remember(create_for_thread(*args, **kwargs))
    yield client.crons
    for cron_id in made:
        try:
            await client.crons.delete(cron_id)
        except NotFoundError:
            pass


async def threads_of(client, mark: dict, count: int) -> list[dict]:
    """The threads that a cron's runs made and kept, once there are so many."""

    async def check():
        found = await client.threads.search(metadata=mark, limit=100)
        ended = [thread for thread in found if thread["status"] == "idle" and thread["values"]]
        return ended if len(ended) >= count else None

    return await until(check, PATIENCE)


async def runs_of(client, thread_id: str, count: int) -> list[dict]:
    async def check():
        runs = await client.runs.list(thread_id, limit=100)
        return runs if len([run for run in runs if run["status"] == "success"]) >= count else None

    return await until(check, PATIENCE)


async def test_rows(client, crons, thread_id):
    mark = {"mark": thread_id}
    end = datetime(2100, 1, 1, tzinfo=timezone.utc)
    cron = await crons.create(
        "three", schedule=YEARLY, input={"log": []}, metadata=mark, end_time=end, timezone=ZoneInfo("Europe/Berlin")
    )
    assert cron["schedule"] == YEARLY and cron["timezone"] == "Europe/Berlin"
    assert cron["thread_id"] is None and cron["on_run_completed"] == "delete" and cron["enabled"] is True
    assert datetime.fromisoformat(cron["end_time"]) == end
    next_run = datetime.fromisoformat(cron["next_run_date"])
    assert next_run.astimezone(ZoneInfo("Europe/Berlin")).timetuple()[1:6] == (1, 1, 0, 0, 0)
    assert cron["payload"]["config"]["configurable"]["cron_id"] == cron["cron_id"]
    assert cron["payload"]["assistant_id"] == cron["assistant_id"]
    on_thread = await crons.create_for_thread(
        thread_id, "three", schedule=YEARLY, metadata=mark, multitask_strategy="interrupt", enabled=False
    )
    assert on_thread["thread_id"] == thread_id and on_thread["on_run_completed"] is None

    found = await crons.search(thread_id=thread_id)
    assert [one["cron_id"] for one in found] == [on_thread["cron_id"]]
    assert await crons.count(thread_id=thread_id) == 1
    assert await crons.count(metadata=mark) == 2
    found = await crons.search(metadata=mark, enabled=True, select=["cron_id", "enabled"])
    assert found == [{"cron_id": cron["cron_id"], "enabled": True}]
    found = await crons.search(metadata=mark, sort_by="created_at", sort_order="asc", limit=1)
    assert found[0]["cron_id"] == cron["cron_id"]

    changed = await crons.update(
        cron["cron_id"], schedule="30 6 * * *", metadata={"more": 1}, end_time=None, enabled=False, timezone="UTC"
    )
    assert changed["metadata"] == mark | {"more": 1} and changed["end_time"] is None and changed["enabled"] is False
    assert changed["next_run_date"].endswith("T06:30:00+00:00")
    await crons.delete(cron["cron_id"])
    with pytest.raises(NotFoundError):
        await crons.delete(cron["cron_id"])
    await client.threads.delete(thread_id)
    assert await crons.count(metadata=mark) == 0, "a thread takes its crons along"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"schedule": "bad"}, 422),
        ({"schedule": "0 0 31 2 *"}, 422),
        ({"timezone": "Mars/X"}, 422),
        ({"end_time": "soon"}, 422),
        ({"assistant_id": None}, 422),
        ({"assistant_id": "nope"}, 404),
    ],
)
async def test_refusals(http, change, status):
    body = {"assistant_id": "three", "schedule": YEARLY} | change
    answer = await http.post("/runs/crons", json={key: value for key, value in body.items() if value is not None})
    assert answer.status_code == status, answer.text
    field = next(iter(change)).replace("_id", "")
    assert field.split("_")[0] in answer.json()["detail"].lower()


async def test_kept_threads(client, crons, thread_id):
    mark = {"mark": thread_id}
    cron = await crons.create(
        "context_echo",
        schedule=EVERY_SECOND,
        input={},
        metadata=mark,
        config={"configurable": {"model_name": "m"}},
        on_run_completed="keep",
    )
    first, second, *_ = await threads_of(client, mark, 2)
    await crons.delete(cron["cron_id"])
    assert first["thread_id"] != second["thread_id"]
    seen = first["values"]["seen"]
    assert seen["configurable"]["cron_id"] == cron["cron_id"]
    assert seen["configurable"]["model_name"] == "m"
    assert seen["context"]["model_name"] == "m"
    runs = await client.runs.list(first["thread_id"])
    assert len(runs) == 1
    assert runs[0]["metadata"]["mark"] == thread_id
    assert runs[0]["assistant_id"] == cron["assistant_id"]


async def test_temporary_threads(client, crons, thread_id, tmp_path):
    """What a run did is there; its thread is not."""
    mark, path = {"mark": thread_id}, tmp_path / "steps"
    cron = await crons.create(
        "counter", schedule=EVERY_SECOND, input={"path": str(path), "total": 1, "secs": 0}, metadata=mark
    )

    async def twice():
        return path.exists() and path.read_text().count("end") >= 2

    await until(twice, PATIENCE)
    await crons.delete(cron["cron_id"])

    async def gone():
        return await client.threads.search(metadata=mark) == []

    await until(gone, PATIENCE)


async def test_on_a_thread(client, crons, thread_id):
    cron = await crons.create_for_thread(thread_id, "three", schedule=EVERY_SECOND, input={"log": ["tick"]})
    runs = await runs_of(client, thread_id, 2)
    await crons.delete(cron["cron_id"])
    assert all(run["kwargs"]["config"]["configurable"]["cron_id"] == cron["cron_id"] for run in runs)
    values = await client.threads.get_state(thread_id)
    assert values["values"]["log"][:5] == ["tick", "one", "two", "three", "tick"]


async def test_disabled_and_ended(client, crons, thread_id):
    mark = {"mark": thread_id}
    options = {"schedule": EVERY_SECOND, "input": {"log": []}, "on_run_completed": "keep"}
    off = await crons.create("three", metadata=mark | {"kind": "off"}, enabled=False, **options)
    past = datetime.now(timezone.utc) - timedelta(minutes=1)
    ended = await crons.create("three", metadata=mark | {"kind": "ended"}, end_time=past, **options)
    assert ended["next_run_date"] is None
    live = await crons.create("three", metadata=mark | {"kind": "live"}, **options)
    await threads_of(client, mark | {"kind": "live"}, 2)
    for kind in ("off", "ended"):
        assert await client.threads.search(metadata=mark | {"kind": kind}) == []
    await crons.update(off["cron_id"], enabled=True)
    await crons.update(ended["cron_id"], end_time=None)
    await crons.update(live["cron_id"], enabled=False)
    for kind in ("off", "ended"):
        await threads_of(client, mark | {"kind": kind}, 1)


async def test_an_end_that_comes(client, crons, thread_id):
    end = datetime.now(timezone.utc) + timedelta(seconds=4)
    await crons.create_for_thread(thread_id, "three", schedule=EVERY_SECOND, input={"log": []}, end_time=end)
    await asyncio.sleep(5)
    runs = await client.runs.list(thread_id, limit=100)
    await asyncio.sleep(2)
    assert len(await client.runs.list(thread_id, limit=100)) == len(runs), "it went on after its end"
    assert all(datetime.fromisoformat(run["created_at"]) < end for run in runs)


@durable_only
@own_server_only
async def test_missed_moments_fire_once_after_a_kill(tmp_path, cache_dir):
    server = Server(tmp_path / "data", cache_dir).start()
    try:
        async with get_client(url=server.url) as client:
            thread_id = (await client.threads.create())["thread_id"]
            cron = await client.crons.create_for_thread(thread_id, "three", schedule=EVERY_SECOND, input={"log": []})
            await runs_of(client, thread_id, 1)
        server.kill()
        stopped = datetime.now(timezone.utc)
        time.sleep(5)
        started = datetime.now(timezone.utc)
        server.start()
        async with get_client(url=server.url) as client:
            await runs_of(client, thread_id, 3)
            await client.crons.delete(cron["cron_id"])
            runs = await client.runs.list(thread_id, limit=200)
            made = sorted(datetime.fromisoformat(run["created_at"]) for run in runs)
            assert not [at for at in made if stopped < at < started], "it fired while it was dead"
            after = [at for at in made if at >= started]
            # One for all that were missed, then one for each second.
            span = (after[-1] - after[0]).total_seconds()
            assert len(after) <= span + 2, (after, span)
    finally:
        server.stop()


@own_server_only
async def test_the_scheduler_can_be_off(tmp_path, cache_dir):
    server = Server(tmp_path / "data", cache_dir, env={"FF_CRONS_ENABLED": "false"}).start()
    try:
        async with get_client(url=server.url) as client:
            assert (await client.http.get("/info"))["flags"]["crons"] is False
            thread_id = (await client.threads.create())["thread_id"]
            await client.crons.create_for_thread(thread_id, "three", schedule=EVERY_SECOND, input={"log": []})
            await asyncio.sleep(3)
            assert await client.runs.list(thread_id) == []
    finally:
        server.stop()
