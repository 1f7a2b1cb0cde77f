"""How an exception looks to clients and in the log."""

from __future__ import annotations

import traceback
from pathlib import Path

from langopen_host.connection import CallFailed, ConnectionLost
from langopen_host.primitives import format_exception

MASK = "An internal error occurred"


class UnaskedCancel(Exception):
    """Other code in the host cancelled the run: the platform did not ask for it, so another attempt may succeed."""


class Unreadable(ValueError):
    """A run's document cannot be decoded."""


# Classes whose text may reach clients, those derived from them included.
_OPEN = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError, TimeoutError)
_OPEN_NAMES = frozenset({"HTTPException", "UserInterrupt"})
_INFRASTRUCTURE = (ConnectionLost, CallFailed, UnaskedCancel)
_ENDINGS = (SystemExit, KeyboardInterrupt)
_HOST = str(Path(__file__).parent)


def public(error: BaseException) -> dict[str, str]:
    """`{error, message}` as clients may see it."""
    kind = type(error)
    if isinstance(error, _ENDINGS):
        return {"error": kind.__name__, "message": _ended(error)}
    if isinstance(error, Unreadable):
        return {"error": "ValueError", "message": text(error)}
    shown = isinstance(error, _OPEN) or kind.__name__ in _OPEN_NAMES or kind.__module__.split(".", 1)[0] == "langgraph"
    return {"error": kind.__name__, "message": text(error) if shown else MASK}


def text(error: BaseException) -> str:
    """The error's own text. A class of the application may fail to give one."""
    try:
        return str(error)
    except Exception:
        return f"(an error of class {type(error).__name__} that has no text)"


def detail(error: BaseException) -> str:
    """The traceback for the log."""
    try:
        return "".join(format_exception(error))
    except Exception:
        return f"{type(error).__name__}: {text(error)}"


def retryable(error: BaseException) -> bool:
    """Whether another attempt can help: when the platform failed, and never when user code raised the error."""
    return isinstance(error, _INFRASTRUCTURE)


def _ended(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        # A text may be meant for the operator alone.
        what = f"called sys.exit({error.code})" if isinstance(error.code, int) else "called sys.exit()"
    else:
        what = "raised KeyboardInterrupt"
    return f"The graph's code {what}. That ends the run; the graph host goes on with its other runs."


def client_class(error: BaseException) -> str:
    """The class that an ERROR reply names. The API answers 400 to a `ValueError`, and so to its subclasses."""
    name = type(error).__name__
    if name in ("InvalidUpdateError", "EmptyInputError"):
        return name
    return "ValueError" if isinstance(error, ValueError) else name


def user_traceback(error: BaseException) -> str:
    """The traceback from where user code begins: without this program, its callers and the import machinery."""
    stack = traceback.extract_tb(error.__traceback__)
    own = max((index for index, frame in enumerate(stack) if frame.filename.startswith(_HOST)), default=-1)
    frames = [frame for frame in stack[own + 1 :] if not _is_import(frame.filename)]
    if not frames and not isinstance(error, SyntaxError):
        return ""
    head = ["Traceback (most recent call last):\n"] if frames else []
    return "".join(head + traceback.format_list(frames) + traceback.format_exception_only(error))


def _is_import(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or filename.endswith("importlib/__init__.py")
