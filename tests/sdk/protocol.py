"""The event streaming protocol, spoken by hand."""

import asyncio
import json
import uuid

import websockets

ALL = ["values", "updates", "messages", "tools", "lifecycle", "input", "tasks", "custom", "checkpoints"]


def fresh() -> str:
    return str(uuid.uuid4())


def is_end(event) -> bool:
    params = event["params"]
    return event["method"] == "lifecycle" and not params["namespace"] and params["data"]["event"] in ("completed", "failed", "interrupted")


class Socket:
    """A WebSocket of the protocol, spoken by hand."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.events: list[dict] = []
        self._id = 0

    async def send(self, method: str, **params) -> int:
        self._id += 1
        await self.connection.send(json.dumps({"id": self._id, "method": method, "params": params}))
        return self._id

    async def next(self) -> dict:
        message = json.loads(await asyncio.wait_for(self.connection.recv(), 60))
        if message["type"] == "event":
            self.events.append(message)
        return message

    async def ask(self, method: str, **params) -> dict:
        """The answer to a command; events that come before it are kept."""
        id = await self.send(method, **params)
        while True:
            message = await self.next()
            if message["type"] != "event" and message["id"] == id:
                return message

    async def ends(self, count: int) -> list[dict]:
        """Every event until so many runs were over."""
        while sum(map(is_end, self.events)) < count:
            await self.next()
        return self.events


def open_socket(base_url: str, thread_id: str):
    """The thread's WebSocket."""
    return websockets.connect(base_url.replace("http", "ws", 1) + f"/threads/{thread_id}/stream/events", max_size=None)


async def sse(http, thread_id, since=None, channels=ALL, **more):
    """A thread's events over HTTP, for as long as the caller listens."""
    body = {"channels": channels, **more} | ({} if since is None else {"since": since})
    async with http.stream("POST", f"/threads/{thread_id}/stream/events", json=body) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


async def take(events, ends: int) -> list[dict]:
    taken = []
    async for event in events:
        taken.append(event)
        ends -= is_end(event)
        if not ends:
            break
    await events.aclose()
    return taken


async def command(http, thread_id, method, **params):
    response = await http.post(f"/threads/{thread_id}/commands", json={"id": 1, "method": method, "params": params})
    assert response.status_code == 200
    return response.json()
