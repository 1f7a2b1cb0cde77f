"""A FastAPI application with a lifespan and middleware, served beside the API."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from langgraph_sdk import get_client
from pydantic import BaseModel

FLAGS = Path(os.environ.get("SUITE_FLAGS", "."))


@asynccontextmanager
async def lifespan(app):
    app.state.by_app = "started"
    yield {"by_state": "started"}
    (FLAGS / f"shutdown-{os.getpid()}").write_text("yes")


app = FastAPI(lifespan=lifespan)


class Rewrite:
    """Changes what clients send to the API."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or (b"x-rewrite", b"yes") not in scope["headers"]:
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        body = body.replace(b"hello", b"a much longer greeting")
        headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        scope = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
        sent = False

        async def replay():
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


app.add_middleware(Rewrite)


@app.middleware("http")
async def mark(request: Request, call_next):
    if "x-stop" in request.headers:
        return JSONResponse({"stopped": request.url.path}, status_code=418)
    response = await call_next(request)
    response.headers["x-middleware"] = "seen"
    return response


class Thread(BaseModel):
    """Named like a schema of the API, and another thing."""

    colour: str


@app.get("/hello/{name}", tags=["Own"])
async def hello(name: str, request: Request) -> dict:
    state = {"by_app": request.app.state.by_app, "by_state": request.state.by_state}
    return {"name": name, "query": dict(request.query_params), "agent": request.headers.get("x-agent"), **state}


@app.get("/runs/afakeroute")
async def shadow() -> dict:
    return {"mine": True}


@app.get("/ok")
async def reserved() -> dict:
    return {"mine": True}


@app.post("/colour")
async def colour(thread: Thread) -> Thread:
    return thread


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts():
        for number in range(5):
            yield f"part {number}\n"
            await asyncio.sleep(0.4)

    return StreamingResponse(parts(), media_type="text/plain")


@app.get("/endless/{name}")
async def endless(name: str) -> StreamingResponse:
    async def parts():
        try:
            while True:
                yield "again\n"
                await asyncio.sleep(0.05)
        finally:
            (FLAGS / f"gone-{name}").write_text("yes")

    return StreamingResponse(parts(), media_type="text/plain")


@app.get("/flood")
async def flood(size: int) -> StreamingResponse:
    async def parts():
        for _ in range(size):
            yield b"x" * 1024 * 1024

    return StreamingResponse(parts())


@app.post("/count")
async def count(request: Request) -> dict:
    pieces, total = 0, 0
    async for piece in request.stream():
        pieces, total = pieces + 1, total + len(piece)
    return {"pieces": pieces, "total": total}


@app.get("/error")
async def error() -> dict:
    raise RuntimeError("broken on purpose")


@app.get("/loop")
async def loop() -> dict:
    client = get_client()
    thread = await client.threads.create(metadata={"made": "inside"})
    found = await client.threads.get(thread["thread_id"])
    own = await client.http.get("/runs/afakeroute")
    result = await client.runs.wait(thread["thread_id"], "echo", input={"text": "loop"})
    return {"metadata": found["metadata"], "own": own, "result": result, "thread_id": thread["thread_id"]}


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()


more = APIRouter(prefix="/more")


@more.get("/included")
async def included() -> dict:
    return {"included": True}


app.include_router(more)
