"""The login of the test application."""

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(authorization: str | None) -> str:
    if not authorization:
        raise Auth.exceptions.HTTPException(status_code=401, detail="No token")
    return authorization


@auth.on.threads
async def own(ctx, value):
    value["seen"] = [type(each).__name__ for each in value.values()]
    return {"owner": ctx.user.identity}
