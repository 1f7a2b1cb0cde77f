"""The authenticated user, as graphs see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class User(Mapping[str, Any]):
    """The auth handler's result, with fields as attributes (`user.identity`) and as keys (`user["identity"]`)."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    @property
    def identity(self) -> str:
        return self._fields["identity"]

    @property
    def is_authenticated(self) -> bool:
        return self._fields.get("is_authenticated", True)

    @property
    def display_name(self) -> str:
        return self._fields.get("display_name") or self.identity

    @property
    def permissions(self) -> Sequence[str]:
        return self._fields.get("permissions") or []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(f"The user has no field {name!r}") from None

    def __getitem__(self, key: str) -> Any:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"User({self._fields!r})"


def of(configurable: Mapping[str, Any]) -> User | None:
    """The user of a run or a request; None without custom auth."""
    fields = configurable.get("langgraph_auth_user")
    if isinstance(fields, User):
        return fields
    return User(fields) if isinstance(fields, Mapping) and "identity" in fields else None
