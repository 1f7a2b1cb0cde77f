"""Messages in content blocks: `message-start`, then each block's start, deltas and finish, then `message-finish`."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message

# The block types whose content is a growing text.
_TEXTS = frozenset({"text", "reasoning"})
_ROLES = {"human": "human", "system": "system"}


class Assembly:
    """Makes content blocks of token chunks, which models stream in a langgraph that knows no content blocks."""

    def __init__(self) -> None:
        self._known: dict[str, BaseMessageChunk] = {}

    def add(self, chunk: BaseMessageChunk) -> list[dict[str, Any]]:
        key = chunk.id or ""
        pieces: list[dict[str, Any]] = []
        before = self._known.get(key)
        if before is None:
            empty = {"type": "text", "text": ""}
            pieces += [_start(chunk), {"event": "content-block-start", "index": 0, "content": empty}]
        self._known[key] = chunk if before is None else before + chunk  # type: ignore[assignment]
        if text := _text(chunk):
            pieces.append({"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": text}})
        if getattr(chunk, "chunk_position", None) == "last":
            pieces += self._end(key)
        return pieces

    def close(self) -> list[dict[str, Any]]:
        """Finishes the messages whose last chunk did not say so."""
        return [piece for key in list(self._known) for piece in self._end(key)]

    def _end(self, key: str) -> list[dict[str, Any]]:
        message = message_chunk_to_message(self._known.pop(key))
        pieces = [{"event": "content-block-finish", "index": 0, "content": {"type": "text", "text": _text(message)}}]
        calls = [block for block in _blocks(message) if block.get("type") not in _TEXTS]
        for index, block in enumerate(calls, start=1):
            pieces.append({"event": "content-block-start", "index": index, "content": _empty(block)})
            pieces.append({"event": "content-block-finish", "index": index, "content": block})
        return [*pieces, _finish(message)]


def _start(message: BaseMessage) -> dict[str, Any]:
    return {"event": "message-start", "role": _ROLES.get(message.type, "ai"), "id": message.id}


def _finish(message: BaseMessage) -> dict[str, Any]:
    piece: dict[str, Any] = {"event": "message-finish"}
    if usage := getattr(message, "usage_metadata", None):
        piece["usage"] = usage
    if message.response_metadata:
        piece["metadata"] = message.response_metadata
    return piece


def _blocks(message: BaseMessage) -> list[dict[str, Any]]:
    """The message's content blocks, as langchain derives them if it can. An empty text is no block."""
    blocks = getattr(message, "content_blocks", None)
    if blocks is None:
        text = _text(message)
        calls = [{"type": "tool_call", **call} for call in getattr(message, "tool_calls", None) or []]
        blocks = [*([{"type": "text", "text": text}] if text else []), *calls]
    return [block for block in blocks if not (block.get("type") == "text" and not block.get("text"))]


def _text(message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    parts = (part if isinstance(part, str) else part.get("text") or "" for part in message.content)
    return "".join(parts)


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    """A block as it begins."""
    kind = block.get("type")
    if kind == "tool_call":
        return {"type": kind, "id": block.get("id"), "name": block.get("name"), "args": {}}
    return block
