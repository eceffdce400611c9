"""WRITE_BLOCK against real datanodes in this process: pipelines, and each way in which they
break."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from minihdfs.checksum import checksums_of
from minihdfs.datanode.files.replica import State
from minihdfs.datanode.replicator import is_sound
from minihdfs.model import BlockRef, DatanodeAddress
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_bytes, receive_delimited
from tests.unit.minihdfs.datanode.nodes import BIG, SMALL, Writer, connect, nodes, read, write


def until(predicate: object, limit_s: float = 10) -> None:
    """Waits on a condition that other threads bring about."""
    pause = threading.Event()
    for _ in range(int(limit_s * 100)):
        if predicate():  # type: ignore[operator]
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize(("checksum", "packet"), [(BIG, 1 << 20), (SMALL, 64512), (SMALL, 512)])
@pytest.mark.parametrize("length", [0, 1, 3_000_001])
def test_every_datanode_of_the_pipeline_has_the_bytes(
    tmp_path: Path, replicas: int, checksum: dt.Checksum, packet: int, length: int
) -> None:
    length = min(length, 200 * packet + 1)
    data = os.urandom(length)
    with nodes(tmp_path, replicas) as pipeline:
        acks = write(pipeline, 7, data, checksum, packet)
        assert [ack.seqno for ack in acks] == list(range(len(acks)))
        assert all(ack.replies == (0,) * replicas for ack in acks)
        for node in pipeline:
            assert node.heard == [("finalized", BlockRef(7, 1, length))]
            assert node.block_file(7).read_bytes() == data and is_sound(
                node.store, BlockRef(7, 1, length)
            )
            with connect(node.address) as sock:
                assert read(sock, BlockRef(7, 1, length), 0, length) == data


@pytest.mark.parametrize("kind", [dt.ChecksumType.NULL, dt.ChecksumType.CRC32])
def test_writers_with_other_checksums_or_none_are_served(tmp_path: Path, kind: int) -> None:
    data = os.urandom(200_001)
    checksum = dt.Checksum(kind, 512)
    with nodes(tmp_path, 2) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0), checksum)
        for at in range(0, len(data), 51200):
            piece = data[at : at + 51200]
            writer.send(
                piece, sums=b"" if kind == dt.ChecksumType.NULL else checksums_of(piece, 512, kind)
            )
        writer.send(b"", last=True)
        assert [writer.ack().replies for _ in range(5)] == [(0, 0)] * 5
        for node in pipeline:
            assert (
                is_sound(node.store, BlockRef(7, 1, len(data)))
                and node.block_file(7).read_bytes() == data
            )


def test_a_copy_is_verified_by_everyone_it_passes(tmp_path: Path) -> None:
    """Nobody waits for the whole pipeline of a copy: each of its datanodes reports what it has."""
    with nodes(tmp_path, 2) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0), SMALL, client="")
        with contextlib.suppress(OSError):  # each of the two may end the stream at once
            writer.send(b"x" * 512, last=True, sums=b"\0\0\0\0")
            assert dt.Status.ERROR_CHECKSUM in writer.ack().replies
        writer.sock.close()
        until(lambda: all(node.store.get(7) is None for node in pipeline))
        assert [node.heard for node in pipeline] == [[], []]


def test_a_dead_datanode_is_named_while_the_pipeline_is_set_up(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as pipeline:
        dead = pipeline[2]
        dead.stop()
        writer = Writer(pipeline, BlockRef(7, 1, 0))
        assert writer.reply.status == dt.Status.ERROR and writer.reply.first_bad_link == dead.link
        until(lambda: not pipeline[0].files(7) and not pipeline[1].files(7))
        assert write(pipeline[:2], 7, b"around it")[-1].replies == (0, 0)


def test_a_datanode_that_cannot_take_the_block_is_named_by_the_one_before(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as pipeline:
        write(pipeline[2:], 7, b"already here")
        writer = Writer(pipeline, BlockRef(7, 1, 0))
        assert (
            writer.reply.status == dt.Status.ERROR
            and writer.reply.first_bad_link == pipeline[2].link
        )
        assert "is here already" in writer.reply.message


def test_a_datanode_that_dies_in_the_middle_is_told_by_its_place(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0), SMALL)
        writer.send(b"a" * 5120)
        assert writer.ack() == dt.Ack(0, (0, 0, 0))
        pipeline[2].stop()
        writer.send(b"b" * 5120)
        until_broken = [writer.ack()]
        while not any(until_broken[-1].replies):
            writer.send(b"c" * 5120)
            until_broken.append(writer.ack())
        assert until_broken[-1].replies == (0, 0, dt.Status.ERROR)
        assert writer.sock.recv(1) == b""
        writer.sock.close()
        for node in pipeline[:2]:
            until(lambda node=node: (r := node.store.get(7)) is not None and r.writer is None)
            replica = node.store.get(7)
            assert replica is not None and replica.state is State.RBW and replica.length >= 5120
            assert node.heard == []


def test_a_silent_datanode_is_given_up_by_the_one_next_to_it(tmp_path: Path) -> None:
    with (
        nodes(tmp_path, 2, close_s=0.5) as pipeline,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        silent = DatanodeAddress("silent", "127.0.0.1", "", listener.getsockname()[1], 0)

        def accept() -> None:
            sock, _ = listener.accept()
            with sock:
                receive_bytes(sock, dt.OP_PREFIX.size)
                receive_delimited(sock)
                sock.sendall(dt.encode_reply(dt.OpReply(dt.Status.SUCCESS)))
                while sock.recv(1 << 16):
                    pass

        thread = threading.Thread(target=accept)
        thread.start()
        with connect(pipeline[0].address) as sock:
            targets = (pipeline[1].address, silent)
            sock.sendall(
                dt.encode_operation(dt.WriteBlock(BlockRef(7, 1, 0), "c", targets, 6, 3, BIG))
            )
            assert dt.decode_reply(receive_delimited(sock)).status == dt.Status.SUCCESS
            sock.sendall(dt.encode_packet_header(0, 0, 0, 0, last=True))
            assert dt.decode_ack(receive_delimited(sock)).replies == (0, 0, dt.Status.ERROR)
        thread.join(10)


def test_a_datanode_that_never_answers_a_set_up_is_named_by_the_one_next_to_it(
    tmp_path: Path,
) -> None:
    with (
        nodes(tmp_path, 2, setup_s=0.3, connect_s=0.3) as pipeline,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        port = listener.getsockname()[1]
        with connect(pipeline[0].address) as sock:
            targets = (pipeline[1].address, DatanodeAddress("silent", "127.0.0.1", "", port, 0))
            sock.sendall(
                dt.encode_operation(dt.WriteBlock(BlockRef(7, 1, 0), "c", targets, 6, 3, BIG))
            )
            reply = dt.decode_reply(receive_delimited(sock))
        assert (reply.status, reply.first_bad_link) == (dt.Status.ERROR, f"127.0.0.1:{port}")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs")
def test_a_disk_that_fills_up_is_told_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "d2").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path / "d2"],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no mount here: {mounted.stderr.decode().strip()}")
    try:
        with nodes(tmp_path, 3) as pipeline:
            writer = Writer(pipeline, BlockRef(7, 1, 0))
            acks = []
            for _ in range(8):
                writer.send(b"x" * (256 << 10))
                acks.append(writer.ack())
                if any(acks[-1].replies):
                    break
            assert acks[0].replies == (0, 0, 0) and acks[-1].replies == (0, dt.Status.ERROR, 0)
            writer.sock.close()
    finally:
        subprocess.run(["umount", "-l", tmp_path / "d2"], check=True)


def test_an_idle_pipeline_is_no_silent_one(tmp_path: Path) -> None:
    with nodes(tmp_path, 2, ack_s=1.0) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0))
        writer.send(b"data")
        assert writer.ack().replies == (0, 0)
        writer.sock.settimeout(1.6)
        with pytest.raises(TimeoutError):
            writer.sock.recv(1)
        writer.sock.settimeout(10)
        writer.send(b"", last=True)
        assert writer.ack().replies == (0, 0)


def test_bytes_that_arrive_bad_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0), SMALL)
        writer.send(b"x" * 1024, sums=b"\0" * 8)
        assert writer.ack() == dt.Ack(0, (dt.Status.ERROR_CHECKSUM,))
        assert writer.sock.recv(1) == b""
        writer.sock.close()
        until(lambda: not pipeline[0].files(7))


def test_whoever_passed_bad_bytes_on_breaks_off(tmp_path: Path) -> None:
    with nodes(tmp_path, 2) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0), SMALL)
        writer.send(b"x" * 1024, sums=b"\0" * 8)
        with pytest.raises(ConnectionError):
            writer.ack()
        writer.sock.close()
        until(lambda: not pipeline[0].files(7) and not pipeline[1].files(7))


def test_a_writer_that_dies_leaves_what_was_acknowledged(tmp_path: Path) -> None:
    with nodes(tmp_path, 2) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0), SMALL)
        writer.send(b"kept" * 256)
        assert writer.ack().replies == (0, 0)
        writer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.sock.close()
        for node in pipeline:
            until(lambda node=node: (r := node.store.get(7)) is not None and r.writer is None)
            assert node.store.visible_length(7, 1) == 1024 and node.store.finalized() == []


def test_acknowledged_bytes_of_an_open_block_can_be_read(tmp_path: Path) -> None:
    with nodes(tmp_path, 2) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0), SMALL)
        data = os.urandom(1300)
        writer.send(data[:700], sync=True)
        writer.ack()
        for node in pipeline:
            with connect(node.address) as sock:
                assert read(sock, BlockRef(7, 1, 700), 0, 700) == data[:700]
        writer.send(data[512:], offset=512)
        writer.send(b"", last=True)
        assert [writer.ack().replies, writer.ack().replies] == [(0, 0), (0, 0)]
        for node in pipeline:
            assert node.block_file(7).read_bytes() == data and is_sound(
                node.store, BlockRef(7, 1, 1300)
            )


def test_heartbeats_are_acknowledged_in_their_turn(tmp_path: Path) -> None:
    with nodes(tmp_path, 2) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0))
        writer.heartbeat()
        writer.send(b"data")
        writer.heartbeat()
        assert [writer.ack() for _ in range(3)] == [
            dt.Ack(-1, (0, 0)),
            dt.Ack(0, (0, 0)),
            dt.Ack(-1, (0, 0)),
        ]


def test_an_end_that_is_not_where_the_bytes_end_is_an_error(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0))
        writer.send(b"data")
        writer.send(b"", last=True, offset=5)
        assert [writer.ack().replies, writer.ack().replies] == [(0,), (dt.Status.ERROR,)]
        assert pipeline[0].heard == []


@pytest.mark.parametrize(
    "stage", [dt.Stage.APPEND, dt.Stage.STREAMING_RECOVERY, dt.Stage.CLOSE_RECOVERY]
)
def test_stages_that_are_not_there_yet_are_refused_in_words(tmp_path: Path, stage: int) -> None:
    with nodes(tmp_path, 1) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0), stage=stage)
        assert (
            writer.reply.status == dt.Status.ERROR_UNSUPPORTED
            and "not served" in writer.reply.message
        )


def test_a_packet_larger_than_any_allowed_ends_the_connection(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0))
        writer.sock.sendall(struct.pack(">iH", 1 << 30, 25))
        assert writer.sock.recv(1) == b""
        until(lambda: not pipeline[0].files(7))


def test_a_local_failure_in_the_middle_is_told_with_the_other_nodes_success(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as pipeline:
        writer = Writer(pipeline, BlockRef(7, 1, 0))
        writer.send(b"data")
        assert writer.ack().replies == (0, 0, 0)
        replica = pipeline[1].store.get(7)
        assert replica is not None and replica.writer is not None
        os.close(replica.writer.data_fd)
        replica.writer.data_fd = os.open(
            "/dev/null", os.O_RDONLY
        )  # a disk that takes nothing any more
        writer.send(b"more" * 100)
        assert writer.ack().replies == (0, dt.Status.ERROR, 0)
