"""Imports a graph's target: `path/to/file.py:variable` or `package.module:variable`."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from langopen_host import errors


class LoadError(Exception):
    """A target that cannot be served. `kind` is the class that the runner reports."""

    def __init__(self, message: str, *, kind: str = "GraphLoadError") -> None:
        super().__init__(message)
        self.kind = kind


def load(graph_id: str, target: str, base_dir: Path) -> Any:
    """The object that `target` names: a compiled graph, a StateGraph, or a callable that returns one."""
    value = load_object(f"graph {graph_id!r}", target, base_dir)
    if not (isinstance(value, (Pregel, StateGraph)) or callable(value)):
        location, _, name = target.rpartition(":")
        raise LoadError(
            f"{name!r} in {location!r} is a {type(value).__name__}: graph {graph_id!r} needs a compiled graph, "
            "a StateGraph, or a function that returns one",
            kind="TypeError",
        )
    return value


def load_object(owner: str, target: str, base_dir: Path) -> Any:
    """The object that `target` names. Messages name its `owner`, e.g. `graph 'chat'`."""
    location, colon, name = target.rpartition(":")
    if not colon or not location or not name:
        raise LoadError(
            f"The target {target!r} of {owner} has to have the form 'path/to/file.py:variable' or "
            "'package.module:variable'"
        )
    module = _from_file(owner, location, base_dir) if _is_path(location) else importlib.import_module(location)
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise LoadError(_missing(owner, name, location, module), kind="AttributeError")
        value = getattr(value, part)
    return value


# The folders that this module has added to the import path.
_application: set[str] = set()
_SITE = ("site-packages", "dist-packages")


def prepare_path(base_dir: Path, search_path: list[str]) -> None:
    """Adds the application's folders to the import path, in the order of the search path, then the base folder.

    They follow the standard library and the installed packages: a module of the application never replaces one that
    a library imports. `_before_packages` is the exception.
    """
    for folder in reversed([*search_path, str(base_dir)]):
        _add(folder)


def _add(folder: str) -> None:
    """Adds a folder before the application's other folders."""
    if folder not in sys.path:
        sys.path.insert(_first(lambda path: path in _application), folder)
        _application.add(folder)


def _before_packages(folder: str) -> None:
    """Moves a folder before the installed packages, and behind the standard library."""
    if folder in _application:
        _application.discard(folder)
        sys.path.remove(folder)
        sys.path.insert(_first(lambda path: path in _application or path.endswith(_SITE)), folder)
        importlib.invalidate_caches()


def _first(matches: Callable[[str], bool]) -> int:
    return next((index for index, path in enumerate(sys.path) if matches(path)), len(sys.path))


# What a second process cannot take: an address in use, a lock that is held.
_TAKEN = (errno.EADDRINUSE, errno.EAGAIN, errno.EBUSY, errno.EEXIST)
_TAKEN_NAMES = ("AlreadyLocked", "LockException", "LockError")


def hint(error: BaseException) -> str:
    """What to do about an error at import that a second host of the same application causes; else nothing."""
    chain: BaseException | None = error
    while chain is not None:
        taken = isinstance(chain, OSError) and chain.errno in _TAKEN
        # The `Timeout` of filelock names its file.
        named = type(chain).__name__ in _TAKEN_NAMES or hasattr(chain, "lock_file")
        if taken or named or "is locked" in errors.text(chain):
            return (
                ". Every graph host loads the module once. If it takes a port or a lock while it is imported, "
                "start one host: --hosts 1"
            )
        chain = chain.__cause__ or chain.__context__
    return ""


def _is_path(location: str) -> bool:
    return location.endswith(".py") or "/" in location or "\\" in location


def _from_file(owner: str, location: str, base_dir: Path) -> ModuleType:
    path = Path(location)
    path = (path if path.is_absolute() else base_dir / path).resolve()
    if not path.is_file():
        raise LoadError(f"The file {path} of {owner} does not exist", kind="FileNotFoundError")
    if (known := _already(path)) is not None:
        return known
    root, dotted = _package(path)
    for folder in (str(path.parent), root):
        _add(folder)
    if dotted is not None and (module := _as_member(dotted, path, root)) is not None:
        return module
    return _standalone(path, location)


def _already(path: Path) -> ModuleType | None:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and module.__name__ != "__main__" and file.endswith(path.name) and Path(file).resolve() == path:
            return module
    return None


def _package(path: Path) -> tuple[str, str | None]:
    """The folder of the file's outermost package, and the file's dotted name; None when it is in no package."""
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    in_package = folder != path.parent and all(part.isidentifier() for part in parts)
    return str(folder), ".".join(parts) if in_package else None


def _as_member(dotted: str, path: Path, root: str) -> ModuleType | None:
    """The module by its dotted name; None when that name belongs to a module of the standard library."""
    if not _leads_to(dotted, path):
        # An installed package has the same name. The file's relative imports need its own.
        top = dotted.partition(".")[0]
        if top in sys.stdlib_module_names or top in sys.modules:
            return None
        _before_packages(root)
    return importlib.import_module(dotted) if _leads_to(dotted, path) else None


def _leads_to(name: str, path: Path) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == path


def _standalone(path: Path, location: str) -> ModuleType:
    """Executes a file as a module with the file's name, so that its siblings can import the same module.

    When that name belongs to another module, the file's module gets a name of its own. The name is the same in every
    process, because checkpoints name the modules of the classes that they hold.
    """
    name = path.stem
    if not name.isidentifier() or name in sys.modules or not _leads_to(name, path):
        name = f"{path.stem.replace('-', '_').replace('.', '_')}_{sha256(location.encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} cannot be imported as Python", kind="ImportError")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _missing(owner: str, name: str, location: str, module: ModuleType) -> str:
    public = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    candidates = [key for key, value in public.items() if isinstance(value, (Pregel, StateGraph))] or [
        key for key, value in public.items() if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    hint = f"; it has {', '.join(repr(key) for key in sorted(candidates))}" if candidates else ""
    return f"There is no {name!r} in {location!r} for {owner}{hint}"
