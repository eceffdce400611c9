"""What the processes of a local job tell each other: JSON behind a length. Nothing is unpickled."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import msgspec

from mapreduce.failures import FailureReport
from mapreduce.plan.spec import JobSpec
from mapreduce.storage.manifest import Part

_LENGTH = struct.Struct("<I")


class LocalOrder(msgspec.Struct, frozen=True, tag=True):
    """The job that a conductor is to run: the first message."""

    job_id: str
    spec: JobSpec
    output_uri: str
    code: str  # the job's own directory
    source_uri: str
    target_uri: str
    slots: int
    work: str  # where map outputs go; "": the system's temporary directory


class Progressed(msgspec.Struct, frozen=True, tag=True):
    fraction: float


class Finished(msgspec.Struct, frozen=True, tag=True):
    counters: dict[str, dict[str, int]]
    part: Part | None = None
    code: dict[str, tuple[int, int]] = {}  # versions of the job's files that it ran


class Failed(msgspec.Struct, frozen=True, tag=True):
    report: FailureReport


class StatusNow(msgspec.Struct, frozen=True, tag=True):
    status: dict[str, Any]


Message = LocalOrder | Progressed | Finished | Failed | StatusNow
_decoder = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    try:
        body = msgspec.json.encode(message)
    except UnicodeEncodeError:  # a file's name that is no UTF-8: its surrogates travel as escapes
        body = json.dumps(msgspec.to_builtins(message)).encode()
    return _LENGTH.pack(len(body)) + body


def _decoded(body: bytes) -> Message:
    try:
        message: Message = _decoder.decode(body)
    except msgspec.DecodeError:
        message = msgspec.convert(json.loads(body), type=Message)
    return message


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
            messages.append(_decoded(bytes(self._held[_LENGTH.size : _LENGTH.size + length])))
            del self._held[: _LENGTH.size + length]
        return messages


def receive_order(channel: socket.socket) -> LocalOrder | None:
    """None when the caller has gone first."""
    inbox = Inbox()
    while data := channel.recv(1 << 20):
        for message in inbox.feed(data):
            assert isinstance(message, LocalOrder)
            return message
    return None
