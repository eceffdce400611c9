"""Edits as numbered rows: what went in comes out equal, anything else is CorruptRecord, and old
rows are read by newer code."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterkit.effects import Edit
from clusterkit.errors import CorruptRecord
from clusterkit.records import EditCodec, Record, number_of


class Part(Record, frozen=True):
    name: str
    size: int


class Empty(Record, frozen=True, tag=1):
    pass


class Made(Record, frozen=True, tag=2):
    name: str
    parts: tuple[Part, ...] = ()
    data: bytes = b""


class Renamed(Record, frozen=True, tag=3):
    whole: Made
    txid: int  # a field may be called like one of the envelope


CODEC = EditCodec([Empty, Made, Renamed])
NUMBER = st.integers(0, 2**63 - 1)
MADE = st.builds(
    Made, st.text(), st.lists(st.builds(Part, st.text(), NUMBER)).map(tuple), st.binary()
)
EDITS = st.builds(
    Edit,
    NUMBER,
    NUMBER,
    NUMBER,
    st.builds(Empty) | MADE | st.builds(Renamed, MADE, NUMBER),
    st.binary(),
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans() | NUMBER,
    NUMBER,
    NUMBER,
)


@given(EDITS)
def test_edits_come_back_equal_and_of_the_same_types(edit: Edit) -> None:
    back = CODEC.decode(CODEC.encode(edit))
    assert back == edit and repr(back) == repr(edit)


def test_a_row_is_flat_and_begins_with_the_number() -> None:
    edit = Edit(9, 8, 7, Made("a", (Part("p", 1),), b"d"), b"c", 5, True, 6, 77)
    assert msgspec.msgpack.decode(CODEC.encode(edit)) == [
        *(2, 9, 8, 7, 6, b"c", 5, True, 77),
        *("a", [["p", 1]], b"d"),
    ]


@given(st.binary(max_size=60))
def test_any_other_bytes_are_corrupt(data: bytes) -> None:
    try:
        CODEC.decode(data)
    except CorruptRecord:
        pass


@given(EDITS, st.integers(0, 200))
def test_a_row_cut_short_or_with_more_behind_it_is_corrupt(edit: Edit, at: int) -> None:
    data = CODEC.encode(edit)
    for wrong in (data[: min(at, len(data) - 1)], data + b"\0"):
        with pytest.raises(CorruptRecord):
            CODEC.decode(wrong)


def test_a_kind_it_was_not_made_of_is_refused_on_both_sides() -> None:
    row = CODEC.encode(Edit(1, 1, 1, Made("a")))
    with pytest.raises(TypeError, match="Made has no number in this journal"):
        EditCodec([Empty]).encode(Edit(1, 1, 1, Made("a")))
    for codec in (EditCodec([Empty]), EditCodec([])):
        with pytest.raises(CorruptRecord):
            codec.decode(row)


def test_a_field_that_was_appended_reads_old_rows_and_not_the_reverse() -> None:
    class Made(Record, frozen=True, tag=2):
        name: str

    older = EditCodec([Made])
    assert CODEC.decode(older.encode(Edit(1, 1, 1, Made("a")))).op == globals()["Made"]("a")
    with pytest.raises(CorruptRecord):
        older.decode(CODEC.encode(Edit(1, 1, 1, globals()["Made"]("a"))))


def test_a_value_of_another_type_is_corrupt() -> None:
    row: list[Any] = [2, 1, 1, 1, 1, b"", 0, None, 0, 7]
    with pytest.raises(CorruptRecord, match="Expected `str`, got `int`"):
        CODEC.decode(msgspec.msgpack.encode(row))


def test_numbers_are_there_once_each() -> None:
    class Other(Record, frozen=True, tag=2):
        pass

    with pytest.raises(ValueError, match="Other and Made both have number 2"):
        EditCodec([Made, Other])
    with pytest.raises(TypeError, match="Part has no number"):
        EditCodec([Part])
    assert number_of(Renamed) == 3
