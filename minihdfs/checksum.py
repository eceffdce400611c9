"""CRC32C of chunks, as the data plane carries and the datanodes store them: 4 bytes big-endian per
chunk, the last chunk may be short."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

from clusterkit.checksum import crc32c as crc32c
from minihdfs.wire.data_transfer import ChecksumType

_FUNCTIONS: dict[int, Callable[..., int]] = {
    ChecksumType.CRC32C: crc32c,
    ChecksumType.CRC32: zlib.crc32,
}


def crc_function(kind: int) -> Callable[..., int]:
    """crc(data, running=0) of this ChecksumType, for sums that go on over several buffers."""
    return _FUNCTIONS[kind]


def chunk_count(length: int, bytes_per_checksum: int) -> int:
    return -(-length // bytes_per_checksum)


def checksums_of(
    data: bytes | bytearray | memoryview, bytes_per_checksum: int, kind: int = ChecksumType.CRC32C
) -> bytes:
    """The checksums of `data` cut into chunks."""
    crc, view = _FUNCTIONS[kind], memoryview(data)
    sums = [
        crc(view[at : at + bytes_per_checksum]) for at in range(0, len(view), bytes_per_checksum)
    ]
    return struct.pack(f">{len(sums)}I", *sums)


def first_bad_chunk(
    data: bytes | bytearray | memoryview,
    checksums: bytes | memoryview,
    bytes_per_checksum: int,
    kind: int = ChecksumType.CRC32C,
) -> int | None:
    """Index of the first chunk of `data` that differs from its checksum (a missing checksum
    differs), or None when all agree."""
    if kind == ChecksumType.NULL:
        return None
    crc, view, size = _FUNCTIONS[kind], memoryview(data), len(data)
    wanted = struct.unpack(f">{len(checksums) // 4}I", checksums)
    if len(wanted) < chunk_count(size, bytes_per_checksum):
        return len(wanted)
    at = 0
    for index, sum_ in enumerate(wanted):
        if at >= size:
            break
        if crc(view[at : at + bytes_per_checksum]) != sum_:
            return index
        at += bytes_per_checksum
    return None


def first_bad_chunk_of(
    parts: Sequence[memoryview],
    checksums: bytes,
    bytes_per_checksum: int,
    kind: int = ChecksumType.CRC32C,
) -> int | None:
    """As `first_bad_chunk` for data that lies in several buffers, one after the other; a chunk may
    span them."""
    parts = [part for part in parts if len(part)]
    if len(parts) <= 1:
        return first_bad_chunk(parts[0], checksums, bytes_per_checksum, kind) if parts else None
    if kind == ChecksumType.NULL:
        return None
    crc, chunk, room, running = _FUNCTIONS[kind], 0, bytes_per_checksum, 0
    wanted = struct.unpack(f">{len(checksums) // 4}I", checksums)
    if len(wanted) < chunk_count(sum(map(len, parts)), bytes_per_checksum):
        return len(wanted)
    for part in parts:
        at = 0
        while at < len(part):
            piece = part[at : at + room]
            running = crc(piece, running)
            at, room = at + len(piece), room - len(piece)
            if not room:
                if running != wanted[chunk]:
                    return chunk
                chunk, room, running = chunk + 1, bytes_per_checksum, 0
    return chunk if room < bytes_per_checksum and running != wanted[chunk] else None
