"""What a request may hold, looked at in its bytes before a message is made of them: decoding takes
forty times a request's size in memory.

Three bounds: bytes of a frame by method, entries of a request by method, bytes of each string by
what it is. Each refusal names the field, what was sent and what may be. A request of a few hundred
bytes cannot break any of them and is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from minihdfs.errors import InvalidArgument
from minihdfs.model import MAX_PATH_BYTES, RENAMES_MAX
from minihdfs.wire.hadoop_rpc import SMALL_FRAME_BYTES

UNLOOKED_BYTES = 255
"""No bound is lower: what is not longer keeps them all."""
PATH_BYTES = (
    4 * MAX_PATH_BYTES
)  # one that is longer than a path may be is refused by the core, which knows what it is
TEXT_BYTES = 1024  # names of clients, owners, hosts, storages, policies
OPAQUE_BYTES = 16 << 10  # tokens
_DEPTH_MAX = 16
_PACKED = -1  # in place of a length: numbers, one byte each at the least


@dataclass(frozen=True, slots=True)
class Bounds:
    frame_bytes: int = SMALL_FRAME_BYTES
    entries: int = 2_000  # fields of all messages in the request together


_DEFAULT = Bounds()
_BOUNDS = {
    "renameMany": Bounds(4 << 20, 3 * RENAMES_MAX),  # a pair is three fields: itself and two paths
    "addBlock": Bounds(512 << 10, 20_000),  # each excluded node is one of twenty fields
    "getAdditionalDatanode": Bounds(512 << 10, 20_000),
    "reportBadBlocks": Bounds(512 << 10, 20_000),
    "concat": Bounds(4 << 20, 10_000),
}
# fmt: off
_PATHS = frozenset({
    "src", "dst", "trg", "srcs", "path", "filename", "source", "destination", "staging",
    "startAfter", "target", "link", "sources",
})
# fmt: on


class _Field(NamedTuple):
    name: str
    bytes_max: int  # of a string
    message: _Shape | None


class _Shape:
    """A message's fields by number, as far as they are bounded."""

    __slots__ = ("fields", "name")

    def __init__(self, descriptor: Descriptor, known: dict[str, _Shape]) -> None:
        known[descriptor.full_name] = self
        self.name = descriptor.name
        self.fields: dict[int, _Field] = {}
        for field in descriptor.fields:
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                assert field.message_type is not None
                inner = known.get(field.message_type.full_name) or _Shape(field.message_type, known)
                self.fields[field.number] = _Field(field.name, 0, inner)
            elif field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
                bound = PATH_BYTES if field.name in _PATHS else TEXT_BYTES
                if field.type == FieldDescriptor.TYPE_BYTES and field.name not in _PATHS:
                    bound = OPAQUE_BYTES
                self.fields[field.number] = _Field(field.name, bound, None)
            else:
                self.fields[field.number] = _Field(field.name, _PACKED, None)


_SHAPES: dict[str, _Shape] = {}


def frame_bytes(_protocol: str, method: str) -> int:
    return _BOUNDS.get(method, _DEFAULT).frame_bytes


def check(method: str, descriptor: Any, payload: bytes) -> None:
    """Raises InvalidArgument for a request that holds more than it may, or is cut short. Stops at
    the first of them."""
    if len(payload) <= UNLOOKED_BYTES:
        return
    shape = _SHAPES.get(descriptor.full_name) or _Shape(descriptor, _SHAPES)
    _Look(method, _BOUNDS.get(method, _DEFAULT).entries).at(shape, payload, 0, len(payload), 0)


class _Look:
    __slots__ = ("_entries_max", "_method", "_seen")

    def __init__(self, method: str, entries_max: int) -> None:
        self._method, self._entries_max, self._seen = method, entries_max, 0

    def at(self, shape: _Shape | None, data: bytes, at: int, end: int, depth: int) -> None:
        if depth > _DEPTH_MAX:
            raise InvalidArgument(f"{self._method}: messages are nested deeper than {_DEPTH_MAX}")
        while at < end:
            self._seen += 1
            if self._seen > self._entries_max:
                raise InvalidArgument(
                    f"{self._method}: the request holds more than {self._entries_max} entries, "
                    "which is the limit: ask in parts"
                )
            tag, at = _varint(data, at, end)
            kind = tag & 7
            if kind == 0:
                _, at = _varint(data, at, end)
            elif kind == 2:
                length, at = _varint(data, at, end)
                if length > end - at:
                    raise InvalidArgument(f"{self._method}: the request is cut short")
                field = shape.fields.get(tag >> 3) if shape is not None else None
                if field is None:
                    pass  # unknown: it stays bytes
                elif field.bytes_max == _PACKED:
                    self._seen += length
                elif field.message is not None:
                    self.at(field.message, data, at, at + length, depth + 1)
                elif length > field.bytes_max:
                    raise InvalidArgument(
                        f"{self._method}: {field.name} of {length} bytes is over the limit of "
                        f"{field.bytes_max}"
                    )
                at += length
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            else:
                raise InvalidArgument(
                    f"{self._method}: the request does not decode: wire type {kind}"
                )
        if at > end:
            raise InvalidArgument(f"{self._method}: the request is cut short")


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise InvalidArgument("the request does not decode: a number is cut off or too long")
