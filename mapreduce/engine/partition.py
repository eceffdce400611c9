"""Which reducer gets a key: CRC-32 of its encoding, modulo the number of reducers. The same in
every process, version and machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from zlib import crc32

from mapreduce.engine.keys import BYTES, STR, encode

_STR_SEED, _BYTES_SEED = crc32(bytes([STR])), crc32(bytes([BYTES]))


def partition_of(encoding: bytes, reducers: int) -> int:
    return crc32(encoding) % reducers


def hashes_of_str(keys: Iterable[str]) -> Iterator[int]:
    """crc32(encode(key)) for each key, without building the encodings."""
    return map(crc32, map(str.encode, keys), repeat(_STR_SEED))


def hashes_of_bytes(keys: Iterable[bytes]) -> Iterator[int]:
    return map(crc32, keys, repeat(_BYTES_SEED))


def hashes_of_int(keys: Iterable[int]) -> Iterator[int]:
    return map(crc32, map(encode, keys))


def hashes_of_encodings(keys: Iterable[bytes]) -> Iterator[int]:
    return map(crc32, keys)
