"""The shuffle's two messages. A connection carries one request after another; each is answered
before the next is read.

    request   magic, length of the job's id, length of the attempt's id, partition; the two ids
    reply     magic, status, codec, length, crc32c of the segment; then `length` bytes: the segment,
              or why there is none

Ids are names in a table on the server's side, never parts of a path.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from clusterkit.errors import CorruptRecord
from mapreduce.model import FRAMES

MAGIC = b"MRS2"
OK, NOT_HERE, REFUSED = 0, 1, 2
MAX_NAME_BYTES = 200
MAX_REASON_BYTES = 4_096
REQUEST_HEAD = struct.Struct(">4sHHI")
REPLY_HEAD = struct.Struct(">4sBHQI")


class SegmentRequest(NamedTuple):
    job_id: str
    attempt_id: str
    partition: int


class ReplyHead(NamedTuple):
    status: int
    length: int
    crc32c: int
    codec: int = FRAMES


def encode_request(request: SegmentRequest) -> bytes:
    job_id, attempt_id = request.job_id.encode(), request.attempt_id.encode()
    return (
        REQUEST_HEAD.pack(MAGIC, len(job_id), len(attempt_id), request.partition)
        + job_id
        + attempt_id
    )


def name_lengths(head: bytes) -> tuple[int, int, int]:
    """Of a request's head: the lengths of the two names, and the partition. Raises
    CorruptRecord."""
    magic, job_length, attempt_length, partition = REQUEST_HEAD.unpack(head)
    if (
        magic != MAGIC
        or not 0 < job_length <= MAX_NAME_BYTES
        or not 0 < attempt_length <= MAX_NAME_BYTES
    ):
        raise CorruptRecord("not a shuffle request")
    return job_length, attempt_length, partition


def encode_reply(head: ReplyHead) -> bytes:
    return REPLY_HEAD.pack(MAGIC, head.status, head.codec, head.length, head.crc32c)


def decode_reply(data: bytes | bytearray | memoryview) -> ReplyHead:
    """Raises CorruptRecord."""
    magic, status, codec, length, crc = REPLY_HEAD.unpack(data)
    if magic != MAGIC or status > REFUSED or (status != OK and length > MAX_REASON_BYTES):
        raise CorruptRecord("not a shuffle reply")
    return ReplyHead(status, length, crc, codec)
