"""What the processes of a local job tell each other: JSON behind a length. Nothing is unpickled."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from mapreduce.plan.manifest import Part
from mapreduce.plan.spec import FailureReport

_LENGTH = struct.Struct("<I")


class Progressed(msgspec.Struct, frozen=True, tag=True):
    fraction: float


class Finished(msgspec.Struct, frozen=True, tag=True):
    counters: dict[str, dict[str, int]]
    part: Part | None = None


class Failed(msgspec.Struct, frozen=True, tag=True):
    report: FailureReport


class StatusNow(msgspec.Struct, frozen=True, tag=True):
    status: dict[str, Any]


Message = Progressed | Finished | Failed | StatusNow
_decoder = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    body = msgspec.json.encode(message)
    return _LENGTH.pack(len(body)) + body


class Inbox:
    """Bytes in, whole messages out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        self._held += data
        messages = []
        while len(self._held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held)
            if len(self._held) < _LENGTH.size + length:
                break
            messages.append(_decoder.decode(bytes(self._held[_LENGTH.size : _LENGTH.size + length])))
            del self._held[: _LENGTH.size + length]
        return messages
