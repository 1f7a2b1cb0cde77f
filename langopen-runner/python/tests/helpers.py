"""Helpers that the tests share."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fake_runner import HERE, FakeRunner

HI = {"messages": [{"role": "user", "content": "hi", "id": "u1"}]}
NAMES = (
    "chat slow_chat quiet_chat hitl slow blocking err loop uncompiled nested nested_chat parallel echo keeper "
    "sync_keeper noisy flood odd make_graph make_graph_async make_wrong make_with_runtime make_by_generator stubborn sync_parent "
    "written dataclass_state pydantic_state"
).split()
ALL = {name: f"./graphs.py:{name}" for name in NAMES}


def thread() -> str:
    return str(uuid.uuid4())


def with_runner(
    test: Callable[[FakeRunner], Awaitable[None]], graphs: dict[str, Any] | None = None, **options: Any
) -> None:
    """Runs `test` against a host that serves `graphs` (all test graphs by default)."""

    async def main() -> None:
        async with FakeRunner(ALL if graphs is None else graphs, **options) as runner:
            await test(runner)

    asyncio.run(main())


def fatal(graphs: dict[str, Any], base_dir: Path = HERE, **options: Any) -> Any:
    """The FATAL document of a host that cannot load `graphs`, and its exit status."""
    seen = []

    async def look(runner: FakeRunner) -> None:
        seen.append(runner.fatal)
        seen.append(await asyncio.wait_for(runner.process.wait(), 10))

    with_runner(look, graphs, base_dir=base_dir, **options)
    return seen
