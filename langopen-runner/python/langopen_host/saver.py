"""The checkpoint saver of all graphs: it sends checkpoints to the runner as the library's own bytes.

A run keeps the newest checkpoint that it wrote, so reading that back needs neither a call nor a decode.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    copy_checkpoint,
)

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langopen_host import scope as scopes
from langopen_host.checkpoint_ids import stay_above
from langopen_host.primitives import orjson_loads
from langopen_host.scope import Scope
from langopen_host.serialize import dumps

logger = logging.getLogger("langopen")

# Keys of a configurable that checkpoint metadata leaves out: the user's document, and the checkpoint's own place.
_NOT_IN_METADATA = frozenset(
    {"langgraph_auth_user", "langgraph_auth_permissions", "checkpoint_id", "checkpoint_ns", "checkpoint_map"}
)


def make_serializer(settings: dict[str, Any] | None) -> JsonPlusSerializer:
    """langgraph's serializer with the settings of `checkpointer.serde`; by default it pickles what MessagePack refuses.

    `allowed_*_modules` is true for every class, null for the safe ones, or a list of names in parts; without the key,
    the library decides.
    """
    settings = settings or {}
    options: dict[str, Any] = {"pickle_fallback": settings.get("pickle_fallback", True)}
    for key in ("allowed_json_modules", "allowed_msgpack_modules"):
        if key not in settings:
            continue
        names = settings[key]
        if isinstance(names, list):
            whole = key == "allowed_json_modules"
            names = [tuple(parts) if whole else (".".join(parts[:-1]), parts[-1]) for parts in names if parts]
        options[key] = names
    known = inspect.signature(JsonPlusSerializer).parameters
    for key in options.keys() - known.keys():
        if key in settings:
            logger.warning("checkpointer.serde.%s needs a newer langgraph-checkpoint than the application has", key)
        del options[key]
    return JsonPlusSerializer(**options)


class HostSaver(BaseCheckpointSaver[str]):
    """Serves the current run or request (see `scope`)."""

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        scope = scopes.current()
        conf = config["configurable"]
        thread_id, ns = str(conf["thread_id"]), conf.get("checkpoint_ns") or ""
        checkpoint_id = conf.get("checkpoint_id")
        kept: CheckpointTuple | None = scope.latest.get((thread_id, ns))
        if kept is not None and (not checkpoint_id or kept.checkpoint["id"] == checkpoint_id):
            return self._kept(scope, thread_id, ns, kept)
        if kept is None and scope.fresh_thread and thread_id == scope.thread_id:
            return None
        found = await scope.request(
            "checkpoints.get",
            {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id or None},
        )
        return None if found is None else self._decode(found)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        if config is None:
            raise ValueError("Checkpoints can be listed only for a thread")
        conf = config["configurable"]
        found = await scopes.current().request(
            "checkpoints.list",
            {
                "thread_id": str(conf["thread_id"]),
                "checkpoint_ns": conf.get("checkpoint_ns"),
                "checkpoint_id": conf.get("checkpoint_id") or None,
                "before": (before["configurable"].get("checkpoint_id") or None) if before else None,
                "limit": limit,
                "filter": dumps(filter) if filter else None,
            },
        )
        for item in found:
            yield self._decode(item)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        scope = scopes.current()
        conf = config["configurable"]
        thread_id, ns, parent = str(conf["thread_id"]), conf.get("checkpoint_ns") or "", conf.get("checkpoint_id")
        values = checkpoint["channel_values"]
        dump = self.serde.dumps_typed
        blobs = [
            [channel, str(version), *(dump(values[channel]) if channel in values else ("empty", b""))]
            for channel, version in new_versions.items()
        ]
        bare = {key: value for key, value in checkpoint.items() if key != "channel_values"}
        kind, data = dump(bare)
        kept = remembered(config, metadata)
        metadata_json = dumps(kept)
        params = {
            "thread_id": thread_id,
            "checkpoint_ns": ns,
            "checkpoint_id": checkpoint["id"],
            "parent_checkpoint_id": parent or None,
            "type": kind,
            "checkpoint": data,
            "metadata": metadata_json,
            "channel_versions": {channel: str(version) for channel, version in checkpoint["channel_versions"].items()},
            "blobs": blobs,
        }
        own = _config(thread_id, ns, checkpoint["id"])
        if scope.thread_id == thread_id:
            self._keep(scope, thread_id, ns, own, checkpoint, kept, parent)
        await scope.write("checkpoints.put", params, len(data) + sum(len(blob[3]) for blob in blobs) + 512)
        return own

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        scope = scopes.current()
        conf = config["configurable"]
        thread_id, ns, checkpoint_id = str(conf["thread_id"]), conf.get("checkpoint_ns") or "", conf["checkpoint_id"]
        dump = self.serde.dumps_typed
        rows = [
            [WRITES_IDX_MAP.get(channel, index), channel, *dump(value)]
            for index, (channel, value) in enumerate(writes)
        ]
        if scope.thread_id == thread_id:
            _remember_writes(scope, (thread_id, ns, checkpoint_id), task_id, task_path, writes)
        params = {
            "thread_id": thread_id,
            "checkpoint_ns": ns,
            "checkpoint_id": checkpoint_id,
            "task_id": task_id,
            "task_path": task_path,
            "writes": rows,
        }
        await scope.write("checkpoints.put_writes", params, sum(len(row[3]) for row in rows) + 256)

    async def adelete_thread(self, thread_id: str) -> None:
        scope = scopes.current()
        for known in [key for key in scope.latest if key[0] == thread_id]:
            del scope.latest[known]
        await scope.request("checkpoints.delete_thread", {"thread_id": str(thread_id)})

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return _wait(self.aget_tuple(config), "get_tuple")

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        async def collect() -> Any:
            return [item async for item in self.alist(config, filter=filter, before=before, limit=limit)]

        return iter(_wait(collect(), "list"))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return _wait(self.aput(config, checkpoint, metadata, new_versions), "put")

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        _wait(self.aput_writes(config, writes, task_id, task_path), "put_writes")

    def delete_thread(self, thread_id: str) -> None:
        _wait(self.adelete_thread(thread_id), "delete_thread")

    def get_next_version(self, current: str | None, channel: None) -> str:
        """A counter, padded so that versions sort as text, and a random part that differs between branches."""
        count = 0 if current is None else current if isinstance(current, int) else int(current.split(".", 1)[0])
        return f"{count + 1:032}.{random.random():016}"

    def _keep(
        self,
        scope: Scope,
        thread_id: str,
        ns: str,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: dict[str, Any],
        parent: str | None,
    ) -> None:
        before = scope.latest.get((thread_id, ns))
        # As in the storage, the latest is the one that was put last.
        if before is not None and before.checkpoint["id"] != checkpoint["id"]:
            scope.writes.pop((thread_id, ns, before.checkpoint["id"]), None)
        scope.latest[thread_id, ns] = CheckpointTuple(
            config, checkpoint, metadata, _config(thread_id, ns, parent) if parent else None, None
        )

    def _kept(self, scope: Scope, thread_id: str, ns: str, kept: CheckpointTuple) -> CheckpointTuple:
        """A copy of the run's newest checkpoint, because the library changes the checkpoint that it receives."""
        written = scope.writes.get((thread_id, ns, kept.checkpoint["id"]))
        pending = (
            [
                (task_id, channel, value)
                for (task_id, _), (_, channel, value) in sorted(
                    written.items(), key=lambda item: (item[1][0], item[0][0], item[0][1])
                )
            ]
            if written
            else []
        )
        return kept._replace(checkpoint=copy_checkpoint(kept.checkpoint), pending_writes=pending)

    def _decode(self, found: dict[str, Any]) -> CheckpointTuple:
        load = self.serde.loads_typed
        checkpoint = load((found["type"], found["checkpoint"]))
        checkpoint["channel_values"] = {
            channel: load((kind, data)) for channel, kind, data in found["channel_values"] if kind != "empty"
        }
        thread_id, ns, parent = found["thread_id"], found["checkpoint_ns"], found["parent_checkpoint_id"]
        stay_above(found["checkpoint_id"], found.get("latest_id"))
        return CheckpointTuple(
            _config(thread_id, ns, found["checkpoint_id"]),
            checkpoint,
            orjson_loads(found["metadata"]),
            _config(thread_id, ns, parent) if parent else None,
            [(task_id, channel, load((kind, data))) for task_id, channel, kind, data in found["pending_writes"]],
        )


# The library asks for this signature at the start of every run. Deriving it takes longer than all writes of the run.
HostSaver.aput_writes.__signature__ = inspect.signature(HostSaver.aput_writes)  # type: ignore[attr-defined]


def remembered(config: RunnableConfig, metadata: CheckpointMetadata) -> dict[str, Any]:
    """A checkpoint's metadata: the configurable, so that histories can be filtered by it, the run's, and its own."""
    conf = config.get("configurable") or {}
    kept = {key: value for key, value in conf.items() if key not in _NOT_IN_METADATA and not key.startswith("__")}
    for key, value in (config.get("metadata") or {}).items():
        if not key.startswith("__"):
            kept[key] = value
    if conf.get("checkpoint_map"):
        kept.setdefault("checkpoint_map", conf["checkpoint_map"])
    kept.update(metadata)
    return kept


def _config(thread_id: str, ns: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}}


def _remember_writes(
    scope: Scope, at: tuple[str, str, str], task_id: str, task_path: str, writes: Sequence[tuple[str, Any]]
) -> None:
    """Keeps the pending writes of the newest checkpoint. Writes may precede the checkpoint that they belong to."""
    newest = scope.latest.get(at[:2])
    if newest is not None and at[2] < newest.checkpoint["id"]:
        return
    known = scope.writes.setdefault(at, {})
    for position, (channel, value) in enumerate(writes):
        index = WRITES_IDX_MAP.get(channel, position)
        # As in the library's savers: an ordinary write is final, and a special one (error, interrupt, ...) replaces it.
        if index < 0 or (task_id, index) not in known:
            known[task_id, index] = (task_path, channel, value)


def _wait(coroutine: Any, method: str) -> Any:
    """The result of an async method, for code in a thread."""
    scope = scopes.current()
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is scope.loop:
        coroutine.close()
        raise asyncio.InvalidStateError(
            f"{method} would block the event loop: use the async method (a{method}) in async code"
        )
    return asyncio.run_coroutine_threadsafe(coroutine, scope.loop).result()
