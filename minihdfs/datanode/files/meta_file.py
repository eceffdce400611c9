"""The checksum file beside a block file, `blk_ID_STAMP.meta`: a header that says whose it is, then
one CRC per chunk of the block.

    magic "MRCBLOCK" | format version u16 | checksum type u8 | 0 u8 | bytes per checksum u32 | block
    id u64 | generation stamp u64 | crc32c of all that u32 | the CRCs of the chunks, 4 bytes
    big-endian each, as the data plane carries them

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
FORMAT_VERSION = 1
_FIELDS = struct.Struct(">8sHBxIQQ")
_CRC = struct.Struct(">I")
HEADER_BYTES = _FIELDS.size + _CRC.size
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
    )
    return fields + _CRC.pack(crc32c(fields))


def decode_header(data: bytes) -> MetaHeader:
    """Raises CorruptRecord."""
    if len(data) < HEADER_BYTES or data[:8] != MAGIC:
        raise CorruptRecord(f"not a checksum file: it begins with {data[:8]!r}")
    fields = data[: _FIELDS.size]
    if crc32c(fields) != _CRC.unpack_from(data, _FIELDS.size)[0]:
        raise CorruptRecord("the header of the checksum file does not match its own checksum")
    _magic, version, kind, per_checksum, block_id, stamp = _FIELDS.unpack(fields)
    if version != FORMAT_VERSION or not 0 < per_checksum <= BYTES_PER_CHECKSUM_MAX:
        raise CorruptRecord(
            f"checksum file of format {version} with chunks of {per_checksum} bytes: this "
            f"version reads {FORMAT_VERSION}"
        )
    return MetaHeader(block_id, stamp, Checksum(kind, per_checksum))


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
