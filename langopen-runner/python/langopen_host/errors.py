"""How an exception looks to clients and in the log."""

from __future__ import annotations

import traceback
from pathlib import Path

from langopen_host.connection import CallFailed, ConnectionLost

MASK = "An internal error occurred"
# Classes whose text may reach clients, those derived from them included.
_OPEN = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError, TimeoutError)
_OPEN_NAMES = frozenset({"HTTPException", "UserInterrupt"})
_INFRASTRUCTURE = (ConnectionLost, CallFailed)
_HOST = str(Path(__file__).parent)


def public(error: BaseException) -> dict[str, str]:
    """`{error, message}` as clients may see it."""
    kind = type(error)
    shown = isinstance(error, _OPEN) or kind.__name__ in _OPEN_NAMES or kind.__module__.split(".", 1)[0] == "langgraph"
    return {"error": kind.__name__, "message": str(error) if shown else MASK}


def detail(error: BaseException) -> str:
    """The traceback for the log."""
    return "".join(traceback.format_exception(error))


def retryable(error: BaseException) -> bool:
    """Whether another attempt can help: only when the platform failed, never for what user code raised."""
    return isinstance(error, _INFRASTRUCTURE)


def client_class(error: BaseException) -> str:
    """The class that an ERROR reply names. Subclasses of `ValueError` are the client's fault like `ValueError` itself."""
    name = type(error).__name__
    if name in ("InvalidUpdateError", "EmptyInputError"):
        return name
    return "ValueError" if isinstance(error, ValueError) else name


def user_traceback(error: BaseException) -> str:
    """The traceback from where user code begins: without this program, what called it, and the import machinery."""
    stack = traceback.extract_tb(error.__traceback__)
    own = max((index for index, frame in enumerate(stack) if frame.filename.startswith(_HOST)), default=-1)
    frames = [frame for frame in stack[own + 1 :] if not _is_import(frame.filename)]
    if not frames and not isinstance(error, SyntaxError):
        return ""
    head = ["Traceback (most recent call last):\n"] if frames else []
    return "".join(head + traceback.format_list(frames) + traceback.format_exception_only(error))


def _is_import(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or filename.endswith("importlib/__init__.py")
