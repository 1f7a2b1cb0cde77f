"""Web applications for the tests: plain ASGI, and Starlette with middleware."""

import asyncio

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

seen = []


async def echo(request):
    pieces = [len(piece) async for piece in request.stream() if piece]
    return JSONResponse({"pieces": pieces, "user": dict(request.scope.get("user") or {}), "root": request.scope["root_path"]})


async def events(_request):
    async def parts():
        try:
            for number in range(1000):
                yield f"{number}\n".encode()
                await asyncio.sleep(0.01)
        finally:
            seen.append("closed")

    return StreamingResponse(parts())


async def flood(_request):
    async def parts():
        for number in range(64):
            seen.append(number)
            yield b"x" * 65536

    return StreamingResponse(parts())


async def looked(_request):
    return JSONResponse(list(seen))


async def fails(_request):
    raise RuntimeError("broken on purpose")


async def socket(websocket):
    await websocket.accept()


routes = [
    Route("/echo", echo, methods=["POST"]),
    Route("/events", events),
    Route("/flood", flood),
    Route("/seen", looked),
    Route("/fails", fails),
    WebSocketRoute("/socket", socket),
]
app = Starlette(routes=routes)


class Mark:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def marked(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-mark", b"1")]}
            await send(message)

        await self.app(scope, receive, marked if scope["type"] == "http" else send)


async def everything(scope, receive, send):
    await PlainTextResponse("the rest")(scope, receive, send)


marked = Starlette(routes=[*routes, Mount("/", everything)], middleware=[Middleware(Mark)])


async def plain(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a start", "more_body": True})
    if scope["path"] == "/short":
        return
    await send({"type": "http.response.body", "body": b" and an end"})
