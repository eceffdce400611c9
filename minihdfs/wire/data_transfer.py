"""DataTransferProtocol v28, sans-IO: requests, replies, packets and acknowledgements to bytes and
back.

Shared by the client and the datanodes; knows no socket. A connection carries one operation after
the other:

    request      → int16 28 | byte opcode | delimited message
    reply        ← delimited OpReply
    READ_BLOCK   ← packets, the last one empty; then → a delimited ReadStatus, and the connection
                 may be used again
    WRITE_BLOCK  → packets, the last one empty, and ← a delimited Ack for each; the connection ends
                 there

A packet is int32 (4 + checksum bytes + data bytes) | int16 header length | header | checksums, 4
bytes big-endian per chunk | data. `delimited` means a varint length, then the message. Whoever
receives reads `OP_PREFIX.size` bytes, then a delimited body, with the functions of
`minihdfs.wire.streams` or its own loop.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from minihdfs.errors import FsError
from minihdfs.model import BLOCK_POOL, BlockRef, DatanodeAddress
from minihdfs.pb import hadoop_datatransfer_pb2 as pb
from minihdfs.pb import hadoop_hdfs_pb2 as hdfs_pb

VERSION = 28
OP_PREFIX = struct.Struct(">HB")
MAX_OP_BYTES = 1 << 20  # of a request or reply body: a bound for what a peer may make us allocate
MAX_PACKET_BYTES = 16 << 20  # Hadoop's own limit
# Hadoop's own default; a checksum per byte would cost seconds of the interpreter for a packet
MIN_BYTES_PER_CHECKSUM = 512
MAX_BYTES_PER_CHECKSUM = 4 << 20  # a reader of one byte is sent a whole chunk
MAX_PIPELINE = 64
POOL = BLOCK_POOL


class Opcode(enum.IntEnum):
    WRITE_BLOCK = 80
    READ_BLOCK = 81
    BLOCK_CHECKSUM = 85
    TRANSFER_BLOCK = 86
    REQUEST_SHORT_CIRCUIT_FDS = 87


class Status(enum.IntEnum):
    SUCCESS = 0
    ERROR = 1
    ERROR_CHECKSUM = 2
    ERROR_INVALID = 3
    ERROR_EXISTS = 4
    ERROR_ACCESS_TOKEN = 5
    CHECKSUM_OK = 6
    ERROR_UNSUPPORTED = 7
    OOB_RESTART = 8
    IN_PROGRESS = 12


class Stage(enum.IntEnum):
    APPEND = 0
    APPEND_RECOVERY = 1
    STREAMING = 2
    STREAMING_RECOVERY = 3
    CLOSE = 4
    CLOSE_RECOVERY = 5
    CREATE = 6
    TRANSFER_RBW = 7
    TRANSFER_FINALIZED = 8


class ChecksumType(enum.IntEnum):
    NULL = 0
    CRC32 = 1
    CRC32C = 2


class WireError(FsError):
    """Bytes on a data connection are not what the protocol allows: the connection is of no further
    use."""

    code = "WIRE"


@dataclass(frozen=True, slots=True)
class Checksum:
    type: int = ChecksumType.CRC32C
    bytes_per_checksum: int = 64 << 10


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """Asks for block bytes [offset, offset + length); the packets begin at the chunk border at or
    below `offset`."""

    block: BlockRef
    client_name: str
    offset: int
    length: int
    send_checksums: bool = True
    pool: str = POOL


@dataclass(frozen=True, slots=True)
class WriteBlock:
    """`targets` are the datanodes behind the receiver; `stage` is a Stage; `pipeline_size` counts
    the receiver too."""

    block: BlockRef
    client_name: str
    targets: tuple[DatanodeAddress, ...]
    stage: int
    pipeline_size: int
    checksum: Checksum
    min_bytes: int = 0
    max_bytes: int = 0
    stamp: int = 0
    pool: str = POOL


@dataclass(frozen=True, slots=True)
class TransferBlock:
    block: BlockRef
    client_name: str
    targets: tuple[DatanodeAddress, ...]
    pool: str = POOL


@dataclass(frozen=True, slots=True)
class BlockChecksum:
    """`composite`: the CRC of all its bytes is wanted, not the MD5 of its chunks' CRCs."""

    block: BlockRef
    pool: str = POOL
    composite: bool = False


@dataclass(frozen=True, slots=True)
class OpReply:
    """`first_bad_link` is "host:port" of the first datanode of a pipeline that could not be
    reached. `checksum` and `chunk_offset` answer a read, `block_checksum` = (bytes per crc, crcs
    per block, digest) answers BLOCK_CHECKSUM."""

    status: int
    message: str = ""
    first_bad_link: str = ""
    checksum: Checksum | None = None
    chunk_offset: int = 0
    block_checksum: tuple[int, int, bytes] | None = None
    block_checksum_type: int = ChecksumType.CRC32C
    composite: bool = False


class PacketHeader(NamedTuple):
    """`offset` is the data's first byte in the block. `sync` asks every datanode to fsync what it
    has before it acknowledges."""

    offset: int
    seqno: int
    last: bool
    data_bytes: int
    checksum_bytes: int
    sync: bool


class Ack(NamedTuple):
    """`replies` has one status per datanode of the pipeline, nearest first."""

    seqno: int
    replies: tuple[int, ...]


HEARTBEAT_SEQNO = -1
M = TypeVar("M", bound=Message)
Operation = ReadBlock | WriteBlock | TransferBlock | BlockChecksum

# ── varints ───────────────────────────────────────────────────────────────────────────────────────


def delimited(message: bytes) -> bytes:
    length, prefix = len(message), bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + message


# ── operations ────────────────────────────────────────────────────────────────────────────────────


def encode_operation(op: Operation) -> bytes:
    """Version, opcode and body: everything a request sends."""
    message: Message
    if isinstance(op, ReadBlock):
        opcode = Opcode.READ_BLOCK
        header = _client_header(op.block, op.client_name, op.pool)
        message = pb.OpReadBlock(
            header=header, offset=op.offset, len=op.length, sendChecksums=op.send_checksums
        )
    elif isinstance(op, WriteBlock):
        opcode = Opcode.WRITE_BLOCK
        message = pb.OpWriteBlock(
            header=_client_header(op.block, op.client_name, op.pool),
            targets=[_datanode(target) for target in op.targets],
            stage=_enum(op.stage),
            pipelineSize=op.pipeline_size,
            minBytesRcvd=op.min_bytes,
            maxBytesRcvd=op.max_bytes,
            latestGenerationStamp=op.stamp,
            requestedChecksum=pb.Checksum(
                type=_enum(op.checksum.type), bytesPerChecksum=op.checksum.bytes_per_checksum
            ),
        )
    elif isinstance(op, TransferBlock):
        opcode = Opcode.TRANSFER_BLOCK
        message = pb.OpTransferBlock(
            header=_client_header(op.block, op.client_name, op.pool),
            targets=[_datanode(t) for t in op.targets],
        )
    else:
        opcode = Opcode.BLOCK_CHECKSUM
        kind = hdfs_pb.COMPOSITE_CRC if op.composite else hdfs_pb.MD5CRC
        options = pb.BlockChecksumOptions(blockChecksumType=kind)
        message = pb.OpBlockChecksum(
            header=pb.BaseHeader(block=_block(op.block, op.pool)), blockChecksumOptions=options
        )
    return OP_PREFIX.pack(VERSION, opcode) + delimited(message.SerializeToString())


def decode_operation(opcode: int, body: bytes | memoryview) -> Operation:
    """Raises WireError for a body that does not decode and for an opcode that is not served."""
    if opcode == Opcode.READ_BLOCK:
        read = _parse(pb.OpReadBlock(), body)
        block, pool = _block_ref(read.header.baseHeader.block)
        return ReadBlock(
            block, read.header.clientName, read.offset, read.len, read.sendChecksums, pool
        )
    if opcode == Opcode.WRITE_BLOCK:
        write = _parse(pb.OpWriteBlock(), body)
        block, pool = _block_ref(write.header.baseHeader.block)
        targets = _targets(write.targets)
        checksum = Checksum(write.requestedChecksum.type, write.requestedChecksum.bytesPerChecksum)
        limits = write.minBytesRcvd, write.maxBytesRcvd, write.latestGenerationStamp
        return WriteBlock(
            block,
            write.header.clientName,
            targets,
            write.stage,
            write.pipelineSize,
            checksum,
            *limits,
            pool,
        )
    if opcode == Opcode.TRANSFER_BLOCK:
        transfer = _parse(pb.OpTransferBlock(), body)
        block, pool = _block_ref(transfer.header.baseHeader.block)
        return TransferBlock(block, transfer.header.clientName, _targets(transfer.targets), pool)
    if opcode == Opcode.BLOCK_CHECKSUM:
        asked = _parse(pb.OpBlockChecksum(), body)
        composite = asked.blockChecksumOptions.blockChecksumType == hdfs_pb.COMPOSITE_CRC
        return BlockChecksum(*_block_ref(asked.header.block), composite=composite)
    raise WireError(f"operation {opcode} is not served")


def encode_reply(reply: OpReply) -> bytes:
    """Delimited."""
    message = pb.BlockOpResponse(status=_enum(reply.status), firstBadLink=reply.first_bad_link)
    if reply.message:
        message.message = reply.message
    if reply.checksum is not None:
        checksum = pb.Checksum(
            type=_enum(reply.checksum.type), bytesPerChecksum=reply.checksum.bytes_per_checksum
        )
        message.readOpChecksumInfo.CopyFrom(
            pb.ReadOpChecksumInfo(checksum=checksum, chunkOffset=reply.chunk_offset)
        )
    if reply.block_checksum is not None:
        per_crc, per_block, digest = reply.block_checksum
        message.checksumResponse.bytesPerCrc, message.checksumResponse.crcPerBlock = (
            per_crc,
            per_block,
        )
        message.checksumResponse.blockChecksum, message.checksumResponse.crcType = (
            digest,
            _enum(reply.block_checksum_type),
        )
        kind = hdfs_pb.COMPOSITE_CRC if reply.composite else hdfs_pb.MD5CRC
        message.checksumResponse.blockChecksumOptions.blockChecksumType = kind
    return delimited(message.SerializeToString())


def decode_reply(body: bytes | memoryview) -> OpReply:
    message = _parse(pb.BlockOpResponse(), body)
    checksum, chunk_offset, digest, of, composite = None, 0, None, ChecksumType.CRC32C, False
    if message.HasField("readOpChecksumInfo"):
        info = message.readOpChecksumInfo
        checksum, chunk_offset = (
            Checksum(info.checksum.type, info.checksum.bytesPerChecksum),
            info.chunkOffset,
        )
    if message.HasField("checksumResponse"):
        answer = message.checksumResponse
        digest, of = (
            (answer.bytesPerCrc, answer.crcPerBlock, answer.blockChecksum),
            ChecksumType(answer.crcType),
        )
        composite = answer.blockChecksumOptions.blockChecksumType == hdfs_pb.COMPOSITE_CRC
    return OpReply(
        message.status,
        message.message,
        message.firstBadLink,
        checksum,
        chunk_offset,
        digest,
        of,
        composite,
    )


def encode_read_status(status: int) -> bytes:
    """Delimited: the reader's last word on a read."""
    return delimited(pb.ClientReadStatus(status=_enum(status)).SerializeToString())


def decode_read_status(body: bytes | memoryview) -> int:
    return int(_parse(pb.ClientReadStatus(), body).status)


def encode_ack(ack: Ack) -> bytes:
    """Delimited."""
    return delimited(
        pb.PipelineAck(
            seqno=ack.seqno, reply=[_enum(reply) for reply in ack.replies]
        ).SerializeToString()
    )


def decode_ack(body: bytes | memoryview) -> Ack:
    message = _parse(pb.PipelineAck(), body)
    return Ack(message.seqno, tuple(message.reply))


# ── packets ───────────────────────────────────────────────────────────────────────────────────────

PACKET_PREFIX = struct.Struct(">iH")
_HEADER = struct.Struct(
    "<BqBqBBBi"
)  # offset_in_block, seqno, last_packet_in_block, data_len: fixed-width fields 1, 2, 3, 4
_SYNC = b"\x28\x01"  # field 5, only when true
MAX_HEADER_BYTES = 64
PACKET_HEADER_BYTES = PACKET_PREFIX.size + _HEADER.size + len(_SYNC)
"""Upper bound of what `encode_packet_header` returns."""


def encode_packet_header(
    offset: int,
    seqno: int,
    data_bytes: int,
    checksum_bytes: int,
    *,
    last: bool = False,
    sync: bool = False,
) -> bytes:
    """Prefix and header; the checksums and the data follow."""
    sync_field = _SYNC if sync else b""
    prefix = PACKET_PREFIX.pack(4 + checksum_bytes + data_bytes, _HEADER.size + len(sync_field))
    return (
        prefix + _HEADER.pack(0x09, offset, 0x11, seqno, 0x18, last, 0x25, data_bytes) + sync_field
    )


def decode_packet_prefix(prefix: bytes | memoryview) -> tuple[int, int]:
    """(bytes of checksums and data together, bytes of the header) from the first PACKET_PREFIX.size
    bytes. Raises WireError."""
    payload, header = PACKET_PREFIX.unpack(prefix)
    if not 4 <= payload <= MAX_PACKET_BYTES or not 0 < header <= MAX_HEADER_BYTES:
        raise WireError(f"packet of {payload} bytes with a header of {header}")
    return payload - 4, header


def decode_packet_header(header: bytes | memoryview, payload_bytes: int) -> PacketHeader:
    """`payload_bytes` as `decode_packet_prefix` said. Reads our own fixed layout at once, any other
    order of fields one by one."""
    size = len(header)
    if size >= _HEADER.size:
        tag1, offset, tag2, seqno, tag3, last, tag4, data_bytes = _HEADER.unpack_from(header)
        if (tag1, tag2, tag3, tag4) == (0x09, 0x11, 0x18, 0x25) and last < 2:
            rest = bytes(header[_HEADER.size :])
            if rest in (b"", _SYNC, b"\x28\x00"):
                return _checked(
                    PacketHeader(
                        offset,
                        seqno,
                        bool(last),
                        data_bytes,
                        payload_bytes - data_bytes,
                        rest == _SYNC,
                    )
                )
    return _checked(_decode_fields(bytes(header), payload_bytes))


def _decode_fields(header: bytes, payload_bytes: int) -> PacketHeader:
    values: dict[int, int] = {}
    position = 0
    try:
        while position < len(header):
            tag = header[position]
            kind, layout = tag & 7, {1: "<q", 5: "<i", 0: "<B"}
            values[tag >> 3] = struct.unpack_from(layout[kind], header, position + 1)[0]
            position += 1 + struct.calcsize(layout[kind])
        return PacketHeader(
            values[1],
            values[2],
            bool(values[3]),
            values[4],
            payload_bytes - values[4],
            bool(values.get(5, 0)),
        )
    except (KeyError, struct.error) as error:
        raise WireError(f"packet header {header.hex()} does not decode") from error


def _checked(header: PacketHeader) -> PacketHeader:
    if (
        header.data_bytes < 0
        or header.checksum_bytes < 0
        or header.checksum_bytes % 4
        or header.offset < 0
    ):
        raise WireError(f"packet header makes no sense: {header}")
    return header


# ── parts ─────────────────────────────────────────────────────────────────────────────────────────


def _parse(message: M, body: bytes | memoryview) -> M:
    try:
        message.ParseFromString(bytes(body))
    except DecodeError as error:
        raise WireError(f"{type(message).__name__} does not decode: {error}") from error
    return message


def _enum(value: int) -> Any:
    """The stubs want their own enum types; the runtime takes any integer of the enum and raises
    ValueError for others."""
    return value


def _block(block: BlockRef, pool: str) -> hdfs_pb.ExtendedBlock:
    return hdfs_pb.ExtendedBlock(
        poolId=pool, blockId=block.id, generationStamp=block.stamp, numBytes=block.length
    )


def _block_ref(message: hdfs_pb.ExtendedBlock) -> tuple[BlockRef, str]:
    return BlockRef(message.blockId, message.generationStamp, message.numBytes), message.poolId


def _client_header(block: BlockRef, client_name: str, pool: str) -> pb.ClientOperationHeader:
    # Hadoop's datanodes want a token even where security is off; four empty fields are one.
    token = hdfs_pb.Token(identifier=b"", password=b"", kind="", service="")
    return pb.ClientOperationHeader(
        baseHeader=pb.BaseHeader(block=_block(block, pool), token=token), clientName=client_name
    )


def _datanode(address: DatanodeAddress) -> hdfs_pb.DatanodeInfo:
    identity = hdfs_pb.DatanodeID(
        ipAddr=address.host,
        hostName=address.hostname,
        datanodeUuid=address.uuid,
        xferPort=address.xfer_port,
        infoPort=0,
        ipcPort=address.ipc_port,
    )
    return hdfs_pb.DatanodeInfo(id=identity, location=address.rack)


def _targets(messages: Sequence[hdfs_pb.DatanodeInfo]) -> tuple[DatanodeAddress, ...]:
    if len(messages) > MAX_PIPELINE:
        raise WireError(f"{len(messages)} datanodes in a pipeline, the limit is {MAX_PIPELINE}")
    return tuple(map(_address, messages))


def _address(message: hdfs_pb.DatanodeInfo) -> DatanodeAddress:
    identity = message.id
    host, hostname = identity.ipAddr, identity.hostName
    return DatanodeAddress(
        identity.datanodeUuid, host, hostname, identity.xferPort, identity.ipcPort, message.location
    )
