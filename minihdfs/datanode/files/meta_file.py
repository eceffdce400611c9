"""The checksum file beside a block file, `blk_ID_STAMP.meta`: a header that says whose it is, then
one CRC per chunk of the block.

    0    magic "MRCBLOCK"
    8    format version u16 | checksum type u8 | 0 u8 | bytes per checksum u32
    16   block id u64 | generation stamp u64
    32   recovery stamp u64 | flags u32: kept for block recovery, 0 until then
    44   crc32c of all that u32
    48   two tail slots, length u64 | crc u32 each: kept for hsync, where a flag will say that they
         are used. Outside of the header's checksum, because they are to be written in place, in
         turns; 0 while no flag is set
    72   zeros
    128  the CRCs of the chunks, 4 bytes big-endian each, as the data plane carries them

The header is checksummed and names the block, so a meta file that a misdirected write or rename put
beside another block is noticed.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from clusterkit.errors import CorruptRecord
from minihdfs.checksum import crc32c
from minihdfs.wire.data_transfer import Checksum

MAGIC = b"MRCBLOCK"
FORMAT_VERSION = 2
_FIELDS = struct.Struct(">8sHBxIQQQI")
_CRC = struct.Struct(">I")
HEADER_BYTES = 128
CRC_BYTES = 4
BYTES_PER_CHECKSUM_MAX = 1 << 24


@dataclass(frozen=True, slots=True)
class MetaHeader:
    block_id: int
    stamp: int
    checksum: Checksum


def encode_header(header: MetaHeader) -> bytes:
    checksum = header.checksum
    fields = _FIELDS.pack(
        MAGIC,
        FORMAT_VERSION,
        checksum.type,
        checksum.bytes_per_checksum,
        header.block_id,
        header.stamp,
        0,
        0,
    )
    return (fields + _CRC.pack(crc32c(fields))).ljust(HEADER_BYTES, b"\0")


def decode_header(data: bytes) -> MetaHeader:
    """Raises CorruptRecord."""
    if len(data) < HEADER_BYTES or data[:8] != MAGIC:
        version = int.from_bytes(data[8:10]) if data[:8] == MAGIC else 0
        if 0 < version < FORMAT_VERSION:
            raise CorruptRecord(_other_format(version))
        raise CorruptRecord(f"not a checksum file: it begins with {data[:8]!r}")
    fields = data[: _FIELDS.size]
    version = int.from_bytes(fields[8:10])
    if 0 < version < FORMAT_VERSION:  # its header is shorter
        raise CorruptRecord(_other_format(version))
    if crc32c(fields) != _CRC.unpack_from(data, _FIELDS.size)[0]:
        raise CorruptRecord("the header of the checksum file does not match its own checksum")
    _magic, version, kind, per_checksum, block_id, stamp, recovery, flags = _FIELDS.unpack(fields)
    if version != FORMAT_VERSION or recovery or flags:
        raise CorruptRecord(_other_format(version, recovery, flags))
    if any(data[_FIELDS.size + _CRC.size : HEADER_BYTES]):
        raise CorruptRecord("the header of the checksum file has bytes where zeros belong")
    if not 0 < per_checksum <= BYTES_PER_CHECKSUM_MAX:
        raise CorruptRecord(f"checksum file with chunks of {per_checksum} bytes")
    return MetaHeader(block_id, stamp, Checksum(kind, per_checksum))


def _other_format(version: int, recovery_stamp: int = 0, flags: int = 0) -> str:
    beside = f", recovery stamp {recovery_stamp}, flags {flags}" if recovery_stamp or flags else ""
    return (
        f"checksum file of format {version}{beside}: this version reads {FORMAT_VERSION} without "
        "either"
    )


def read_header(fd: int, block_id: int, stamp: int) -> MetaHeader:
    """The header of an open meta file, which must be that of this block. Raises CorruptRecord,
    OSError."""
    header = decode_header(os.pread(fd, HEADER_BYTES, 0))
    if (header.block_id, header.stamp) != (block_id, stamp):
        raise CorruptRecord(
            f"the checksum file of block {block_id}@{stamp} says it is of "
            f"{header.block_id}@{header.stamp}"
        )
    return header


def crc_offset(chunk: int) -> int:
    """Where in the file the CRC of this chunk is."""
    return HEADER_BYTES + CRC_BYTES * chunk
