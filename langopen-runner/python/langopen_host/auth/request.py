"""The parameters of authenticate handlers, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from langopen_host.primitives import orjson_loads

PARAMETERS = (
    "request",
    "body",
    "user",
    "path",
    "method",
    "scopes",
    "path_params",
    "query_params",
    "headers",
    "authorization",
    "scope",
)


class BodyWanted(BaseException):
    """The handler reads the body, which the runner has not sent. No `Exception`, so that handlers do not catch it."""


class Headers(dict[bytes, bytes]):
    """`{name: value}` in bytes, with names in lower case. Look-ups accept names as text too."""

    def __getitem__(self, key: bytes | str) -> bytes:
        return super().__getitem__(_name(key))

    def __contains__(self, key: object) -> bool:
        return super().__contains__(_name(key))

    def get(self, key: bytes | str, default: Any = None) -> Any:
        return super().get(_name(key), default)


def _name(key: Any) -> Any:
    if isinstance(key, str):
        return key.lower().encode("latin-1", "replace")
    return key.lower() if isinstance(key, bytes) else key


class Incoming:
    """One request from the runner's document `{method, path, query, path_params, headers, body, has_body, client}`."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params
        self._pairs = [(name.encode(), value.encode()) for name, value in params["headers"]]
        self._asgi: dict[str, Any] | None = None

    def parameter(self, name: str) -> Any:
        """The value of the parameter `name`, one of `PARAMETERS`."""
        return getattr(self, f"_{name}")()

    def _method(self) -> str:
        return self._params["method"]

    def _path(self) -> str:
        return unquote(self._params["path"])

    def _path_params(self) -> dict[str, str]:
        return dict(self._params["path_params"])

    def _query_params(self) -> dict[str, str]:
        return dict(parse_qsl(self._params["query"], keep_blank_values=True))

    def _headers(self) -> Headers:
        # The first header of a name counts.
        return Headers(reversed(self._pairs))

    def _authorization(self) -> str | None:
        found = self._headers().get(b"authorization")
        return None if found is None else found.decode()

    def _user(self) -> None:
        return None

    def _scopes(self) -> list[str]:
        return []

    def _body(self) -> Any:
        try:
            return orjson_loads(self._params["body"])
        except (TypeError, ValueError):
            return None

    def _request(self) -> Any:
        try:
            from starlette.requests import Request
        except ImportError:
            return PlainRequest(self)
        return Request(self.scope(), self.receive)

    def _scope(self) -> dict[str, Any]:
        return self.scope()

    def scope(self) -> dict[str, Any]:
        """The request as an ASGI scope."""
        if self._asgi is None:
            host = self._headers().get(b"host", b"localhost").decode()
            name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
            self._asgi = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": self._method(),
                "scheme": "http",
                "path": self._path(),
                "raw_path": self._params["path"].encode(),
                "root_path": "",
                "query_string": self._params["query"].encode(),
                "headers": list(self._pairs),
                "client": None if (client := self._params.get("client")) is None else (client, 0),
                "server": (name, int(port)) if port.isdigit() else (host, 80),
                "path_params": self._path_params(),
                "state": {},
                "extensions": {},
            }
        return self._asgi

    async def receive(self) -> dict[str, Any]:
        """The body as an ASGI event."""
        return {"type": "http.request", "body": self.body(), "more_body": False}

    def body(self) -> bytes:
        if self._params.get("body") is None and self._params.get("has_body"):
            raise BodyWanted
        return (self._params.get("body") or "").encode()


class PlainRequest(Mapping[str, Any]):
    """The parts of Starlette's request that handlers use, for an application without a web framework."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self.scope = incoming.scope()
        self.method: str = self.scope["method"]
        self.path_params: dict[str, str] = self.scope["path_params"]
        self.query_params = incoming.parameter("query_params")
        self.headers = _TextHeaders(incoming.parameter("headers"))
        self.url = _Url(self.scope)

    async def body(self) -> bytes:
        return self._incoming.body()

    async def json(self) -> Any:
        return orjson_loads(self._incoming.body())

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)


class _TextHeaders(Mapping[str, str]):
    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def __getitem__(self, key: str) -> str:
        return self._headers[key].decode()

    def __iter__(self) -> Iterator[str]:
        return (name.decode() for name in self._headers)

    def __len__(self) -> int:
        return len(self._headers)


class _Url(str):
    path: str
    query: str

    def __new__(cls, scope: dict[str, Any]) -> _Url:
        path, query = scope["raw_path"].decode(), scope["query_string"].decode()
        host = dict(scope["headers"]).get(b"host", b"localhost").decode()
        made = super().__new__(cls, f"{scope['scheme']}://{host}{path}{'?' if query else ''}{query}")
        made.path, made.query = scope["path"], query
        return made
