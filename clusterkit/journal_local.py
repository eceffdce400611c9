"""The journal of one machine: segment files of chained, checksummed records below one directory.

A segment `edits_FIRSTTXID` opens with a header (magic, format version, first txid, checksum of the record before it); each record is
`length crc32c | txid epoch previous-crc payload`, and the chain of previous checksums finds a missing or swapped record that a checksum of
one record alone cannot. A new segment is fsynced, then its directory, before anything is appended to it.

Reading back: a bad record with nothing valid behind it is the torn tail of a crash and is cut off; one with valid records behind it, or any
damage in an older segment, is corruption and is refused with the txid range, because cutting there would drop acknowledged edits.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crc32c import crc32c

from clusterkit.durable_file import fsync_directory, make_directory
from clusterkit.errors import CorruptRecord, Fenced
from clusterkit.journal import JournalRecord

MAGIC = b"mrcjrnl\x01"
VERSION = 1
SEGMENT_BYTES = 64 << 20
MAX_RECORD_BYTES = 1 << 30
"""A larger record is refused before a byte of it is written: what could not be read back must never be acknowledged."""
_HEADER = struct.Struct(">8sIQII")  # magic, version, first txid, crc of the record before, crc of these
_FRAME = struct.Struct(">II")  # length of what follows, its crc32c
_BODY = struct.Struct(">QQI")  # txid, epoch, crc of the previous record
_LOOKAHEAD_TXIDS = 1 << 24


@dataclass(slots=True)
class _Segment:
    path: Path
    first_txid: int


class LocalJournal:
    """See `clusterkit.journal.Journal`. One process at a time: its data directory is locked by `clusterkit.service.DataDirectory`."""

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Opens (or begins) the journal and cuts a torn tail. Raises CorruptRecord."""
        self._directory = Path(directory)
        make_directory(self._directory)
        self._segment_bytes = segment_bytes
        self._last_txid, self._last_epoch, self._last_crc = 0, 0, 0
        self._failed = False
        self.torn_bytes = 0  # what opening cut off: said in the log
        for stale in self._directory.glob("*.new"):
            stale.unlink()
        self._segments = sorted((_Segment(p, int(p.name[6:])) for p in self._directory.glob("edits_*")), key=lambda s: s.first_txid)
        self._scan()
        if self._segments:
            self._fd = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._fd).st_size
            # A process that died between a write and its fsync left records that are only in the page cache. Whoever replays them builds
            # on them (a store takes them, answers tell of them), so they are made durable first, and so is the segment's name.
            os.fsync(self._fd)
            fsync_directory(self._directory)
        else:
            self._begin_segment()

    def last_txid(self) -> int:
        return self._last_txid

    def first_txid(self) -> int:
        """The oldest txid that can still be read: a store that ends before it cannot be brought up to date from here."""
        return self._segments[0].first_txid

    def read(self, after_txid: int = 0) -> Iterator[JournalRecord]:
        for index, segment in enumerate(self._segments):
            following = self._segments[index + 1].first_txid if index + 1 < len(self._segments) else None
            if following is not None and following <= after_txid + 1:
                continue
            data = segment.path.read_bytes()
            offset = _HEADER.size
            previous = _header_crc_before(segment.path, data, segment.first_txid)
            while offset < len(data):
                found = _record_at(data, offset)
                if found is None or found[1] != previous:
                    raise CorruptRecord(f"{segment.path} changed under its reader at byte {offset}")
                record, _, previous, offset = found
                if record.txid > after_txid:
                    yield record

    def append(self, records: Sequence[JournalRecord]) -> None:
        self._check_usable()
        parts: list[bytes] = []
        txid, epoch, crc = self._last_txid, self._last_epoch, self._last_crc
        for record in records:
            if record.txid != txid + 1:
                raise ValueError(f"journal got txid {record.txid} after {txid}")
            if record.epoch < epoch:
                raise Fenced(f"journal holds epoch {epoch}; an append with epoch {record.epoch} is refused")
            if len(record.payload) > MAX_RECORD_BYTES - _BODY.size:
                raise ValueError(f"journal got a record of {len(record.payload)} bytes, which it could not read back")
            body = _BODY.pack(record.txid, record.epoch, crc) + record.payload
            txid, epoch, crc = record.txid, record.epoch, crc32c(body)
            parts += (_FRAME.pack(len(body), crc), body)
        if not parts:
            return
        if self._size >= self._segment_bytes:
            self.sync()
            self._begin_segment()
        self._write(b"".join(parts))
        self._last_txid, self._last_epoch, self._last_crc = txid, epoch, crc

    def sync(self) -> None:
        self._check_usable()
        try:
            os.fdatasync(self._fd)
        except OSError:
            self._failed = True
            raise

    def forget(self, up_to_txid: int) -> None:
        while len(self._segments) > 1 and self._segments[1].first_txid <= up_to_txid + 1:
            self._segments.pop(0).path.unlink()
            fsync_directory(self._directory)  # one by one: a power cut that brought back an older one without a newer would leave a gap

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _check_usable(self) -> None:
        if self._failed:
            raise OSError("the journal failed earlier and cannot be trusted; restart this process")

    def _write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self._failed = True
            raise
        self._size += len(data)

    def _begin_segment(self) -> None:
        first = self._last_txid + 1
        path = self._directory / f"edits_{first:020d}"
        beside = path.with_suffix(".new")
        head = _HEADER.pack(MAGIC, VERSION, first, self._last_crc, 0)[:-4]
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(fd, head + struct.pack(">I", crc32c(head)))
        os.fsync(fd)
        beside.rename(path)
        fsync_directory(self._directory)
        if self._segments:
            os.close(self._fd)
        self._fd, self._size = fd, _HEADER.size
        self._segments.append(_Segment(path, first))

    def _scan(self) -> None:
        """Checks every segment and the chain between them; leaves the last txid, epoch and checksum."""
        for index, segment in enumerate(self._segments):
            data = segment.path.read_bytes()
            before = _header_crc_before(segment.path, data, segment.first_txid)
            if index == 0:
                self._last_txid, self._last_crc = segment.first_txid - 1, before
            elif segment.first_txid != self._last_txid + 1 or before != self._last_crc:
                raise CorruptRecord(
                    f"edit log corrupt: txids {self._last_txid + 1} to {segment.first_txid - 1} are missing before {segment.path}",
                    next_command=f"ls -la {self._directory}",
                )
            self._scan_records(segment, data, is_last=index + 1 == len(self._segments))

    def _scan_records(self, segment: _Segment, data: bytes, is_last: bool) -> None:
        offset = _HEADER.size
        while offset < len(data):
            found = _record_at(data, offset)
            if found is None or found[1] != self._last_crc or found[0].txid != self._last_txid + 1:
                self._judge_tail(segment, data, offset, is_last)
                return
            record, _, self._last_crc, offset = found
            self._last_txid, self._last_epoch = record.txid, record.epoch

    def _judge_tail(self, segment: _Segment, data: bytes, offset: int, is_last: bool) -> None:
        later = _valid_txid_after(data, offset + 1, self._last_txid)
        if later is not None or not is_last:
            upto = "the end of this segment" if later is None else f"txid {later - 1}"
            raise CorruptRecord(
                f"edit log corrupt: {segment.path} is damaged at byte {offset} (txid {self._last_txid + 1} to {upto}) "
                "and valid records follow",
                next_command="restore the file from a copy of this data directory",
            )
        self.torn_bytes = len(data) - offset
        fd = os.open(segment.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, offset)
            os.fsync(fd)
        finally:
            os.close(fd)


def _header_crc_before(path: Path, data: bytes, first_txid: int) -> int:
    if len(data) < _HEADER.size:
        raise CorruptRecord(f"edit log corrupt: {path} has {len(data)} bytes, less than a header")
    magic, version, first, before, crc = _HEADER.unpack_from(data)
    if magic != MAGIC or crc != crc32c(data[: _HEADER.size - 4]) or first != first_txid:
        raise CorruptRecord(f"edit log corrupt: the header of {path} is damaged")
    if version > VERSION:
        raise CorruptRecord(f"{path} has journal format {version}; this version reads {VERSION}")
    return int(before)


def _record_at(data: bytes, offset: int) -> tuple[JournalRecord, int, int, int] | None:
    """(record, crc it says the previous one has, its own crc, offset behind it), or None when no valid record starts here."""
    if offset + _FRAME.size > len(data):
        return None
    length, crc = _FRAME.unpack_from(data, offset)
    start, end = offset + _FRAME.size, offset + _FRAME.size + length
    if not _BODY.size <= length <= MAX_RECORD_BYTES or end > len(data):
        return None
    body = memoryview(data)[start:end]
    if crc32c(body) != crc:
        return None
    txid, epoch, previous = _BODY.unpack_from(body)
    return JournalRecord(txid, epoch, bytes(body[_BODY.size :])), previous, crc, end


def _valid_txid_after(data: bytes, offset: int, last_txid: int) -> int | None:
    """The txid of the first valid record that starts at or behind `offset`."""
    for start in range(offset, len(data) - _FRAME.size - _BODY.size + 1):
        length, _ = _FRAME.unpack_from(data, start)
        if _BODY.size <= length <= len(data) - start - _FRAME.size:
            (txid,) = struct.unpack_from(">Q", data, start + _FRAME.size)
            if last_txid < txid <= last_txid + _LOOKAHEAD_TXIDS and _record_at(data, start) is not None:
                return int(txid)
    return None
