"""Tokens are names; threads, crons and assistants belong to who made them, and each user has a namespace of the store."""

from uuid import UUID

from langgraph_sdk import Auth

auth = Auth()
asked = 0


@auth.authenticate
async def authenticate(authorization: str | None, headers: dict[bytes, bytes], path: str, method: str):
    global asked
    asked += 1
    assert path.startswith("/") and method.isupper()
    if not authorization or not authorization.startswith("Bearer "):
        detail = "No token"
        raise Auth.exceptions.HTTPException(status_code=401, detail=detail, headers={"WWW-Authenticate": "Bearer"})
    token = authorization.removeprefix("Bearer ")
    if token == "forbidden":
        raise Auth.exceptions.HTTPException(status_code=403, detail="Nope")
    if token == "teapot":
        raise Auth.exceptions.HTTPException(status_code=418, detail="Teapot")
    if token == "crash":
        raise KeyError("a secret")
    return {"identity": token, "permissions": ["p1"], "display_name": f"D {token}", "org": "acme", "asked": asked}


@auth.on
async def own(ctx, value):
    if (ctx.resource, ctx.action) == ("crons", "create"):
        value["metadata"] = (value.get("metadata") or {}) | {"owner": ctx.user.identity}
    return {"owner": ctx.user.identity}


@auth.on.threads.create
async def create(ctx, value):
    assert isinstance(value["thread_id"], UUID)
    metadata = value.setdefault("metadata", {})
    do = metadata.get("do")
    if do == "deny":
        return False
    if do == "assert":
        raise AssertionError("not like this")
    if do == "teapot":
        raise Auth.exceptions.HTTPException(status_code=418, detail="Teapot", headers={"X-Why": "tea"})
    if do == "crash":
        raise KeyError("a secret")
    if do == "bad filter":
        return {"owner": {"$like": "%"}}
    if do == "bad metadata":
        value["metadata"] = "gone"
        return None
    metadata["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}


@auth.on.threads.create_run
async def create_run(ctx, value):
    assert isinstance(value["assistant_id"], UUID) and isinstance(value["run_id"], UUID)
    if "p1" not in ctx.permissions:
        return False
    value.setdefault("metadata", {})["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}


@auth.on.threads.search
async def search(ctx, value):
    if value["metadata"].get("shared"):
        return {"$or": [{"owner": ctx.user.identity}, {"readers": {"$contains": ctx.user.identity}}]}
    return {"owner": ctx.user.identity}


@auth.on.assistants
async def assistants(ctx, value):
    if ctx.action == "create":
        value["metadata"]["owner"] = ctx.user.identity
    if ctx.action in ("read", "search"):
        return {"$or": [{"owner": ctx.user.identity}, {"created_by": "system"}]}
    return {"owner": ctx.user.identity}


@auth.on.store
async def store(ctx, value):
    namespace = tuple(value["namespace"] or ())
    if ctx.user.identity == "auditor":
        return {"public": True}
    if ctx.action == "put" and value["value"].get("to") == "a bad place":
        value["namespace"] = (ctx.user.identity, "a.b")
        return
    if ctx.action == "put" and value["value"].get("stamp"):
        value["key"] = "stamped"
        value["value"]["by"] = ctx.user.identity
    if not isinstance(ctx.user, Auth.types.StudioUser):
        value["namespace"] = (ctx.user.identity, *namespace)
