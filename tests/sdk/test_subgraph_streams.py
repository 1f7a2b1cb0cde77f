"""Events from inside subgraphs, with and without `stream_subgraphs`."""

import re

import pytest

from helpers import HI, library_differs, names, run_events

INNER = re.compile(r"\|inner:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def short(events):
    """Names without the task's id; all events of one subgraph must carry the same one."""
    suffixes = {found[0] for event in events if (found := INNER.search(event.event))}
    assert len(suffixes) <= 1
    return [INNER.sub("|inner", event.event) for event in events[1:]]


async def test_values(http, thread_id):
    events = await run_events(http, thread_id, "nested", input={"log": []}, stream_mode="values", stream_subgraphs=True)
    assert short(events) == ["values", "values", "values|inner", "values|inner", "values|inner", "values"]
    assert [event.data["log"] for event in events[1:]] == [
        [], ["outer"], ["outer"], ["outer", "deep"], ["outer", "deep", "deeper"],
        ["outer", "outer", "deep", "deeper"],
    ]  # fmt: skip


async def test_updates(http, thread_id):
    events = await run_events(
        http, thread_id, "nested", input={"log": []}, stream_mode="updates", stream_subgraphs=True
    )
    assert short(events) == ["updates", "updates|inner", "updates|inner", "updates"]
    assert [event.data for event in events[1:]] == [
        {"outer": {"log": ["outer"]}},
        {"deep": {"log": ["deep"]}},
        {"deeper": {"log": ["deeper"]}},
        {"inner": {"log": ["outer", "deep", "deeper"], "done": []}},
    ]


async def test_custom(http, thread_id):
    events = await run_events(http, thread_id, "nested", input={"log": []}, stream_mode="custom", stream_subgraphs=True)
    assert short(events) == ["custom", "custom|inner", "custom|inner"]
    assert [event.data["at"] for event in events[1:]] == ["outer", "deep", "deeper"]


async def test_tasks(http, thread_id):
    events = await run_events(http, thread_id, "nested", input={"log": []}, stream_mode="tasks", stream_subgraphs=True)
    assert short(events) == ["tasks"] * 3 + ["tasks|inner"] * 4 + ["tasks"]
    task = events[3].data
    assert task["name"] == "inner"
    assert events[4].event == f"tasks|inner:{task['id']}"


@pytest.mark.parametrize("mode", ["checkpoints", "debug"])
async def test_checkpoints_and_debug(http, thread_id, mode):
    events = await run_events(http, thread_id, "nested", input={"log": []}, stream_mode=mode, stream_subgraphs=True)
    inside = [event for event in events if "|" in event.event]
    checkpoints = [event.data["payload"] if mode == "debug" else event.data for event in inside]
    checkpoints = [one for one in checkpoints if "config" in one]
    assert [one["metadata"]["step"] for one in checkpoints] == [-1, 0, 1, 2]
    namespaces = {one["config"]["configurable"]["checkpoint_ns"] for one in checkpoints}
    assert namespaces == {event.event.partition("|")[2] for event in inside}


@library_differs("custom events of subgraphs always come")
async def test_without_the_option_nothing_from_inside(http, thread_id):
    modes = ["values", "updates", "custom"]
    events = await run_events(http, thread_id, "nested", input={"log": []}, stream_mode=modes)
    assert names(events)[1:] == ["values", "custom", "updates", "values", "updates", "values"]
    assert events[-1].data["log"] == ["outer", "outer", "deep", "deeper"]


async def test_tokens_from_inside(http, thread_id):
    events = await run_events(
        http, thread_id, "nested_chat", input=HI, stream_mode="messages-tuple", stream_subgraphs=True
    )
    found = [event.event.partition(":")[0] for event in events[1:]]
    assert found == ["messages|inner_chat"] * 5
    assert "".join(event.data[0]["content"] for event in events[1:]) == "Good day to you"


async def test_tokens_from_inside_without_the_option(http, thread_id):
    events = await run_events(http, thread_id, "nested_chat", input=HI, stream_mode="messages-tuple")
    assert names(events) == ["metadata", "messages"]
    assert (events[1].data[0]["type"], events[1].data[0]["content"]) == ("ai", "Good day to you")


async def test_old_message_names_have_no_suffix(http, thread_id):
    events = await run_events(http, thread_id, "nested_chat", input=HI, stream_mode="messages", stream_subgraphs=True)
    assert names(events) == ["metadata", "messages/metadata"] + ["messages/partial"] * 5


async def test_an_interrupt_inside_is_told_on_both_levels(http, thread_id):
    events = await run_events(
        http, thread_id, "nested_question", input={"log": []}, stream_mode=["values", "updates"], stream_subgraphs=True
    )
    assert short(events) == [
        "values", "updates", "values", "values|inner", "updates|inner", "values|inner", "updates", "values",
    ]  # fmt: skip
    interrupts = [event.data["__interrupt__"] for event in events if "__interrupt__" in event.data]
    assert len(interrupts) == 4
    assert all(one == interrupts[0] for one in interrupts)


async def test_history_of_a_subgraph(client, thread_id):
    await client.runs.wait(thread_id, "nested_question", input={"log": []})
    (task,) = (await client.threads.get_state(thread_id))["tasks"]
    namespace = task["checkpoint"]["checkpoint_ns"]
    assert INNER.search(f"|{namespace}")
    inside = await client.threads.get_history(
        thread_id, limit=10, checkpoint={"thread_id": thread_id, "checkpoint_ns": namespace}
    )
    assert [one["metadata"]["step"] for one in inside] == [0, -1]
    assert inside[0]["next"] == ["inner_ask"]
