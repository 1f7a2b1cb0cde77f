"""Divides requests between a Starlette or FastAPI application and the API.

The gate is the application's first route, so it sees each request after the middleware. A request for one of the
application's routes goes on to it; the gate sends all others over the connection to the API. So the application's
middleware sees the API's requests too, and may answer them, change them, or change their answers.
"""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute, Match

# The server's own paths, which no custom route can replace.
RESERVED = frozenset({"/ok", "/info", "/metrics", "/docs", "/openapi.json"})
# Only a route for every path matches both.
_SAMPLES = ("/", "/a-path/that-nobody/would-route")
# Key in the scope of a request that the application has to answer: the gate lets it pass.
_DECIDED = "langopen.decided"
# Key in the scope of the host's own request object.
REQUEST = "langopen.request"


class Gate(BaseRoute):
    """The first of the router's routes."""

    def __init__(self, router: Any) -> None:
        self._router = router
        routes = list(router.routes)
        # A route for every path would hide the API, so the API comes before it.
        self._own = [route for route in routes if not matches_everything(route)]
        self._all = routes
        router.routes.insert(0, self)

    def matches(self, scope: Any) -> tuple[Match, Any]:
        if scope["type"] != "http" or scope.get(_DECIDED) or REQUEST not in scope:
            return Match.NONE, {}
        request = scope[REQUEST]
        if self._is_own(scope) and not (request.authenticate and request.user is None):
            return Match.NONE, {}
        return Match.FULL, {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        request = scope[REQUEST]
        if self._is_own(scope):
            if not await request.let_in(scope, send):
                return
        elif not request.unknown and await request.ask_api(scope, receive, send, keep_unknown=self._is_later(scope)):
            return
        scope[_DECIDED] = True
        await self._router(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        from starlette.routing import NoMatchFound

        raise NoMatchFound(name, path_params)

    def _is_own(self, scope: Any) -> bool:
        if _path(scope) in RESERVED:
            return False
        return any(route.matches(scope)[0] is Match.FULL for route in self._own)

    def _is_later(self, scope: Any) -> bool:
        """Whether the application may answer a request for which the API has no path."""
        path = scope["path"]
        toggled = {**scope, "path": path.rstrip("/") if path.endswith("/") else path + "/"}
        if any(route.matches(each)[0] is not Match.NONE for route in self._all for each in (scope, toggled)):
            return True
        return has_low_priority(self._router)


def _path(scope: Any) -> str:
    path, root = scope["path"], scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root) else path


def users(user: Any) -> dict[str, Any]:
    """The values of Starlette's `request.user` and `request.auth`."""
    from starlette.authentication import AuthCredentials

    return {"user": user, "auth": AuthCredentials(["authenticated", *user.permissions])}


def describe(app: Any) -> dict[str, Any]:
    """`{first, routes, later}`: the requests that the application has to see, see "HTTP" in the runner's README."""
    first = bool(app.user_middleware)
    later = has_low_priority(app.router)
    routes = []
    for route in app.router.routes:
        if matches_everything(route):
            later = True
        elif (known := patterns(route)) is None:
            # The pattern of such a route is unknown, so the gate decides for each request.
            first = True
        else:
            routes += known
    return {"first": first, "routes": routes, "later": later}


def patterns(route: Any) -> list[dict[str, Any]] | None:
    """The patterns of `route`; None if they are unknown."""
    if (contexts := getattr(route, "effective_route_contexts", None)) is not None:
        found: list[dict[str, Any]] = []
        for context in contexts():
            if (known := patterns(getattr(context, "starlette_route", None) or context)) is None:
                return None
            found += known
        return found
    if (expression := getattr(route, "path_regex", None)) is None:
        return None
    methods = getattr(route, "methods", None)
    original = getattr(route, "original_route", route)
    websocket = "WebSocket" in type(original).__name__
    return [{"pattern": expression.pattern, "methods": sorted(methods) if methods else None, "websocket": websocket}]


def matches_everything(route: Any) -> bool:
    if (contexts := getattr(route, "effective_route_contexts", None)) is not None:
        return any(matches_everything(getattr(each, "starlette_route", None) or each) for each in contexts())
    expression = getattr(route, "path_regex", None)
    return expression is not None and all(expression.match(sample) for sample in _SAMPLES)


def has_low_priority(router: Any) -> bool:
    """Whether FastAPI has fallback routes."""
    candidates = getattr(router, "_iter_low_priority_routes", None)
    return candidates is not None and any(True for _ in candidates())


