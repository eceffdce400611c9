"""READ_BLOCK, BLOCK_CHECKSUM, TRANSFER_BLOCK, descriptors, copies and repairs on real sockets."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from minihdfs.checksum import checksums_of, crc_function
from minihdfs.datanode.replicator import is_sound
from minihdfs.datanode.transfer.packets import PacketReceiver
from minihdfs.model import BlockRef
from minihdfs.wire import data_transfer as dt
from minihdfs.wire import local_fd
from minihdfs.wire.streams import receive_bytes, receive_delimited
from tests.unit.minihdfs.datanode.nodes import (
    BIG,
    SMALL,
    Node,
    Writer,
    ask,
    connect,
    nodes,
    read,
    write,
)

DATA = os.urandom(2_500_001)
BLOCK = BlockRef(7, 1, len(DATA))


def flip(node: Node, at: int) -> None:
    with node.block_file(7).open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 4]))


@pytest.mark.parametrize("checksum", [BIG, SMALL])
def test_any_range_is_read_on_one_connection(tmp_path: Path, checksum: dt.Checksum) -> None:
    with nodes(tmp_path, 1) as (node,):
        write([node], 7, DATA, checksum)
        with connect(node.address) as sock:
            for offset, length in [
                (0, len(DATA)),
                (1, 1),
                (65535, 2),
                (511, 514),
                (len(DATA) - 1, 1),
                (2_000_000, 500_001),
                (0, 0),
            ]:
                assert read(sock, BLOCK, offset, length) == DATA[offset : offset + length]


def test_checksums_are_left_out_on_request(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (node,):
        write([node], 7, DATA[:1000])
        with connect(node.address) as sock:
            reply = ask(
                sock, dt.ReadBlock(BlockRef(7, 1, 1000), "c", 0, 1000, send_checksums=False)
            )
            assert reply.checksum is not None and reply.checksum.type == dt.ChecksumType.NULL
            header = dt.encode_packet_header(0, 0, 1000, 0)
            assert receive_bytes(sock, len(header)) == header
            assert receive_bytes(sock, 1000) == DATA[:1000]


def test_a_missing_or_stale_replica_is_refused_in_words(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (node,):
        write([node], 7, b"here")
        for block, offset, words in [
            (BlockRef(8, 1, 4), 0, "block 8 is not on this datanode"),
            (BlockRef(7, 2, 4), 0, "generation stamp 1, older than 2"),
            (BlockRef(7, 1, 4), 5, "beyond the 4 bytes"),
        ]:
            with connect(node.address) as sock:
                reply = ask(sock, dt.ReadBlock(block, "c", offset, 1))
                assert reply.status == dt.Status.ERROR and words in reply.message


def test_wrong_bytes_do_not_agree_with_the_checksums_that_come_along(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (node,):
        write([node], 7, DATA)
        flip(node, 1_234_567)
        with connect(node.address) as sock, pytest.raises(AssertionError, match="bad chunk"):
            read(sock, BLOCK, 0, len(DATA))


def test_a_readers_complaint_a_short_file_and_a_lost_file_are_told(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (node,):
        write([node], 7, DATA)
        with connect(node.address) as sock:
            ask(sock, dt.ReadBlock(BLOCK, "c", 0, 1))
            packets = PacketReceiver(sock, node.context.buffers)
            while not packets.receive().last:
                pass
            sock.sendall(dt.encode_read_status(dt.Status.ERROR_CHECKSUM))
            assert sock.recv(1) == b""
        os.truncate(node.block_file(7), 1000)
        with connect(node.address) as sock, pytest.raises(ConnectionError):
            read(sock, BLOCK, 0, len(DATA))
        node.block_file(7).unlink()
        with connect(node.address) as sock:
            assert "are gone" in ask(sock, dt.ReadBlock(BLOCK, "c", 0, 1)).message
        assert [word for word, _ in node.heard] == ["finalized", "suspected", "suspected", "gone"]


def test_what_is_not_served_is_answered_and_strangers_are_not(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (node,):
        with connect(node.address) as sock:
            sock.sendall(dt.OP_PREFIX.pack(28, 87) + dt.delimited(b""))
            assert dt.decode_reply(receive_delimited(sock)).status == dt.Status.ERROR_UNSUPPORTED
        for hello in (b"GET / HTTP/1.1\r\n\r\n", b"\0\x1b\x51\0", b"\xde\xad\xbe\xef\0"):
            with connect(node.address) as sock:
                sock.sendall(hello)
                with suppress(ConnectionResetError):  # closed with bytes unread
                    assert sock.recv(1) == b""
        with connect(node.address) as sock:
            sock.sendall(dt.OP_PREFIX.pack(28, 81) + b"\xff\xff\xff\xff\xff\xff")
            with suppress(ConnectionResetError):
                assert sock.recv(1) == b""


@pytest.mark.parametrize("checksum", [BIG, SMALL])
def test_the_block_checksum_is_the_md5_of_the_stored_crcs(
    tmp_path: Path, checksum: dt.Checksum
) -> None:
    per_chunk = checksum.bytes_per_checksum
    with nodes(tmp_path, 1) as (node,):
        write([node], 7, DATA, checksum)
        for length in (len(DATA), 1_000_001, 2 * per_chunk):
            sums = checksums_of(DATA[:length], per_chunk)
            with connect(node.address) as sock:
                reply = ask(sock, dt.BlockChecksum(BlockRef(7, 1, length)))
            assert reply.block_checksum == (per_chunk, len(sums) // 4, hashlib.md5(sums).digest())


def test_a_composite_checksum_is_the_crc_of_all_bytes_whatever_the_chunks(tmp_path: Path) -> None:
    kind = dt.ChecksumType.CRC32C
    whole = crc_function(kind)
    with nodes(tmp_path, 1) as (node,):
        for block, per_chunk in ((7, 512), (8, 16 << 10)):
            write([node], block, DATA, dt.Checksum(kind, per_chunk))
            for length in (len(DATA), 1_000_001, 2 * per_chunk):
                with connect(node.address) as sock:
                    reply = ask(sock, dt.BlockChecksum(BlockRef(block, 1, length), composite=True))
                assert (
                    reply.block_checksum is not None
                    and reply.composite
                    and reply.block_checksum_type == kind
                )
                assert reply.block_checksum[2] == whole(DATA[:length]).to_bytes(4, "big")


def test_a_replica_is_pushed_to_others_and_never_a_bad_one(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as (source, first, second):
        write([source], 7, DATA, SMALL)
        assert source.replicator.push(BLOCK, (first.address, second.address)) == ()
        for node in (first, second):
            assert node.heard == [("finalized", BLOCK)] and node.block_file(7).read_bytes() == DATA
            assert is_sound(node.store, BLOCK)
        write([source], 8, DATA)
        source.block_file(7).write_bytes(DATA)
        with source.block_file(8).open("r+b") as file:
            file.seek(2_400_000)
            file.write(b"?")
        ((uuid, reason),) = source.replicator.push(BlockRef(8, 1, len(DATA)), (first.address,))
        assert uuid == "d2" and "is bad" in reason
        assert source.heard[-1] == ("bad", BlockRef(8, 1, len(DATA)))
        assert first.store.get(8) is None


def test_a_target_that_does_not_answer_is_named_and_the_others_get_theirs(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as (source, dead, alive):
        write([source], 7, DATA)
        dead.stop()
        ((uuid, reason),) = source.replicator.push(BLOCK, (dead.address, alive.address))
        assert uuid == "d2" and "no connection" in reason and alive.store.get(7) is not None


def test_a_writer_has_a_block_brought_to_another_datanode(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as (source, target, other):
        write([source], 7, DATA)
        with connect(source.address) as sock:
            assert (
                ask(sock, dt.TransferBlock(BLOCK, "client_1", (target.address,))).status
                == dt.Status.SUCCESS
            )
        assert target.block_file(7).read_bytes() == DATA
        writer = Writer([source], BlockRef(8, 1, 0), SMALL)
        writer.send(b"open" * 300)
        writer.ack()
        with connect(source.address) as sock:
            assert (
                ask(
                    sock, dt.TransferBlock(BlockRef(8, 1, 1200), "client_1", (other.address,))
                ).status
                == dt.Status.SUCCESS
            )
        assert other.store.visible_length(8, 1) == 1200 and other.store.finalized() == []
        assert other.heard == []


def test_a_flipped_bit_is_mended_in_place_from_a_sound_copy(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as pipeline:
        write(pipeline, 7, DATA)
        flip(pipeline[0], 2_000_000)
        flip(pipeline[1], 9)
        victim = pipeline[0]
        assert victim.replicator.repair(BLOCK, tuple(node.address for node in pipeline[1:])) == ""
        assert victim.block_file(7).read_bytes() == DATA and is_sound(victim.store, BLOCK)
        assert len(victim.files(7)) == 2 and victim.store.usage(0).used_bytes == len(DATA)


def test_a_replica_that_lost_its_tail_or_its_checksums_is_mended(tmp_path: Path) -> None:
    with nodes(tmp_path, 2) as (victim, sound):
        write([victim, sound], 7, DATA)
        os.truncate(victim.block_file(7), 65536)
        assert victim.replicator.repair(BLOCK, (sound.address,)) == ""
        next(victim.root.rglob("blk_7_1.meta")).write_bytes(b"")
        assert victim.replicator.repair(BLOCK, (sound.address,)) == ""
        assert is_sound(victim.store, BLOCK) and victim.block_file(7).read_bytes() == DATA


def test_a_sound_replica_is_left_alone_and_a_bad_one_kept_when_nobody_has_better(
    tmp_path: Path,
) -> None:
    with nodes(tmp_path, 2) as (victim, other):
        write([victim, other], 7, DATA)
        inode = victim.block_file(7).stat().st_ino
        assert victim.replicator.repair(BLOCK, (other.address,)) == ""
        assert victim.block_file(7).stat().st_ino == inode
        flip(victim, 5)
        flip(other, 5)
        assert "bad as well" in victim.replicator.repair(BLOCK, (other.address,))
        assert victim.replicator.repair(BLOCK, ()) == "the namenode knows no other replica"
        assert (
            len(victim.files(7)) == 3 and victim.block_file(7).stat().st_ino == inode
        )  # with the mark that it is bad


def ask_descriptors(node: Node, block_id: int, stamp: int) -> tuple[local_fd.FdReply, list[int]]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(node.address.domain_socket)
        sock.sendall(local_fd.encode_request(local_fd.FdRequest(block_id, stamp)))
        data, fds, _, _ = socket.recv_fds(sock, local_fd.REPLY_BYTES, local_fd.DESCRIPTORS)
        return local_fd.decode_fd_reply(data)[0], list(fds)


def test_a_client_of_this_machine_gets_the_descriptors(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (node,):
        write([node], 7, DATA, SMALL)
        reply, (data_fd, meta_fd) = ask_descriptors(node, 7, 1)
        assert (reply.status, reply.length, reply.bytes_per_checksum) == (
            local_fd.OK,
            len(DATA),
            512,
        )
        with os.fdopen(data_fd, "rb") as data, os.fdopen(meta_fd, "rb") as meta:
            assert data.read() == DATA and meta.read()[reply.checksum_offset :] == checksums_of(
                DATA, 512
            )
        assert ask_descriptors(node, 8, 1)[0].status == local_fd.NOT_HERE
        assert ask_descriptors(node, 7, 2)[0].status == local_fd.NOT_HERE
        writer = Writer([node], BlockRef(9, 1, 0))
        writer.send(b"open")
        writer.ack()
        assert ask_descriptors(node, 9, 1) == (local_fd.FdReply(local_fd.NOT_FINALIZED), [])
