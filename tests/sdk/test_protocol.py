"""The event streaming protocol with the stock SDK: `threads.stream()` over server-sent events and over WebSockets, asynchronous and synchronous."""

import json
from functools import partial

import pytest

from helpers import HI, library_differs, reference_differs
from protocol import Socket, command, fresh, is_end, open_socket, sse, take

WAYS = ["sse", "websocket"]


def messages_of(pieces) -> list[list[dict]]:
    """The deltas of each message, of those that are told one after another."""
    groups = []
    for piece in pieces:
        if piece["data"]["event"] == "message-start":
            groups.append([])
        elif piece["data"]["event"] == "content-block-delta":
            groups[-1].append(piece)
    return groups


@pytest.fixture
def socket(base_url):
    """Opens a thread's WebSocket."""
    return partial(open_socket, base_url)


@pytest.mark.parametrize("way", WAYS)
async def test_values_messages_and_output(client, way):
    async with client.threads.stream(assistant_id="chat", transport=way) as thread:
        await thread.run.start(input=HI)
        messages = [message async for message in thread.messages]
        assert [await message.text for message in messages] == ["Good day to you"]
        output = await thread.output
        assert [message["type"] for message in output["messages"]] == ["human", "ai"]
    async with client.threads.stream(assistant_id="three", transport=way) as thread:
        await thread.run.start(input={"log": []})
        # The client begins with the state of the moment, which may be that of a thread without a checkpoint; then come the events.
        state, *events = [values async for values in thread.values]
        assert state == {} or "log" in state
        assert [values["log"] for values in events] == [["one", "two", "three"][:steps] for steps in range(4)]


@pytest.mark.parametrize("way", WAYS)
async def test_tool_calls_and_subgraphs(client, way):
    async with client.threads.stream(assistant_id="tool_agent", transport=way) as thread:
        await thread.run.start(input=HI)
        [call] = [call async for call in thread.tool_calls]
        assert call.name == "multiply" and "42" in json.dumps(await call.output)
    async with client.threads.stream(assistant_id="nested", transport=way) as thread:
        await thread.run.start(input={"log": []})
        handles = [handle async for handle in thread.subgraphs]
        assert [(handle.graph_name, handle.status) for handle in handles] == [("inner", "completed")]


@pytest.mark.parametrize("way", WAYS)
async def test_an_interrupt_is_answered_on_the_same_stream(client, way):
    async with client.threads.stream(assistant_id="question", transport=way) as thread:
        await thread.run.start(input={"log": []})
        async for _ in thread.values:
            pass
        assert thread.interrupted and len(thread.interrupts) == 1
        await thread.run.respond("yes")
        output = await thread.output
        assert output["log"] == ["before", "asked", "after"] and output["reply"] == "yes"


@pytest.mark.parametrize("way", WAYS)
def test_synchronously(sync_client, way):
    with sync_client.threads.stream(assistant_id="chat", transport=way) as thread:
        thread.run.start(input=HI)
        messages = list(thread.messages)
        assert [str(message.text) for message in messages] == ["Good day to you"]
        assert len(thread.output["messages"]) == 2


@pytest.mark.parametrize("way", WAYS)
async def test_a_failure_is_told(client, way):
    async with client.threads.stream(assistant_id="failing", transport=way) as thread:
        await thread.run.start(input={})
        with pytest.raises(RuntimeError, match="Run errored"):
            await thread.output


async def test_events_have_the_shapes_of_the_protocol(http):
    thread_id = fresh()
    assert (await command(http, thread_id, "run.start", assistant_id="chat", input=HI))["type"] == "success"
    events = await take(sse(http, thread_id), 1)
    found = {method: [event for event in events if event["method"] == method] for method in {e["method"] for e in events}}
    pieces = [event["params"]["data"] for event in found["messages"]]
    assert [piece["event"] for piece in pieces] == [
        "message-start", "content-block-start", *["content-block-delta"] * 4, "content-block-finish", "message-finish",
    ]  # fmt: skip
    assert {event["params"]["node"] for event in found["messages"]} == {"answer"}
    [update] = found["updates"]
    assert update["params"]["data"]["node"] == "answer" and "messages" in update["params"]["data"]["values"]
    assert [event["params"]["data"]["step"] for event in found["checkpoints"]] == [-1, 0, 1]
    assert all({"id", "source", "step"} <= event["params"]["data"].keys() for event in found["checkpoints"])
    assert [("result" in event["params"]["data"]) for event in found["tasks"]] == [False, True]
    first, last = (event["params"]["data"]["messages"] for event in found["values"])
    assert list(first[0]) == ["type", "content", "id"]
    assert last[1]["id"] == pieces[0]["id"]
    for event in events:
        assert list(event) == ["type", "event_id", "seq", "method", "params"]
        assert list(event["params"])[:3] == ["namespace", "timestamp", "data"]


async def test_custom_events_and_filters(http):
    thread_id = fresh()
    await command(http, thread_id, "run.start", assistant_id="nested", input={"log": []})
    everything = await take(sse(http, thread_id), 1)
    custom = [event for event in everything if event["method"] == "custom"]
    assert [event["params"]["data"] for event in custom] == [{"at": at} for at in ("outer", "deep", "deeper")]
    inner = custom[1]["params"]["namespace"]
    told = [event["params"]["data"]["event"] for event in everything if event["params"]["namespace"] == inner and event["method"] == "lifecycle"]
    assert told == ["started", "completed"]

    async def filtered(**filter):
        """Until the run's end, which every filter here lets pass."""
        return [event["event_id"] for event in await take(sse(http, thread_id, **filter), 1)]

    def expected(keep):
        return [event["event_id"] for event in everything if keep(event)]

    assert await filtered(channels=["lifecycle", "values"], namespaces=[[]], depth=0) == expected(
        lambda event: event["method"] in ("lifecycle", "values") and not event["params"]["namespace"]
    )
    events = sse(http, thread_id, channels=["values"], namespaces=[["inner"]])
    wanted = [event for event in everything if event["method"] == "values" and event["params"]["namespace"] == inner]
    assert [await anext(events) for _ in wanted] == wanted
    await events.aclose()


async def test_parallel_interrupts_are_answered_together(http):
    thread_id = fresh()
    await command(http, thread_id, "run.start", assistant_id="two_questions", input={"log": []})
    events = await take(sse(http, thread_id), 1)
    asked = [event["params"]["data"] for event in events if event["method"] == "input.requested"]
    assert sorted(each["payload"]["side"] for each in asked) == ["left", "right"]
    assert events[-1]["params"]["data"]["event"] == "interrupted"
    responses = [{"namespace": [], "interrupt_id": each["interrupt_id"], "response": each["payload"]["side"][0]} for each in asked]
    assert (await command(http, thread_id, "input.respond", responses=responses))["result"] == {}
    after = await take(sse(http, thread_id, since=events[-1]["seq"]), 1)
    [answered] = [event["params"]["data"] for event in after if event["method"] == "input.answered"]
    assert sorted(answered["interrupt_ids"]) == sorted(each["interrupt_id"] for each in asked)
    assert after[-1]["params"]["data"]["event"] == "completed"
    late = await command(http, thread_id, "input.respond", responses=responses)
    assert late["error"] == "no_such_interrupt"


async def test_a_nested_interrupt_names_its_graph_and_input_answers_it(http):
    thread_id = fresh()
    await command(http, thread_id, "run.start", assistant_id="nested_question", input={"log": []})
    events = await take(sse(http, thread_id), 1)
    [asked] = [event for event in events if event["method"] == "input.requested"]
    assert asked["params"]["namespace"][0].startswith("inner:")
    # On a thread that waits for an answer, the input is the answer.
    await command(http, thread_id, "run.start", assistant_id="nested_question", input="sure")
    after = await take(sse(http, thread_id, since=events[-1]["seq"], channels=["values", "lifecycle"]), 1)
    assert [e for e in after if e["method"] == "values"][-1]["params"]["data"]["reply"] == "sure"


@library_differs("its host tells the messages that nodes return, too")
async def test_a_message_that_no_model_streamed_is_in_the_values_alone(client):
    async with client.threads.stream(assistant_id="whole_chat") as thread:
        await thread.run.start(input=HI)
        assert [message async for message in thread.messages] == []
        assert (await thread.output)["messages"][-1]["content"] == "whole answer"


@reference_differs("its answers say 0")
async def test_an_answer_says_how_far_the_events_had_come(http):
    thread_id = fresh()
    start = partial(command, http, thread_id, "run.start", assistant_id="three", input={"log": []})
    assert (await start())["meta"] == {"applied_through_seq": 0}
    last = (await take(sse(http, thread_id), 1))[-1]
    assert (await start())["meta"] == {"applied_through_seq": last["seq"]}, "of what was before, and nothing of the new run"
    after = await take(sse(http, thread_id, since=last["seq"]), 1)
    assert after[0]["params"]["data"]["event"] == "running"


@reference_differs("it tells nothing of the messages of such runs")
@pytest.mark.parametrize("mode", ["messages", "messages-tuple"])
async def test_messages_of_classic_runs_are_told_in_blocks(client, http, mode):
    thread_id = (await client.threads.create())["thread_id"]
    modes, options = [mode, "values"], {"stream_subgraphs": True, "stream_resumable": True}
    for graph in ("nested_chat", "tool_agent"):
        await client.runs.create(thread_id, graph, input=HI, stream_mode=modes, **options)
    events = await take(sse(http, thread_id), 2)
    pieces = [event["params"] for event in events if event["method"] == "messages"]
    texts = ["".join(p["data"]["delta"]["text"] for p in group) for group in messages_of(pieces)]
    assert texts == ["Good day to you", "", "The product is 42"]
    calls = [p["data"]["content"] for p in pieces if p["data"]["event"] == "content-block-finish" and p["data"]["index"] == 1]
    assert [(call["type"], call["name"], call["args"]) for call in calls] == [("tool_call", "multiply", {"a": 6, "b": 7})]
    if mode == "messages-tuple":
        assert [p["node"] for p in pieces if p["data"]["event"] == "message-start"] == ["answer", "think", "think"]
        assert pieces[0]["namespace"][0].startswith("inner_chat:") and not pieces[-1]["namespace"]


@reference_differs("it tells a client nothing of the end of a pending run")
async def test_a_cancelled_run_has_an_end(client, http):
    thread_id = fresh()
    await command(http, thread_id, "run.start", assistant_id="slow", input={"log": [], "secs": 60})
    waiting = (await command(http, thread_id, "run.start", assistant_id="three", input={"log": []}))["result"]["run_id"]
    running = (await client.runs.list(thread_id))[1]["run_id"]
    await client.runs.cancel(thread_id, waiting)
    await client.runs.cancel(thread_id, running)
    ends = [event for event in await take(sse(http, thread_id, channels=["lifecycle"]), 2) if is_end(event)]
    assert {event["event_id"] for event in ends} == {f"synth:{run}:lc||failed" for run in (waiting, running)}


async def test_a_socket_carries_commands_answers_and_events(socket):
    thread_id = fresh()
    async with socket(thread_id) as connection:
        ws = Socket(connection)
        subscribed = await ws.ask("subscription.subscribe", channels=["lifecycle", "values", "input"])
        assert subscribed["type"] == "success" and subscribed["meta"] == {"applied_through_seq": 0}
        run = (await ws.ask("run.start", assistant_id="question", input={"log": []}))["result"]["run_id"]
        first = await ws.ends(1)
        assert first[0]["event_id"] == f"synth:{run}:lc||running"
        tree = await ws.ask("agent.getTree")
        assert tree["result"]["tree"] == {"namespace": [], "status": "interrupted", "graph_name": "question"}
        assert tree["meta"]["applied_through_seq"] == first[-1]["seq"]
        [asked] = [event["params"]["data"] for event in first if event["method"] == "input.requested"]
        bad = await ws.ask("input.respond", namespace=[], interrupt_id="bad", response=1)
        assert bad["error"] == "no_such_interrupt"
        assert (await ws.ask("input.respond", namespace=[], interrupt_id=asked["interrupt_id"], response="y"))["result"] == {}
        both = await ws.ends(2)
        assert len({event["event_id"] for event in both}) == len(both)

        # A second subscription hears what came before it; what the first one heard comes once more for it alone.
        before = len(ws.events)
        more = await ws.ask("subscription.subscribe", channels=["updates"])
        assert more["result"]["replayed_events"] >= 1
        while len([e for e in ws.events[before:] if e["method"] == "updates"]) < 3:
            await ws.next()
        assert {event["method"] for event in ws.events[before:]} == {"updates"}
        assert (await ws.ask("subscription.unsubscribe", subscription_id=more["result"]["subscription_id"]))["result"] == {}
        gone = await ws.ask("subscription.unsubscribe", subscription_id="nope")
        assert (gone["error"], gone["message"]) == ("no_such_subscription", "Unknown subscription: nope")
        assert (await ws.ask("nope"))["error"] == "unknown_command"
        back = await ws.ask("subscription.reconnect", run_id=run, channels=["lifecycle"], last_event_id=f"synth:{run}:lc||running")
        assert back["result"]["restored"] is True and back["result"]["current_namespaces"]
        none = await ws.ask("subscription.reconnect", run_id="x")
        assert none["message"] == "subscription.reconnect requires a non-empty channels array."


async def test_bad_frames_are_answered_and_the_socket_lives_on(socket):
    async with socket(fresh()) as connection:
        ws = Socket(connection)
        for frame, id in [("{", None), ("[]", None), ('"x"', None), ('{"id":"x","method":"run.start"}', "x"), ('{"id":4}', 4)]:
            await connection.send(frame)
            answer = await ws.next()
            assert (answer["type"], answer["error"], answer["id"]) == ("error", "invalid_argument", id)
        await connection.send(json.dumps({"id": 5, "method": "nope"}).encode())
        assert (await ws.next())["error"] == "unknown_command"
        wrong = await ws.ask("subscription.subscribe", channels=["debug"])
        assert wrong["error"] == "invalid_argument" and "debug" in wrong["message"]


async def test_remote_graph_speaks_the_protocol(base_url):
    from langgraph.pregel.remote import RemoteGraph

    graph = RemoteGraph("chat", url=base_url)
    async with await graph.astream_events(HI, version="v3") as run:
        messages = [message async for message in run.messages]
        assert [await message.text for message in messages] == ["Good day to you"]
        assert len((await run.output())["messages"]) == 2
