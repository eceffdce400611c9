"""The framing of Hadoop's RPC: frames with a big-endian length in front, messages with a varint in
front."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from google.protobuf.message import Message

from clusterkit.errors import ClusterError

MAX_FRAME_BYTES = 128 << 20
"""Hadoop's `ipc.maximum.data.length`, for answers; what a server takes is bounded more narrowly, by
method."""
_LENGTH = struct.Struct(">I")


class MalformedRpc(ClusterError):
    """The peer does not speak Hadoop RPC 9, or not correctly. `farewell` is what a server says
    before it closes."""

    code = "MALFORMED_RPC"

    def __init__(self, message: str, farewell: bytes = b"") -> None:
        super().__init__(message)
        self.farewell = farewell


@dataclass(slots=True)
class Frames:
    """Cuts length-prefixed frames out of a byte stream. Keeps what came, never room for what is
    only announced."""

    limit_bytes: int
    buffer: bytearray

    def waiting(self) -> bool:
        """A whole frame is there. Raises MalformedRpc as soon as a length prefix is beyond the
        limit."""
        buffer = self.buffer
        if len(buffer) < 4:
            return False
        return len(buffer) - 4 >= self.announced()

    def announced(self) -> int:
        (length,) = _LENGTH.unpack_from(self.buffer)
        if length > self.limit_bytes:
            raise MalformedRpc(f"a frame of {length} bytes is over the limit of {self.limit_bytes}")
        return int(length)

    def take(self) -> bytes:
        """The frame that is `waiting`."""
        end = 4 + self.announced()
        frame = bytes(memoryview(self.buffer)[4:end])
        del self.buffer[:end]
        return frame


def framed(*messages: Message) -> bytes:
    parts = [b""]
    for message in messages:
        body = message.SerializeToString()
        parts += (_varint(len(body)), body)
    parts[0] = _LENGTH.pack(sum(map(len, parts)))
    return b"".join(parts)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _SMALL_VARINTS[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL_VARINTS = [bytes((value,)) for value in range(0x80)]


def delimited(data: bytes, at: int, limit: int = MAX_FRAME_BYTES) -> tuple[bytes, int]:
    """The varint-delimited message at `at` and where the next one begins. Raises ValueError."""
    length, shift = 0, 0
    while True:
        if at >= len(data) or shift > 28:
            raise ValueError("a length is cut off or too long")
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    end = at + length
    if length > limit:
        raise ValueError(f"a header of {length} bytes is over the limit of {limit}")
    if end > len(data):
        raise ValueError(f"a message of {length} bytes in a frame with {len(data) - at} left")
    return data[at:end], end
