"""What is durable, as declared records: one flat MessagePack row for each edit, tagged by a number.

    [tag, txid, epoch, wall_us, log_us, client_id, call_id, answer, asked, field, field, ...]

A number is given once, for ever: a journal may hold it. Fields are only appended, with a default,
so newer code reads older rows; a row with more fields than this code knows, with others, or of an
unknown number is refused, never guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from clusterkit.effects import Edit
from clusterkit.errors import CorruptRecord


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A durable fact, or a part of one: `class Renamed(Record, tag=4)` is edit number 4. Immutable,
    positional on disk, compared by its fields."""


_ENVELOPE: tuple[tuple[str, Any], ...] = (
    ("txid_", int),
    ("epoch_", int),
    ("wall_us_", int),
    ("log_us_", int),
    ("client_id_", bytes),
    ("call_id_", int),
    ("answer_", Any),
    ("asked_", int),
)
"""Their underscores keep them apart from fields of edits; names are not on disk."""
_WIDTH = len(_ENVELOPE)


class EditCodec:
    """Edits to journal payloads and back, for the kinds it was made of."""

    def __init__(self, kinds: Iterable[type[Record]]) -> None:
        """Raises TypeError for a kind without a number, ValueError for a number that is there
        twice."""
        self._rows: dict[type, Callable[..., Any]] = {}
        self._kinds: dict[type, type[Record]] = {}
        numbers: dict[int, type[Record]] = {}
        for kind in kinds:
            number = number_of(kind)
            if number in numbers:
                raise ValueError(
                    f"edits {kind.__name__} and {numbers[number].__name__} both have number "
                    f"{number}"
                )
            numbers[number] = kind
            row = _row_of(kind, number)
            self._rows[kind], self._kinds[row] = row, kind
        self._encode = msgspec.msgpack.Encoder().encode
        types: list[Any] = list(self._kinds)
        self._decode = msgspec.msgpack.Decoder(reduce(or_, types) if types else None).decode

    def encode(self, edit: Edit) -> bytes:
        """Raises TypeError for an edit of a kind it was not made of."""
        make = self._rows.get(type(edit.op))
        if make is None:
            raise TypeError(f"{type(edit.op).__name__} has no number in this journal")
        return self._encode(
            make(
                edit.txid,
                edit.epoch,
                edit.wall_us,
                edit.log_us,
                edit.client_id,
                edit.call_id,
                edit.answer,
                edit.asked,
                *msgspec.structs.astuple(edit.op),
            )
        )

    def decode(self, data: bytes | memoryview) -> Edit:
        """Raises CorruptRecord for anything that `encode` did not write."""
        try:
            row = self._decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise CorruptRecord(f"record does not decode: {error}") from error
        if row is None:
            raise CorruptRecord("record does not decode: no edits are known here")
        values = msgspec.structs.astuple(row)
        txid, epoch, wall_us, log_us, client_id, call_id, answer, asked = values[:_WIDTH]
        op = self._kinds[type(row)](*values[_WIDTH:])
        return Edit(txid, epoch, wall_us, op, client_id, call_id, answer, log_us, asked)


def number_of(kind: type[Record]) -> int:
    """The number of an edit on disk."""
    number = kind.__struct_config__.tag
    if not isinstance(number, int):
        raise TypeError(f"{kind.__name__} has no number: class {kind.__name__}(Record, tag=…)")
    return number


def _row_of(kind: type[Record], number: int) -> type:
    fields: list[Any] = list(_ENVELOPE)
    for field in msgspec.structs.fields(kind):
        if field.default is msgspec.NODEFAULT:
            fields.append((field.name, field.type))
        else:
            fields.append((field.name, field.type, field.default))
    return msgspec.defstruct(
        kind.__name__,
        fields,
        array_like=True,
        forbid_unknown_fields=True,
        frozen=True,
        tag=number,
    )
