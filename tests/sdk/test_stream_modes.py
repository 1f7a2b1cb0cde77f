"""Every stream mode: which events come, in which order, with exactly which data."""

import pytest

from helpers import HI, library_differs, names, normal, run_events

RUN_METADATA = {"created_by", "graph_id", "assistant_id", "run_attempt", "run_id"}
STEPS = [[], ["one"], ["one", "two"], ["one", "two", "three"]]
USAGE = {"input_tokens": 2, "output_tokens": 4, "total_tokens": 6}
STATES = [{"log": ["in", *step], "done": []} for step in STEPS]


def message(content, kind="ai", **fields):
    base = {"content": content, "additional_kwargs": {}, "response_metadata": {}, "type": kind, "name": None}
    return base | {"tool_calls": [], "invalid_tool_calls": [], "usage_metadata": None} | fields


def chunk(content, **fields):
    extra = {"tool_call_chunks": [], "chunk_position": None}
    return message(content, "AIMessageChunk", **extra) | fields


async def data_of(http, thread_id, graph, mode, **body):
    body = {"input": {"log": ["in"]}} | body
    events = await run_events(http, thread_id, graph, stream_mode=mode, **body)
    assert events[0].event == "metadata"
    assert events[0].data.keys() == {"run_id", "attempt"}
    assert events[0].data["attempt"] == 1
    assert all(event.id is None for event in events)
    return [(event.event, event.data) for event in events[1:]]


async def test_values(http, thread_id):
    assert await data_of(http, thread_id, "three", "values") == [("values", state) for state in STATES]


async def test_default_is_values(http, thread_id):
    events = await run_events(http, thread_id, "three", input={"log": ["in"]})
    assert [event.data for event in events[1:]] == STATES


async def test_updates(http, thread_id):
    found = await data_of(http, thread_id, "three", ["updates"])
    assert found == [("updates", {word: {"log": [word]}}) for word in ("one", "two", "three")]


async def test_custom(http, thread_id):
    found = await data_of(http, thread_id, "three", ["custom"])
    assert found == [("custom", {"at": word}) for word in ("one", "two", "three")]


async def test_tasks(http, thread_id):
    found = await data_of(http, thread_id, "three", ["tasks"])
    assert {name for name, _ in found} == {"tasks"}
    starts, results = [data for _, data in found[::2]], [data for _, data in found[1::2]]
    for word, state, start, result in zip(("one", "two", "three"), STATES[:3], starts, results, strict=True):
        assert RUN_METADATA <= start.pop("metadata").keys()
        assert start == {"id": start["id"], "name": word, "input": state, "triggers": [f"branch:to:{word}"]}
        outcome = {"error": None, "result": {"log": [word]}, "interrupts": []}
        assert result == {"id": start["id"], "name": word} | outcome


async def test_checkpoints(http, thread_id):
    found = await data_of(http, thread_id, "three", ["checkpoints"])
    data = [item for _, item in found]
    assert {name for name, _ in found} == {"checkpoints"}
    keys = {"config", "parent_config", "values", "metadata", "next", "tasks"}
    assert all(item.keys() == keys for item in data)
    assert [item["metadata"] for item in data] == [
        {"source": "input" if step < 0 else "loop", "step": step, "parents": {}} for step in range(-1, 4)
    ]
    assert [item["next"] for item in data] == [["__start__"], ["one"], ["two"], ["three"], []]
    assert [item["values"] for item in data] == [{"log": [], "done": []}, *STATES]
    ids = [item["config"]["configurable"]["checkpoint_id"] for item in data]
    assert ids == sorted(ids)
    assert data[0]["parent_config"] is None
    assert [item["parent_config"]["configurable"]["checkpoint_id"] for item in data[1:]] == ids[:-1]
    assert data[1]["tasks"] == [{"id": data[1]["tasks"][0]["id"], "name": "one", "interrupts": [], "state": None}]
    configurable = data[0]["config"]["configurable"]
    assert (configurable["thread_id"], configurable["checkpoint_ns"]) == (thread_id, "")


async def test_debug(http, thread_id):
    found = await data_of(http, thread_id, "three", ["debug"])
    data = [item for _, item in found]
    assert all(item.keys() == {"step", "timestamp", "type", "payload"} for item in data)
    steps = [(item["step"], item["type"]) for item in data]
    expected = [(-1, "checkpoint"), (0, "checkpoint")]
    for step in (1, 2, 3):
        expected += [(step, "task"), (step, "task_result"), (step, "checkpoint")]
    assert steps == expected
    assert data[3]["payload"]["result"] == {"log": ["one"]}
    assert data[4]["payload"]["values"] == STATES[1]


@library_differs("its nodes have no stream event of their own")
async def test_events(http, thread_id):
    found = await data_of(http, thread_id, "three", ["events"])
    data = [item for _, item in found]
    kinds = [(item["event"], item["name"]) for item in data]
    assert kinds[0] == ("on_chain_start", "three") and kinds[-1] == ("on_chain_end", "three")
    for word in ("one", "two"):
        assert [kind for kind, name in kinds if name == word] == ["on_chain_start", "on_chain_stream", "on_chain_end"]
    assert data[0]["data"]["input"] == {"log": ["in"]}
    assert data[-1]["data"]["output"] == STATES[-1]
    assert {"event", "name", "run_id", "tags", "metadata", "data", "parent_ids"} <= data[1].keys()


async def test_events_of_a_chat_model(http, thread_id):
    found = await data_of(http, thread_id, "chat", ["events"], input=HI)
    tokens = [data["data"]["chunk"]["content"] for _, data in found if data["event"] == "on_chat_model_stream"]
    assert tokens == ["Good", " day", " to", " you", ""]


@library_differs("ids begin with run-, and the last chunk is not marked")
async def test_messages_tuple(http, thread_id):
    found = await data_of(http, thread_id, "chat", ["messages-tuple"], input=HI)
    assert {name for name, _ in found} == {"messages"}
    ids = {data[0].pop("id") for _, data in found}
    assert len(ids) == 1 and ids.pop().startswith("lc_run--")
    assert [data[0] for _, data in found] == [
        chunk("Good"),
        chunk(" day"),
        chunk(" to"),
        chunk(" you", response_metadata={"finish_reason": "stop"}, usage_metadata=USAGE),
        chunk("", chunk_position="last"),
    ]
    metadata = found[0][1][1]
    assert (metadata["langgraph_node"], metadata["langgraph_step"], metadata["graph_id"]) == ("answer", 1, "chat")
    assert metadata["thread_id"] == thread_id
    assert metadata["langgraph_checkpoint_ns"].startswith("answer:")
    keys = {"langgraph_triggers", "langgraph_path", "ls_provider", "ls_model_type", "checkpoint_ns"}
    assert RUN_METADATA | keys <= metadata.keys()


async def test_messages(http, thread_id):
    found = await data_of(http, thread_id, "chat", "messages", input=HI)
    assert [name for name, _ in found] == ["messages/metadata"] + ["messages/partial"] * 5
    ((message_id, value),) = found[0][1].items()
    assert value["metadata"]["langgraph_node"] == "answer"
    done = {"response_metadata": {"finish_reason": "stop"}, "usage_metadata": USAGE}
    assert [data for _, data in found[1:]] == [
        [message("Good", id=message_id)],
        [message("Good day", id=message_id)],
        [message("Good day to", id=message_id)],
        [message("Good day to you", id=message_id, **done)],
        [message("Good day to you", id=message_id, **done)],
    ]


async def test_messages_of_tools(http, thread_id):
    found = await data_of(http, thread_id, "tool_agent", "messages-tuple", input=HI)
    first = [data[0] for _, data in found]
    assert [(one["type"], one["content"]) for one in first] == [("AIMessageChunk", "")] * 3 + [("tool", "42")] + [
        ("AIMessageChunk", word) for word in ("The", " product", " is", " 42", "")
    ]
    assert first[0]["tool_call_chunks"][0]["args"] == '{"a": 6,'
    assert (first[3]["tool_call_id"], first[3]["name"], first[3]["status"]) == ("call-1", "multiply", "success")
    found = await data_of(http, thread_id, "tool_agent", "messages", input=HI)
    assert [name for name, _ in found if name != "messages/partial"] == [
        "messages/metadata", "messages/metadata", "messages/complete", "messages/metadata",
    ]  # fmt: skip


QUIET = pytest.param("quiet_chat", marks=library_differs("a model's whole answer is a chunk, too"))


@pytest.mark.parametrize("graph", ["whole_chat", QUIET])
async def test_whole_messages(http, thread_id, graph):
    """A message that isn't streamed, or that asks not to be, comes in one piece."""
    ((name, (one, _)),) = await data_of(http, thread_id, graph, "messages-tuple", input=HI)
    assert (name, one["type"]) == ("messages", "ai")
    assert one["content"] == {"whole_chat": "whole answer", "quiet_chat": "Good day to you"}[graph]


async def test_whole_messages_in_the_old_form(http, thread_id):
    found = await data_of(http, thread_id, "whole_chat", "messages", input=HI)
    assert [name for name, _ in found] == ["messages/metadata", "messages/complete"]
    assert found[1][1] == [message("whole answer", id="whole-1")]


async def test_a_message_that_the_thread_had_already_is_not_streamed_again(http, thread_id):
    assert len(await data_of(http, thread_id, "whole_chat", "messages-tuple", input=HI)) == 1
    assert await data_of(http, thread_id, "whole_chat", "messages-tuple", input=HI) == []


async def test_both_forms_of_messages_send_the_tuple(http, thread_id):
    found = await data_of(http, thread_id, "chat", ["messages", "messages-tuple", "values"], input=HI)
    assert [name for name, _ in found] == ["values"] + ["messages"] * 5 + ["values"]


async def test_several_modes_interleave_in_order(http, thread_id):
    modes = ["values", "updates", "custom", "tasks"]
    found = await data_of(http, thread_id, "three", modes)
    assert [name for name, _ in found] == ["values"] + ["tasks", "custom", "updates", "tasks", "values"] * 3


async def test_ids_stay_the_same_between_events(http, thread_id):
    events = await run_events(http, thread_id, "chat", input=HI, stream_mode=["values", "messages-tuple"])
    found = normal([event.data for event in events])
    answers = {item[0]["id"] for item in found if isinstance(item, list)}
    assert answers == {found[-1]["messages"][-1]["id"]}
    assert names(events)[-1] == "values"
