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
from mapreduce.exchange import Input, OutputLocation, Target, TaskResult
from mapreduce.failures import FailureReport
from mapreduce.model import FRAMES, FileResult

MAX_FRAME_BYTES = 64 << 20
_LENGTH = struct.Struct(">I")

Totals = dict[str, dict[str, int]]
Size = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 16) - 1)]
"""Of an output, of a codec: what the wire and the files have room for."""


class TaskFile(msgspec.Struct, frozen=True, kw_only=True):
    """A FileResult as a task says it, within bounds."""

    path: str
    file_id: Size
    length: Size
    crc32c: Size
    output: Number = 0
    records: Size = 0

    def result(self) -> FileResult:
        return FileResult(
            path=self.path,
            file_id=self.file_id,
            length=self.length,
            crc32c=self.crc32c & 0xFFFFFFFF,
            output=self.output,
            records=self.records,
        )


# ── worker → task ─────────────────────────────────────────────────────────────────────────────────


class TaskOrder(msgspec.Struct, frozen=True, tag="order", kw_only=True):
    """The first message. Directories exist; `spec` and `split` are what the planner made."""

    attempt_id: str
    job_id: str
    worker_id: str
    user: str = ""  # as whom the task reads and writes
    stage: int
    index: int
    spec: bytes
    split: bytes = b""
    split_tag: int = 0
    partitions: int = 0
    targets: list[Target] = []
    inputs: list[Input] = []
    known: list[OutputLocation] = []
    results: list[TaskResult] = []
    extensions: int = 0
    filesystem: str  # URI of the storage that paths of the job belong to
    code_directory: str  # where code archives of all jobs are kept
    work_directory: str  # this attempt's own
    output_directory: str  # this attempt's own: what it makes for others


class Locations(msgspec.Struct, frozen=True, tag="locations"):
    locations: list[OutputLocation]


class CommitVerdict(msgspec.Struct, frozen=True, tag="commit_verdict"):
    granted: bool
    reason: str = ""


# ── task → worker ─────────────────────────────────────────────────────────────────────────────────


class Progressed(msgspec.Struct, frozen=True, tag="progressed"):
    fraction: float
    phase: str
    status: str = ""
    counters: Totals = {}


class Made(msgspec.Struct, frozen=True, tag="made"):
    """The attempt has ended well and commits nothing."""

    segment_bytes: list[Size] = []
    segment_records: list[Size] = []
    counters: Totals = {}
    codec: Number = FRAMES
    fingerprint: str = ""
    result: bytes = b""


class MayCommit(msgspec.Struct, frozen=True, tag="may_commit"):
    """The attempt's private files are closed."""

    files: list[TaskFile]
    counters: Totals = {}
    result: bytes = b""


class Failing(msgspec.Struct, frozen=True, tag="failing"):
    report: FailureReport
    killed: bool = False


class FetchFailing(msgspec.Struct, frozen=True, tag="fetch_failing"):
    sources: list[str]  # attempts
    reason: str


ToTask = TaskOrder | Locations | CommitVerdict
FromTask = Progressed | Made | MayCommit | Failing | FetchFailing

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
