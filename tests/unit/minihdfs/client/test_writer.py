"""Writing: every size, pipelines that cannot be set up or break in the middle, and what a failed
write leaves behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from minihdfs.client.api import ClientOptions
from minihdfs.client.datanodes import Datanodes
from minihdfs.client.writer import FileWriter, chunk_of
from minihdfs.errors import BrokenPipeline, NoDatanodes
from minihdfs.model import ServerDefaults
from minihdfs.wire.data_transfer import WriteBlock
from tests.unit.minihdfs.client.fakes import FakeDatanode, FakeNamenode

BLOCK, PACKET = 256 << 10, 64 << 10
DATA = random.Random(11).randbytes(3 * BLOCK + 12_345)
OPTIONS = ClientOptions(
    connect_timeout_s=0.5,
    read_timeout_s=0.4,
    ack_timeout_s=0.6,
    probe_timeout_s=0.3,
    close_timeout_s=0.6,
    complete_timeout_s=0.4,
)


class Cluster:
    def __init__(self, directory: Path) -> None:
        self.nodes = [FakeDatanode(f"d{i}", directory) for i in range(3)]
        self.namenode = FakeNamenode(self.nodes, block_bytes=BLOCK, packet_bytes=PACKET)
        self.datanodes = Datanodes(0.5)

    def create(
        self, path: str = "/f", *, options: ClientOptions = OPTIONS, block_bytes: int = 0
    ) -> FileWriter:
        calls = cast(Any, self.namenode)
        status = calls.create(path, "me", overwrite=True, block_bytes=block_bytes)
        return FileWriter(
            calls,
            self.datanodes,
            path,
            status,
            calls.get_server_defaults(),
            client_name="me",
            options=options,
        )

    def contents(self, path: str = "/f") -> set[bytes]:
        return {
            self.namenode.content(path, node)
            for node in self.nodes
            if all(b.block.id in node.blocks for b in self.namenode.files[path])
        }

    def holders(self, path: str = "/f") -> list[set[str]]:
        return [
            {n.address.uuid for n in self.nodes if b.block.id in n.blocks}
            for b in self.namenode.files[path]
        ]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    for node in made.nodes:
        node.kill()


@pytest.mark.parametrize(
    "size",
    [0, 1, 511, 512, 513, PACKET - 1, PACKET, PACKET + 1, BLOCK - 1, BLOCK, BLOCK + 1, len(DATA)],
)
@pytest.mark.parametrize("piece", [1 << 30, 10_000, PACKET])
def test_every_size_arrives_on_all_replicas(cluster: Cluster, size: int, piece: int) -> None:
    with cluster.create() as file:
        for at in range(0, size, piece):
            assert file.write(DATA[at : min(size, at + piece)]) == min(size, at + piece) - at
        assert file.tell() == size
    assert cluster.contents() == {DATA[:size]}
    assert cluster.namenode.open_files == set()
    assert [b.block.length for b in cluster.namenode.files["/f"]] == [
        min(BLOCK, size - at) for at in range(0, size, BLOCK)
    ]
    assert all(
        b.block.id in node.synced for b in cluster.namenode.files["/f"] for node in cluster.nodes
    )


def test_chunks_divide_the_files_blocks_where_that_can_be() -> None:
    announced = ServerDefaults().bytes_per_checksum
    assert announced == 16 << 10, "a packet of 64 KiB (snakebite) holds several"
    assert chunk_of(128 << 20, announced) == announced
    assert chunk_of(1024, announced) == 1024
    assert chunk_of(512 * 1954, announced) == 1024
    assert chunk_of(512 * 1953, announced) == 512
    assert chunk_of(1_000_003, announced) == announced


def test_a_block_size_that_the_announced_chunk_does_not_divide(cluster: Cluster) -> None:
    cluster.namenode.defaults = replace(cluster.namenode.defaults, bytes_per_checksum=4096)
    with cluster.create(block_bytes=100 * 512) as file:
        file.write(DATA)
    assert cluster.contents() == {DATA}
    writes = [one for one in cluster.nodes[0].operations if isinstance(one, WriteBlock)]
    assert {one.checksum.bytes_per_checksum for one in writes} == {2048}


def test_a_buffer_that_the_caller_reuses_is_not_confused(cluster: Cluster) -> None:
    buffer = bytearray(PACKET * 2)
    expected = b""
    with cluster.create() as file:
        for value in range(9):
            buffer[:] = bytes([value]) * len(buffer)
            file.write(memoryview(buffer))
            expected += bytes(buffer)
    assert cluster.contents() == {expected}


def test_a_block_size_of_the_files_own(cluster: Cluster) -> None:
    with cluster.create(block_bytes=10_000) as file:
        file.write(DATA[:35_000])
    assert [b.block.length for b in cluster.namenode.files["/f"]] == [10_000, 10_000, 10_000, 5_000]
    assert cluster.contents() == {DATA[:35_000]}


@pytest.mark.parametrize("dead", [[0], [1], [2], [0, 1], [1, 2], [0, 2]])
@pytest.mark.parametrize("how", ["dead", "silent", "refuse"])
def test_a_pipeline_is_set_up_around_bad_datanodes(
    cluster: Cluster, dead: list[int], how: str
) -> None:
    for index in dead:
        cluster.nodes[index].kill() if how == "dead" else cluster.nodes[index].faults.add(how)
    with cluster.create() as file:
        file.write(DATA)
    sound = {f"d{i}" for i in range(3) if i not in dead}
    blocks = cluster.namenode.files["/f"]
    assert (
        b"".join(
            next(n.blocks[b.block.id] for n in cluster.nodes if n.address.uuid in sound)
            for b in blocks
        )
        == DATA
    )
    assert (
        sum(1 for block in cluster.holders() if block == sound) >= 3
    )  # at most the first block took some trying
    assert len(cluster.namenode.abandoned) <= len(dead) + (how == "silent")


def test_no_sound_datanode_says_why(cluster: Cluster) -> None:
    for node in cluster.nodes:
        node.kill()
    file = cluster.create()
    with pytest.raises((BrokenPipeline, NoDatanodes), match="refused"):
        file.write(DATA)
    file.abort()
    assert "/f" not in cluster.namenode.files


@pytest.mark.parametrize("victim", [0, 1, 2])
@pytest.mark.parametrize("fault", ["die_after:2", "nack:1", "die_after:4"])
def test_a_pipeline_that_breaks_is_begun_again_from_the_kept_bytes(
    cluster: Cluster, victim: int, fault: str
) -> None:
    """die_after:4 is the block's last packet: found out while closing."""
    cluster.nodes[victim].faults.add(fault)
    with cluster.create() as file:
        for at in range(0, len(DATA), 50_000):
            file.write(DATA[at : at + 50_000])
    sound = next(node for node in cluster.nodes if node is not cluster.nodes[victim])
    assert cluster.namenode.content("/f", sound) == DATA
    assert len(cluster.namenode.abandoned) == 1
    assert {f"d{victim}"} in [set(shut) for shut in cluster.namenode.excluded]


def test_a_connection_cut_between_two_writes_is_begun_again_elsewhere(cluster: Cluster) -> None:
    with cluster.create() as file:
        file.write(DATA[:PACKET])
        cluster.nodes[0].faults.add(
            "silent"
        )  # for what comes next; the pipeline that stands is cut off below
        session = file._session
        assert session is not None
        session._connection.socket.shutdown(1)
        file.write(DATA[PACKET:])
    assert cluster.namenode.content("/f", cluster.nodes[1]) == DATA


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_silence_in_the_middle_is_blamed_on_the_datanode_that_is_silent(
    cluster: Cluster, victim: int
) -> None:
    """Nobody says who is to blame: each is asked."""
    with cluster.create() as file:
        file.write(DATA[:PACKET])
        cluster.nodes[victim].faults |= {"deaf", "silent"}
        file.write(DATA[PACKET:])
    sound = cluster.nodes[(victim + 1) % 3]
    assert cluster.namenode.content("/f", sound) == DATA
    assert [node.uuid for node in cluster.datanodes.suspects()] == [f"d{victim}"]


def test_beyond_what_is_kept_the_write_fails_and_abort_removes_the_path(cluster: Cluster) -> None:
    cluster.nodes[1].faults.add("die_after:3")
    file = cluster.create(options=ClientOptions(resend_bytes=PACKET))
    with pytest.raises(BrokenPipeline, match="/f: the pipeline broke"):
        for at in range(0, len(DATA), PACKET):
            file.write(DATA[at : at + PACKET])
    with pytest.raises(BrokenPipeline, match="earlier write failed"):
        file.write(b"more")
    with pytest.raises(BrokenPipeline, match="earlier write failed"):
        file.close()
    assert file.closed
    assert "/f" not in cluster.namenode.files


def test_an_exception_in_a_with_block_leaves_no_file(cluster: Cluster) -> None:
    with pytest.raises(KeyError), cluster.create() as file:
        file.write(DATA)
        raise KeyError("mine")
    assert "/f" not in cluster.namenode.files


def test_abort_leaves_a_file_alone_that_took_the_path_since(cluster: Cluster) -> None:
    file = cluster.create()
    file.write(DATA[:100])
    cluster.namenode.files["/f"] = []
    cluster.namenode._inodes["/f"] = 999
    file.abort()
    assert "/f" in cluster.namenode.files


def test_a_writer_whose_file_was_taken_over_takes_nothing_away(cluster: Cluster) -> None:
    """The lease is gone, the inode is still the same: what recovery closed (and others may have
    gone on with) is not this writer's."""
    file = cluster.create()
    file.write(DATA[:BLOCK])
    cluster.namenode.open_files.discard("/f")
    file.abort()
    assert "/f" in cluster.namenode.files and file.closed


def test_complete_is_asked_until_it_is_true_or_time_is_up(cluster: Cluster) -> None:
    cluster.namenode.completes_to_refuse = 3
    with cluster.create() as file:
        file.write(b"x")
    assert cluster.contents() == {b"x"}
    cluster.namenode.completes_to_refuse = 1 << 30
    file = cluster.create("/g")
    with pytest.raises(BrokenPipeline, match="not reported by any datanode"):
        file.close()
    assert "/g" not in cluster.namenode.files


def test_a_datanode_that_failed_lately_is_not_asked_for_the_next_file(cluster: Cluster) -> None:
    cluster.nodes[2].kill()
    for path in ("/a", "/b", "/c"):
        with cluster.create(path) as file:
            file.write(b"data")
    assert cluster.namenode.excluded[-1] == ("d2",)
    assert len(cluster.namenode.abandoned) == 1


def test_suspects_are_better_than_nobody(cluster: Cluster) -> None:
    for node in cluster.nodes:
        cluster.datanodes.suspect(node.address)
    with cluster.create() as file:
        file.write(b"data")
    assert cluster.contents() == {b"data"}


def test_an_idle_pipeline_is_kept_alive(cluster: Cluster) -> None:
    with cluster.create() as file:
        file.write(DATA[:PACKET])
        assert file._session is not None
        file._session._last_sent = 0
        file.keep_alive()
        file.write(DATA[PACKET:])
    assert cluster.contents() == {DATA}
    assert any(isinstance(operation, WriteBlock) for operation in cluster.nodes[2].operations)


@pytest.mark.parametrize("lie", ["babbles", "chatters"])
def test_acknowledgements_that_are_none_break_the_pipeline(cluster: Cluster, lie: str) -> None:
    namenode = cluster.namenode
    namenode.datanodes[0].faults.add(lie)
    with cluster.create() as file:
        file.write(DATA[:3_000])
    assert cluster.contents() == {DATA[:3_000]} and "d0" not in set().union(*cluster.holders())
