"""Chunk checksums: the known CRC32C vectors, short last chunks, and every single flipped bit found
in its chunk."""

from __future__ import annotations

import random

from minihdfs.checksum import checksums_of, chunk_count, crc32c, first_bad_chunk
from minihdfs.wire.data_transfer import ChecksumType


def test_crc32c_is_castagnoli() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, B.4's check value
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_chunks_are_summed_one_by_one() -> None:
    data = random.Random(1).randbytes(1000)
    sums = checksums_of(data, 512)
    assert chunk_count(1000, 512) == 2
    assert sums == crc32c(data[:512]).to_bytes(4, "big") + crc32c(data[512:]).to_bytes(4, "big")
    assert checksums_of(b"", 512) == b""


def test_a_flipped_bit_is_found_in_its_chunk() -> None:
    rng = random.Random(2)
    data = rng.randbytes(3000)
    for kind in (ChecksumType.CRC32C, ChecksumType.CRC32):
        sums = checksums_of(data, 512, kind)
        assert first_bad_chunk(data, sums, 512, kind) is None
        for _ in range(50):
            at = rng.randrange(len(data))
            bad = bytearray(data)
            bad[at] ^= 1 << rng.randrange(8)
            assert first_bad_chunk(bad, sums, 512, kind) == at // 512


def test_missing_checksums_are_bad_and_null_verifies_nothing() -> None:
    assert first_bad_chunk(b"x" * 1000, checksums_of(b"x" * 512, 512), 512) == 1
    assert first_bad_chunk(b"x" * 1000, b"", 512, ChecksumType.NULL) is None
