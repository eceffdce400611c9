"""The bytes of a local journal: segment headers, marked and chained records, and what can still be
believed behind damage.

A record is `mark length crc32c | txid epoch previous-crc committed flags payload`. `mark` is eight
random bytes of this journal, made when it was begun: a payload is what a client sent, and no client
knows them, so nothing inside a payload is ever taken for a record. `committed` is the last txid
that was durable when the record was written: behind damage it tells what had been acknowledged
before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from crc32c import crc32c

from clusterkit.errors import CorruptRecord
from clusterkit.journal import JournalRecord

_NAME = b"mrcjrnl"
VERSION = 3
MAGIC = _NAME + bytes([VERSION])
MARK_BYTES = 8
FIRST_OF_A_WRITE = 1  # flag: the records behind it, up to the next such, came in one write
MAX_RECORD_BYTES = 1 << 30
"""A larger record is refused before a byte of it is written: what could not be read back must never
be acknowledged."""
_HEADER = struct.Struct(
    ">8sI8sQIQI"
)  # magic, version, mark, first txid, crc and epoch of the record before, crc of these
_FRAME = struct.Struct(">8sII")  # mark, length of what follows, its crc32c
_BODY = struct.Struct(">QQIQB")  # txid, epoch, crc of the previous record, committed, flags
HEADER_BYTES = _HEADER.size


class Header(NamedTuple):
    mark: bytes
    first_txid: int
    previous_crc: int
    previous_epoch: int

    def encode(self) -> bytes:
        head = _HEADER.pack(MAGIC, VERSION, *self, 0)[:-4]
        return head + struct.pack(">I", crc32c(head))


class Found(NamedTuple):
    """A record in a file. `previous` is the checksum it says the record before it has, `end` the
    offset behind it."""

    record: JournalRecord
    crc: int
    previous: int
    committed: int
    end: int


def read_header(path: Path, data: bytes, first_txid: int) -> Header | None:
    """None when it is damaged. Raises CorruptRecord for an intact header of another format."""
    if data[:7] == _NAME and data[7:8] != MAGIC[7:]:
        raise CorruptRecord(
            f"{path} has journal format {int.from_bytes(data[7:8])}; this version reads {VERSION}"
        )
    if len(data) < _HEADER.size:
        return None
    magic, version, mark, first, previous_crc, previous_epoch, crc = _HEADER.unpack_from(data)
    if magic != MAGIC or crc != crc32c(data[: _HEADER.size - 4]) or first != first_txid:
        return None
    if version != VERSION:
        raise CorruptRecord(f"{path} has journal format {version}; this version reads {VERSION}")
    return Header(mark, first, previous_crc, previous_epoch)


def encode_record(
    mark: bytes, record: JournalRecord, previous_crc: int, committed: int, flags: int
) -> tuple[bytes, bytes, int]:
    """(frame, body, checksum). Raises ValueError for a record that could not be read back."""
    if len(record.payload) > MAX_RECORD_BYTES - _BODY.size:
        raise ValueError(
            f"journal got a record of {len(record.payload)} bytes, which it could not read back"
        )
    body = _BODY.pack(record.txid, record.epoch, previous_crc, committed, flags) + record.payload
    crc = crc32c(body)
    return _FRAME.pack(mark, len(body), crc), body, crc


def record_at(data: bytes, offset: int, mark: bytes, limit: int | None = None) -> Found | None:
    """The valid record that starts at `offset` and ends at or before `limit`, whatever its txid and
    its place in the chain."""
    limit = len(data) if limit is None else limit
    if offset + _FRAME.size > limit:
        return None
    marked, length, crc = _FRAME.unpack_from(data, offset)
    start, end = offset + _FRAME.size, offset + _FRAME.size + length
    if marked != mark or not _BODY.size <= length <= MAX_RECORD_BYTES or end > limit:
        return None
    body = memoryview(data)[start:end]
    if crc32c(body) != crc:
        return None
    txid, epoch, previous, committed, _flags = _BODY.unpack_from(body)
    return Found(
        JournalRecord(txid, epoch, bytes(body[_BODY.size :])), crc, previous, committed, end
    )


def records_behind(data: bytes, offset: int, mark: bytes) -> Iterator[Found]:
    """Every valid record that starts at or behind `offset`, in order. One pass: no byte is
    checksummed twice, because a record ends before the next mark."""
    at = data.find(mark, offset)
    while at >= 0:
        following = data.find(mark, at + MARK_BYTES)
        found = record_at(data, at, mark, following if following >= 0 else None)
        if found is not None:
            yield found
        at = following
