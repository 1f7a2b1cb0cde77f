"""Converts users: an authenticate handler's result to a document, and the document to the object that handlers see."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from langgraph_sdk.auth.types import StudioUser
from pydantic import BaseModel

from langopen_host.user import User

STUDIO = "StudioUser"
_FIELDS = ("identity", "is_authenticated", "display_name", "permissions")


class NotAuthenticated(Exception):
    """The handler's result has `is_authenticated: false`."""


def normal(user: Any) -> dict[str, Any]:
    """`{identity, permissions, user}` of a string, a mapping or an object.

    `user` has the fields that the handler gave, and the four known ones.
    """
    fields = {"identity": user} if isinstance(user, str) else dict(user) if isinstance(user, Mapping) else _fields(user)
    who = fields.get("identity")
    if who is None or who == "":
        raise TypeError(f"The authenticate handler has to return a user with an identity, not {_shown(user)}")
    who = who if type(who) is str else str(who)
    if fields.get("is_authenticated") is False:
        raise NotAuthenticated
    permissions = [str(each) for each in fields.get("permissions") or ()]
    known = {
        "identity": who,
        "is_authenticated": True,
        "display_name": fields.get("display_name") or who,
        "permissions": permissions,
    }
    return {"identity": who, "permissions": permissions, "user": {**fields, **known}}


def proxy(params: Mapping[str, Any]) -> Any:
    """The user, as handlers see it."""
    user = params.get("user") or {}
    if user.get("kind") == STUDIO:
        return StudioUser(params["identity"], is_authenticated=True)
    return User({"identity": params["identity"], "permissions": params["permissions"], **user})


def _fields(user: Any) -> dict[str, Any]:
    if isinstance(user, BaseModel):
        fields = user.model_dump()
    elif dataclasses.is_dataclass(user) and not isinstance(user, type):
        fields = dataclasses.asdict(user)
    else:
        fields = {key: value for key, value in getattr(user, "__dict__", {}).items() if not key.startswith("_")}
    for name in _FIELDS:
        if name not in fields and hasattr(user, name):
            fields[name] = getattr(user, name)
    return fields


def _shown(user: Any) -> str:
    # The type alone, because a user object may hold secrets.
    return "None" if user is None else f"a {type(user).__name__} without one"
