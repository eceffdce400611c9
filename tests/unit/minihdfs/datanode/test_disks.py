"""Disks that fail, hang, are missing or were left half written: nothing is deleted for it,
everything is told."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from clusterkit.disks import mount_point
from clusterkit.effects import Edit
from clusterkit.errors import ClusterError, DiskFailed
from clusterkit.journal import JournalRecord
from clusterkit.service import DataDirectory
from minihdfs.datanode.core.events import EpochSeen
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.files.disk_errors import DiskFull, ReplicaUnreadable
from minihdfs.datanode.files.replica import ReplicaNotFound
from minihdfs.datanode.files.volume import HANGS_AFTER_S, SHORT_BYTES, Volume, VolumeGone
from minihdfs.datanode.files.volumes import open_volumes, tend_volumes
from minihdfs.datanode.identity_journal import CODEC, IdentityJournal
from minihdfs.datanode.replicator import Replicator, fault_of, is_sound
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.model import BlockRef
from tests.unit.minihdfs.datanode.failing_disk import FailingDisk
from tests.unit.minihdfs.datanode.test_block_store import (
    SMALL,
    files_of,
    put,
    read,
    store_at,
    stored,
)


def all_files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("blk_*")}


def two_disks(root: Path) -> BlockStore:
    return BlockStore([Volume.open(root / name, "d1", "c1", 0) for name in ("a", "b")])


def on(store: BlockStore, volume: int, block_id: int, data: bytes) -> BlockRef:
    """A replica on this disk, whichever has more room."""
    one = store.volumes[volume]
    others = [other for other in store.volumes if other is not one]
    for other in others:
        other.reserve_bytes = 1 << 60
        other.measure()
    try:
        return stored(store, block_id, data)
    finally:
        for other in others:
            other.reserve_bytes = 0
            other.measure()


# ── a start deletes nothing ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOMEM, errno.ESTALE]
)
@pytest.mark.parametrize("calls", [("open",), ("preadv",), ("pread",)])
def test_an_open_replica_that_cannot_be_read_at_start_is_kept_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, calls: tuple[str, ...]
) -> None:
    store = store_at(tmp_path)
    writer = store.create(7, 1, SMALL)
    put(writer, b"synced" * 200)
    store.sync(writer)
    before = {path: path.read_bytes() for path in tmp_path.rglob("blk_7*")}
    disk = FailingDisk(monkeypatch, tmp_path / "blocks/rbw/blk_7")
    disk.fail(number, *calls)
    again = store_at(tmp_path)
    assert disk.calls and again.unfinished() == [BlockRef(7, 1, 0)]
    with pytest.raises(ReplicaNotFound, match="cannot be read"):
        again.open_replica(7, 1)
    assert again.examine(7) is None
    disk.fail(0)
    assert {path: path.read_bytes() for path in tmp_path.rglob("blk_7*")} == before
    assert again.examine(7) == BlockRef(7, 1, 1200) and read(again, 7) == (b"synced" * 200, True)


@pytest.mark.parametrize(
    "damage", ["header", "first chunk", "no meta", "short meta", "second copy"]
)
def test_damage_met_at_start_takes_no_bytes_away(tmp_path: Path, damage: str) -> None:
    store = store_at(tmp_path)
    put(store.create(7, 1, SMALL), b"bytes" * 400)
    rbw = tmp_path / "blocks/rbw"
    if damage == "header":
        (rbw / "blk_7_1.meta").write_bytes(b"?" + (rbw / "blk_7_1.meta").read_bytes()[1:])
    elif damage == "first chunk":
        (rbw / "blk_7").write_bytes(b"?" + (rbw / "blk_7").read_bytes()[1:])
    elif damage == "no meta":
        (rbw / "blk_7_1.meta").unlink()
    elif damage == "short meta":
        os.truncate(rbw / "blk_7_1.meta", 10)
    else:
        (tmp_path / "blocks/finalized/subdir0/subdir0").mkdir(parents=True)
        for name in ("blk_7", "blk_7_1.meta"):
            shutil.copy(rbw / name, tmp_path / "blocks/finalized/subdir0/subdir0" / name)
    size = (rbw / "blk_7").stat().st_size
    store_at(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("blk_7")) == size * (
        2 if damage == "second copy" else 1
    )


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_directory_that_cannot_be_read_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"here")
    stored(store, 0x10000, b"there")
    before = all_files(tmp_path)
    disk = FailingDisk(monkeypatch, tmp_path / "blocks/finalized/subdir1")
    disk.fail(number, "scandir")
    again = store_at(tmp_path)
    disk.fail(0)
    assert again.finalized() == [BlockRef(1, 1, 4)] and all_files(tmp_path) == before
    assert len(store_at(tmp_path).finalized()) == 2


def test_a_file_whose_length_cannot_be_asked_for_is_a_bad_replica(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"here")
    (tmp_path / "blocks/finalized/subdir0/subdir0/blk_1").unlink()
    (tmp_path / "blocks/finalized/subdir0/subdir0/blk_1").symlink_to("blk_1")  # ELOOP
    assert store_at(tmp_path).bad() == [BlockRef(1, 1, 0)]


# ── bad replicas ──────────────────────────────────────────────────────────────────────────────────


def test_that_a_replica_is_bad_survives_a_restart_until_it_is_found_sound_or_mended(
    tmp_path: Path,
) -> None:
    store = store_at(tmp_path)
    block = stored(store, 1, b"z" * 2000)
    TransferContext(store).found_bad(block, "a reader says so")
    again = store_at(tmp_path)
    assert again.bad() == [block] and again.get(1).bad == "a reader says so"  # type: ignore[union-attr]
    told: list[BlockRef] = []
    TransferContext(again, finalized=told.append).found_sound(block)
    assert told == [block] and store_at(tmp_path).bad() == [] and len(files_of(tmp_path, 1)) == 2
    again.mark_bad(block, "again")
    copy = again.create_temporary(1, 1, SMALL, replace=True)
    put(copy, b"z" * 2000)
    again.finalize(copy)
    assert again.bad() == [] and store_at(tmp_path).bad() == [] and len(files_of(tmp_path, 1)) == 2
    again.mark_bad(block, "and deleted")
    again.unlink(again.invalidate(block))  # type: ignore[arg-type]
    assert not files_of(tmp_path, 1)


@pytest.mark.parametrize("calls", [("open",), ("preadv",)])
def test_a_shortage_of_our_own_makes_no_replica_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: tuple[str, ...]
) -> None:
    store = store_at(tmp_path)
    block = stored(store, 1, b"sound" * 100)
    disk = FailingDisk(monkeypatch, tmp_path / "blocks/finalized/subdir0/subdir0/blk_1")
    disk.fail(errno.EMFILE, *calls)
    with pytest.raises(ReplicaUnreadable):
        fault_of(store, block)
    with pytest.raises(ReplicaUnreadable):
        Replicator(TransferContext(store)).repair(block, ())
    disk.fail(errno.EIO, *calls)
    assert "Input/output error" in fault_of(store, block)
    disk.fail(0)
    assert is_sound(store, block) and not store.bad()


# ── deleting, and what is kept instead ────────────────────────────────────────────────────────────


def test_a_deletion_cut_short_leaves_no_block_file_that_nobody_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(tmp_path)
    replica = store.invalidate(stored(store, 1, b"x" * 900))
    assert replica is not None
    disk = FailingDisk(monkeypatch, tmp_path / "blocks/finalized/subdir0/subdir0/blk_1_1.meta")
    disk.fail(errno.EINTR, "unlink")
    with pytest.raises(OSError, match="Interrupted"):
        store.unlink(replica)
    disk.fail(0)
    assert files_of(tmp_path, 1) == ["finalized/subdir0/subdir0/blk_1_1.meta"]
    again = store_at(tmp_path)
    assert files_of(tmp_path, 1) == ["trash/stray/blk_1_1.meta"] and again.get(1) is None


def test_strays_are_kept_for_a_day(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"x" * 900)
    (tmp_path / "blocks/finalized/subdir0/subdir0/blk_1_1.meta").unlink()
    again = store_at(tmp_path)
    assert files_of(tmp_path, 1) == ["trash/stray/blk_1"]
    trash = again.volumes[0].trash
    now_s = max(kept.since_s for kept in trash._kept.values())
    assert (
        trash.size == 900 and not trash.sweep(now_s + 86_000) and trash.sweep(now_s + 87_000) == 900
    )
    assert not files_of(tmp_path, 1) and trash.size == 0


def test_what_a_namenode_did_not_know_comes_back_for_an_hour(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for block_id in (1, 2, 3):
        replica = store.invalidate(stored(store, block_id, b"x" * 900))
        assert replica is not None
        store.unlink(replica, keep=block_id < 3)
    assert store.finalized() == [] and store.usage(0).used_bytes == 0
    assert files_of(tmp_path, 1) == [
        "trash/unknown/blk_1",
        "trash/unknown/blk_1_1.meta",
    ] and not files_of(tmp_path, 3)
    stored(store, 2, b"another", stamp=2)
    assert store.bring_back() == [BlockRef(1, 1, 900)] and read(store, 1) == (b"x" * 900, True)
    assert read(store, 2, 2) == (b"another", True)
    store.unlink(store.invalidate(BlockRef(1, 1, 900)), keep=True)  # type: ignore[arg-type]
    again = store_at(tmp_path)
    assert [block.id for block in again.finalized()] == [1, 2] and read(again, 2, 2)[
        0
    ] == b"another"
    again.unlink(again.invalidate(BlockRef(1, 1, 900)), keep=True)  # type: ignore[arg-type]
    trash = again.volumes[0].trash
    trash.sweep(max(kept.since_s for kept in trash._kept.values()) + 3700)
    assert not files_of(tmp_path, 1) and again.bring_back() == []


def test_the_trash_goes_before_a_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(tmp_path)
    store.unlink(store.invalidate(stored(store, 1, b"x" * 900)), keep=True)  # type: ignore[arg-type]
    volume = store.volumes[0]
    assert volume.trash.size > 900
    facts = os.statvfs(volume.root)
    volume.reserve_bytes = facts.f_bavail * facts.f_frsize - SHORT_BYTES // 2
    stored(store, 2, b"y" * 900)
    assert volume.trash.size == 0 and not files_of(tmp_path, 1)


def test_a_full_disk_is_told_with_its_path_and_what_it_holds(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    volume = store.volumes[0]
    volume.reserve_bytes = 1 << 62
    with pytest.raises(DiskFull) as refused:
        store.create(1, 1, SMALL)
    assert f"no space left on the disk at {mount_point(tmp_path)}" in refused.value.message
    assert f"{volume.root}, where this datanode keeps its replicas" in refused.value.message
    assert refused.value.next_command == f"df -h {volume.root}"


# ── disks that fail ───────────────────────────────────────────────────────────────────────────────


def test_a_failing_disk_takes_its_replicas_out_of_the_map_and_no_file_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = two_disks(tmp_path)
    lost: list[BlockRef] = []
    store.lost = lost.extend
    bad, good = on(store, 0, 1, b"on a bad disk"), on(store, 1, 2, b"on a good one")
    before = all_files(tmp_path)
    disk = FailingDisk(monkeypatch, tmp_path / "a")
    disk.fail(errno.EIO)
    with pytest.raises(ReplicaUnreadable, match="Input/output"):
        store.open_replica(1, 1)
    assert lost == [bad] and store.finalized() == [good] and read(store, 2)[1]
    with pytest.raises(ReplicaNotFound):
        store.open_replica(1, 1)
    for block_id in range(10, 14):
        assert store.get(stored(store, block_id, b"new").id).volume is store.volumes[1]  # type: ignore[union-attr]
    assert store.volumes[0].room() == (0, 0)
    disk.fail(0)
    assert before < all_files(tmp_path)


def test_one_bad_sector_is_no_failed_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = two_disks(tmp_path)
    block = on(store, 0, 1, b"x" * 900)
    disk = FailingDisk(monkeypatch, tmp_path / "a/finalized/subdir0/subdir0/blk_1")
    disk.fail(errno.EIO, "preadv")
    for _ in range(3):
        assert "Input/output error" in fault_of(store, block)
    assert not store.volumes[0].failure
    other = on(store, 0, 0x100, b"y" * 900)
    disk.below = str(tmp_path / "a/finalized")
    assert fault_of(store, other) and store.volumes[0].failure


@pytest.mark.parametrize("call", ["open", "pwrite", "fdatasync", "rename", "mkdir"])
def test_a_disk_that_fails_while_it_is_written_leaves_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = two_disks(tmp_path)
    store.volumes[1].reserve_bytes = 1 << 60
    store.volumes[1].measure()
    disk = FailingDisk(monkeypatch, tmp_path / "a")
    disk.fail(errno.EROFS, call, "fsync")
    with pytest.raises(OSError, match="Read-only"):
        stored(store, 1, b"x" * 900)
    assert store.volumes[0].failure
    store.volumes[1].reserve_bytes = 0
    store.volumes[1].measure()
    stored(store, 2, b"x")


def test_without_a_disk_that_works_the_reason_is_told(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.volumes[0].fail("it burnt")
    with pytest.raises(DiskFull, match=r"no disk .* works: .*blocks \(it burnt\)"):
        store.create(1, 1, SMALL)
    assert store.usage(0).remaining_bytes == 0


def test_a_disk_that_hangs_holds_up_no_other_and_no_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = two_disks(tmp_path)
    on(store, 0, 1, b"stuck")
    on(store, 1, 2, b"free")
    on(store, 0, 3, b"stuck as well")
    disk = FailingDisk(monkeypatch, tmp_path / "a")
    disk.hangs.set()
    store.volumes[0].reserve_bytes = store.volumes[1].reserve_bytes = 0
    works = [
        lambda: store.open_replica(1, 1).__exit__(),
        lambda: store.unlink(store.invalidate(BlockRef(3, 1, 0))),  # type: ignore[arg-type]
        lambda: store.volumes[0].tend(),
    ]
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    assert all(
        disk.met.acquire(timeout=10) for _ in range(2)
    )  # the third waits for one of them, on this disk's own lock
    try:
        store.volumes[0]._measured_s -= HANGS_AFTER_S + 1
        assert read(store, 2) == (b"free", True)
        assert store.get(stored(store, 4, b"new").id).volume is store.volumes[1]  # type: ignore[union-attr]
        assert store.usage(0).blocks >= 3 and store.visible_length(2, 1) == 4
        assert len(store.finalized()) >= 3 and store.invalidate(BlockRef(2, 1, 0)) is not None
        assert all(thread.is_alive() for thread in threads)
    finally:
        disk.free.set()
        for thread in threads:
            thread.join(10)


# ── disks that are not there ──────────────────────────────────────────────────────────────────────


def test_a_known_disk_that_is_empty_is_not_formatted(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "d1", "datanode", "d1")
    roots = [tmp_path / "d1/blocks", tmp_path / "disk2"]
    stored(BlockStore(open_volumes(directory, roots, 0)[1:]), 1, b"precious")
    directory.close()
    shutil.move(tmp_path / "disk2", tmp_path / "unmounted")
    (tmp_path / "disk2").mkdir()
    directory = DataDirectory.open(tmp_path / "d1", "datanode", "d1")
    assert [volume.root for volume in open_volumes(directory, roots, 0)] == roots[:1]
    assert list((tmp_path / "disk2").iterdir()) == []
    with pytest.raises(VolumeGone, match=r"disk2 is empty, but held .* is its disk mounted"):
        open_volumes(directory, roots[1:], 0)
    (tmp_path / "disk2").rmdir()
    with pytest.raises(VolumeGone):
        open_volumes(directory, roots[1:], 0)
    assert not (tmp_path / "disk2").exists()
    shutil.move(tmp_path / "unmounted", tmp_path / "disk2")
    assert len(BlockStore(open_volumes(directory, roots, 0)).finalized()) == 1
    shutil.rmtree(tmp_path / "disk2")
    (tmp_path / "disk2").mkdir()
    (tmp_path / "disk2/fresh").touch()  # its owner says that the blocks are gone
    assert len(open_volumes(directory, roots, 0)) == 2 and not (tmp_path / "disk2/fresh").exists()
    directory.close()


def test_a_disk_that_cannot_be_opened_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = DataDirectory.open(tmp_path / "d1", "datanode", "d1")
    roots = [tmp_path / "d1/blocks", tmp_path / "disk2"]
    open_volumes(directory, roots, 0)
    disk = FailingDisk(monkeypatch, tmp_path / "disk2")
    disk.fail(errno.EIO)
    volumes = open_volumes(directory, roots, 0)
    assert [volume.root for volume in volumes] == roots[:1]
    with pytest.raises(ClusterError, match=r"disk2: Input/output error"):
        open_volumes(directory, roots[1:], 0)
    disk.fail(0)
    assert len(open_volumes(directory, roots, 0)) == 2
    tend_volumes(volumes)()
    directory.close()


def test_an_epoch_that_cannot_be_written_down_names_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = DataDirectory.open(tmp_path / "d1", "datanode", "d1")
    journal = IdentityJournal(directory, store_at(tmp_path), "d1")
    FailingDisk(monkeypatch, tmp_path / "d1/.epochs").fail(errno.ENOSPC, "open")
    record = JournalRecord(1, 1, CODEC.encode(Edit(1, 1, 0, EpochSeen(7))))
    with pytest.raises(DiskFailed, match=r"is full: .*d1, this datanode's identity"):
        journal.append([record])
    directory.close()


@pytest.mark.parametrize("damage", ["shorter", "known to be bad"])
@pytest.mark.parametrize("hurt", [0, 1])
def test_of_two_replicas_of_one_block_the_better_counts(
    tmp_path: Path, damage: str, hurt: int
) -> None:
    """A disk failed, its block was copied to the other one, and it came back."""
    store = two_disks(tmp_path)
    block = on(store, hurt, 7, b"x" * 1000)
    replica = store.get(7)
    assert replica is not None
    data, where = replica.data_path, replica.data_path.relative_to(replica.volume.root)
    shutil.copytree(data.parents[2], store.volumes[1 - hurt].root / "finalized", dirs_exist_ok=True)
    if damage == "shorter":
        os.truncate(data, 300)
    else:
        store.mark_bad(block, "its disk said so")
    again = two_disks(tmp_path)
    assert again.finalized() == [block]
    assert again.bad() == []
    assert read(again, 7) == (b"x" * 1000, True)
    assert again.usage(0).used_bytes == 1000
    assert not data.exists()
    assert (store.volumes[hurt].root / "trash" / "stray" / where.name).exists()
