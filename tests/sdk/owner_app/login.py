"""The login of LangGraph's documentation: tokens are names, and one handler gives everything to who made it.

The user `banned` may do nothing with assistants, `readonly` may start nothing, and each of `shared:…` has a namespace of the store.
"""

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(authorization: str | None) -> Auth.types.MinimalUserDict:
    if not authorization or not authorization.startswith("Bearer "):
        raise Auth.exceptions.HTTPException(status_code=401, detail="Invalid token")
    name = authorization.removeprefix("Bearer ")
    return {"identity": name, "permissions": ["read"] if name == "readonly" else ["read", "write"]}


@auth.on
async def add_owner(ctx: Auth.types.AuthContext, value: dict):
    if ctx.user.identity == "banned" and ctx.resource == "assistants":
        return False
    if "write" not in ctx.permissions and ctx.action in ("create", "create_run", "update", "delete"):
        raise Auth.exceptions.HTTPException(status_code=403, detail="Read only")
    if ctx.resource == "store" and ctx.user.identity.startswith("shared:"):
        value["namespace"] = (ctx.user.identity, *(value["namespace"] or ()))
        return None
    filters = {"owner": ctx.user.identity}
    metadata = value.setdefault("metadata", {})
    metadata.update(filters)
    return filters
