"""The journal of one machine: segment files of marked, chained, checksummed records below one
directory.

A segment `edits_FIRSTTXID` opens with a header (the journal's mark, first txid, checksum and epoch
of the record before it); its records are those of `journal_format`. A new segment is fsynced, then
its directory, before anything is appended to it; then `journal.json` notes which segments there
are, so that one that vanished is missed. (That file only repeats what the segments say and may be
lost.)

Reading back: damage at txid t is the torn tail of a crash if nothing tells that t was durable: no
later record says that it was written behind a durable t, no later segment follows (one is begun
after a sync), and the store beside the journal does not hold t. Then it is cut off; a torn write
may have any hole. All other damage is corruption: refused with the txid range, and not a byte is
changed, because cutting there would drop acknowledged edits. A disk that cannot be read is neither:
it is told as such.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clusterkit import journal_format as fmt
from clusterkit.disks import disk_failure
from clusterkit.durable_file import fsync_directory, make_directory, write_durably
from clusterkit.errors import CorruptRecord, Fenced
from clusterkit.journal import JournalRecord

LOG = logging.getLogger(__name__)
SEGMENT_BYTES = 64 << 20
NOTE = "journal.json"
_SEGMENT_NAME = re.compile(r"edits_(\d{20})")
HOLDS = "the log of edits that were acknowledged"


class _Note(msgspec.Struct, frozen=True):
    """First txids of the oldest segment that must be there and of the newest that was begun. 0 =
    not known."""

    oldest_segment: int = 0
    newest_segment: int = 0


@dataclass(slots=True)
class _Segment:
    path: Path
    first_txid: int


class LocalJournal:
    """See `clusterkit.journal.Journal`. One process at a time: its data directory is locked by
    `clusterkit.service.DataDirectory`."""

    def __init__(
        self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES, stored_txid: int = 0
    ) -> None:
        """Opens (or begins) the journal and cuts a torn tail. `stored_txid` is the last edit that a
        store beside it holds: up to there nothing can be torn. Raises CorruptRecord, DiskFailed."""
        self._directory = Path(directory)
        make_directory(self._directory)
        self._segment_bytes, self._stored_txid = segment_bytes, stored_txid
        self._last_txid, self._last_epoch, self._last_crc = 0, 0, 0
        self._mark, self._noted = b"", _Note()
        self._fd, self._size = -1, 0
        self._failed = False
        self.torn_bytes = 0  # what opening cut off
        self._segments: list[_Segment] = []
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        names = [
            path.name for path in self._directory.iterdir()
        ]  # not glob: a directory that cannot be read is not an empty one
        found = [
            (int(match[1]), self._directory / match[0])
            for name in names
            if (match := _SEGMENT_NAME.fullmatch(name))
        ]
        self._segments = [_Segment(path, first) for first, path in sorted(found)]
        self._noted = _noted(self._directory / NOTE)
        self._check_against_note()
        self._scan()
        for name in names:
            if name.endswith((".new", ".tmp")):
                (self._directory / name).unlink()
        if self.torn_bytes:
            LOG.warning(
                "%s ended in %d bytes of an unfinished write; they were cut off",
                self._directory,
                self.torn_bytes,
            )
        self._synced_txid = self._last_txid
        if not self._segments:
            self._mark = self._mark or secrets.token_bytes(fmt.MARK_BYTES)
            self._begin_segment()
            return
        try:
            self._fd = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._fd).st_size
            # A process that died between a write and its fsync left records that are only in the
            # page cache. Whoever replays them builds on them (a store takes them, answers tell of
            # them), so they are made durable first, and so is the segment's name.
            os.fsync(self._fd)
            fsync_directory(self._directory)
        except OSError as error:
            raise disk_failure(error, self._directory, HOLDS) from error
        with contextlib.suppress(
            OSError
        ):  # it only repeats: a full disk may still be read and given room
            self._note(self._segments[0].first_txid)

    def last_txid(self) -> int:
        return self._last_txid

    def first_txid(self) -> int:
        """The oldest txid that can still be read: a store that ends before it cannot be brought up
        to date from here."""
        return self._segments[0].first_txid

    def read(self, after_txid: int = 0) -> Iterator[JournalRecord]:
        for index, segment in enumerate(self._segments):
            following = (
                self._segments[index + 1].first_txid if index + 1 < len(self._segments) else None
            )
            if following is not None and following <= after_txid + 1:
                continue
            data = _bytes_of(segment.path)
            header = fmt.read_header(segment.path, data, segment.first_txid)
            offset, previous = fmt.HEADER_BYTES, -1 if header is None else header.previous_crc
            while offset < len(data):
                found = fmt.record_at(data, offset, self._mark)
                if found is None or found.previous != previous:
                    raise CorruptRecord(f"{segment.path} changed under its reader at byte {offset}")
                previous, offset = found.crc, found.end
                if found.record.txid > after_txid:
                    yield found.record

    def append(self, records: Sequence[JournalRecord]) -> None:
        self._check_usable()
        if records and self._size >= self._segment_bytes:
            self.sync()
            self._begin_segment()
        parts: list[bytes] = []
        txid, epoch, crc, flags = (
            self._last_txid,
            self._last_epoch,
            self._last_crc,
            fmt.FIRST_OF_A_WRITE,
        )
        for record in records:
            if record.txid != txid + 1:
                raise ValueError(f"journal got txid {record.txid} after {txid}")
            if record.epoch < epoch:
                raise Fenced(
                    f"journal holds epoch {epoch}; an append with epoch {record.epoch} is refused"
                )
            frame, body, crc = fmt.encode_record(self._mark, record, crc, self._synced_txid, flags)
            txid, epoch, flags = record.txid, record.epoch, 0
            parts += (frame, body)
        if not parts:
            return
        self._write(b"".join(parts))
        self._last_txid, self._last_epoch, self._last_crc = txid, epoch, crc

    def sync(self) -> None:
        self._check_usable()
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._failed = True
            raise disk_failure(error, self._directory, HOLDS) from error
        self._synced_txid = self._last_txid

    def forget(self, up_to_txid: int) -> None:
        while len(self._segments) > 1 and self._segments[1].first_txid <= up_to_txid + 1:
            try:
                self._note(self._segments[1].first_txid)
            except OSError:  # a full disk must not keep what would give it room
                (self._directory / NOTE).unlink(missing_ok=True)
                self._noted = _Note()
            self._segments.pop(0).path.unlink()
            # one by one: a power cut that brought back an older one without a newer would leave a
            # gap
            fsync_directory(self._directory)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    def _check_usable(self) -> None:
        if self._failed:
            raise OSError("the journal failed earlier and cannot be trusted; restart this process")

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._fd, data)
        except OSError as error:
            self._failed = True
            raise disk_failure(error, self._directory, HOLDS) from error
        self._size += len(data)

    def _begin_segment(self) -> None:
        first = self._last_txid + 1
        path = self._directory / f"edits_{first:020d}"
        try:
            fd = self._made_segment(path, first)
            self.close()
            self._fd, self._size = fd, fmt.HEADER_BYTES
            self._segments.append(_Segment(path, first))
            self._note(self._segments[0].first_txid)
        except OSError as error:
            self._failed = True
            raise disk_failure(error, self._directory, HOLDS) from error

    def _made_segment(self, path: Path, first_txid: int) -> int:
        beside = path.with_suffix(".new")
        fd = os.open(
            beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        try:
            _write_all(
                fd, fmt.Header(self._mark, first_txid, self._last_crc, self._last_epoch).encode()
            )
            os.fsync(fd)
            beside.rename(path)
            fsync_directory(self._directory)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _note(self, oldest: int) -> None:
        note = _Note(oldest, self._segments[-1].first_txid)
        if note != self._noted:
            write_durably(self._directory / NOTE, msgspec.json.encode(note))
            self._noted = note

    # ── opening ───────────────────────────────────────────────────────────────────────────────────

    def _check_against_note(self) -> None:
        """Both ends are there; `_scan` sees gaps between them."""
        newest = self._segments[-1].first_txid if self._segments else 0
        if self._noted.newest_segment > newest:
            raise self._corrupt(
                f"edits_{self._noted.newest_segment:020d} vanished from {self._directory} (txid "
                f"{newest + 1} on)"
            )
        oldest, noted = (
            self._segments[0].first_txid if self._segments else 0,
            self._noted.oldest_segment,
        )
        if noted and oldest > noted:
            raise self._corrupt(
                f"edits_{noted:020d} vanished from {self._directory} (txid {noted} to {oldest - 1})"
            )

    def _scan(self) -> None:
        """Checks every segment and the chain between them; leaves mark, last txid, epoch and
        checksum."""
        for index, segment in enumerate(self._segments):
            is_last = index + 1 == len(self._segments)
            data = _bytes_of(segment.path, from_disk=is_last)
            header = fmt.read_header(segment.path, data, segment.first_txid)
            if header is None:
                if not is_last or not self._may_be_torn_at_birth(segment, data):
                    raise self._corrupt(
                        f"the header of {segment.path} ({len(data)} bytes, txid "
                        f"{segment.first_txid} on) is damaged"
                    )
                self.torn_bytes = len(data)
                self._remove_last_segment()
                return
            if index == 0:
                self._mark = header.mark
                self._last_txid = segment.first_txid - 1
                self._last_crc, self._last_epoch = header.previous_crc, header.previous_epoch
            elif segment.first_txid != self._last_txid + 1:
                missing = (
                    f"txids {self._last_txid + 1} to {segment.first_txid - 1} are missing "
                    f"before {segment.path}"
                )
                raise self._corrupt(missing, f"ls -la {self._directory}")
            elif header.mark != self._mark or header.previous_crc != self._last_crc:
                raise self._corrupt(
                    f"{segment.path} does not follow the segment before it (txid "
                    f"{segment.first_txid} on)"
                )
            self._scan_records(segment, data, is_last)

    def _scan_records(self, segment: _Segment, data: bytes, is_last: bool) -> None:
        offset = fmt.HEADER_BYTES
        while offset < len(data):
            found = fmt.record_at(data, offset, self._mark)
            if (
                found is None
                or found.previous != self._last_crc
                or found.record.txid != self._last_txid + 1
            ):
                self._judge(segment, data, offset, is_last)
                return
            self._last_txid, self._last_epoch, self._last_crc, offset = (
                found.record.txid,
                found.record.epoch,
                found.crc,
                found.end,
            )

    def _judge(self, segment: _Segment, data: bytes, offset: int, is_last: bool) -> None:
        """Cuts off what is torn, refuses what is corrupt."""
        damaged, later = self._last_txid + 1, None
        proof = "" if is_last else "a later segment follows"
        if self._stored_txid >= damaged:
            proof = f"the store beside it holds edits up to txid {self._stored_txid}"
        for found in fmt.records_behind(data, offset, self._mark):
            if later is None and found.record.txid > damaged:
                later = found.record.txid
            if found.committed >= damaged:
                proof = f"valid records follow, written when txid {found.committed} was durable"
        if proof:
            upto = "the end of this segment" if later is None else f"txid {later - 1}"
            raise self._corrupt(
                f"{segment.path} is damaged at byte {offset} (txid {damaged} to {upto}) and {proof}"
            )
        self.torn_bytes = len(data) - offset
        try:
            _cut(segment.path, offset)
        except OSError as error:
            raise disk_failure(error, segment.path, HOLDS) from error

    def _may_be_torn_at_birth(self, segment: _Segment, data: bytes) -> bool:
        """True for a segment that was being begun: it was never noted, and holds no record. (Where
        file systems keep their word none is ever found so: a header is fsynced before its segment
        gets its name.)"""
        if (
            self._noted.newest_segment >= segment.first_txid
            or self._stored_txid >= segment.first_txid
        ):
            return False
        if (
            not self._mark
        ):  # the only segment: of a journal that was being begun, with no record yet
            return segment.first_txid == 1 and len(data) <= fmt.HEADER_BYTES
        return next(fmt.records_behind(data, 0, self._mark), None) is None

    def _remove_last_segment(self) -> None:
        path = self._segments.pop().path
        try:
            path.unlink()
            fsync_directory(self._directory)
        except OSError as error:
            raise disk_failure(error, path, HOLDS) from error

    def _corrupt(self, what: str, next_command: str = "") -> CorruptRecord:
        return CorruptRecord(
            f"edit log corrupt: {what}; nothing was changed",
            next_command=next_command or f"restore {self._directory.parent} from a copy",
        )


def _noted(path: Path) -> _Note:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Note)
    except (OSError, msgspec.MsgspecError):
        return _Note()


def _bytes_of(path: Path, *, from_disk: bool = False) -> bytes:
    """`from_disk`: what a failed fsync of a dead process left in the page cache is not on the disk,
    though it can be read."""
    try:
        with path.open("rb") as file:
            if from_disk:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return file.read()
    except OSError as error:
        raise disk_failure(error, path, HOLDS) from error


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _cut(path: Path, size: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, size)
        os.fsync(fd)
    finally:
        os.close(fd)
