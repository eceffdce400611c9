"""The store on a real disk: states, restarts, corruption, repair, room."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusterkit.errors import ClusterError, CorruptRecord
from minihdfs.checksum import checksums_of, crc32c
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.files.directory_sync import DirectorySync
from minihdfs.datanode.files.disk_errors import DiskFull
from minihdfs.datanode.files.meta_file import (
    MetaHeader,
    decode_header,
    encode_header,
    read_header,
)
from minihdfs.datanode.files.replica import ReplicaExists, ReplicaNotFound, State
from minihdfs.datanode.files.replica_writer import ReplicaGap, ReplicaWriter
from minihdfs.datanode.files.verify import good_length
from minihdfs.datanode.files.volume import Volume
from minihdfs.errors import ChecksumMismatch, WrongCluster
from minihdfs.model import BlockRef
from minihdfs.wire.data_transfer import Checksum, ChecksumType

SMALL = Checksum(ChecksumType.CRC32C, 512)


def store_at(root: Path, reserve_bytes: int = 0) -> BlockStore:
    return BlockStore([Volume.open(root / "blocks", "d1", "c1", reserve_bytes)])


def put(writer: ReplicaWriter, data: bytes, sender: Checksum = SMALL, offset: int = 0) -> None:
    writer.write(
        offset, memoryview(data), memoryview(checksums_of(data, sender.bytes_per_checksum)), sender
    )
    writer.visible = writer.length


def stored(
    store: BlockStore, block_id: int, data: bytes, stamp: int = 1, checksum: Checksum = SMALL
) -> BlockRef:
    writer = store.create(block_id, stamp, checksum)
    put(writer, data, checksum)
    return store.finalize(writer)


def read(store: BlockStore, block_id: int, stamp: int = 1) -> tuple[bytes, bool]:
    """(the bytes, do they agree with their checksums)."""
    with store.open_replica(block_id, stamp) as files:
        data = os.pread(files.data_fd, files.ref.length, 0)
        return data, good_length(
            files.data_fd, files.meta_fd, files.ref.length, files.checksum
        ) == files.ref.length


def files_of(root: Path, block_id: int) -> list[str]:
    return sorted(str(path.relative_to(root / "blocks")) for path in root.rglob(f"blk_{block_id}*"))


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 5000])
def test_a_finalized_replica_is_read_back_and_found_after_a_restart(
    tmp_path: Path, length: int
) -> None:
    data = os.urandom(length)
    store = store_at(tmp_path)
    assert stored(store, 0x12345, data) == BlockRef(0x12345, 1, length)
    assert files_of(tmp_path, 0x12345) == [
        "finalized/subdir1/subdir3/blk_74565",
        "finalized/subdir1/subdir3/blk_74565_1.meta",
    ]
    for again in (store, store_at(tmp_path)):
        assert again.finalized() == [BlockRef(0x12345, 1, length)]
        assert read(again, 0x12345) == (data, True)
        assert again.usage(0).used_bytes == length


def test_a_block_file_holds_exactly_the_blocks_bytes(tmp_path: Path) -> None:
    data = os.urandom(3000)
    stored(store_at(tmp_path), 5, data)
    assert (tmp_path / "blocks/finalized/subdir0/subdir0/blk_5").read_bytes() == data


def test_packets_may_repeat_what_is_stored_but_not_leave_a_gap(tmp_path: Path) -> None:
    data = os.urandom(2000)
    store = store_at(tmp_path)
    writer = store.create(1, 1, SMALL)
    put(writer, data[:700])
    put(writer, data[512:1500], offset=512)
    put(writer, data[512:700], offset=512)
    with pytest.raises(ReplicaGap):
        put(writer, data[1536:], offset=1536)
    put(writer, data[1024:], offset=1024)
    store.finalize(writer)
    assert read(store, 1) == (data, True)


@pytest.mark.parametrize("sender", [512, 1000, 4096])
def test_chunks_are_stored_with_the_files_own_size(tmp_path: Path, sender: int) -> None:
    data = os.urandom(10_000)
    store = store_at(tmp_path)
    writer = store.create(1, 1, Checksum(ChecksumType.CRC32C, 1024))
    for at in range(0, len(data), 3000):
        put(writer, data[at : at + 3000], Checksum(ChecksumType.CRC32C, sender), at)
    store.finalize(writer)
    assert read(store, 1) == (data, True)


def test_a_client_that_dies_leaves_what_was_acknowledged_and_an_empty_replica_goes(
    tmp_path: Path,
) -> None:
    store = store_at(tmp_path)
    writer = store.create(1, 1, SMALL)
    put(writer, b"x" * 1000)
    assert store.abandon(writer) == BlockRef(1, 1, 1000)
    empty = store.create(2, 1, SMALL)
    assert store.abandon(empty) is None
    assert store.unfinished() == [BlockRef(1, 1, 1000)]
    assert store.visible_length(1, 1) == 1000 and store.get(2) is None and not files_of(tmp_path, 2)
    assert store.finalized() == []
    assert read(store, 1) == (b"x" * 1000, True)


def test_a_restart_keeps_a_torn_write_up_to_its_last_good_chunk(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    put(store.create(1, 1, SMALL), b"a" * 1300)
    with (tmp_path / "blocks/rbw/blk_1").open("r+b") as file:
        file.seek(1100)
        file.write(b"?")
    put(store.create(2, 1, SMALL), b"b" * 100)
    with (tmp_path / "blocks/rbw/blk_2").open("r+b") as file:
        file.write(b"?")
    again = store_at(tmp_path)
    replica = again.get(1)
    assert replica is not None and (replica.state, replica.length) == (State.RWR, 1024)
    assert len(files_of(tmp_path, 2)) == 2  # the namenode says what becomes of it
    with pytest.raises(ReplicaNotFound, match="first chunk"):
        again.open_replica(2, 1)
    assert again.finalized() == [] and read(again, 1) == (b"a" * 1024, True)
    assert again.unfinished() == [BlockRef(1, 1, 1024), BlockRef(2, 1, 0)]
    assert (tmp_path / "blocks/rbw/blk_1").stat().st_size == 1300


def test_a_restart_deletes_copies_that_were_under_way(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    put(store.create_temporary(1, 1, SMALL), b"x" * 600)
    assert files_of(tmp_path, 1) == ["tmp/blk_1", "tmp/blk_1_1.meta"]
    assert store_at(tmp_path).get(1) is None and not files_of(tmp_path, 1)


def test_a_restart_completes_a_finalise_between_its_two_renames(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"q" * 700)
    home = tmp_path / "blocks"
    (home / "finalized/subdir0/subdir0/blk_1").rename(home / "rbw/blk_1")
    again = store_at(tmp_path)
    assert again.finalized() == [BlockRef(1, 1, 700)] and read(again, 1) == (b"q" * 700, True)


def test_a_replica_that_exists_is_refused_and_an_older_one_gives_way_to_a_copy(
    tmp_path: Path,
) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"old", stamp=1)
    with pytest.raises(ReplicaExists):
        store.create(1, 2, SMALL)
    with pytest.raises(ReplicaExists):
        store.create_temporary(1, 1, SMALL)
    copy = store.create_temporary(1, 2, SMALL)
    put(copy, b"newer")
    store.finalize(copy)
    assert read(store, 1, 2) == (b"newer", True)
    assert files_of(tmp_path, 1) == [
        "finalized/subdir0/subdir0/blk_1",
        "finalized/subdir0/subdir0/blk_1_2.meta",
    ]
    with pytest.raises(ReplicaNotFound):
        store.open_replica(1, 3)


def test_a_repair_is_renamed_over_the_bad_replica(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"z" * 2000)
    path = tmp_path / "blocks/finalized/subdir0/subdir0/blk_1"
    path.write_bytes(b"z" * 999 + b"?" + b"z" * 1000)
    assert not read(store, 1)[1]
    copy = store.create_temporary(1, 1, SMALL, replace=True)
    put(copy, b"z" * 2000)
    store.finalize(copy)
    assert read(store, 1) == (b"z" * 2000, True) and store.usage(0).used_bytes == 2000
    assert len(files_of(tmp_path, 1)) == 2


def test_a_deleted_replica_leaves_the_map_first_and_open_files_stay_good(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"bytes")
    files = store.open_replica(1, 1)
    replica = store.invalidate(BlockRef(1, 1, 0))
    assert replica is not None and store.get(1) is None and len(files_of(tmp_path, 1)) == 2
    store.unlink(replica)
    assert not files_of(tmp_path, 1) and store.usage(0).used_bytes == 0
    with files:
        assert os.pread(files.data_fd, 5, 0) == b"bytes"
    assert store.invalidate(BlockRef(1, 1, 0)) is None


def test_a_replica_newer_than_the_order_is_not_deleted(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"bytes", stamp=5)
    assert store.invalidate(BlockRef(1, 4, 0)) is None and store.get(1) is not None


def test_a_replica_deleted_while_it_is_written_cannot_be_finalized(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    writer = store.create(1, 1, SMALL)
    put(writer, b"bytes")
    replica = store.invalidate(BlockRef(1, 1, 0))
    assert replica is not None
    store.unlink(replica)
    with pytest.raises(ReplicaNotFound):
        store.finalize(writer)
    store.abandon(writer)
    assert not files_of(tmp_path, 1)


def test_a_meta_file_of_another_block_is_noticed(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"one")
    stored(store, 2, b"two")
    home = tmp_path / "blocks/finalized/subdir0/subdir0"
    (home / "blk_1_1.meta").write_bytes((home / "blk_2_1.meta").read_bytes())
    with pytest.raises(CorruptRecord, match="says it is of 2@1"):
        store.open_replica(1, 1)


def test_every_flipped_bit_of_a_meta_header_is_noticed(tmp_path: Path) -> None:
    header = encode_header(MetaHeader(7, 3, SMALL))
    path = tmp_path / "meta"
    for bit in range(8 * len(header)):
        broken = bytearray(header)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        with path.open("rb") as file, pytest.raises(CorruptRecord):
            read_header(file.fileno(), 7, 3)


def test_a_meta_file_of_another_format_is_refused_by_its_number() -> None:
    older = struct.pack(">8sHBxIQQ", b"MRCBLOCK", 1, 2, 512, 7, 3)
    older += struct.pack(">I", crc32c(older))
    newer = bytearray(encode_header(MetaHeader(7, 3, SMALL)))
    newer[9] = 3
    newer[44:48] = struct.pack(">I", crc32c(newer[:44]))
    for data, number in ((older, 1), (older.ljust(200, b"\0"), 1), (bytes(newer), 3)):
        with pytest.raises(CorruptRecord, match=f"format {number}"):
            decode_header(data)


def test_the_reserve_is_kept(tmp_path: Path) -> None:
    store = store_at(tmp_path, reserve_bytes=1 << 60)
    with pytest.raises(DiskFull, match="reserve"):
        store.create(1, 1, SMALL)
    assert store.usage(0).remaining_bytes == 0


def test_volumes_on_one_disk_count_its_room_once(tmp_path: Path) -> None:
    alone = Volume.open(tmp_path / "v", "d1", "c1", 0)
    alone.measure()
    two = BlockStore([alone, Volume.open(tmp_path / "w", "d1", "c1", 0)])
    usage = two.usage(0)
    (disk,) = usage.disks
    assert (
        disk.id == alone.disk_id and usage.capacity_bytes == alone.room()[0] == disk.capacity_bytes
    )


def test_a_directory_of_another_cluster_or_node_is_refused(tmp_path: Path) -> None:
    Volume.open(tmp_path / "v", "d1", "c1", 0)
    with pytest.raises(WrongCluster, match="belongs to cluster c1, not to c2"):
        Volume.open(tmp_path / "v", "d1", "c2", 0)
    with pytest.raises(WrongCluster, match="belongs to datanode d1"):
        Volume.open(tmp_path / "v", "d2", "c1", 0)
    (tmp_path / "w").mkdir()
    (tmp_path / "w/holiday.jpg").touch()
    with pytest.raises(ClusterError, match=r"holiday\.jpg"):
        Volume.open(tmp_path / "w", "d1", "c1", 0)


def test_a_fresh_directory_is_adopted_once(tmp_path: Path) -> None:
    fresh = BlockStore([Volume.open(tmp_path / "v", "d1", "", 0)])
    fresh.adopt("d1", "c1")
    with pytest.raises(WrongCluster):
        Volume.open(tmp_path / "v", "d1", "c2", 0)


def test_many_replicas_are_found_quickly(tmp_path: Path) -> None:
    Volume.open(tmp_path / "blocks", "d1", "c1", 0)
    count = 5000
    for block_id in range(count):
        directory = (
            tmp_path / f"blocks/finalized/subdir{block_id >> 16 & 31}/subdir{block_id >> 8 & 31}"
        )
        if not block_id % 256:
            directory.mkdir(parents=True)
        (directory / f"blk_{block_id}").touch()
        (directory / f"blk_{block_id}_1.meta").touch()
    begun = time.monotonic()
    assert len(store_at(tmp_path).finalized()) == count
    assert time.monotonic() - begun < 2


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs")
def test_a_disk_that_fills_up_fails_that_write_with_the_reason(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no mount here: {mounted.stderr.decode().strip()}")
    try:
        store = store_at(tmp_path)
        stored(store, 1, b"x" * 100_000)
        writer = store.create(2, 1, SMALL)
        with pytest.raises(DiskFull, match=r"No space left|reserve"):
            put(writer, b"y" * 2_000_000)
        store.abandon(writer)
        assert read(store, 1) == (b"x" * 100_000, True)
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_process_killed_between_write_and_finalise_loses_only_that_replica(
    tmp_path: Path,
) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.unit.minihdfs.datanode.test_block_store import *\n"
        "store = store_at(Path(sys.argv[1])); stored(store, 1, b'kept' * 300)\n"
        "w = store.create(2, 1, SMALL); put(w, b'torn' * 300); w.sync()\n"
        "t = store.create_temporary(3, 1, SMALL); put(t, b'copy' * 300)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[4]
    assert (
        subprocess.run([sys.executable, "-c", program, tmp_path], cwd=root, check=False).returncode
        == -9
    )
    store = store_at(tmp_path)
    assert store.finalized() == [BlockRef(1, 1, 1200)]
    torn = store.get(2)
    assert torn is not None and torn.state is State.RWR and store.get(3) is None


def test_synced_bytes_survive_a_power_cut_that_keeps_longer_data_and_the_checksum_of_before(
    tmp_path: Path,
) -> None:
    store = store_at(tmp_path)
    writer = store.create(1, 1, SMALL)
    data = os.urandom(700)
    put(writer, data[:600])
    store.sync(writer)
    meta = (tmp_path / "blocks/rbw/blk_1_1.meta").read_bytes()
    put(writer, data[512:], offset=512)
    (tmp_path / "blocks/rbw/blk_1_1.meta").write_bytes(meta)
    again = store_at(tmp_path)
    assert again.unfinished() == [BlockRef(1, 1, 600)] and read(again, 1)[0] == data[:600]


def test_bytes_that_rot_are_not_summed_anew_when_a_chunk_goes_on(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    writer = store.create(7, 1, SMALL)
    put(writer, b"x" * 700)
    os.pwrite(writer.data_fd, b"!", 600)
    with pytest.raises(ChecksumMismatch, match="from byte 512 to 699"):
        put(writer, b"y" * 100, offset=700)
    assert writer.length == 700
    with store.open_replica(7, 1) as files:
        assert good_length(files.data_fd, files.meta_fd, 700, SMALL) == 512


def test_each_directory_of_replicas_is_synced_even_if_it_is_there_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is there may have been made by a process that was killed before its fsync, or by one
    whose fsync failed."""
    volume = store_at(tmp_path).volumes[0]
    inner = volume.directory("finalized", 7)
    synced: list[Path] = []

    def fsync(path: str) -> None:
        synced.append(Path(path))
        if len(synced) == 2:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(volume, "directory_sync", DirectorySync(fsync))
    with pytest.raises(OSError, match="Input/output"):
        volume.make_finalized_directory(7)
    assert inner.is_dir()
    volume.make_finalized_directory(7)
    assert synced[2:] == [inner.parent.parent, inner.parent]
    volume.make_finalized_directory(7)
    assert len(synced) == 4
