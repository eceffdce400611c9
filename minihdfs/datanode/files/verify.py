"""Reads a replica and compares every chunk with its checksum: for the scanner, copies, repairs and
what a dead writer left."""

from __future__ import annotations

import os
from collections.abc import Callable

from minihdfs.checksum import chunk_count, crc_function, first_bad_chunk
from minihdfs.datanode.files.meta_file import CRC_BYTES, crc_offset
from minihdfs.wire.data_transfer import Checksum

PIECE_BYTES = 1 << 20


def good_length(
    data_fd: int,
    meta_fd: int,
    length: int,
    checksum: Checksum,
    pause: Callable[[int], None] = lambda _bytes: None,
) -> int:
    """How many bytes from the beginning agree with their checksums: `length` when all do.
    `pause(bytes)` is called after each piece."""
    per_chunk = checksum.bytes_per_checksum
    piece = max(per_chunk, PIECE_BYTES - PIECE_BYTES % per_chunk)
    buffer = memoryview(bytearray(piece))
    at = 0
    while at < length:
        wanted = min(piece, length - at)
        count = read_fully(data_fd, buffer[:wanted], at)
        sums = os.pread(
            meta_fd, CRC_BYTES * chunk_count(wanted, per_chunk), crc_offset(at // per_chunk)
        )
        bad = first_bad_chunk(buffer[:count], sums, per_chunk, checksum.type)
        if bad is not None:
            return at + bad * per_chunk
        if count < wanted:
            return at + count - count % per_chunk
        pause(count)
        at += count
    return length


def torn_prefix(data_fd: int, meta_fd: int, at: int, checksum: Checksum) -> int:
    """How many bytes of the bad chunk at `at` its checksum is of: a power cut may keep the longer
    data and the checksum of before."""
    sums = os.pread(meta_fd, CRC_BYTES, crc_offset(at // checksum.bytes_per_checksum))
    data = memoryview(os.pread(data_fd, checksum.bytes_per_checksum, at))
    if len(sums) < CRC_BYTES:
        return 0
    wanted, crc, running = int.from_bytes(sums, "big"), crc_function(checksum.type), 0
    for count in range(len(data)):
        running = crc(data[count : count + 1], running)
        if running == wanted:
            return count + 1
    return 0


def read_fully(fd: int, view: memoryview, offset: int) -> int:
    """preadv until `view` is full or the file ends; returns the bytes read."""
    done = 0
    while done < len(view):
        count = os.preadv(fd, [view[done:]], offset + done)
        if not count:
            break
        done += count
    return done
