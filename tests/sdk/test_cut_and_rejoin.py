"""Every stream, cut at random a hundred times and taken up again where it was cut, shows each event once."""

import random
from contextlib import aclosing

import pytest

from helpers import HI, read_events
from protocol import ALL, Socket, command, fresh, is_end, open_socket, sse

CUTS = 100
GRAPHS = [("nested_chat", HI), ("three", {"log": []}), ("tool_agent", HI), ("nested", {"log": []})]


class Stream:
    """One kind of stream of a thread. `listen` yields for each event its place in the stream, the event, and whether a run is over by it."""

    def __init__(self, base_url: str, http, client, dice: random.Random) -> None:
        self.base_url, self.http, self.client, self.dice = base_url, http, client, dice
        self.thread_id = fresh()

    async def start(self) -> None:
        graph, given = self.dice.choice(GRAPHS)
        answer = await command(self.http, self.thread_id, "run.start", assistant_id=graph, input=given)
        assert answer["type"] == "success", answer

    async def follow(self, path: str, place):
        """Events of a classic stream, which is taken up by a header."""
        async with self.http.stream("GET", path, headers={"Last-Event-ID": place or "-"}) as response:
            assert response.status_code == 200
            async for event in read_events(response):
                yield event


class ProtocolEvents(Stream):
    async def listen(self, place):
        async with aclosing(sse(self.http, self.thread_id, since=place)) as events:
            async for event in events:
                yield event["seq"], event, is_end(event)


class ProtocolSocket(Stream):
    async def listen(self, place):
        connection = await open_socket(self.base_url, self.thread_id)
        try:
            socket = Socket(connection)
            await socket.ask("subscription.subscribe", channels=ALL, since=place or 0)
            at = 0
            while True:
                while at == len(socket.events):
                    await socket.next()
                event = socket.events[at]
                at += 1
                yield event["seq"], event, is_end(event)
        finally:
            # Without a word, as networks do.
            connection.transport.abort()


class ThreadStream(Stream):
    async def start(self) -> None:
        graph, given = self.dice.choice(GRAPHS)
        modes = ["values", "updates", "messages-tuple", "custom", "tasks"]
        options = {"stream_mode": modes, "stream_subgraphs": True, "stream_resumable": True, "if_not_exists": "create"}
        await self.client.runs.create(self.thread_id, graph, input=given, **options)

    async def listen(self, place):
        async with aclosing(self.follow(f"/threads/{self.thread_id}/stream", place)) as events:
            async for event in events:
                over = event.event == "metadata" and event.data.get("status") == "run_done"
                yield event.id, event, over


class RunStream(Stream):
    """That of a single run, which tells enough for all cuts; it ends with it."""

    run_id = None

    async def start(self) -> None:
        assert self.run_id is None, "the run was over too soon"
        options = {"stream_mode": ["custom", "values"], "stream_resumable": True, "if_not_exists": "create"}
        run = await self.client.runs.create(self.thread_id, "burst", input={"total": 4 * CUTS, "secs": 0.002}, **options)
        self.run_id = run["run_id"]

    async def listen(self, place):
        async with aclosing(self.follow(f"/threads/{self.thread_id}/runs/{self.run_id}/stream", place)) as events:
            async for event in events:
                over = event.event == "values" and "told" in event.data
                yield event.id, event, over


async def heard_with_cuts(stream: Stream) -> tuple[list, int]:
    heard, place, running, runs, cuts = [], None, 0, 0, 0
    while cuts < CUTS or running:
        if not running:
            await stream.start()
            running, runs = 1, runs + 1
        patience = stream.dice.randint(1, 4)
        async with aclosing(stream.listen(place)) as events:
            async for place, event, over in events:
                heard.append(event)
                running -= over
                patience -= 1
                if not patience or not running:
                    break
        cuts += 1
    return heard, runs


async def heard_at_once(stream: Stream, runs: int) -> list:
    heard = []
    async with aclosing(stream.listen(None)) as events:
        async for _, event, over in events:
            heard.append(event)
            runs -= over
            if not runs:
                break
    return heard


@pytest.mark.parametrize("kind", [ProtocolEvents, ProtocolSocket, ThreadStream, RunStream], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", [7, 11])
async def test_a_stream_cut_a_hundred_times_shows_each_event_once(base_url, http, client, kind, seed):
    stream = kind(base_url, http, client, random.Random(seed))
    heard, runs = await heard_with_cuts(stream)
    whole = await heard_at_once(stream, runs)
    assert heard == whole
    places = [event.id if hasattr(event, "id") else event["event_id"] for event in whole]
    assert len(set(places)) == len(places) > 2 * CUTS
