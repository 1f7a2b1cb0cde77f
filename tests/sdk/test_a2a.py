"""The Agent2Agent protocol with its stock client, in both dialects: every assistant is an agent."""

import asyncio
import json
import random
import uuid
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from a2a.client import A2ACardResolver, ClientCallContext, ClientConfig, ClientFactory
from a2a.helpers import get_artifact_text, get_data_parts, get_message_text, new_message
from a2a.helpers import new_data_part, new_raw_part, new_text_message, new_text_part, new_url_part
from a2a.types.a2a_pb2 import AgentCard, CancelTaskRequest, GetTaskRequest, ListTasksRequest, Role
from a2a.types.a2a_pb2 import SendMessageConfiguration, SendMessageRequest, SubscribeToTaskRequest, TaskState
from a2a.utils.errors import InvalidParamsError, TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError

DIALECTS = ["0.3", "1.0"]


async def assistant_of(client, graph: str) -> str:
    found = await client.assistants.search(graph_id=graph, metadata={"created_by": "system"})
    return found[0]["assistant_id"]


@pytest.fixture
def agent(client, base_url):
    """A stock client of a graph's assistant that speaks one of the dialects, by the agent's own card."""

    @asynccontextmanager
    async def open(graph, dialect="1.0", streaming=False):
        url = f"{base_url}/a2a/{await assistant_of(client, graph)}"
        async with httpx.AsyncClient(timeout=60, headers={"A2A-Version": dialect}) as http:
            card = await A2ACardResolver(http, url).get_agent_card()
            spoken = [interface for interface in card.supported_interfaces if interface.protocol_version == dialect]
            only = AgentCard()
            only.CopyFrom(card)
            del only.supported_interfaces[:]
            only.supported_interfaces.extend(spoken)
            yield ClientFactory(ClientConfig(streaming=streaming, httpx_client=http)).create(only)

    return open


def says(text: str, **more) -> SendMessageRequest:
    return SendMessageRequest(message=new_text_message(text, role=Role.ROLE_USER, **more))


def gives(*parts, **more) -> SendMessageRequest:
    return SendMessageRequest(message=new_message(list(parts), role=Role.ROLE_USER, **more))


async def ask(agent, request, context=None):
    """The task that a message becomes."""
    [response] = [response async for response in agent.send_message(request, context=context)]
    return response.task


def said(message) -> str:
    return get_message_text(message)


def fold(texts: dict, update) -> None:
    """Takes an update of an artifact over, as every client does."""
    artifact = update.artifact
    held = texts.get(artifact.artifact_id, "") if update.append else ""
    texts[artifact.artifact_id] = held + get_artifact_text(artifact)


async def test_the_card_is_where_clients_look_for_it(client, base_url):
    assistant = await assistant_of(client, "chat")
    url = f"{base_url}/a2a/{assistant}"
    async with httpx.AsyncClient() as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        at_root = await A2ACardResolver(http, base_url).get_agent_card(
            relative_card_path=f"/.well-known/agent-card.json?assistant_id={assistant}"
        )
        raw = (await http.get(url)).json()
        question = (await http.get(f"{base_url}/a2a/{await assistant_of(client, 'question')}")).json()
    assert card == at_root
    assert (card.name, card.capabilities.streaming, card.capabilities.push_notifications) == ("chat", True, False)
    spoken = [(each.url, each.protocol_binding, each.protocol_version) for each in card.supported_interfaces]
    assert spoken == [(url, "JSONRPC", "1.0"), (url, "JSONRPC", "0.3")]
    assert raw["url"] == url
    schema = raw["skills"][0]["metadata"]["inputSchema"]
    assert (schema["supportsA2A"], schema["properties"]) == (True, ["messages"])
    assert question["description"] == "Asks before it goes on"
    assert question["skills"][0]["metadata"]["inputSchema"]["supportsA2A"] is False


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_message_is_answered_and_the_context_goes_on(client, agent, dialect):
    async with agent("chat", dialect) as chat:
        task = await ask(chat, says("hi"))
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
        assert [get_artifact_text(artifact) for artifact in task.artifacts] == ["Good day to you"]
        assert task.artifacts[0].name == "Assistant Response"
        thread, run = task.id.split(":")
        assert thread == task.context_id
        assert (await client.runs.get(thread, run))["status"] == "success"
        more = await ask(chat, says("and?", context_id=thread))
        assert [said(message) for message in more.history] == ["hi", "Good day to you", "and?", "Good day to you"]
        assert [message.role for message in more.history] == [Role.ROLE_USER, Role.ROLE_AGENT] * 2
        got = await chat.get_task(GetTaskRequest(id=task.id))
        assert [said(message) for message in got.history] == ["hi", "Good day to you"]
        assert got.status.state == TaskState.TASK_STATE_COMPLETED
        of_task = ClientCallContext(service_parameters={"LangGraph-A2A-History-Scope": "task"})
        own = await chat.get_task(GetTaskRequest(id=more.id), context=of_task)
        assert [said(message) for message in own.history] == ["and?", "Good day to you"]
        short = await chat.get_task(GetTaskRequest(id=more.id, history_length=1))
        assert [said(message) for message in short.history] == ["Good day to you"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_tells_the_answer_word_by_word(agent, dialect):
    async with agent("slow_chat", dialect, streaming=True) as chat:
        told = [response async for response in chat.send_message(says("hi"))]
    kinds = [response.WhichOneof("payload") for response in told]
    assert kinds[:2] == ["task", "status_update"] and kinds[-2:] == ["artifact_update", "status_update"]
    assert told[0].task.status.state == TaskState.TASK_STATE_SUBMITTED
    assert told[1].status_update.status.state == TaskState.TASK_STATE_WORKING
    updates = [response.artifact_update for response in told[2:-1]]
    assert [get_artifact_text(update.artifact) for update in updates] == ["Good", " day", " to", " you", "Good day to you"]
    assert [(update.append, update.last_chunk) for update in updates] == [
        (False, False), (True, False), (True, False), (True, False), (False, True),
    ]
    assert told[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    assert len({update.artifact.artifact_id for update in updates}) == 1


async def test_the_last_word_of_an_agent_with_tools_is_the_answer(agent):
    async with agent("tool_agent") as tools:
        task = await ask(tools, says("6 times 7?"))
        assert [get_artifact_text(artifact) for artifact in task.artifacts] == ["The product is 42"]
        assert [said(message) for message in task.history] == ["6 times 7?", "", "The product is 42"]
        [result] = get_data_parts(task.history[1].parts)
        assert (result["name"], result["content"], result["status"]) == ("multiply", "42", "success")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_a_tool_answers_is_told_in_a_stream(agent, dialect):
    async with agent("tool_agent", dialect, streaming=True) as tools:
        told = [response async for response in tools.send_message(says("6 times 7?"))]
    results = [
        get_data_parts(response.status_update.status.message.parts)[0]
        for response in told if response.HasField("status_update") and response.status_update.status.HasField("message")
    ]  # fmt: skip
    assert [(result["name"], result["content"]) for result in results] == [("multiply", "42")]
    assert get_artifact_text(told[-2].artifact_update.artifact) == "The product is 42"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_question_is_answered_by_a_message_to_its_task(agent, dialect):
    async with agent("question", dialect) as question:
        task = await ask(question, gives(new_data_part({"log": []})))
        assert task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        assert task.artifacts[0].name == "Interrupt"
        [asked] = get_data_parts(task.artifacts[0].parts)
        assert asked["value"] == {"question": "go on?"} and len(asked["id"]) == 32
        assert get_data_parts(task.status.message.parts) == [asked]
        got = await question.get_task(GetTaskRequest(id=task.id))
        assert got.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        answered = await ask(question, says("yes", task_id=task.id, context_id=task.context_id))
        assert (answered.id, answered.status.state) == (task.id, TaskState.TASK_STATE_COMPLETED)
        [state] = get_data_parts(answered.artifacts[0].parts)
        assert (state["log"], state["reply"]) == (["before", "asked", "after"], "yes")
        got = await question.get_task(GetTaskRequest(id=task.id))
        assert got.status.state == TaskState.TASK_STATE_COMPLETED
        with pytest.raises(UnsupportedOperationError):
            await ask(question, says("again", task_id=task.id, context_id=task.context_id))


async def test_answers_come_as_data_too_and_by_the_context_alone(agent):
    async with agent("question") as question:
        for answer in ({"resume": {"sure": False}}, {"command": {"resume": {"sure": False}}}, {"sure": False}):
            task = await ask(question, gives(new_data_part({"log": []})))
            by_task = {} if "sure" not in answer else {"task_id": task.id}
            answered = await ask(question, gives(new_data_part(answer), context_id=task.context_id, **by_task))
            assert (answered.id, answered.status.state) == (task.id, TaskState.TASK_STATE_COMPLETED), answer
            assert get_data_parts(answered.artifacts[0].parts)[0]["reply"] == {"sure": False}


async def test_several_questions_are_answered_by_their_ids(agent):
    async with agent("two_questions") as both:
        task = await ask(both, gives(new_data_part({"log": []})))
        assert task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        asked = {each["value"]["side"]: each["id"] for each in get_data_parts(task.artifacts[0].parts)}
        assert set(asked) == {"left", "right"}
        with pytest.raises(InvalidParamsError, match="several questions"):
            await ask(both, says("yes", task_id=task.id))
        answers = {"resume": {asked["left"]: "l", asked["right"]: "r"}}
        answered = await ask(both, gives(new_data_part(answers), task_id=task.id))
        assert answered.status.state == TaskState.TASK_STATE_COMPLETED
        assert {"left:l", "right:r"} <= set(get_data_parts(answered.artifacts[0].parts)[0]["log"])


async def test_a_question_ends_a_stream_and_the_answer_begins_another(agent):
    async with agent("question", streaming=True) as question:
        told = [response async for response in question.send_message(gives(new_data_part({"log": []})))]
        task = told[0].task
        end = told[-1].status_update.status
        assert end.state == TaskState.TASK_STATE_INPUT_REQUIRED
        assert get_data_parts(end.message.parts)[0]["value"] == {"question": "go on?"}
        more = [response async for response in question.send_message(says("yes", task_id=task.id))]
        assert more[0].task.id == task.id == more[-1].status_update.task_id
        assert more[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_task_at_work_is_watched_and_cancelled(agent, dialect):
    async with agent("long_chat", dialect) as chat:
        request = says("hi")
        request.configuration.CopyFrom(SendMessageConfiguration(return_immediately=True))
        task = await ask(chat, request)
        assert task.status.state in (TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING)
        while (await chat.get_task(GetTaskRequest(id=task.id))).status.state != TaskState.TASK_STATE_WORKING:
            await asyncio.sleep(0.05)
        canceled = await chat.cancel_task(CancelTaskRequest(id=task.id))
        assert (canceled.id, canceled.status.state) == (task.id, TaskState.TASK_STATE_CANCELED)
        with pytest.raises(TaskNotCancelableError):
            await chat.cancel_task(CancelTaskRequest(id=task.id))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_task_that_waits_is_cancelled_for_good(client, agent, dialect):
    async with agent("question", dialect) as question:
        task = await ask(question, gives(new_data_part({"log": []})))
        assert task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        canceled = await question.cancel_task(CancelTaskRequest(id=task.id))
        assert (canceled.id, canceled.status.state) == (task.id, TaskState.TASK_STATE_CANCELED)
        thread = await client.threads.get(task.context_id)
        state = await client.threads.get_state(task.context_id)
        assert (thread["status"], thread["interrupts"], state["next"]) == ("idle", {}, [])
        with pytest.raises(TaskNotCancelableError):
            await question.cancel_task(CancelTaskRequest(id=task.id))
        with pytest.raises(UnsupportedOperationError):
            await ask(question, says("yes", task_id=task.id, context_id=task.context_id))
        # The context goes on with another task, which asks for itself.
        again = await ask(question, gives(new_data_part({"log": [], "resume": "yes"}), context_id=task.context_id))
        assert again.id != task.id and again.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        answered = await ask(question, says("no", task_id=again.id))
        assert get_data_parts(answered.artifacts[0].parts)[0]["reply"] == "no"
        got = await question.get_task(GetTaskRequest(id=task.id))
        assert got.status.state == TaskState.TASK_STATE_CANCELED


async def test_tasks_are_listed(agent):
    async with agent("whole_chat") as chat, agent("question") as question:
        first = await ask(chat, says("one"))
        second = await ask(chat, says("two", context_id=first.context_id))
        listed = await chat.list_tasks(ListTasksRequest(context_id=first.context_id))
        assert [task.id for task in listed.tasks] == [second.id, first.id]
        assert (listed.total_size, listed.next_page_token) == (2, "")
        page = await chat.list_tasks(ListTasksRequest(context_id=first.context_id, page_size=1, include_artifacts=True))
        assert [task.id for task in page.tasks] == [second.id] and page.next_page_token
        assert get_artifact_text(page.tasks[0].artifacts[0]) == "whole answer"
        rest = await chat.list_tasks(
            ListTasksRequest(context_id=first.context_id, page_size=1, page_token=page.next_page_token)
        )
        assert [task.id for task in rest.tasks] == [first.id] and not rest.next_page_token
        asked = await ask(question, gives(new_data_part({"log": []})))
        waiting = ListTasksRequest(status=TaskState.TASK_STATE_INPUT_REQUIRED)
        assert asked.id in [task.id for task in (await question.list_tasks(waiting)).tasks]
        answered = await ask(question, says("yes", task_id=asked.id))
        assert answered.id not in [task.id for task in (await question.list_tasks(waiting)).tasks]
        of_context = await question.list_tasks(ListTasksRequest(context_id=asked.context_id))
        assert [task.id for task in of_context.tasks] == [asked.id], "two runs, one task"


async def test_files_reach_the_graph_and_come_back(client, agent):
    async with agent("whole_chat") as chat:
        parts = [
            new_text_part("look"),
            new_raw_part(b"hi", media_type="image/png", filename="a.png"),
            new_url_part("https://files.example/b.pdf", media_type="application/pdf"),
        ]
        task = await ask(chat, gives(*parts))
        assert task.status.state == TaskState.TASK_STATE_COMPLETED
        assert list(task.history[0].parts) == parts
        state = await client.threads.get_state(task.context_id)
        _, image, document = state["values"]["messages"][0]["content"]
        assert (image["type"], image["base64"], image["mime_type"]) == ("image", "aGk=", "image/png")
        assert (document["type"], document["url"]) == ("file", "https://files.example/b.pdf")


async def test_an_agent_without_messages_takes_data_alone(agent, client):
    async with agent("three") as three:
        task = await ask(three, gives(new_data_part({"log": ["zero"]})))
        assert get_data_parts(task.artifacts[0].parts)[0]["log"] == ["zero", "one", "two", "three"]
        assistant = await assistant_of(client, "three")
        with pytest.raises(InvalidParamsError, match=f"Assistant '{assistant}' .graph 'three'. does not support A2A"):
            await ask(three, says("hi"))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_failures_are_tasks_and_mistakes_are_errors(agent, dialect):
    async with agent("failing", dialect) as failing, agent("chat", dialect) as chat:
        task = await ask(failing, gives(new_data_part({"kind": "value"})))
        assert task.status.state == TaskState.TASK_STATE_FAILED
        assert said(task.status.message).startswith("ValueError")
        unknown = f"{uuid.uuid4()}:{uuid.uuid4()}"
        with pytest.raises(TaskNotFoundError):
            await chat.get_task(GetTaskRequest(id=unknown))
        with pytest.raises(TaskNotFoundError):
            await ask(chat, says("hi", task_id=unknown))
        with pytest.raises(InvalidParamsError):
            await ask(chat, says("hi", context_id="mine"))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stock_client_comes_back_to_a_task(agent, dialect):
    """Cut after a few words; what it hears then replaces what it had."""
    async with agent("slow_chat", dialect, streaming=True) as chat:
        texts, task = {}, None
        stream = chat.send_message(says("hi"))
        async for response in stream:
            task = response.task.id or task
            if response.HasField("artifact_update"):
                fold(texts, response.artifact_update)
            if len(texts) and list(texts.values())[0].count(" ") == 1:
                break
        await stream.aclose()
        assert list(texts.values()) == ["Good day"]
        again = [response async for response in chat.subscribe(SubscribeToTaskRequest(id=task))]
        assert again[0].task.id == task
        for response in again:
            if response.HasField("artifact_update"):
                fold(texts, response.artifact_update)
        assert list(texts.values()) == ["Good day to you"]
        assert again[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


async def read(http, url, method, params, after=None):
    """The events of a stream, with their places."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with http.stream("POST", url, json=request, headers=headers) as response:
        place = data = None
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "data":
                data = json.loads(value)["result"]
            elif name == "id":
                place = value
            elif not line and data:
                yield place, data
                data = None


async def test_a_hundred_cuts_show_each_event_once(client, http):
    """Cut at random while the agents are at work, and taken up again after the last event that was seen."""
    dice, cuts = random.Random(7), 0
    urls = {graph: f"/a2a/{await assistant_of(client, graph)}" for graph in ("slow_chat", "tool_agent", "long_chat", "chat")}
    while cuts < 100:
        url = urls[dice.choice(list(urls))]
        message = {"role": "user", "messageId": str(uuid.uuid4()), "parts": [{"kind": "text", "text": "hi"}]}
        stream, seen, task = read(http, url, "message/stream", {"message": message}), [], None
        while not (seen and seen[-1][1].get("final")):
            patience = dice.randint(1, 4)
            async for event in stream:
                seen.append(event)
                task = task or event[1]["id"]
                patience -= 1
                if not patience:
                    break
            with suppress(RuntimeError):
                await stream.aclose()
            cuts += 1
            stream = read(http, url, "tasks/resubscribe", {"id": task}, after=seen[-1][0])
        whole = [event async for event in read(http, url, "tasks/resubscribe", {"id": task})]
        places = [place for place, _ in seen]
        assert len(set(places)) == len(places)
        assert seen[1:] == whole[1:]
        texts = {}
        for _, event in seen:
            if event["kind"] == "artifact-update":
                artifact = event["artifact"]
                held = texts.get(artifact["artifactId"], "") if event["append"] else ""
                texts[artifact["artifactId"]] = held + artifact["parts"][0]["text"]
        final = [event for _, event in seen if event["kind"] == "artifact-update"][-1]
        assert list(texts.values()) == [final["artifact"]["parts"][0]["text"]]
        assert seen[-1][1]["status"]["state"] == "completed"
        rest = [event async for event in read(http, url, "tasks/resubscribe", {"id": task}, after=seen[-1][0])]
        assert rest == []
