"""The codec: what went in comes out equal, anything else is CorruptRecord, and old records are read
by newer classes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterkit.codec import Codec
from clusterkit.errors import CorruptRecord


@dataclasses.dataclass(frozen=True)
class Empty:
    pass


@dataclasses.dataclass(frozen=True)
class One:
    value: Any


@dataclasses.dataclass(frozen=True)
class Pair:
    left: Any
    right: Any = 7


CODEC = Codec([Empty, One, Pair])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS | st.just(Empty()),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | inner.map(One)
        | st.tuples(inner, inner).map(lambda pair: Pair(*pair))
    ),
    max_leaves=12,
)


@given(VALUES)
def test_values_come_back_equal_and_of_the_same_types(value: Any) -> None:
    back = CODEC.decode(CODEC.encode(value))
    assert back == value and repr(back) == repr(value)


@given(st.binary(max_size=60))
def test_any_other_bytes_are_corrupt(data: bytes) -> None:
    try:
        CODEC.decode(data)
    except CorruptRecord:
        pass


@given(VALUES, st.integers(0, 200))
def test_a_record_cut_short_is_corrupt(value: Any, at: int) -> None:
    data = CODEC.encode(value)
    if at < len(data):
        with pytest.raises(CorruptRecord):
            CODEC.decode(data[:at])


def test_lists_come_back_as_tuples() -> None:
    assert CODEC.decode(CODEC.encode(One([1, [2]]))) == One((1, (2,)))


def test_a_class_it_was_not_given_is_refused_on_both_sides() -> None:
    with pytest.raises(TypeError, match="Empty is not registered"):
        Codec([One]).encode(One(Empty()))
    with pytest.raises(CorruptRecord, match="unknown kind 'Pair'"):
        Codec([One]).decode(CODEC.encode(Pair(1)))


def test_a_field_that_was_appended_reads_old_records_and_not_the_reverse() -> None:
    @dataclasses.dataclass(frozen=True)
    class Pair:
        left: Any

    old = Codec([Pair])
    assert repr(CODEC.decode(old.encode(Pair(3)))) == "Pair(left=3, right=7)"
    with pytest.raises(CorruptRecord, match="Pair has 2 fields, this version knows 1"):
        old.decode(CODEC.encode(globals()["Pair"](1, 2)))


def test_only_dataclasses_each_name_once() -> None:
    with pytest.raises(TypeError, match="not a dataclass"):
        Codec([int])
    with pytest.raises(ValueError, match="two classes"):
        Codec([One, One])
