"""Frames on the wire: `u32 length, u8 kind, u32 stream, payload`, big-endian.

The runner's README lists the kinds.
"""

from __future__ import annotations

import struct

HELLO = 0x01
INIT = 0x02
READY = 0x03
FATAL = 0x04
PING = 0x05
PONG = 0x06
LOG = 0x07
SHUTDOWN = 0x08
STATUS = 0x09
RUN = 0x10
EVENT = 0x11
DONE = 0x12
CANCEL = 0x13
CREDIT = 0x14
SPAN = 0x15
CALL = 0x20
REPLY = 0x21
ERROR = 0x22
HTTP_REQUEST = 0x30
HTTP_RESPONSE = 0x31
HTTP_BODY = 0x32
HTTP_END = 0x33
HTTP_CREDIT = 0x34
HTTP_ABORT = 0x35

HEADER = struct.Struct(">IBI")
LENGTH = struct.Struct(">I")
NAME_LENGTH = struct.Struct(">H")
MAX_LENGTH = 512 * 1024 * 1024
# The length field counts the kind and the stream beside the payload.
OVERHEAD = 5
# What an event costs of its run's credit, beside the bytes of its payload: the runner's memory for one more frame.
EVENT_COST = 128


def event_payload(name: bytes, data: bytes) -> bytes:
    """The payload of an EVENT frame: `u16 name length, name, data as JSON text`."""
    return NAME_LENGTH.pack(len(name)) + name + data


def done_payload(header: bytes, values: bytes, state: bytes) -> bytes:
    """The payload of a DONE frame: length-prefixed header, length-prefixed values, the rest of the state."""
    return b"".join((LENGTH.pack(len(header)), header, LENGTH.pack(len(values)), values, state))


class Decoder:
    """Cuts a stream of bytes into `(kind, stream, payload)` frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Adds bytes and returns the frames that they complete. Raises `ValueError` on an impossible length."""
        if self._buffer:
            data = self._join(data)
            if data is None:
                return []
        frames = []
        at, end = 0, len(data)
        while end - at >= HEADER.size:
            length, kind, stream = HEADER.unpack_from(data, at)
            if length < OVERHEAD or length > MAX_LENGTH:
                raise ValueError(f"a frame of {length} bytes")
            stop = at + 4 + length
            if stop > end:
                break
            frames.append((kind, stream, bytes(data[at + HEADER.size : stop])))
            at = stop
        self._buffer = bytearray(data[at:]) if at < end else b""
        return frames

    def _join(self, data: bytes) -> bytes | bytearray | None:
        """The pending bytes with `data` appended, or None while their first frame is incomplete."""
        buffer = self._buffer
        buffer += data
        if len(buffer) < HEADER.size or len(buffer) - 4 < LENGTH.unpack_from(buffer)[0] <= MAX_LENGTH:
            return None
        self._buffer = b""
        return buffer
