"""Calls the handlers of an `Auth` object and answers the runner.

Every failure is an exception, and the runner refuses the request then: a handler that fails lets no caller in.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from langgraph_sdk import Auth
from langgraph_sdk.auth.types import AuthContext

from langopen_host import loading
from langopen_host.auth import identity, values
from langopen_host.auth.request import PARAMETERS, BodyWanted, Incoming

logger = logging.getLogger("langopen.auth")

# The statuses of a refusal by an authenticate handler. Any other is a failure of the server.
_REFUSALS_OF_AUTHENTICATE = (401, 403)


class AppAuth:
    """The handlers of one `Auth` object, looked up once."""

    def __init__(self, auth: Auth) -> None:
        self._authenticate = auth._authenticate_handler
        self._wanted = () if self._authenticate is None else _parameters(self._authenticate)
        self._on = {pair: handlers[-1] for pair, handlers in auth._handlers.items() if handlers}
        if auth._global_handlers:
            self._on["*", "*"] = auth._global_handlers[-1]

    @classmethod
    def load(cls, target: str, base_dir: Path) -> AppAuth:
        """Imports the object that `auth.path` names."""
        auth = loading.load_object("auth.path", target, base_dir)
        if not isinstance(auth, Auth):
            raise loading.LoadError(
                f"{target!r} is a {type(auth).__name__}: auth.path has to name a langgraph_sdk.Auth object",
                kind="TypeError",
            )
        return cls(auth)

    def described(self) -> dict[str, Any]:
        """The handlers, and whether the authenticate handler may read the request's body."""
        return {
            "authenticate": self._authenticate is not None,
            "needs_body": not {"body", "request"}.isdisjoint(self._wanted),
            "handlers": sorted(self._on),
        }

    async def authenticate(self, params: dict[str, Any]) -> dict[str, Any]:
        """`{identity: {identity, permissions, user}}`, `{refusal}`, or `{needs_body: true}` to get the body too."""
        if self._authenticate is None:
            raise RuntimeError("The Auth object has no authenticate handler")
        incoming = Incoming(params)
        if "body" in self._wanted and params.get("body") is None and params.get("has_body"):
            return {"needs_body": True}
        try:
            given = {name: incoming.parameter(name) for name in self._wanted}
            user = await _call(self._authenticate, given)
            return {"identity": identity.normal(user)}
        except BodyWanted:
            return {"needs_body": True}
        except identity.NotAuthenticated:
            return {"refusal": {"status": 401, "detail": "Unauthorized", "headers": []}}
        except Exception as error:
            refusal = _refusal(error)
            if refusal is not None and refusal["status"] in _REFUSALS_OF_AUTHENTICATE:
                return {"refusal": refusal}
            logger.exception("The authenticate handler failed")
            raise

    async def authorize(self, params: dict[str, Any]) -> dict[str, Any]:
        """`{answer, value}`, with the value as the handler changed it, or `{refusal}`."""
        resource, action = params["resource"], params["action"]
        value = values.typed(params["value"])
        if (handler := self._handler(resource, action)) is None:
            return {"answer": None, "value": value}
        who = identity.proxy(params)
        context = AuthContext(permissions=list(params["permissions"]), user=who, resource=resource, action=action)
        try:
            answer = await _call(handler, {"ctx": context, "value": value})
        except AssertionError as error:
            return {"refusal": {"status": 403, "detail": str(error) or "Forbidden", "headers": []}}
        except Exception as error:
            if (refusal := _refusal(error)) is not None:
                return {"refusal": refusal}
            logger.exception("The handler of %s.%s failed", resource, action)
            raise
        if answer is not None and not isinstance(answer, (bool, Mapping)):
            kind = type(answer).__name__
            raise TypeError(f"The handler of {resource}.{action} has to return None, a bool or a filter, not a {kind}")
        return {"answer": answer, "value": value}

    def _handler(self, resource: str, action: str) -> Callable[..., Any] | None:
        for pair in ((resource, action), (resource, "*"), ("*", action), ("*", "*")):
            if (handler := self._on.get(pair)) is not None:
                return handler
        return None


async def _call(handler: Callable[..., Any], given: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None)):
        return await handler(**given)
    # In a thread, because a sync handler may block.
    result = await asyncio.to_thread(handler, **given)
    return await result if inspect.isawaitable(result) else result


def _parameters(handler: Callable[..., Any]) -> tuple[str, ...]:
    """The names of an authenticate handler's parameters."""
    wanted = []
    for parameter in inspect.signature(handler).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in PARAMETERS and parameter.kind is not parameter.POSITIONAL_ONLY:
            wanted.append(parameter.name)
        elif parameter.default is parameter.empty:
            raise loading.LoadError(
                f"The authenticate handler has an unknown parameter {parameter.name!r}; "
                f"it may take {', '.join(PARAMETERS)}",
                kind="TypeError",
            )
    return tuple(wanted)


def _refusal(error: BaseException) -> dict[str, Any] | None:
    """The refusal of an `HTTPException`, of the SDK or of a web framework; else None."""
    if not any(kind.__name__ == "HTTPException" for kind in type(error).__mro__):
        return None
    status, detail = getattr(error, "status_code", None), getattr(error, "detail", None)
    if not isinstance(status, int) or not 400 <= status <= 599:
        return None
    headers = getattr(error, "headers", None) or {}
    detail = detail if isinstance(detail, str) else str(detail)
    pairs = [[str(name), str(value)] for name, value in headers.items()]
    return {"status": int(status), "detail": detail, "headers": pairs}
