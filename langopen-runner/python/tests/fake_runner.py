"""A runner for tests: it listens on a unix socket, starts a host, and stores checkpoints and items in memory."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ormsgpack

from langopen_host import frames

HERE = Path(__file__).parent
PACKAGE = HERE.parent
SERVER = {"api_version": "0.16.7", "host": "self-hosted", "plan": "enterprise", "api_url": "http://127.0.0.1:2024"}


@dataclass
class RunInFlight:
    handle: int
    events: list[tuple[str, Any]] = field(default_factory=list)
    received: int = 0
    unpaid: int = 0
    header: dict[str, Any] | None = None
    values: Any = None
    state: Any = None
    spans: list[dict[str, Any]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def named(self, name: str) -> list[Any]:
        return [data for event, data in self.events if event == name]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]


class Tables:
    """Checkpoints, blobs, writes and store items, as in a database."""

    def __init__(self) -> None:
        self.checkpoints: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.blobs: dict[tuple[str, str, str, str], tuple[str, bytes]] = {}
        self.writes: dict[tuple[str, str, str], dict[tuple[str, int], tuple[str, str, str, bytes]]] = {}
        self.items: dict[tuple[tuple[str, ...], str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.refuse: set[str] = set()

    def serve(self, method: str, p: dict[str, Any]) -> Any:
        self.calls.append(method)
        if method in self.refuse:
            raise RuntimeError("the database is away")
        return getattr(self, method.replace(".", "_"))(p)

    def checkpoints_put(self, p: dict[str, Any]) -> None:
        where = (p["thread_id"], p["checkpoint_ns"])
        for channel, at, kind, data in p["blobs"]:
            self.blobs[*where, channel, at] = (kind, data)
        self.checkpoints.setdefault(where, {})[p["checkpoint_id"]] = p

    def checkpoints_put_writes(self, p: dict[str, Any]) -> None:
        rows = self.writes.setdefault((p["thread_id"], p["checkpoint_ns"], p["checkpoint_id"]), {})
        for index, channel, kind, data in p["writes"]:
            if index < 0 or (p["task_id"], index) not in rows:
                rows[p["task_id"], index] = (p["task_path"], channel, kind, data)

    def checkpoints_get(self, p: dict[str, Any]) -> Any:
        known = self.checkpoints.get((p["thread_id"], p["checkpoint_ns"]), {})
        wanted = p["checkpoint_id"] or max(known, default=None)
        return self._shown(known[wanted]) if wanted in known else None

    def checkpoints_list(self, p: dict[str, Any]) -> list[Any]:
        wanted = json.loads(p["filter"]) if p["filter"] else {}
        found = []
        for (thread_id, ns), known in self.checkpoints.items():
            if thread_id != p["thread_id"] or (p["checkpoint_ns"] is not None and ns != p["checkpoint_ns"]):
                continue
            for key in sorted(known, reverse=True):
                metadata = json.loads(known[key]["metadata"])
                if p["before"] and key >= p["before"] or p["checkpoint_id"] and key != p["checkpoint_id"]:
                    continue
                if all(metadata.get(name) == value for name, value in wanted.items()):
                    found.append(self._shown(known[key]))
        return found[: p["limit"]]

    def checkpoints_delete_thread(self, p: dict[str, Any]) -> None:
        self.checkpoints = {key: value for key, value in self.checkpoints.items() if key[0] != p["thread_id"]}

    def _shown(self, c: dict[str, Any]) -> dict[str, Any]:
        where = (c["thread_id"], c["checkpoint_ns"])
        values = [
            [channel, *self.blobs[*where, channel, at]]
            for channel, at in c["channel_versions"].items()
            if self.blobs.get((*where, channel, at), ("empty",))[0] != "empty"
        ]
        rows = self.writes.get((*where, c["checkpoint_id"]), {})
        ordered = sorted(rows.items(), key=lambda row: (row[1][0], *row[0]))
        keys = ("thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "type", "checkpoint", "metadata")
        return {
            **{key: c[key] for key in keys},
            "channel_values": values,
            "pending_writes": [[task, channel, kind, data] for (task, _), (_, channel, kind, data) in ordered],
        }

    def store_put(self, p: dict[str, Any]) -> None:
        key = (tuple(p["namespace"]), p["key"])
        if p["value"] is None:
            self.items.pop(key, None)
            return
        at = "2026-01-01T00:00:00.000000+00:00"
        self.items[key] = {**{k: p[k] for k in ("namespace", "key", "value")}, "created_at": at, "updated_at": at}

    def store_get(self, p: dict[str, Any]) -> Any:
        return self.items.get((tuple(p["namespace"]), p["key"]))

    def store_search(self, p: dict[str, Any]) -> list[Any]:
        prefix, wanted = tuple(p["namespace_prefix"]), json.loads(p["filter"]) if p["filter"] else {}
        return [
            {**item, "score": None}
            for (namespace, _), item in self.items.items()
            if namespace[: len(prefix)] == prefix and wanted.items() <= json.loads(item["value"]).items()
        ][p["offset"] : p["offset"] + p["limit"]]

    def store_list_namespaces(self, p: dict[str, Any]) -> list[list[str]]:
        prefix = tuple(p["prefix"] or ())
        return [list(key[0]) for key in self.items if key[0][: len(prefix)] == prefix]


class FakeRunner:
    """`async with FakeRunner({...graphs}) as runner`: the host is ready inside, unless `expect_fatal`."""

    def __init__(
        self,
        graphs: dict[str, Any],
        base_dir: Path = HERE,
        search_path: list[str] | None = None,
        env: dict[str, str] | None = None,
        auth: str | None = None,
        serde: dict[str, Any] | None = None,
    ) -> None:
        self.init = {
            "graphs": {
                key: value if isinstance(value, dict) else {"target": value, "description": None}
                for key, value in graphs.items()
            },
            "base_dir": str(base_dir),
            "search_path": search_path or [],
            "server": SERVER,
            "store_index": None,
            "store_ttl": None,
            "serde": serde,
            "auth": None if auth is None else {"path": auth},
        }
        self.env = env or {}
        self.tables = Tables()
        self.logs: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.hello: Any = None
        self.ready: Any = None
        self.auth: Any = None
        self.fatal: Any = None
        self.auto_credit = True
        self.runs: dict[int, RunInFlight] = {}
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self._settled = asyncio.Event()
        self._pong: asyncio.Future[bytes] | None = None

    async def __aenter__(self) -> FakeRunner:
        self._dir = tempfile.TemporaryDirectory()
        path = os.path.join(self._dir.name, "host.sock")
        self._server = await asyncio.start_unix_server(self._connected, path)
        own = {"PYTHONPATH": str(PACKAGE), "LANGOPEN_HOST_SOCKET": path, "LANGOPEN_HOST_TOKEN": "t0"}
        env = {**os.environ, **own, **self.env}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "langopen_host", env=env, cwd=self.init["base_dir"]
        )
        await asyncio.wait_for(self._settled.wait(), 120)
        return self

    async def __aexit__(self, *_: Any) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self._server.close()
        self._dir.cleanup()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        decoder = frames.Decoder()
        while data := await reader.read(1 << 16):
            for kind, stream, payload in decoder.feed(data):
                self._frame(kind, stream, payload)
        writer.close()
        self._settled.set()

    def send(self, kind: int, stream: int, payload: bytes) -> None:
        self._writer.write(frames.HEADER.pack(len(payload) + 5, kind, stream) + payload)

    def _frame(self, kind: int, stream: int, payload: bytes) -> None:
        if kind == frames.HELLO:
            self.hello = json.loads(payload)
            self.send(frames.INIT, 0, json.dumps(self.init).encode())
        elif kind == frames.READY:
            document = self.announced = json.loads(payload)
            self.ready, self.auth = document["graphs"], document["auth"]
            self._settled.set()
        elif kind == frames.FATAL:
            self.fatal = json.loads(payload)
            self._settled.set()
        elif kind == frames.LOG:
            self.logs.append(json.loads(payload))
        elif kind == frames.PONG and self._pong:
            self._pong.set_result(payload)
        elif kind == frames.STATUS:
            self.statuses.append(json.loads(payload))
        elif kind == frames.SPAN:
            self.runs[stream].spans.append(json.loads(payload))
        elif kind == frames.EVENT:
            self._event(self.runs[stream], payload)
        elif kind == frames.DONE:
            self._done(self.runs[stream], payload)
        elif kind == frames.CALL:
            self._serve(stream, ormsgpack.unpackb(payload))
        elif kind in (frames.REPLY, frames.ERROR):
            future = self._replies.pop(stream)
            document = json.loads(payload)
            if kind == frames.REPLY:
                future.set_result(document)
            else:
                future.set_exception(HostError(document["error"], document["message"]))

    def _event(self, run: RunInFlight, payload: bytes) -> None:
        (length,) = struct.unpack_from(">H", payload)
        run.events.append((payload[2 : 2 + length].decode(), json.loads(payload[2 + length :])))
        run.received += len(payload)
        run.first.set()
        run.unpaid += len(payload) + frames.EVENT_COST
        if self.auto_credit and run.unpaid > 1 << 18:
            self.send(frames.CREDIT, run.handle, struct.pack(">I", run.unpaid))
            run.unpaid = 0

    def _done(self, run: RunInFlight, payload: bytes) -> None:
        at, parts = 0, []
        for _ in range(2):
            (length,) = struct.unpack_from(">I", payload, at)
            parts.append(payload[at + 4 : at + 4 + length])
            at += 4 + length
        parts.append(payload[at:])
        run.header, run.values, run.state = (json.loads(part) if part else None for part in parts)
        run.ended.set()

    def _serve(self, call_id: int, call: dict[str, Any]) -> None:
        try:
            result = self.tables.serve(call["method"], call["params"])
        except Exception as error:
            failure = {"error": type(error).__name__, "message": str(error)}
            self.send(frames.ERROR, call_id, ormsgpack.packb(failure))
            return
        self.send(frames.REPLY, call_id, ormsgpack.packb(result))

    async def ping(self) -> bytes:
        self._pong = asyncio.get_running_loop().create_future()
        self.send(frames.PING, 0, b"12345678")
        return await asyncio.wait_for(self._pong, 5)

    async def call(self, method: str, /, **params: Any) -> Any:
        self._last += 1
        future = self._replies[self._last] = asyncio.get_running_loop().create_future()
        self.send(frames.CALL, self._last, json.dumps({"method": method, "params": params}).encode())
        return await asyncio.wait_for(future, 60)

    def start(self, graph_id: str, thread_id: str | None = None, **given: Any) -> RunInFlight:
        """Starts a run.

        `given` has kwargs of the run, and `attempt`, `run_id`, `temporary`, `fresh_thread`, `trace`, `configurable`.
        """
        self._last += 1
        run = self.runs[self._last] = RunInFlight(self._last)
        temporary = given.pop("temporary", thread_id is None)
        thread_id = thread_id or str(uuid.uuid4())
        run_id = given.pop("run_id", None) or str(uuid.uuid4())
        config = given.pop("config", {})
        top = {key: given.pop(key) for key in ("attempt", "fresh_thread", "trace") if key in given}
        assistant_id = str(uuid.uuid4())
        configurable = {
            **config.get("configurable", {}),
            **given.pop("configurable", {}),
            "run_id": run_id,
            "thread_id": thread_id,
            "graph_id": graph_id,
            "assistant_id": assistant_id,
            "user_id": "",
            "langgraph_auth_user_id": "",
            "langgraph_request_id": "r1",
            "__after_seconds__": 0,
        }
        kwargs = {
            "input": None,
            "command": None,
            "config": {
                **config,
                "configurable": configurable,
                "metadata": {"created_by": "system", "graph_id": graph_id, "assistant_id": assistant_id},
            },
            "context": {},
            "stream_mode": ["values"],
            "interrupt_before": None,
            "interrupt_after": None,
            "subgraphs": False,
            "durability": "async",
            **given,
        }
        spec = {
            "run_id": run_id, "thread_id": thread_id, "graph_id": graph_id, "assistant_id": assistant_id, "attempt": 1,
            "temporary": temporary, **top, "kwargs": kwargs,
        }  # fmt: skip
        self.send(frames.RUN, run.handle, json.dumps(spec).encode())
        return run

    def begin(self, document: str) -> RunInFlight:
        """Starts a run with a RUN document as it is."""
        self._last += 1
        run = self.runs[self._last] = RunInFlight(self._last)
        self.send(frames.RUN, run.handle, document.encode())
        return run

    async def finish(self, run: RunInFlight) -> RunInFlight:
        await asyncio.wait_for(run.ended.wait(), 60)
        return run

    async def run(self, graph_id: str, thread_id: str | None = None, **given: Any) -> RunInFlight:
        return await self.finish(self.start(graph_id, thread_id, **given))

    def cancel(self, run: RunInFlight) -> None:
        self.send(frames.CANCEL, run.handle, json.dumps({"action": "interrupt", "reason": "test"}).encode())


class HostError(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
