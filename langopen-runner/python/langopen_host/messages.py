"""Message events: `messages` (a chunk and its metadata) and the older `messages/metadata|partial|complete`."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message

from langopen_host.serialize import dumps

Event = tuple[bytes, bytes]


class Tuples:
    """`messages` events: `[message, metadata]`. The chunks of a model call share one metadata dict, encoded once."""

    def __init__(self) -> None:
        self._metadata: dict[str, Any] | None = None
        self._encoded = b""

    def data(self, payload: tuple[Any, dict[str, Any]]) -> bytes:
        message, metadata = payload
        if metadata is not self._metadata:
            self._metadata, self._encoded = metadata, dumps(metadata)
        return b"[%b,%b]" % (dumps(message), self._encoded)


class Accumulator:
    """The older events: each holds the message so far. A message's metadata precedes it, once."""

    def __init__(self) -> None:
        self._known: dict[str, BaseMessage] = {}

    def events(self, payload: tuple[BaseMessage, dict[str, Any]]) -> list[Event]:
        message, metadata = payload
        key = message.id or ""
        events: list[Event] = []
        before = self._known.get(key)
        if before is None:
            events.append((b"messages/metadata", dumps({key: {"metadata": metadata}})))
        if not isinstance(message, BaseMessageChunk):
            self._known[key] = message
            events.append((b"messages/complete", dumps([message])))
            return events
        whole = before + message if isinstance(before, BaseMessageChunk) else message
        self._known[key] = whole
        events.append((b"messages/partial", dumps([message_chunk_to_message(whole)])))
        return events
