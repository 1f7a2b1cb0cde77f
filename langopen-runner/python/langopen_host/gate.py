"""Where the web app's own routes end and the API begins, inside a Starlette or FastAPI application.

A route in front of all others looks at each request once middleware has seen it. What one of the application's routes
is for goes on to it; everything else goes back over the connection to the API. So the application's middleware sees
the API's requests too, and may answer them, change them, or change their answers.
"""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute, Match

# Paths of the server itself, which no custom route takes.
RESERVED = frozenset({"/ok", "/info", "/metrics", "/docs", "/openapi.json"})
# Two paths that only a route for everything matches both.
_SAMPLES = ("/", "/a-path/that-nobody/would-route")
# In the scope of a request that an own route is to answer, whatever the gate thinks.
_DECIDED = "langopen.decided"
# In the scope: the request as the host knows it.
REQUEST = "langopen.request"


class Gate(BaseRoute):
    """The first of the router's routes."""

    def __init__(self, router: Any) -> None:
        self._router = router
        routes = list(router.routes)
        # A route for everything would hide the API: it comes after it.
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
        """Whether the application has something to say where the API has no path."""
        path = scope["path"]
        toggled = {**scope, "path": path.rstrip("/") if path.endswith("/") else path + "/"}
        if any(route.matches(each)[0] is not Match.NONE for route in self._all for each in (scope, toggled)):
            return True
        return has_low_priority(self._router)


def _path(scope: Any) -> str:
    path, root = scope["path"], scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root) else path


def users(user: Any) -> dict[str, Any]:
    """What Starlette's `request.user` and `request.auth` show."""
    from starlette.authentication import AuthCredentials

    return {"user": user, "auth": AuthCredentials(["authenticated", *user.permissions])}


def describe(app: Any) -> dict[str, Any]:
    """`{first, routes, later}`: what passes through the application, see the runner's README."""
    first = bool(app.user_middleware)
    later = has_low_priority(app.router)
    routes = []
    for route in app.router.routes:
        if matches_everything(route):
            later = True
        elif (known := patterns(route)) is None:
            # A kind of route that cannot be told from outside: the gate decides, request by request.
            first = True
        else:
            routes += known
    return {"first": first, "routes": routes, "later": later}


def patterns(route: Any) -> list[dict[str, Any]] | None:
    """The routes that `route` stands for; None if they cannot be told."""
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
    """Whether FastAPI has routes for what nothing else is for."""
    candidates = getattr(router, "_iter_low_priority_routes", None)
    return candidates is not None and any(True for _ in candidates())


