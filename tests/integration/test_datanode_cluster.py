"""Datanodes with a real namenode and the real client, all in this process, over real sockets and
disks: what heals, and what is refused."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterkit.errors import Unavailable
from coordinator.backends.memory import MemoryCoordinator, MemoryHub
from minihdfs.client.api import ClientOptions
from minihdfs.client.filesystem import FileSystem, connect
from minihdfs.datanode.service import DatanodeService, DatanodeServiceOptions
from minihdfs.errors import WrongCluster
from minihdfs.model import ServerDefaults
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.service import NamenodeService, NamenodeServiceOptions

SECOND_US = 1_000_000
USER = "tester"


class Cluster:
    def __init__(self, root: Path, replication: int) -> None:
        self.root, self.hub = root, MemoryHub()
        self._replication = replication
        self.namenode: NamenodeService | None = None
        self.datanodes: dict[str, DatanodeService] = {}

    def start_namenode(self) -> NamenodeService:
        core = Options(
            cluster_id="",
            superuser=USER,
            defaults=ServerDefaults(
                block_bytes=1 << 20,
                packet_bytes=1 << 16,
                bytes_per_checksum=1 << 14,
                replication=self._replication,
            ),
            heartbeat_interval_us=SECOND_US // 5,
            dead_after_us=SECOND_US,
            order_resend_us=SECOND_US,
            settle_us=SECOND_US // 5,
        )
        options = NamenodeServiceOptions("n1", self.root / "n1", core)
        self.namenode = NamenodeService(options, MemoryCoordinator(self.hub))
        self.namenode.start()
        return self.namenode

    def stop_namenode(self) -> None:
        assert self.namenode is not None
        self.namenode.stop()
        self.namenode.wait()
        self.namenode = None

    def start_datanode(self, name: str) -> DatanodeService:
        options = DatanodeServiceOptions(
            name, self.root / name, reserve_bytes=0, full_report_interval_s=1.0, call_timeout_s=2.0
        )
        service = self.datanodes[name] = DatanodeService(options, self.find_namenode)
        service.start()
        return service

    def stop_datanode(self, name: str) -> None:
        service = self.datanodes.pop(name)
        service.stop()
        service.wait()

    def find_namenode(self) -> str:
        namenode = self.namenode
        if namenode is None:
            raise Unavailable("no namenode leads")
        return namenode.datanode_address

    def connect(self, *, local_reads: bool = False) -> FileSystem:
        assert self.namenode is not None
        return connect(
            self.namenode.fs_uri, user=USER, options=ClientOptions(local_reads=local_reads)
        )

    def block_files(self, size: int) -> list[Path]:
        paths = self.root.rglob("finalized/**/blk_*")
        return sorted(
            path for path in paths if path.suffix != ".meta" and path.stat().st_size == size
        )

    def stop(self) -> None:
        for name in list(self.datanodes):
            self.stop_datanode(name)
        if self.namenode is not None:
            self.stop_namenode()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, replication=2)
    cluster.start_namenode()
    try:
        yield cluster
    finally:
        cluster.stop()


def until(predicate: Callable[[], object], limit_s: float, what: str) -> None:
    pause, end = threading.Event(), time.monotonic() + limit_s
    while not predicate():
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        pause.wait(0.02)


def ready(cluster: Cluster, count: int) -> FileSystem:
    for i in range(count):
        cluster.start_datanode(f"d{i + 1}")
    fs = cluster.connect()
    until(lambda: len(fs.calls.get_datanode_report("live")) == count, 10, f"{count} live datanodes")
    return fs


def put(fs: FileSystem, path: str, data: bytes) -> None:
    with fs.create(path) as file:
        file.write(data)


def get(fs: FileSystem, path: str) -> bytes:
    with fs.open(path) as file:
        return bytes(file.read())


def test_a_datanode_is_useful_at_once(cluster: Cluster) -> None:
    with cluster.connect() as fs:
        begun = time.monotonic()
        cluster.start_datanode("d1")
        until(lambda: fs.calls.get_datanode_report("live"), 15, "one live datanode")
        assert (
            time.monotonic() - begun < 3.0
        )  # about 0.1 s; the rest is for a machine that is busy with other things


@pytest.mark.parametrize("local_reads", [False, True])
def test_files_come_back_as_they_were(cluster: Cluster, local_reads: bool) -> None:
    with ready(cluster, 3), cluster.connect(local_reads=local_reads) as fs:
        for length in (0, 1, 65536, 3_500_001):
            data = os.urandom(length)
            put(fs, f"/f{length}", data)
            assert get(fs, f"/f{length}") == data
        assert fs.calls.get_fs_stats().under_replicated_blocks == 0


def test_what_a_dead_datanode_held_is_made_again_elsewhere(cluster: Cluster) -> None:
    data = os.urandom(700_001)
    with ready(cluster, 3) as fs:
        put(fs, "/f", data)
        until(lambda: len(cluster.block_files(len(data))) == 2, 15, "two replicas")
        victim = cluster.block_files(len(data))[0].relative_to(cluster.root).parts[0]
        cluster.stop_datanode(victim)

        def elsewhere() -> bool:
            return (
                len([path for path in cluster.block_files(len(data)) if victim not in path.parts])
                == 2
            )

        until(elsewhere, 20, "a second replica on the two that are left")
        until(lambda: fs.calls.get_fs_stats().under_replicated_blocks == 0, 15, "full replication")
        assert get(fs, "/f") == data
        cluster.start_datanode(victim)
        until(
            lambda: len(cluster.block_files(len(data))) == 2, 20, "the third replica to be deleted"
        )
        assert get(fs, "/f") == data


def test_a_flipped_bit_is_never_returned_and_is_mended_in_place(cluster: Cluster) -> None:
    data = os.urandom(800_001)
    with ready(cluster, 2) as fs:
        put(fs, "/f", data)
        until(lambda: len(cluster.block_files(len(data))) == 2, 15, "two replicas")
        victim = cluster.block_files(len(data))[0]
        with victim.open("r+b") as file:
            file.seek(500_000)
            file.write(bytes([data[500_000] ^ 1]))

        def mended() -> bool:
            assert get(fs, "/f") == data
            return victim.read_bytes() == data

        until(mended, 20, "the replica is mended while it is read")
        assert len(cluster.block_files(len(data))) == 2
        until(lambda: fs.calls.get_fs_stats().corrupt_blocks == 0, 15, "no corrupt block is left")


def test_a_lost_block_file_is_noticed_when_it_is_read_and_made_again(cluster: Cluster) -> None:
    data = os.urandom(300_001)
    with ready(cluster, 2) as fs:
        put(fs, "/f", data)
        until(lambda: len(cluster.block_files(len(data))) == 2, 15, "two replicas")
        cluster.block_files(len(data))[0].unlink()

        def again() -> bool:
            assert get(fs, "/f") == data
            return len(cluster.block_files(len(data))) == 2

        until(again, 20, "the second replica again")


def test_deleted_files_leave_the_disks(cluster: Cluster) -> None:
    with ready(cluster, 2) as fs:
        put(fs, "/f", b"x" * 123_457)
        until(lambda: len(cluster.block_files(123_457)) == 2, 15, "two replicas")
        fs.delete("/f")
        until(lambda: not cluster.block_files(123_457), 10, "no replica")


def test_what_a_dead_writer_left_goes_with_its_file(cluster: Cluster) -> None:
    """Once ordered away at the deletion, once found by a full report because its datanode was down
    meanwhile."""
    with ready(cluster, 2) as fs:
        leftovers = lambda: list(cluster.root.rglob("rbw/blk_*"))  # noqa: E731
        for path, restart in (("/f", False), ("/g", True)):
            writer = fs.create(path)
            writer.write(b"x" * 400_000)
            until(
                lambda: any(p.stat().st_size > 1000 for p in leftovers()),
                10,
                "bytes of an open block",
            )
            if restart:
                for name in ("d1", "d2"):
                    cluster.stop_datanode(name)
            fs.delete(path)
            if restart:
                for name in ("d1", "d2"):
                    cluster.start_datanode(name)
            until(lambda: not leftovers(), 15, "nothing is left")


def test_a_namenode_that_restarts_finds_every_replica_again(cluster: Cluster) -> None:
    data = os.urandom(1_500_001)
    with ready(cluster, 2) as fs:
        put(fs, "/f", data)
    cluster.stop_namenode()
    cluster.start_namenode()
    with cluster.connect() as fs:
        until(lambda: len(fs.calls.get_datanode_report("live")) == 2, 10, "both registered again")
        until(lambda: not fs.calls.get_fs_stats().safe_mode, 10, "out of safe mode")
        assert get(fs, "/f") == data


def test_a_datanode_that_restarts_serves_what_it_had_at_the_same_ports(cluster: Cluster) -> None:
    data = os.urandom(200_001)
    with ready(cluster, 2) as fs:
        put(fs, "/f", data)
        ports = dict(cluster.datanodes["d1"].ports)
        for name in ("d1", "d2"):
            cluster.stop_datanode(name)
        for name in ("d1", "d2"):
            cluster.start_datanode(name)
        assert dict(cluster.datanodes["d1"].ports) == ports
        assert get(fs, "/f") == data


def test_a_datanode_of_another_cluster_is_refused_with_one_clear_line(
    cluster: Cluster, tmp_path: Path
) -> None:
    with ready(cluster, 1):
        cluster.stop_datanode("d1")
    other = Cluster(tmp_path / "other", replication=1)
    other.start_namenode()
    try:
        options = DatanodeServiceOptions("d1", tmp_path / "d1", reserve_bytes=0)
        service = DatanodeService(options, other.find_namenode)
        service.start()
        with pytest.raises(WrongCluster, match="belongs to cluster"):
            service.wait()
    finally:
        other.stop()
