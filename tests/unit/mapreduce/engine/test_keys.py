"""The key encoding: bytes order as the keys do, decode gives the key back, and near-keys are
refused with a reason."""

from __future__ import annotations

import enum
import math
from collections import namedtuple
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cmp_to_key
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mapreduce.engine.keys import BadKey, decode, encode

RANK = {
    type(None): 0,
    bool: 1,
    int: 2,
    float: 3,
    Decimal: 4,
    str: 5,
    bytes: 6,
    date: 7,
    datetime: 8,
    UUID: 9,
    tuple: 10,
}

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**1100), max_value=2**1100),
    st.floats(),
    st.text(),
    st.binary(),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.datetimes(
        min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.timezones()
    ),
    st.uuids(),
    st.text(alphabet="\0\x01a"),
    st.binary().map(lambda b: b.replace(b"a", b"\0")),
)
keys = st.recursive(plain, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=6)


def sign(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


def compare(a: Any, b: Any) -> int:
    """The specified order, written down a second time and naively."""
    if RANK[type(a)] != RANK[type(b)]:
        return sign(RANK[type(a)], RANK[type(b)])
    if type(a) is float:
        return sign(
            (math.isnan(a), 0.0 if math.isnan(a) else a),
            (math.isnan(b), 0.0 if math.isnan(b) else b),
        )
    if type(a) is Decimal:
        if a.is_nan() or b.is_nan():
            return sign(a.is_nan(), b.is_nan())
        if a != b or a.is_infinite():
            return sign(a, b)
        return sign(a.as_tuple().exponent, b.as_tuple().exponent)
    if type(a) is datetime:
        aware = (a.utcoffset() is not None, b.utcoffset() is not None)
        if aware[0] != aware[1]:
            return sign(*aware)
        return sign(a.astimezone(UTC), b.astimezone(UTC)) if aware[0] else sign(a, b)
    if type(a) is tuple:
        for x, y in zip(a, b, strict=False):
            if order := compare(x, y):
                return order
        return sign(len(a), len(b))
    return 0 if a is None else sign(a, b)


@given(keys, keys)
def test_bytes_order_as_keys_do(a: Any, b: Any) -> None:
    assert sign(encode(a), encode(b)) == compare(a, b)


@given(keys)
def test_decode_gives_an_equal_key_of_the_same_type(key: Any) -> None:
    back = decode(encode(key))
    assert type(back) is type(key)
    assert compare(back, key) == 0
    assert encode(back) == encode(key)


@given(st.lists(keys, max_size=8))
def test_sorting_encodings_is_sorting_keys(values: list[Any]) -> None:
    assert sorted(map(encode, values)) == [
        encode(key) for key in sorted(values, key=cmp_to_key(compare))
    ]


def test_equal_to_python_is_not_the_same_key() -> None:
    assert len({encode(key) for key in (1, 1.0, True, Decimal(1), "1", b"1")}) == 6
    assert len({encode(Decimal(text)) for text in ("1", "1.0", "1.00", "10E-1")}) == 3


def test_what_counts_as_one_key() -> None:
    assert encode(-0.0) == encode(0.0)
    assert encode(math.nan) == encode(-math.nan) > encode(math.inf)
    assert encode(Decimal("-0.0")) == encode(Decimal("0.0"))
    assert encode(Decimal("sNaN")) == encode(Decimal("-NaN7")) > encode(Decimal("Infinity"))
    berlin = timezone(timedelta(hours=1))
    assert encode(datetime(2026, 1, 1, 12, tzinfo=berlin)) == encode(
        datetime(2026, 1, 1, 11, tzinfo=UTC)
    )
    assert encode(datetime(2026, 1, 1, 11, tzinfo=UTC)) != encode(datetime(2026, 1, 1, 11))
    assert decode(encode(datetime(2026, 1, 1, 12, tzinfo=berlin))).tzinfo is UTC


@pytest.mark.parametrize("size", [125, 126, 127, 128, 255, 256, 70_000])
def test_ints_order_where_the_length_changes_form(size: int) -> None:
    edge = 1 << (8 * size)
    around = [-edge - 1, -edge, -edge + 1, -1, 0, 1, edge - 1, edge, edge + 1]
    assert [decode(e) for e in sorted(map(encode, around))] == around
    nested = [(n, "x") for n in around]
    assert [decode(e) for e in sorted(map(encode, nested))] == nested


class Colour(enum.IntEnum):
    RED = 1


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (object(), "a object cannot be a key"),
        ([1], "list"),
        ({"a": 1}, "dict"),
        (Colour.RED, "subclass of int"),
        (Point(1, 2), "subclass of tuple"),
        (("a", [1]), "list cannot be part of a key"),
        ("\ud800", "lone surrogate"),
        (("\ud800",), "lone surrogate"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "outside the years"),
    ],
)
def test_near_keys_are_refused_with_a_reason(key: Any, said: str) -> None:
    with pytest.raises(BadKey, match=said):
        encode(key)


def test_a_tuple_too_deep_is_refused() -> None:
    key: Any = ()
    for _ in range(100_000):
        key = (key,)
    with pytest.raises(BadKey, match="nested"):
        encode(key)


@given(st.binary())
def test_decode_of_any_bytes_is_a_key_or_an_error(data: bytes) -> None:
    assume(0x28 not in data)  # a made-up Decimal may ask for a billion zeros
    try:
        key = decode(data)
    except (ValueError, OverflowError, MemoryError):
        return
    encode(key)
