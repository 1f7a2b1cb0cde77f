"""The store of all graphs: every operation is a call to the runner."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

from langopen_host import scope as scopes
from langopen_host.primitives import orjson_loads
from langopen_host.saver import _wait
from langopen_host.serialize import dumps
from langopen_host.store_index import StoreIndex


class HostStore(BaseStore):
    """Serves the current run or request (see `scope`)."""

    supports_ttl = True
    __slots__ = ()
    # The application's index, for every instance. The host sets it when it has loaded the application.
    index: StoreIndex | None = None

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        scope = scopes.current()
        # All texts are embedded first, so that the calls leave in order without a pause between them.
        prepared = [(op, await self._vectors(op)) for op in ops]
        calls = []
        for op, vectors in prepared:
            method, params = _call(op)
            calls.append((op, scope.request(method, params | vectors)))
        if len(calls) == 1:
            op, reply = calls[0]
            return [_result(op, await reply)]
        await asyncio.gather(*(reply for _, reply in calls))
        return [_result(op, reply.result()) for op, reply in calls]

    async def _vectors(self, op: Op) -> dict[str, Any]:
        """The vectors that go with an operation, when the application has an index."""
        if self.index is None:
            return {}
        if isinstance(op, PutOp) and op.value is not None and op.index is not False:
            return {"vectors": await self.index.embed_value(op.value, list(op.index) if op.index else None)}
        if isinstance(op, SearchOp) and op.query:
            return {"vector": await self.index.embed_query(op.query)}
        return {}

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return _wait(self.abatch(ops), "batch")


def _call(op: Op) -> tuple[str, dict[str, Any]]:
    """The runner's method and parameters for a store operation."""
    if isinstance(op, GetOp):
        return "store.get", {"namespace": list(op.namespace), "key": str(op.key), "refresh_ttl": bool(op.refresh_ttl)}
    if isinstance(op, PutOp):
        return "store.put", {
            "namespace": list(op.namespace),
            "key": str(op.key),
            "value": None if op.value is None else dumps(op.value),
            "index": list(op.index) if op.index else op.index,
            "ttl": None if op.ttl is None else float(op.ttl),
        }
    if isinstance(op, SearchOp):
        return "store.search", {
            "namespace_prefix": list(op.namespace_prefix),
            "filter": dumps(op.filter) if op.filter else None,
            "limit": op.limit,
            "offset": op.offset,
            "query": op.query,
            "refresh_ttl": bool(op.refresh_ttl),
        }
    if isinstance(op, ListNamespacesOp):
        paths = {match.match_type: list(match.path) for match in op.match_conditions or ()}
        return "store.list_namespaces", {
            "prefix": paths.get("prefix"),
            "suffix": paths.get("suffix"),
            "max_depth": op.max_depth,
            "limit": op.limit,
            "offset": op.offset,
        }
    raise TypeError(f"Unknown store operation {type(op).__name__}")


def _result(op: Op, reply: Any) -> Result:
    if isinstance(op, GetOp):
        return None if reply is None else _item(reply)
    if isinstance(op, SearchOp):
        return [_found(item) for item in reply]
    if isinstance(op, ListNamespacesOp):
        return [tuple(namespace) for namespace in reply]
    return None


def _item(item: dict[str, Any]) -> Item:
    return Item(
        value=orjson_loads(item["value"]),
        key=item["key"],
        namespace=tuple(item["namespace"]),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
    )


def _found(item: dict[str, Any]) -> SearchItem:
    return SearchItem(
        namespace=tuple(item["namespace"]),
        key=item["key"],
        value=orjson_loads(item["value"]),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        score=item.get("score"),
    )
