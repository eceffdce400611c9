"""What a worker and its task processes say to each other: small JSON documents, each behind its
length, over a socket pair.

The worker believes nothing of it: a task runs a user's code, which may write to any descriptor it
finds. What does not decode, or is larger than MAX_FRAME_BYTES, ends the task. Knows no socket:
`Frames` turns bytes into messages, `encode` messages into bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from clusterkit.errors import CorruptRecord
from mapreduce.failures import FailureReport
from mapreduce.worker.core.events import MapLocation

MAX_FRAME_BYTES = 64 << 20
_LENGTH = struct.Struct(">I")

Totals = dict[str, dict[str, int]]
Size = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


# ── worker → task ─────────────────────────────────────────────────────────────────────────────────


class TaskOrder(msgspec.Struct, frozen=True, tag="order", kw_only=True):
    """The first message. Directories exist; `spec` and `split` are the job's own JSON."""

    attempt_id: str
    job_id: str
    worker_id: str
    kind: str  # map | reduce
    index: int
    maps: int = 0
    spec: msgspec.Raw
    split: msgspec.Raw = msgspec.Raw(b"null")
    filesystem: str  # URI of the storage that paths of the job belong to
    code_directory: str  # where code archives of all jobs are kept
    work_directory: str  # this attempt's own
    output_directory: str  # this attempt's own: a map's output
    known: list[MapLocation] = []


class Locations(msgspec.Struct, frozen=True, tag="locations"):
    locations: list[MapLocation]


class CommitVerdict(msgspec.Struct, frozen=True, tag="commit_verdict"):
    granted: bool
    reason: str = ""


# ── task → worker ─────────────────────────────────────────────────────────────────────────────────


class Progressed(msgspec.Struct, frozen=True, tag="progressed"):
    fraction: float
    phase: str
    status: str = ""
    counters: Totals = {}


class MapMade(msgspec.Struct, frozen=True, tag="map_made"):
    segment_bytes: list[Size]
    segment_records: list[Size]
    counters: Totals = {}


class MayCommit(msgspec.Struct, frozen=True, tag="may_commit"):
    """The attempt's private file is closed."""

    path: str
    file_id: Size
    length: Size
    crc32c: Size
    counters: Totals = {}


class Failing(msgspec.Struct, frozen=True, tag="failing"):
    report: FailureReport
    killed: bool = False


class FetchFailing(msgspec.Struct, frozen=True, tag="fetch_failing"):
    map_attempt_ids: list[str]
    reason: str


ToTask = TaskOrder | Locations | CommitVerdict
FromTask = Progressed | MapMade | MayCommit | Failing | FetchFailing

_encoder = msgspec.json.Encoder()
_to_task = msgspec.json.Decoder(ToTask)
_from_task = msgspec.json.Decoder(FromTask)


def encode(message: msgspec.Struct) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def decode_to_task(body: bytes) -> ToTask:
    """Raises CorruptRecord."""
    message: ToTask = _decode(_to_task, body)
    return message


def decode_from_task(body: bytes) -> FromTask:
    """Raises CorruptRecord."""
    message: FromTask = _decode(_from_task, body)
    return message


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptRecord(
            f"a message between worker and task does not decode: {error}"
        ) from error


class Frames:
    """Bytes as they come in, message bodies as they are complete."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises CorruptRecord when a frame says that it is too large."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self._limit:
                raise CorruptRecord(f"a frame of {length} bytes exceeds {self._limit}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield body
