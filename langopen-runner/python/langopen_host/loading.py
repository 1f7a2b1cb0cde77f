"""Imports a graph's target: `path/to/file.py:variable` or `package.module:variable`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel


class LoadError(Exception):
    """A target that cannot be served; `kind` is the class that the runner reports."""

    def __init__(self, message: str, *, kind: str = "GraphLoadError") -> None:
        super().__init__(message)
        self.kind = kind


def load(graph_id: str, target: str, base_dir: Path) -> Any:
    """The object that `target` names: a compiled graph, a StateGraph, or a callable that makes one."""
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
    """The object that `target` names; `owner` says in messages what needs it, e.g. `graph 'chat'`."""
    location, colon, name = target.rpartition(":")
    if not colon or not location or not name:
        raise LoadError(
            f"The target {target!r} of {owner} has to be 'path/to/file.py:variable' or 'package.module:variable'"
        )
    module = _from_file(owner, location, base_dir) if _is_path(location) else importlib.import_module(location)
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise LoadError(_missing(owner, name, location, module), kind="AttributeError")
        value = getattr(value, part)
    return value


def prepare_path(base_dir: Path, search_path: list[str]) -> None:
    """Puts the application's folders in front of the import path, the first of them first."""
    for folder in reversed([*search_path, str(base_dir)]):
        if folder not in sys.path:
            sys.path.insert(0, folder)


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
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if dotted is not None:
        if (module := _as_member(dotted, path)) is not None:
            return module
    return _standalone(path, location)


def _already(path: Path) -> ModuleType | None:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and module.__name__ != "__main__" and file.endswith(path.name) and Path(file).resolve() == path:
            return module
    return None


def _package(path: Path) -> tuple[str, str | None]:
    """The folder that holds the file's outermost package, and the file's dotted name; no name outside a package."""
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    in_package = folder != path.parent and all(part.isidentifier() for part in parts)
    return str(folder), ".".join(parts) if in_package else None


def _as_member(dotted: str, path: Path) -> ModuleType | None:
    """The module by its dotted name, None when that name leads to another file."""
    return importlib.import_module(dotted) if _leads_to(dotted, path) else None


def _leads_to(name: str, path: Path) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == path


def _standalone(path: Path, location: str) -> ModuleType:
    """Executes a file as a module named after it, so that siblings import it under that name and get the same module.

    When that name means something else already, it gets one of its own. The name is the same in every process, because
    checkpoints name the modules of the classes that they hold.
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
