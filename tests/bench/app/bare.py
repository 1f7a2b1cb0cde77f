"""Measure direct calls of the graphs in graphs.py, without any server. The report is one JSON object.

Every measurement runs in fresh processes that warm up, wait for each other, and then call the graph in closed loops.
"""

import argparse
import asyncio
import gc
import importlib.metadata
import json
import multiprocessing
import pathlib
import platform
import statistics
import time
import uuid
from typing import NamedTuple

INPUT = {"messages": [{"role": "user", "content": "hi"}]}
WARM_UP_RUNS = 30
WARM_UP_THREADS = 3


class Job(NamedTuple):
    graph: str
    stream_mode: str
    saver: bool
    clients: int
    seconds: float


class TurnsJob(NamedTuple):
    threads: int
    turns: int
    seconds: float


def load(name, saver):
    import graphs
    from langgraph.checkpoint.memory import InMemorySaver

    graph = getattr(graphs, name)
    return graph.copy({"checkpointer": InMemorySaver()}) if saver else graph


async def run(graph, stream_mode, thread):
    """Run once on a thread; return the seconds to the first event and in total."""
    start, first = time.perf_counter(), None
    async for _ in graph.astream(INPUT, {"configurable": {"thread_id": thread}}, stream_mode=[stream_mode]):
        first = first or time.perf_counter() - start
    return first, time.perf_counter() - start


async def closed_loop(job, barrier):
    graph = load(job.graph, job.saver)
    for _ in range(WARM_UP_RUNS):
        await run(graph, job.stream_mode, str(uuid.uuid4()))
    samples = []

    async def client(until):
        while time.perf_counter() < until:
            samples.append(await run(graph, job.stream_mode, str(uuid.uuid4())))

    gc.collect()
    barrier.wait()
    start = time.perf_counter()
    await asyncio.gather(*(client(start + job.seconds) for _ in range(job.clients)))
    return {"samples": samples, "per_s": len(samples) / (time.perf_counter() - start)}


async def turns(job, barrier):
    """Return, for each turn of a thread, the seconds that every thread took."""
    graph = load("noop", saver=True)
    seconds = [[] for _ in range(job.turns)]

    async def thread(into):
        name = str(uuid.uuid4())
        for turn in into:
            turn.append((await run(graph, "values", name))[1])

    for _ in range(WARM_UP_THREADS):
        await thread([[] for _ in seconds])
    gc.collect()
    barrier.wait()
    until = time.perf_counter() + job.seconds
    for _ in range(job.threads):
        if time.perf_counter() < until:
            await thread(seconds)
    return {"seconds": seconds}


def child(job, barrier, queue):
    queue.put(asyncio.run((turns if isinstance(job, TurnsJob) else closed_loop)(job, barrier)))


def spread(job, processes):
    """Run the job in several processes at the same time; return the result of each."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(processes), context.Queue()
    children = [context.Process(target=child, args=(job, barrier, queue), daemon=True) for _ in range(processes)]
    for process in children:
        process.start()
    results = [queue.get(timeout=job.seconds + 60) for _ in children]
    for process in children:
        process.join()
    return results


def ms(seconds):
    return round(statistics.median(seconds) * 1000, 3)


def loops(job, processes=1):
    results = spread(job, processes)
    samples = [sample for result in results for sample in result["samples"]]
    return {
        "processes": processes,
        "clients": job.clients * processes,
        "n": len(samples),
        "per_s": round(sum(result["per_s"] for result in results), 1),
        "first_ms": ms([first for first, _ in samples]),
        "total_ms": ms([total for _, total in samples]),
    }


def turn_medians(job):
    (result,) = spread(job, 1)
    return [ms(turn) for turn in result["seconds"] if turn]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--threads", type=int, default=40)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--out", type=pathlib.Path, help="file for the report [default: standard output]")
    args = parser.parse_args()

    def stream(mode):
        # Stateless runs keep no checkpoints, so these graphs have no saver either.
        return {
            "one_process": loops(Job("tokens", mode, False, 4, args.seconds)),
            "two_processes": loops(Job("tokens", mode, False, 2, args.seconds), processes=2),
        }

    noop = Job("noop", "values", True, 1, args.seconds)
    report = {
        "python": platform.python_version(),
        "langgraph": importlib.metadata.version("langgraph"),
        "noop": loops(noop),
        "noop_two_processes": loops(noop, processes=2),
        "messages": stream("messages"),
        "values": stream("values"),
        "turns": turn_medians(TurnsJob(args.threads, args.turns, args.seconds * 3)),
    }
    text = json.dumps(report, indent=2)
    if args.out:
        args.out.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
