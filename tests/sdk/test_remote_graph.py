"""`RemoteGraph`: a served graph used from another process like a local one, also as a node of another graph."""

import operator
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from helpers import HI, UUID, new_id

DONE = ["one", "two", "three"]


class Talk(TypedDict, total=False):
    log: Annotated[list, operator.add]
    reply: Any


@pytest.fixture
def remote(base_url):
    def open_graph(graph: str, **options) -> RemoteGraph:
        return RemoteGraph(graph, url=base_url, **options)

    return open_graph


@pytest.fixture
def thread():
    """A config with a thread that does not exist yet: `RemoteGraph` lets the server make it."""
    return {"configurable": {"thread_id": new_id()}}


def around(remote_graph: RemoteGraph):
    """A local graph whose second node is the remote one; it keeps its own checkpoints."""
    return (
        StateGraph(Talk)
        .add_node("local", lambda state: {"log": ["local"]})
        .add_node("remote", remote_graph)
        .add_edge(START, "local")
        .add_edge("local", "remote")
        .add_edge("remote", END)
        .compile(checkpointer=InMemorySaver())
    )


def bare(namespace: tuple) -> tuple:
    """A namespace without the tasks' ids."""
    return tuple(UUID.sub("", part).rstrip(":") for part in namespace)


def test_invoke(remote):
    assert remote("three").invoke({"log": []})["log"] == DONE


async def test_ainvoke(remote):
    assert (await remote("three").ainvoke({"log": []}))["log"] == DONE


def test_an_assistant_by_its_id(remote, sync_client):
    made = sync_client.assistants.create("three")
    assert remote(made["assistant_id"]).invoke({"log": []})["log"] == DONE


def test_stream_modes(remote):
    graph = remote("three")
    assert [one["log"] for one in graph.stream({"log": []}, stream_mode="values")] == [[], *(DONE[:n] for n in (1, 2, 3))]
    assert list(graph.stream({"log": []}, stream_mode="updates")) == [{name: {"log": [name]}} for name in DONE]
    parts = list(graph.stream({"log": []}, stream_mode=["updates", "custom"]))
    assert [part.event for part in parts] == ["custom", "updates"] * 3


async def test_astream_of_messages(remote):
    parts = [part async for part in remote("chat").astream(HI, stream_mode="messages")]
    assert "".join(message["content"] for message, _ in parts) == "Good day to you"
    assert {metadata["langgraph_node"] for _, metadata in parts} == {"answer"}


async def test_streams_with_subgraphs(remote):
    graph = remote("nested")
    parts = [part async for part in graph.astream({"log": []}, stream_mode="updates", subgraphs=True)]
    assert [(bare(namespace), list(data)) for namespace, data in parts] == [
        ((), ["outer"]), (("inner",), ["deep"]), (("inner",), ["deeper"]), ((), ["inner"]),
    ]  # fmt: skip
    assert [list(one) for one in graph.stream({"log": []}, stream_mode="updates")] == [["outer"], ["inner"]]


def test_config_and_context_arrive(remote):
    graph = remote("context_echo").with_config({"configurable": {"fixed": "f"}, "tags": ["always"]})
    config = {"configurable": {"given": "g"}, "tags": ["once"], "metadata": {"mark": "m"}, "recursion_limit": 7}
    seen = graph.invoke({}, config)["seen"]
    assert (seen["configurable"]["fixed"], seen["configurable"]["given"]) == ("f", "g")
    assert {"always", "once"} <= set(seen["tags"])
    assert (seen["metadata"]["mark"], seen["recursion_limit"]) == ("m", 7)
    context = {"model_name": "given", "temperature": 0.5}
    assert remote("context_echo").invoke({}, context=context)["seen"]["context"] == context


def test_config_shapes_a_factory(remote):
    assert remote("by_config").invoke({}, {"configurable": {"shape": "oval"}})["seen"] == "shape oval"


def test_get_graph(remote):
    drawn = remote("nested").get_graph()
    assert drawn.nodes.keys() == {"__start__", "outer", "inner", "__end__"}
    assert {("__start__", "outer"), ("outer", "inner")} <= {(edge.source, edge.target) for edge in drawn.edges}
    inside = remote("nested").get_graph(xray=True)
    assert {"inner:deep", "inner:deeper"} <= inside.nodes.keys()
    assert "inner" in drawn.draw_mermaid()


async def test_aget_graph(remote):
    assert (await remote("three").aget_graph()).nodes.keys() == {"__start__", *DONE, "__end__"}


def test_state_and_history(remote, thread):
    graph = remote("three")
    graph.invoke({"log": ["in"]}, thread)
    state = graph.get_state(thread)
    assert (state.values["log"], state.next, state.metadata["step"]) == (["in", *DONE], (), 3)
    history = list(graph.get_state_history(thread))
    assert [one.next for one in history] == [(), ("three",), ("two",), ("one",), ("__start__",)]
    assert len(list(graph.get_state_history(thread, limit=2))) == 2
    assert list(graph.get_state_history(thread, before=history[2].config, limit=9))[0].next == ("one",)
    old = graph.get_state(history[2].config)
    assert (old.values["log"], old.next) == (["in", "one"], ("two",))
    assert old.parent_config == history[3].config


async def test_state_and_history_asynchronously(remote, thread):
    graph = remote("three")
    await graph.ainvoke({"log": []}, thread)
    assert (await graph.aget_state(thread)).values["log"] == DONE
    assert len([one async for one in graph.aget_state_history(thread)]) == 5
    config = await graph.aupdate_state(thread, {"log": ["x"]}, as_node="two")
    assert (await graph.aget_state(config)).next == ("three",)


def test_update_state_and_go_on(remote, thread):
    graph = remote("three")
    graph.invoke({"log": []}, thread)
    config = graph.update_state(thread, {"log": ["by hand"]}, as_node="two")
    assert config["configurable"]["thread_id"] == thread["configurable"]["thread_id"]
    assert graph.get_state(thread).next == ("three",)
    assert graph.invoke(None, thread)["log"] == [*DONE, "by hand", "three"]


def test_static_interrupt(remote, thread):
    graph = remote("three")
    graph.invoke({"log": []}, thread, interrupt_before=["two"])
    assert graph.get_state(thread).next == ("two",)
    assert graph.invoke(None, thread)["log"] == DONE


def test_interrupt_and_resume(remote, thread):
    graph = remote("question")
    values = graph.invoke({"log": []}, thread)
    assert values["__interrupt__"][0]["value"] == {"question": "go on?"}
    state = graph.get_state(thread)
    assert (state.next, state.interrupts[0].value) == (("ask",), {"question": "go on?"})
    assert state.tasks[0].interrupts == state.interrupts
    assert graph.invoke(Command(resume="yes"), thread)["reply"] == "yes"


async def test_interrupt_in_a_subgraph_and_its_state(remote, thread):
    graph = remote("nested_question")
    await graph.ainvoke({"log": []}, thread)
    (task,) = (await graph.aget_state(thread, subgraphs=True)).tasks
    assert (task.name, task.state.next, task.state.values) == ("inner", ("inner_ask",), {"log": ["outer"]})
    inner = (await graph.aget_state(thread)).tasks[0].state
    await graph.aupdate_state(inner, {"log": ["edited"]})
    done = await graph.ainvoke(Command(resume="yes"), thread)
    assert done == {"log": ["outer", "outer", "edited", "asked"], "reply": "yes"}


def test_an_error(remote):
    with pytest.raises(RemoteException) as caught:
        remote("failing").invoke({"kind": "runtime"})
    assert caught.value.args[0] == {"error": "RuntimeError", "message": "bad runtime"}


def test_v2_parts(remote, thread):
    parts = list(remote("question").stream({"log": []}, thread, stream_mode="values", version="v2"))
    assert {part["type"] for part in parts} == {"values"}
    assert parts[-1]["interrupts"][0].value == {"question": "go on?"}


def test_as_a_node(remote, thread):
    graph = around(remote("three"))
    # The state's `log` goes to the remote graph and comes back longer; the local one appends what came back.
    assert graph.invoke({"log": []}, thread)["log"] == ["local", "local", *DONE]


async def test_as_a_node_asynchronously(remote, thread):
    assert (await around(remote("three")).ainvoke({"log": []}, thread))["log"] == ["local", "local", *DONE]


def test_a_nodes_events_show_in_the_outer_stream(remote, thread):
    parts = list(around(remote("nested", name="remote")).stream({"log": []}, thread, stream_mode="updates", subgraphs=True))
    assert [(bare(namespace), list(data)) for namespace, data in parts] == [
        ((), ["local"]),
        (("remote",), ["outer"]),
        (("remote", "inner"), ["deep"]),
        (("remote", "inner"), ["deeper"]),
        (("remote",), ["inner"]),
        ((), ["remote"]),
    ]


async def test_a_nodes_tokens_and_custom_events_show_too(remote, thread):
    class Chat(TypedDict, total=False):
        messages: Annotated[list, operator.add]

    graph = StateGraph(Chat).add_node("remote", remote("chat")).add_edge(START, "remote").compile()
    parts = [part async for part in graph.astream(HI, stream_mode=["messages", "custom"], subgraphs=True)]
    words = [data[0]["content"] for _, mode, data in parts if mode == "messages"]
    assert "".join(words) == "Good day to you"
    assert [data for _, mode, data in parts if mode == "custom"] == [{"stage": "answering"}]


@pytest.mark.parametrize("graph_id", ["question", "nested_question"])
async def test_a_node_asks_and_the_outer_graph_answers(remote, thread, graph_id):
    """The interrupt of the remote graph is the outer one's; answered there by its id, it goes on where it stopped."""
    graph = around(remote(graph_id, name="remote"))
    values = await graph.ainvoke({"log": []}, thread)
    (asked,) = values["__interrupt__"]
    assert asked.value == {"question": "go on?"}
    state = await graph.aget_state(thread)
    assert (state.next, [one.id for one in state.interrupts]) == (("remote",), [asked.id])
    done = await graph.ainvoke(Command(resume={asked.id: "by all means"}), thread)
    assert done["reply"] == "by all means"
    assert done["log"].count("asked") == 1
    assert (await graph.aget_state(thread)).next == ()


def test_a_node_that_asks_for_the_remote_graph(remote, thread):
    """The other way to do it: one node starts the remote graph, the next one puts its question and passes the answer on."""
    question, inner = remote("question"), {"configurable": {"thread_id": new_id()}}

    def begin(state: Talk):
        question.invoke({"log": []}, inner)
        return {"log": ["begun"]}

    def answer(state: Talk):
        (asked,) = question.get_state(inner).interrupts
        return {"reply": question.invoke(Command(resume=interrupt(asked.value)), inner)["reply"]}

    graph = StateGraph(Talk).add_node(begin).add_node(answer).add_edge(START, "begin").add_edge("begin", "answer")
    graph = graph.compile(checkpointer=InMemorySaver())
    assert graph.invoke({"log": []}, thread)["__interrupt__"][0].value == {"question": "go on?"}
    assert graph.invoke(Command(resume="yes"), thread) == {"log": ["begun"], "reply": "yes"}


def test_an_error_inside_a_node(remote, thread):
    graph = around(remote("failing", name="remote"))
    with pytest.raises(RemoteException):
        graph.invoke({"log": []}, thread)
    assert graph.get_state(thread).next == ("remote",)


def test_the_outer_graphs_config_arrives(remote):
    class Seen(TypedDict, total=False):
        seen: Any

    graph = StateGraph(Seen).add_node("remote", remote("context_echo")).add_edge(START, "remote").compile()
    seen = graph.invoke({}, {"configurable": {"given": "g"}, "metadata": {"mark": "m"}, "tags": ["t"]})["seen"]
    assert (seen["configurable"]["given"], seen["metadata"]["mark"]) == ("g", "m")
