"""Spans that the host reports of its runs."""

from __future__ import annotations

import asyncio
import json
import uuid

from helpers import HI, thread, with_runner

from langopen_host import frames, spans

PARENT = "00f067aa0ba902b7"
TRACE = {"traceparent": f"00-4bf92f3577b34da6a3ce929d0e0e4736-{PARENT}-01", "report": True}


def by_name(run) -> dict:
    return {span["name"]: span for span in run.spans}


def test_the_graph_and_its_nodes() -> None:
    async def check(runner) -> None:
        run = await runner.run("nested", thread(), input={"log": []}, trace=TRACE)
        found = by_name(run)
        graph, outer, sub, inner = (found[name] for name in ("graph nested", "node outer", "node sub", "node inner"))
        assert len(run.spans) == 4 and run.spans[-1] is graph
        assert graph["parent_span_id"] == PARENT
        assert outer["parent_span_id"] == sub["parent_span_id"] == graph["span_id"]
        assert inner["parent_span_id"] == sub["span_id"]
        assert graph["start"] <= outer["start"] <= outer["end"] <= sub["start"] <= inner["start"] <= inner["end"]
        assert inner["end"] <= sub["end"] <= graph["end"] and graph["error"] is None
        assert (sub["attributes"]["langgraph.node"], sub["attributes"]["langgraph.step"]) == ("sub", 2)
        events = await runner.run("nested", thread(), input={"log": []}, trace=TRACE, stream_mode=["events"])
        assert by_name(events).keys() == found.keys()

    with_runner(check)


def test_a_model_in_a_node() -> None:
    async def check(runner) -> None:
        run = await runner.run("chat", thread(), input=HI, trace=TRACE)
        node = by_name(run)["node model"]
        (model,) = (span for span in run.spans if span["name"].startswith("chat "))
        assert model["parent_span_id"] == node["span_id"]
        assert model["attributes"]["gen_ai.operation.name"] == "chat"
        assert "hi" not in [str(value) for span in run.spans for value in span["attributes"].values()]

    with_runner(check)


def test_failures_interrupts_and_cancels() -> None:
    async def check(runner) -> None:
        failed = by_name(await runner.run("err", thread(), input={"log": []}, trace=TRACE))
        assert failed["node a"]["error"] is None
        assert failed["node b"]["error"] == failed["graph err"]["error"] == "ValueError: boom value"
        assert failed["node b"]["attributes"]["error.type"] == "ValueError"
        asked = by_name(await runner.run("hitl", thread(), input={"log": []}, trace=TRACE))
        assert asked["node ask"]["error"] is None and asked["node ask"]["attributes"]["langgraph.interrupted"] is True
        for graph in ("slow", "stubborn"):
            run = runner.start(graph, thread(), input={"log": []}, trace=TRACE)
            await asyncio.wait_for(run.first.wait(), 20)
            runner.cancel(run)
            await runner.finish(run)
            assert by_name(run)[f"graph {graph}"]["attributes"]["langopen.cancelled"] is True
            assert not any(span["error"] for span in run.spans)

    with_runner(check)


def test_spans_only_where_they_are_wanted() -> None:
    async def check(runner) -> None:
        for given in ({}, {"trace": None}, {"trace": {**TRACE, "report": False}}):
            run = await runner.run("nested", thread(), input={"log": []}, **given)
            assert run.header["status"] == "success" and run.spans == []

    with_runner(check)


class FakeConnection:
    def __init__(self) -> None:
        self.sent: list[dict] = []

    def send(self, kind: int, stream: int, payload: bytes, *, urgent: bool = True) -> None:
        assert (kind, stream) == (frames.SPAN, 7)
        self.sent.append(json.loads(payload))


def test_there_is_an_end_to_them(monkeypatch) -> None:
    monkeypatch.setattr(spans, "MAX_SPANS", 2)

    async def main() -> None:
        connection = FakeConnection()
        reporter = spans.Reporter(connection, 7, TRACE, "g")
        ids = [uuid.uuid4() for _ in range(4)]
        for number, each in enumerate(ids):
            # Each span lies within the one before.
            above = ids[number - 1] if number else None
            reporter.on_chain_start({}, {}, run_id=each, parent_run_id=above, tags=["graph:step:1"], name=f"n{number}")
        for each in reversed(ids[1:]):
            reporter.on_chain_end({}, run_id=each)
        reporter.finish(None, False)
        reporter.on_chain_end({}, run_id=ids[0])
        assert [span["name"] for span in connection.sent] == ["node n1", "node n0", "graph g"]
        assert connection.sent[1]["attributes"]["langopen.cut_off"] is True
        assert connection.sent[2]["attributes"] == {"langopen.spans_left_out": 2}

    asyncio.run(main())
