"""What a power cut, a bad disk and a hostile client can make of the local journal's files: torn is
cut, corrupt is kept and told."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from crc32c import crc32c

from clusterkit import journal_format
from clusterkit.disks import mount_point
from clusterkit.errors import CorruptRecord, DiskFailed, Fenced
from clusterkit.journal import JournalRecord
from clusterkit.journal_local import NOTE, LocalJournal

PAGE = 4096


def records(first: int, last: int, size: int = 300, epoch: int = 1) -> list[JournalRecord]:
    return [
        JournalRecord(txid, epoch, bytes([txid % 251]) * size) for txid in range(first, last + 1)
    ]


def last_segment(directory: Path) -> Path:
    return max(directory.glob("edits_*"))


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def assert_refused(directory: Path, match: str, **options: int) -> None:
    """Corrupt: told, and not a byte is changed."""
    before = contents(directory)
    with pytest.raises(CorruptRecord, match=match) as told:
        LocalJournal(directory, **options)
    assert told.value.next_command
    assert contents(directory) == before


def assert_opens_at(directory: Path, txid: int) -> None:
    journal = LocalJournal(directory)
    assert journal.last_txid() == txid
    assert [record.txid for record in journal.read()] == list(range(1, txid + 1))
    journal.append(records(txid + 1, txid + 1))
    journal.sync()
    journal.close()
    journal = LocalJournal(directory)
    assert (journal.last_txid(), journal.torn_bytes) == (txid + 1, 0)
    journal.close()


def unsynced_batch(directory: Path) -> tuple[Path, int, bytes]:
    """Ten synced records, then one write of several pages that was never synced: (file, bytes that
    were synced, all bytes)."""
    journal = LocalJournal(directory)
    journal.append(records(1, 10))
    journal.sync()
    path = last_segment(directory)
    synced = path.stat().st_size
    journal.append(records(11, 50))
    journal.close()
    return path, synced, path.read_bytes()


@pytest.mark.parametrize("garbage", [b"\0", b"\xa5"], ids=["zeros", "other bytes"])
def test_a_batch_that_was_not_synced_may_have_any_hole(tmp_path: Path, garbage: bytes) -> None:
    """Pages of a write reach the disk in any order: whatever is missing, everything synced is there
    and the journal goes on."""
    path, synced, data = unsynced_batch(tmp_path)
    pages = range(synced // PAGE, (len(data) + PAGE - 1) // PAGE)
    assert len(pages) >= 4
    for lost in itertools.chain.from_iterable(
        itertools.combinations(pages, count) for count in range(1, len(pages) + 1)
    ):
        torn = bytearray(data)
        for page in lost:
            begin, end = max(synced, page * PAGE), min(len(data), (page + 1) * PAGE)
            torn[begin:end] = garbage * (end - begin)
        path.write_bytes(torn)
        journal = LocalJournal(tmp_path)
        assert journal.last_txid() >= 10
        assert journal.torn_bytes > 0
        journal.close()
    path.write_bytes(bytes(data[:synced]) + bytes(len(data) - synced))
    assert_opens_at(tmp_path, 10)


def test_the_same_hole_behind_an_acknowledged_batch_is_refused_and_nothing_is_cut(
    tmp_path: Path,
) -> None:
    journal = LocalJournal(tmp_path)
    for first in (1, 41, 81):
        journal.append(records(first, first + 39))
        journal.sync()
    journal.close()
    path = last_segment(tmp_path)
    data = path.read_bytes()
    for page in range(2 * 40 * 300 // PAGE):
        begin = max(journal_format.HEADER_BYTES, page * PAGE)
        path.write_bytes(
            data[:begin] + bytes(page * PAGE + PAGE - begin) + data[page * PAGE + PAGE :]
        )
        assert_refused(tmp_path, r"txid \d+ to txid \d+\) and valid records follow")


def test_a_store_that_holds_the_damaged_edits_says_that_they_were_acknowledged(
    tmp_path: Path,
) -> None:
    path, synced, data = unsynced_batch(tmp_path)
    path.write_bytes(data[: synced + 100])
    assert_refused(tmp_path, "the store beside it holds edits up to txid 11", stored_txid=11)
    assert LocalJournal(tmp_path, stored_txid=10).last_txid() == 10


def forged(txid: int, committed: int, mark: bytes) -> bytes:
    """A record as a client that knows the format would write it."""
    frame, body, _ = journal_format.encode_record(
        mark, JournalRecord(txid, 1, b"x"), 0, committed, 1
    )
    return frame + body


def test_bytes_of_a_client_are_never_taken_for_records(tmp_path: Path) -> None:
    """Records of another journal, of this one's past, and forged ones, inside a payload that a
    power cut tears."""
    other = LocalJournal(tmp_path / "other")
    other.append(records(1, 30))
    other.sync()
    other.append(records(31, 40))
    other.close()
    stolen = last_segment(tmp_path / "other").read_bytes()
    here = tmp_path / "here"
    journal = LocalJournal(here)
    journal.append(records(1, 1))
    journal.sync()
    own_past = last_segment(here).read_bytes()
    marks = (bytes(8), b"mrcjrnl\x03", stolen[12:20])
    payload = (
        stolen
        + own_past
        + b"".join(forged(txid, 1 << 40, mark) for mark in marks for txid in (2, 3, 7))
        + b"A" * 5000
    )
    journal.append([JournalRecord(2, 1, payload)])
    journal.close()
    path = last_segment(here)
    os.truncate(path, path.stat().st_size - 1000)
    assert_opens_at(here, 1)


def test_looking_behind_damage_checks_each_byte_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payload of plausible beginnings of long records, even with the right mark, must not cost a
    scan each."""
    journal = LocalJournal(tmp_path)
    journal.append(records(1, 1))
    path = last_segment(tmp_path)
    mark = path.read_bytes()[12:20]
    journal.append(
        [
            JournalRecord(2, 1, (mark + (1 << 19).to_bytes(4, "big") + bytes(40)) * 20_000),
            *records(3, 4),
        ]
    )
    journal.close()
    data = bytearray(path.read_bytes())
    data[-700] ^= 1  # in record 3
    data[500] ^= 1  # in record 2
    path.write_bytes(data)
    checked: list[int] = []
    monkeypatch.setattr(
        journal_format, "crc32c", lambda body: (checked.append(len(body)), crc32c(body))[1]
    )
    assert LocalJournal(tmp_path).last_txid() == 1
    assert sum(checked) < 3 * len(data)


def test_an_empty_last_segment_remembers_the_epoch(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path, segment_bytes=100)
    journal.append(records(1, 1, epoch=7))
    journal.sync()
    journal._begin_segment()  # what a process that dies before its next append leaves
    journal.close()
    journal = LocalJournal(tmp_path, segment_bytes=100)
    with pytest.raises(Fenced, match="epoch 7"):
        journal.append(records(2, 2, epoch=6))
    journal.append(records(2, 2, epoch=7))


def several_segments(directory: Path) -> list[Path]:
    journal = LocalJournal(directory, segment_bytes=500)
    for txid in range(1, 8):
        journal.append(records(txid, txid))
        journal.sync()
    journal.close()
    return sorted(directory.glob("edits_*"))


def test_a_segment_that_vanished_is_missed_wherever_it_was(tmp_path: Path) -> None:
    for index in range(len(several_segments(tmp_path / "probe"))):
        directory = tmp_path / str(index)
        several_segments(directory)[index].unlink()
        assert_refused(directory, "vanished|missing")
    directory = tmp_path / "all"
    for path in several_segments(directory):
        path.unlink()
    assert_refused(directory, "vanished")


def test_segments_that_were_forgotten_are_not_missed_even_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several_segments(tmp_path)
    journal = LocalJournal(tmp_path)
    journal.forget(2)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        journal.forget(5)
    journal.close()
    journal = LocalJournal(tmp_path)
    assert 3 < journal.first_txid() <= 6
    assert journal.last_txid() == 7


def test_damage_in_an_older_segment_is_never_torn(tmp_path: Path) -> None:
    older, *_ = several_segments(tmp_path)
    os.truncate(older, older.stat().st_size - 1)
    assert_refused(tmp_path, "a later segment follows")


@pytest.mark.parametrize("left", [0, 1, 20, journal_format.HEADER_BYTES])
def test_a_segment_that_was_being_begun_is_begun_again(tmp_path: Path, left: int) -> None:
    """On a file system that lets a name arrive before its bytes: not noted yet, no record in it."""
    path = several_segments(tmp_path)[-1]
    note = (tmp_path / NOTE).read_bytes()
    journal = LocalJournal(tmp_path, segment_bytes=1)
    journal.append(records(8, 8))
    journal.close()
    fresh = last_segment(tmp_path)
    assert fresh != path
    fresh.write_bytes(bytes(left))
    assert_refused(tmp_path, "header")  # it was noted: its header had been durable
    (tmp_path / NOTE).write_bytes(note)
    assert_opens_at_last(tmp_path, 7)


def assert_opens_at_last(directory: Path, txid: int) -> None:
    journal = LocalJournal(directory)
    assert journal.last_txid() == txid
    journal.append(records(txid + 1, txid + 1))
    journal.sync()
    journal.close()


def test_the_first_segment_of_all_may_be_empty_while_nothing_is_noted(tmp_path: Path) -> None:
    (tmp_path / f"edits_{1:020d}").touch()
    assert_opens_at(tmp_path, 0)


@pytest.mark.parametrize(
    "note",
    [None, b"", b"{", b'{"newest_segment": "x"}', b'{"oldest_segment":1,"newest_segment":1}'],
)
def test_a_note_that_is_missing_cut_or_stale_is_mended(tmp_path: Path, note: bytes | None) -> None:
    several_segments(tmp_path)
    good = (tmp_path / NOTE).read_bytes()
    (tmp_path / NOTE).unlink()
    if note is not None:
        (tmp_path / NOTE).write_bytes(note)
    assert LocalJournal(tmp_path).last_txid() == 7
    assert (tmp_path / NOTE).read_bytes() == good


def test_a_disk_that_cannot_be_read_is_told_as_such_and_nothing_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced, data = unsynced_batch(tmp_path)
    path.write_bytes(data[: synced + 100])
    before = contents(tmp_path)
    opened = Path.open

    def broken(self: Path, *args: Any, **named: Any) -> Any:
        if self == path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(self, *args, **named)

    monkeypatch.setattr(Path, "open", broken)
    with pytest.raises(
        DiskFailed, match=f"{path}, the log of edits that were acknowledged: Input/output error"
    ) as told:
        LocalJournal(tmp_path)
    monkeypatch.undo()
    assert told.value.next_command
    assert contents(tmp_path) == before


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_full_disk_is_named_with_what_it_holds_and_the_journal_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    journal = LocalJournal(tmp_path)
    journal.append(records(1, 1))
    journal.sync()

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(
        DiskFailed, match=f"the disk at /.* is full: {tmp_path}, the log of edits"
    ) as told:
        journal.append(records(2, 2))
        journal.sync()
    assert told.value.next_command == f"df -h {mount_point(tmp_path)}"
    monkeypatch.undo()
    with pytest.raises(OSError, match="failed earlier"):
        journal.append(records(2, 2))
    journal.close()
    assert LocalJournal(tmp_path).last_txid() in (1, 2)


def test_short_writes_are_written_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    journal = LocalJournal(tmp_path, segment_bytes=500)
    for txid in range(1, 8):
        journal.append(records(txid, txid))
        journal.sync()
    journal.close()
    monkeypatch.undo()
    assert list(LocalJournal(tmp_path).read()) == records(1, 7)


@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_a_segment_that_cannot_be_begun_ends_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    journal = LocalJournal(tmp_path, segment_bytes=1)
    journal.append(records(1, 1))
    journal.sync()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(DiskFailed, match="is full"):
        journal.append(records(2, 2))
    monkeypatch.undo()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    for later in (lambda: journal.append(records(2, 2)), journal.sync):
        with pytest.raises(OSError, match="failed earlier"):
            later()
    journal.close()
    assert_opens_at(tmp_path, 1)
