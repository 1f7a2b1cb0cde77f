"""One bad run fails alone: its neighbours and the host go on."""

from __future__ import annotations

import asyncio
import json

from fake_runner import HERE
from helpers import thread, with_runner

from langopen_host import frames
from langopen_host.host import MAX_ABANDONED
from langopen_host.logs import MAX_LINE
from langopen_host.threads import LIMIT

GRAPHS = {
    **{name: f"./hostile_graphs.py:{name}" for name in (
        "exit_graph", "exit_in_thread", "cancel_all", "sleep_graph", "break_json", "silent", "shout", "long_line", "deep",
        "number",
    )},
    "slow": "./graphs.py:slow",
}  # fmt: skip


def check_with(check, **options) -> None:
    with_runner(check, GRAPHS, base_dir=HERE, **options)


def test_input_that_cannot_be_represented_fails_its_run_alone() -> None:
    async def check(runner) -> None:
        neighbour = runner.start("slow", thread(), input={"log": [], "secs": 0.5})
        for text in ("1e999", "9" * 400 + "e400", '"\\ud800"', "[" * 100_000 + "]" * 100_000, "nonsense"):
            run = runner.begin('{"run_id": "r", "graph_id": "slow", "kwargs": {"input": {"log": %s}}}' % text)
            await runner.finish(run)
            assert run.header["status"] == "error" and run.header["error"]["error"] == "ValueError", run.header
            assert "cannot be represented" in run.header["error"]["message"] and not run.header["retryable"]
        await runner.finish(runner.begin("[]"))
        runner.send(frames.CREDIT, neighbour.handle, b"short")
        runner.send(frames.INIT, 0, b"{")
        assert (await runner.finish(neighbour)).header["status"] == "success"

    check_with(check)


def test_sys_exit_ends_its_own_run_alone() -> None:
    async def check(runner) -> None:
        neighbours = [runner.start("slow", thread(), input={"log": [], "secs": 1.0}) for _ in range(4)]
        first = await runner.run("exit_graph", thread(), input={"log": []})
        assert first.header["error"] == {
            "error": "SystemExit",
            "message": "The graph's code called sys.exit(3). That ends the run; the graph host goes on with its other runs.",
        }
        assert first.values["log"] == ["a"] and not first.header["retryable"]
        nested = await runner.run("exit_graph", thread(), input={"log": [], "kind": "nested"})
        assert nested.header["error"]["error"] == "KeyboardInterrupt"
        threaded = await runner.run("exit_in_thread", thread(), input={"log": []})
        assert threaded.header["error"]["error"] == "SystemExit" and "operator" not in threaded.header["error"]["message"]
        for run in neighbours:
            assert (await runner.finish(run)).header["status"] == "success"

    check_with(check)


def test_a_cancellation_that_nobody_asked_for_is_tried_again() -> None:
    async def check(runner) -> None:
        neighbour = runner.start("slow", thread(), input={"log": [], "secs": 30})
        await asyncio.wait_for(neighbour.first.wait(), 20)
        while len(neighbour.events) < 2:
            await asyncio.sleep(0.01)
        await runner.run("cancel_all", thread(), input={"log": []})
        await runner.finish(neighbour)
        assert neighbour.header["retryable"] and neighbour.header["error"]["error"] == "UnaskedCancel"
        assert (await runner.run("slow", thread(), input={"log": [], "secs": 0})).header["status"] == "success"

    check_with(check)


SLEEP = {"stream_mode": ["custom"], "input": {"log": [], "secs": 60}}


def test_sync_nodes_of_cancelled_runs_do_not_use_up_the_threads() -> None:
    async def check(runner) -> None:
        for _ in range(2):
            runs = [runner.start("sleep_graph", thread(), **SLEEP) for _ in range(LIMIT)]
            for run in runs:
                await asyncio.wait_for(run.first.wait(), 60)
            for run in runs:
                runner.cancel(run)
            for run in runs:
                assert (await runner.finish(run)).header["status"] == "cancelled"
        later = await runner.run("sleep_graph", thread(), input={"log": [], "secs": 0})
        assert later.header["status"] == "success" and later.values["log"] == ["slept"]

    check_with(check)


def test_a_host_with_too_many_abandoned_threads_drains_and_ends() -> None:
    async def check(runner) -> None:
        neighbour = runner.start("slow", thread(), input={"log": [], "secs": 4})
        for _ in range(MAX_ABANDONED + 1):
            assert not runner.statuses
            run = runner.start("sleep_graph", thread(), **SLEEP)
            await asyncio.wait_for(run.first.wait(), 60)
            runner.cancel(run)
            await runner.finish(run)
        assert (await runner.finish(neighbour)).header["status"] == "success"
        assert await asyncio.wait_for(runner.process.wait(), 10) == 0
        assert runner.statuses == [{"hosts": 1, "responsive": 1, "draining": True}]

    check_with(check)


def test_a_graph_that_replaces_library_functions_ends() -> None:
    async def check(runner) -> None:
        # The library fails with the replaced functions. Every run has an end all the same.
        for graph_id in ("break_json", "slow", "slow"):
            run = await runner.run(graph_id, thread(), input={"log": [], "secs": 0})
            assert run.header["status"] in ("success", "error")
        assert await runner.ping() == b"12345678"

    check_with(check)


def test_values_and_errors_without_a_text() -> None:
    async def check(runner) -> None:
        silent = await runner.run("silent", input={"log": []})
        assert silent.header["error"] == {"error": "Silent", "message": "An internal error occurred"}
        assert (await runner.run("number", input={"seen": 0})).header["status"] == "success"
        assert (await runner.run("deep", input={"seen": 0})).header["status"] in ("success", "error")
        assert await runner.ping() == b"12345678"

    check_with(check)


def test_output_is_cut_into_bounded_pieces() -> None:
    async def check(runner) -> None:
        loud = await runner.run("shout", input={"log": []})
        assert loud.header["status"] == "success"
        await runner.ping()
        await asyncio.sleep(0.1)
        sizes = [len(entry["message"]) for entry in runner.logs if entry["source"] == "stdout"]
        assert max(sizes) <= MAX_LINE and sum(sizes) == 300 * 100_000
        runner.logs.clear()
        run = await runner.run("long_line", input={"log": []})
        assert run.values["log"] == ["utf-8", "TextIOWrapper"]
        await runner.ping()
        await asyncio.sleep(0.1)
        sizes = [len(entry["message"]) for entry in runner.logs]
        assert max(sizes) <= MAX_LINE and sum(sizes) == 200_000
        assert all(json.dumps(entry) for entry in runner.logs)

    check_with(check)
