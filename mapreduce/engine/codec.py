"""Frames: batches of sorted keys with their values, as bytes. Task processes only: a frame may hold
pickles, so no daemon decodes one. Values are as values.py freezes them, and stay so: merges and
spills run none of the user's code.

A frame belongs to one `Section`, because keys of one section compare natively: exact ints, strs and
bytes as they are, all other kinds as their encodings (keys.py). Sections order as the encodings do,
so a segment is frames in order of (section, key, position).

    header   section u8 · columns u8 (0) · reserved u16 · records u32 · payload length u32
             · crc32c of the payload u32
    payload  three columns: distinct keys, how many values each has (empty: one each), values
    column   codec u8 · length u32 · bytes

Column codecs: `s` strs joined by newline, `b` likewise bytes, `q` 64-bit ints, `p` pickle protocol
5 of a list of atoms and tuples of them, `v` values each with its own pickle behind its length, `e`
empty. The first three are several times faster than pickling and hold most of what jobs emit;
whatever does not fit goes to `p`, and a column in which one value has a pickle of its own to `v`.
"""

from __future__ import annotations

import pickle
import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import accumulate, chain, pairwise, repeat
from typing import Any, NamedTuple

from clusterkit.checksum import crc32c
from clusterkit.errors import CorruptRecord
from mapreduce.engine import keys as key_tags
from mapreduce.engine.values import Pickled

FRAME_RECORDS = 8192
FRAME_BYTES = 1 << 20
"""A frame larger than this is halved until it holds one record: a merge holds one frame of each
run."""

HEADER = struct.Struct("<BxHIII")
_COLUMN = struct.Struct("<cI")
_COUNT = struct.Struct("<I")


EncodedFrames = Iterator[tuple[bytes, int]]


class Section(IntEnum):
    """Kinds of keys in the order of their encodings. ENCODED_* hold encodings whose tags lie
    between the native kinds."""

    ENCODED_LOW = 0  # None, bool
    INT = 1
    ENCODED_MIDDLE = 2  # float, Decimal
    STR = 3
    BYTES = 4
    ENCODED_HIGH = 5  # date … tuple

    @property
    def is_encoded(self) -> bool:
        return self in (Section.ENCODED_LOW, Section.ENCODED_MIDDLE, Section.ENCODED_HIGH)


def section_of_encoding(encoding: bytes) -> Section:
    tag = encoding[0]
    if tag < key_tags.INT:
        return Section.ENCODED_LOW
    return Section.ENCODED_MIDDLE if tag < key_tags.STR else Section.ENCODED_HIGH


class Frame(NamedTuple):
    section: Section
    keys: list[Any]
    counts: list[int] | None  # None: one value per key
    values: list[Any]

    @property
    def is_frozen(self) -> bool:
        """Whether some of the values have to be thawed."""
        return bool(self.values) and type(self.values[0]) is Pickled

    def pairs(self) -> list[tuple[Any, Any]]:
        """(key, value) for each record."""
        if self.counts is None:
            return list(zip(self.keys, self.values, strict=True))
        return list(
            zip(chain.from_iterable(map(repeat, self.keys, self.counts)), self.values, strict=True)
        )


def encode_frames(
    section: Section, keys: Sequence[Any], counts: Sequence[int] | None, values: Sequence[Any]
) -> EncodedFrames:
    """Frames of (bytes, records) for sorted keys."""
    if counts is None:
        for at in range(0, len(keys), FRAME_RECORDS):
            yield from _sized(
                section, keys[at : at + FRAME_RECORDS], None, values[at : at + FRAME_RECORDS]
            )
        return
    ends = list(accumulate(counts))
    first = start = 0
    for position, end in enumerate(ends):
        if end - start >= FRAME_RECORDS or position == len(ends) - 1:
            yield from _sized(
                section, keys[first : position + 1], counts[first : position + 1], values[start:end]
            )
            first, start = position + 1, end


def _sized(
    section: Section, keys: Sequence[Any], counts: Sequence[int] | None, values: Sequence[Any]
) -> EncodedFrames:
    """One frame, or several where one would be too large."""
    if counts is not None and len(keys) == 1 and counts[0] > FRAME_RECORDS:
        for at in range(0, counts[0], FRAME_RECORDS):
            part = values[at : at + FRAME_RECORDS]
            yield from _sized(section, keys, [len(part)], part)
        return
    payload = b"".join(map(_column, (keys, counts or (), values)))
    if len(payload) > FRAME_BYTES and len(values) > 1:
        yield from _halved(section, keys, counts, values)
        return
    yield HEADER.pack(section, 0, len(values), len(payload), crc32c(payload)) + payload, len(values)


def _halved(
    section: Section, keys: Sequence[Any], counts: Sequence[int] | None, values: Sequence[Any]
) -> EncodedFrames:
    if len(keys) == 1:
        middle = len(values) // 2
        yield from _sized(section, keys, [middle], values[:middle])
        yield from _sized(section, keys, [len(values) - middle], values[middle:])
        return
    half = len(keys) // 2
    if counts is None:
        yield from _sized(section, keys[:half], None, values[:half])
        yield from _sized(section, keys[half:], None, values[half:])
        return
    middle = sum(counts[:half])
    yield from _sized(section, keys[:half], counts[:half], values[:middle])
    yield from _sized(section, keys[half:], counts[half:], values[middle:])


def decode_frame(section: int, records: int, crc: int, payload: bytes) -> Frame:
    """Raises CorruptRecord."""
    if crc32c(payload) != crc:
        raise CorruptRecord("a map output frame does not match its checksum")
    try:
        columns, at = [], 0
        for _ in range(3):
            codec, length = _COLUMN.unpack_from(payload, at)
            at += _COLUMN.size
            columns.append(_decoded(codec, payload[at : at + length]))
            at += length
        keys, counts, values = columns
        frame = Frame(Section(section), keys, counts or None, values)
    except (struct.error, ValueError, KeyError) as error:
        raise CorruptRecord(f"a map output frame does not decode: {error}") from error
    if len(values) != records:
        raise CorruptRecord(
            f"a map output frame holds {len(values)} records, its header says {records}"
        )
    return frame


def _column(items: Sequence[Any]) -> bytes:
    kinds = set(map(type, items))
    codec, body = b"p", b""
    if not items:
        codec = b"e"
    elif kinds == {int}:
        try:
            codec, body = b"q", _little_endian(array("q", items)).tobytes()
        except OverflowError:
            codec = b"p"
    elif kinds == {str}:
        text = "\n".join(items)
        if text.count("\n") == len(items) - 1:
            try:
                codec, body = b"s", text.encode()
            except UnicodeEncodeError:  # values may hold lone surrogates; pickle can write them
                codec = b"p"
    elif kinds == {bytes}:
        joined = b"\n".join(items)
        if joined.count(b"\n") == len(items) - 1:
            codec, body = b"b", joined
    elif Pickled in kinds:
        codec, body = b"v", _each_pickled(items)
    if codec == b"p":
        body = pickle.dumps(list(items), protocol=5)
    return _COLUMN.pack(codec, len(body)) + body


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _each_pickled(items: Sequence[Any]) -> bytes:
    bodies = [item if type(item) is Pickled else pickle.dumps(item, protocol=5) for item in items]
    lengths = _little_endian(array("I", map(len, bodies))).tobytes()
    return b"".join([_COUNT.pack(len(bodies)), lengths, *bodies])


def _each(body: bytes) -> list[Pickled]:
    (count,) = _COUNT.unpack_from(body)
    lengths = array("I")
    lengths.frombytes(body[_COUNT.size : _COUNT.size + count * lengths.itemsize])
    ends = list(accumulate(_little_endian(lengths), initial=_COUNT.size + count * lengths.itemsize))
    return [Pickled(body[start:end]) for start, end in pairwise(ends)]


def _decoded(codec: bytes, body: bytes) -> Any:
    if codec == b"q":
        numbers = array("q")
        numbers.frombytes(body)
        return _little_endian(numbers).tolist()
    if codec == b"s":
        return body.decode().split("\n")
    if codec == b"b":
        return body.split(b"\n")
    if codec == b"p":
        return pickle.loads(body)  # of atoms: what is the user's own is in a pickle of its own
    if codec == b"v":
        return _each(body)
    if codec == b"e":
        return []
    raise ValueError(f"unknown column codec {codec!r}")
