"""Graphs that stop and go on: by `interrupt()`, by option, several at once, inside a subgraph."""

import pytest

from helpers import library_differs, names, new_id, reference_differs, run_events

BOTH = ["values", "updates"]


async def start(client, thread_id, graph="question", **options):
    return await client.runs.wait(thread_id, graph, input={"log": []}, **options)


async def test_stream_of_an_interrupt(http, thread_id):
    events = await run_events(http, thread_id, "question", input={"log": []}, stream_mode=BOTH)
    assert names(events) == ["metadata", "values", "updates", "values", "updates", "values"]
    (interrupt,) = events[4].data["__interrupt__"]
    assert interrupt == {"value": {"question": "go on?"}, "id": interrupt["id"], "response_schema": None}
    assert events[5].data == {"log": ["before"], "__interrupt__": [interrupt]}
    assert len(interrupt["id"]) == 32


async def test_only_values(http, thread_id):
    events = await run_events(http, thread_id, "question", input={"log": []})
    assert names(events) == ["metadata", "values", "values", "values"]
    assert "__interrupt__" in events[-1].data


async def test_wait_tells_the_interrupt(client, thread_id):
    values = await start(client, thread_id)
    (interrupt,) = values.pop("__interrupt__")
    assert values == {"log": ["before"]}
    assert interrupt["value"] == {"question": "go on?"}


async def test_run_succeeds_and_thread_is_interrupted(client, thread_id):
    interrupt = (await start(client, thread_id))["__interrupt__"][0]
    (run,) = await client.runs.list(thread_id)
    assert run["status"] == "success"
    thread = await client.threads.get(thread_id)
    assert thread["status"] == "interrupted"
    state = await client.threads.get_state(thread_id)
    (task,) = state["tasks"]
    assert state["next"] == ["ask"]
    assert [one["id"] for one in state["interrupts"]] == [interrupt["id"]]
    assert [one["id"] for one in task["interrupts"]] == [interrupt["id"]]
    assert list(thread["interrupts"]) == [task["id"]]
    assert thread["interrupts"][task["id"]][0]["value"] == {"question": "go on?"}
    joined = await client.runs.join(thread_id, run["run_id"])
    assert [one["id"] for one in joined["__interrupt__"]] == [interrupt["id"]]


@pytest.mark.parametrize("answer", ["yes", "", 0, False, {"a": [1, None]}, [], "é\u2028"])
async def test_resume_with_any_value(client, thread_id, answer):
    await start(client, thread_id)
    values = await client.runs.wait(thread_id, "question", command={"resume": answer})
    assert values == {"log": ["before", "asked", "after"], "reply": answer}
    thread = await client.threads.get(thread_id)
    assert (thread["status"], thread["interrupts"]) == ("idle", {})


async def test_resume_by_interrupt_id(client, thread_id):
    interrupt = (await start(client, thread_id))["__interrupt__"][0]
    values = await client.runs.wait(thread_id, "question", command={"resume": {interrupt["id"]: "by id"}})
    assert values["reply"] == "by id"


async def test_resume_with_update(client, thread_id):
    await start(client, thread_id)
    command = {"resume": "yes", "update": {"log": ["added"]}}
    values = await client.runs.wait(thread_id, "question", command=command)
    assert values["log"] == ["before", "added", "asked", "after"]


async def test_resume_when_nothing_waits(client, thread_id):
    await client.runs.wait(thread_id, "three", input={"log": []})
    values = await client.runs.wait(thread_id, "three", command={"resume": "x"})
    assert values["log"] == ["one", "two", "three"]
    assert (await client.threads.get(thread_id))["status"] == "idle"


async def test_new_input_drops_the_interrupt(client, thread_id):
    first = (await start(client, thread_id))["__interrupt__"][0]
    values = await client.runs.wait(thread_id, "question", input={"log": ["again"]})
    assert values["log"] == ["before", "again", "before"]
    assert values["__interrupt__"][0]["id"] != first["id"]


@pytest.mark.parametrize("option", [{"interrupt_before": ["two"]}, {"interrupt_after": ["one"]}])
async def test_static_interrupt(client, http, thread_id, option):
    events = await run_events(http, thread_id, "three", input={"log": []}, stream_mode=BOTH, **option)
    assert names(events) == ["metadata", "values", "updates", "values", "updates"]
    assert events[-1].data == {"__interrupt__": []}
    thread = await client.threads.get(thread_id)
    assert (thread["status"], thread["interrupts"]) == ("interrupted", {})
    assert (await client.threads.get_state(thread_id))["next"] == ["two"]
    values = await client.runs.wait(thread_id, "three", input=None)
    assert values["log"] == ["one", "two", "three"]


async def test_static_interrupt_at_every_node(client, thread_id):
    logs = [(await client.runs.wait(thread_id, "three", input={"log": []}, interrupt_before="*"))["log"]]
    for _ in range(3):
        logs.append((await client.runs.wait(thread_id, "three", input=None, interrupt_before="*"))["log"])
    assert logs == [[], ["one"], ["one", "two"], ["one", "two", "three"]]
    assert (await client.threads.get(thread_id))["status"] == "idle"


async def test_parallel_interrupts(client, http, thread_id):
    events = await run_events(http, thread_id, "two_questions", input={"log": []}, stream_mode=BOTH)
    told = [event.data["__interrupt__"] for event in events if event.event == "updates" and "__interrupt__" in event.data]
    assert sorted(one["value"]["side"] for (one,) in told) == ["left", "right"]
    assert events[-1].event == "values" and events[-1].data == {"log": ["other"]}
    thread = await client.threads.get(thread_id)
    assert len(thread["interrupts"]) == 2
    state = await client.threads.get_state(thread_id)
    assert sorted(state["next"]) == ["left", "right"]
    assert len(state["interrupts"]) == 2
    assert state["values"] == {"log": ["other"]}


async def test_wait_tells_all_parallel_interrupts(client, thread_id):
    values = await start(client, thread_id, "two_questions")
    assert sorted(one["value"]["side"] for one in values["__interrupt__"]) == ["left", "right"]


async def test_resume_all_parallel_interrupts_by_id(client, thread_id):
    interrupts = (await start(client, thread_id, "two_questions"))["__interrupt__"]
    resume = {one["id"]: one["value"]["side"].upper() for one in interrupts}
    values = await client.runs.wait(thread_id, "two_questions", command={"resume": resume})
    assert sorted(values["log"]) == ["join", "left:LEFT", "other", "right:RIGHT"]
    assert values["log"][-1] == "join"


async def test_resume_parallel_interrupts_one_by_one(client, thread_id):
    interrupts = (await start(client, thread_id, "two_questions"))["__interrupt__"]
    first, second = interrupts
    left = await client.runs.wait(thread_id, "two_questions", command={"resume": {first["id"]: 1}})
    assert [one["id"] for one in left["__interrupt__"]] == [second["id"]]
    done = await client.runs.wait(thread_id, "two_questions", command={"resume": {second["id"]: 2}})
    assert done["log"][-1] == "join" and len(done["log"]) == 4


@library_differs("a bare answer goes to every question")
async def test_a_bare_answer_to_two_questions_fails(client, thread_id):
    await start(client, thread_id, "two_questions")
    answer = await client.runs.wait(thread_id, "two_questions", command={"resume": "x"}, raise_error=False)
    assert answer["__error__"]["error"] == "RuntimeError"
    assert "multiple pending interrupts" in answer["__error__"]["message"]
    assert len((await client.threads.get_state(thread_id))["interrupts"]) == 2


async def test_interrupt_in_a_subgraph(client, thread_id):
    values = await start(client, thread_id, "nested_question")
    assert values["log"] == ["outer"] and len(values["__interrupt__"]) == 1
    state = await client.threads.get_state(thread_id, subgraphs=True)
    (task,) = state["tasks"]
    assert task["name"] == "inner" and task["checkpoint"] is None
    assert task["state"]["next"] == ["inner_ask"]
    assert task["state"]["values"] == {"log": ["outer"]}
    final = await client.runs.wait(thread_id, "nested_question", command={"resume": "deep yes"})
    assert final == {"log": ["outer", "outer", "asked"], "reply": "deep yes"}


async def test_update_inside_a_subgraph(client, thread_id):
    await start(client, thread_id, "nested_question")
    (task,) = (await client.threads.get_state(thread_id))["tasks"]
    await client.threads.update_state(thread_id, {"log": ["edited"]}, checkpoint=task["checkpoint"])
    state = await client.threads.get_state(thread_id, subgraphs=True)
    assert state["tasks"][0]["state"]["values"]["log"] == ["outer", "edited"]


async def test_resume_needs_a_thread(http):
    for path in ("/runs", "/runs/wait", "/runs/stream"):
        answer = await http.post(path, json={"assistant_id": "question", "command": {"resume": 1}})
        assert answer.status_code == 400
        assert answer.json() == {"detail": "You must provide a thread_id when resuming."}


@reference_differs("joining a run that does not exist is an answer with status 200")
async def test_join_of_an_unknown_run(http, thread_id):
    assert (await http.get(f"/threads/{thread_id}/runs/{new_id()}/join")).status_code == 404
