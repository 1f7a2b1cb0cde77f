"""A Starlette application without middleware."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route


async def where(request):
    return JSONResponse({"path": request.url.path, "root": request.scope["root_path"], "url": str(request.url_for("where"))})


async def rest(request):
    return PlainTextResponse(f"rest of {request.url.path}: {len(await request.body())}")


async def threads(request):
    return JSONResponse({"mine": True})


async def breaks(request):
    async def parts():
        yield "a start"
        raise RuntimeError("broken in the middle")

    return StreamingResponse(parts())


everything = Starlette(routes=[Route("/{path:path}", rest, methods=["GET", "POST"])])

app = Starlette(
    routes=[
        Route("/where", where, name="where"),
        Route("/break", breaks),
        Route("/threads", threads, methods=["GET"]),
        Mount("/", everything),
    ]
)
