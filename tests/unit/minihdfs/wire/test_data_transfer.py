"""Framing of the data plane: what one side packs, the other unpacks; a peer's nonsense is a
WireError, never a crash."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihdfs.model import BlockRef, DatanodeAddress
from minihdfs.pb import hadoop_datatransfer_pb2 as pb
from minihdfs.wire import data_transfer as dt

BLOCK = BlockRef(1 << 40, 1001, 77)
NODES = (
    DatanodeAddress("u1", "127.0.0.1", "one", 9866, 9867, "/r1"),
    DatanodeAddress("u2", "127.0.0.2", "two", 9868, 9869, "/r2"),
)


def body_of(frame: bytes) -> tuple[int, bytes]:
    version, opcode = dt.OP_PREFIX.unpack_from(frame)
    assert version == 28
    length, shift, at = 0, 0, dt.OP_PREFIX.size
    while True:
        length |= (frame[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if frame[at - 1] < 0x80:
            break
    assert len(frame) - at == length
    return opcode, frame[at:]


@pytest.mark.parametrize(
    "operation",
    [
        dt.ReadBlock(BLOCK, "me", 5, 60, send_checksums=False),
        dt.WriteBlock(
            BLOCK,
            "me",
            NODES,
            dt.Stage.CREATE,
            3,
            dt.Checksum(dt.ChecksumType.CRC32C, 512),
            1,
            2,
            3,
        ),
        dt.WriteBlock(BLOCK, "me", (), dt.Stage.APPEND, 1, dt.Checksum()),
        dt.TransferBlock(BLOCK, "me", NODES),
        dt.BlockChecksum(BLOCK),
        dt.BlockChecksum(BLOCK, composite=True),
    ],
)
def test_operations_survive_the_wire(operation: dt.Operation) -> None:
    assert dt.decode_operation(*body_of(dt.encode_operation(operation))) == operation


@pytest.mark.parametrize(
    "reply",
    [
        dt.OpReply(dt.Status.SUCCESS, checksum=dt.Checksum(2, 512), chunk_offset=1024),
        dt.OpReply(dt.Status.ERROR, "no space", "127.0.0.1:1"),
        dt.OpReply(dt.Status.SUCCESS, block_checksum=(512, 9, b"0123456789abcdef")),
    ],
)
def test_replies_survive_the_wire(reply: dt.OpReply) -> None:
    frame = dt.encode_reply(reply)
    assert frame[0] == len(frame) - 1
    assert dt.decode_reply(frame[1:]) == reply


def test_acks_and_statuses_survive_the_wire() -> None:
    ack = dt.Ack(-1, (0, 1, 8))
    assert dt.decode_ack(dt.encode_ack(ack)[1:]) == ack
    assert dt.decode_read_status(dt.encode_read_status(dt.Status.CHECKSUM_OK)[1:]) == 6


@given(
    st.integers(0, 2**62),
    st.integers(-1, 2**62),
    st.integers(0, 1 << 20),
    st.integers(0, 64),
    st.booleans(),
    st.booleans(),
)
def test_packet_headers_survive_and_are_protobuf(
    offset: int, seqno: int, size: int, chunks: int, last: bool, sync: bool
) -> None:
    frame = dt.encode_packet_header(offset, seqno, size, chunks * 4, last=last, sync=sync)
    assert len(frame) <= dt.PACKET_HEADER_BYTES
    payload, header_bytes = dt.decode_packet_prefix(frame[: dt.PACKET_PREFIX.size])
    header = frame[dt.PACKET_PREFIX.size :]
    assert len(header) == header_bytes
    assert dt.decode_packet_header(header, payload) == dt.PacketHeader(
        offset, seqno, last, size, chunks * 4, sync
    )
    message = pb.PacketHeader.FromString(header)
    assert (
        message.offsetInBlock,
        message.seqno,
        message.lastPacketInBlock,
        message.dataLen,
        message.syncBlock,
    ) == (
        offset,
        seqno,
        last,
        size,
        sync,
    )


def test_a_header_in_another_order_is_read_too() -> None:
    message = pb.PacketHeader(
        offsetInBlock=7, seqno=3, lastPacketInBlock=True, dataLen=0, syncBlock=True
    )
    fields = message.SerializeToString()
    turned = fields[-2:] + fields[:-2]
    assert dt.decode_packet_header(turned, 0) == dt.PacketHeader(7, 3, True, 0, 0, True)


@pytest.mark.parametrize(
    "prefix",
    [
        struct.pack(">iH", 3, 25),
        struct.pack(">iH", -1, 25),
        struct.pack(">iH", 1 << 30, 25),
        struct.pack(">iH", 8, 0),
    ],
)
def test_absurd_packet_lengths_are_refused(prefix: bytes) -> None:
    with pytest.raises(dt.WireError):
        dt.decode_packet_prefix(prefix)


@pytest.mark.parametrize("header", [b"", b"\xff" * 25, b"\x09" + b"\x00" * 8])
def test_absurd_packet_headers_are_refused(header: bytes) -> None:
    with pytest.raises(dt.WireError):
        dt.decode_packet_header(header, 0)


def test_absurd_operations_are_refused() -> None:
    with pytest.raises(dt.WireError):
        dt.decode_operation(dt.Opcode.READ_BLOCK, b"\x00\x01")
    with pytest.raises(dt.WireError):
        dt.decode_operation(99, b"")


@given(st.integers(0, 2**31 - 1))
def test_varints_are_protobufs(length: int) -> None:
    from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]

    class Sized(bytes):
        def __len__(self) -> int:
            return length

    assert dt.delimited(Sized())[: len(_VarintBytes(length))] == _VarintBytes(length)
