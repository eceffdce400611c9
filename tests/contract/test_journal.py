"""Every journal keeps the same promises; the local one also survives every cut and every flipped
bit of its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterkit import journal_format
from clusterkit.errors import CorruptRecord, Fenced
from clusterkit.journal import Journal, JournalRecord
from clusterkit.journal_local import LocalJournal
from clusterkit.journal_memory import MemoryJournal


def records(first: int, last: int, epoch: int = 1) -> list[JournalRecord]:
    return [
        JournalRecord(txid, epoch, f"edit {txid}".encode() * (txid % 3 + 1))
        for txid in range(first, last + 1)
    ]


@pytest.fixture(params=["local", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return (
        LocalJournal(tmp_path / "j", segment_bytes=300)
        if request.param == "local"
        else MemoryJournal()
    )


def test_what_was_synced_is_read_back_in_order(journal: Journal) -> None:
    journal.append(records(1, 5))
    journal.append(records(6, 40))
    journal.sync()
    assert list(journal.read()) == records(1, 40)
    assert list(journal.read(after_txid=38)) == records(39, 40)
    assert journal.last_txid() == 40


def test_a_gap_and_an_older_epoch_are_refused(journal: Journal) -> None:
    journal.append(records(1, 2, epoch=7))
    with pytest.raises(ValueError, match="after 2"):
        journal.append(records(4, 4, epoch=7))
    with pytest.raises(Fenced, match="epoch 7"):
        journal.append(records(3, 3, epoch=6))
    journal.append(records(3, 3, epoch=8))
    journal.sync()
    assert [r.txid for r in journal.read()] == [1, 2, 3]


def test_forgotten_records_do_not_come_back_and_txids_go_on(journal: Journal) -> None:
    for txid in range(1, 60):
        journal.append(records(txid, txid))
    journal.sync()
    journal.forget(50)
    assert [r.txid for r in journal.read(after_txid=50)] == list(range(51, 60))
    journal.append(records(60, 60))
    journal.sync()
    assert journal.last_txid() == 60


@pytest.fixture
def reopened(tmp_path: Path) -> Callable[[], LocalJournal]:
    return lambda: LocalJournal(tmp_path / "j", segment_bytes=300)


def test_segments_reopen_and_continue(reopened: Callable[[], LocalJournal], tmp_path: Path) -> None:
    journal = reopened()
    for txid in range(1, 50):
        journal.append(records(txid, txid))
    journal.sync()
    journal.close()
    assert len(list((tmp_path / "j").iterdir())) > 2
    journal = reopened()
    journal.append(records(50, 50))
    journal.sync()
    journal.forget(49)
    journal.close()
    journal = reopened()
    assert journal.last_txid() == 50
    assert [r.txid for r in journal.read(journal.first_txid() - 1)][-1] == 50


def one_segment(tmp_path: Path, count: int) -> tuple[Path, bytes, list[int]]:
    """A closed journal of one segment: its file, its bytes, and where each record ends."""
    journal = LocalJournal(tmp_path / "one")
    (path,) = (tmp_path / "one").glob("edits_*")
    ends = []
    for txid in range(1, count + 1):
        journal.append(records(txid, txid))
        journal.sync()
        ends.append(path.stat().st_size)
    journal.close()
    return path, path.read_bytes(), ends


def test_cut_at_every_byte_keeps_every_whole_record(tmp_path: Path) -> None:
    path, data, ends = one_segment(tmp_path, 12)
    for size in range(
        journal_format.HEADER_BYTES, len(data)
    ):  # a header is fsynced before its segment gets its name
        path.write_bytes(data[:size])
        whole = sum(end <= size for end in ends)
        journal = LocalJournal(path.parent)
        assert [r.txid for r in journal.read()] == list(range(1, whole + 1)), size
        journal.append(records(whole + 1, whole + 1))
        journal.close()


def test_every_flipped_bit_is_refused_or_cuts_only_the_last_record(tmp_path: Path) -> None:
    path, data, ends = one_segment(tmp_path, 8)
    for position in range(len(data)):
        for bit in (0, 5):
            path.write_bytes(
                data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]
            )
            if position < ends[-2]:
                with pytest.raises(CorruptRecord):
                    LocalJournal(path.parent)
            else:
                journal = LocalJournal(path.parent)
                assert journal.last_txid() == 7
                journal.close()


def test_a_missing_segment_is_named(reopened: Callable[[], LocalJournal], tmp_path: Path) -> None:
    journal = reopened()
    for txid in range(1, 50):
        journal.append(records(txid, txid))
    journal.sync()
    journal.close()
    sorted((tmp_path / "j").iterdir())[1].unlink()
    with pytest.raises(CorruptRecord, match="are missing before"):
        reopened()


def test_a_crash_forgets_only_what_was_not_synced() -> None:
    journal = MemoryJournal()
    journal.append(records(1, 3))
    journal.sync()
    journal.append(records(4, 5))
    journal.crash()
    assert [r.txid for r in journal.read()] == [1, 2, 3]
    journal.append(records(4, 4))


def test_a_record_that_could_not_be_read_back_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_format, "MAX_RECORD_BYTES", 1000)
    journal = LocalJournal(tmp_path / "j")
    journal.append(records(1, 1))
    with pytest.raises(ValueError, match="2000 bytes"):
        journal.append([JournalRecord(2, 1, b"x" * 500), JournalRecord(3, 1, b"x" * 2000)])
    journal.append([JournalRecord(2, 1, b"x" * 900)])
    journal.sync()
    journal.close()
    assert LocalJournal(tmp_path / "j").last_txid() == 2


def test_a_large_record_comes_back(tmp_path: Path) -> None:
    """A tracker's checkpoint holds every job's plan."""
    large = JournalRecord(1, 1, bytes(70 << 20))
    journal = LocalJournal(tmp_path / "j")
    journal.append([large])
    journal.sync()
    journal.close()
    assert list(LocalJournal(tmp_path / "j").read()) == [large]


def test_what_a_dead_process_wrote_and_did_not_sync_is_durable_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process may have died between the write and the fsync: whoever replays the record builds
    on it."""
    LocalJournal(tmp_path / "j").append(records(1, 3))
    (path,) = (tmp_path / "j").glob("edits_*")
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
    journal = LocalJournal(tmp_path / "j")
    assert {path.stat().st_ino, path.parent.stat().st_ino} <= set(synced)
    assert journal.last_txid() == 3
