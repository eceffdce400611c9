"""The encoding of keys: a key's identity, its order and what partitioning hashes.

Bytes compare as the keys do: None < bool < int < float < Decimal < str < bytes < date < datetime
(naive, then aware) < UUID < tuple; inside a type by value. A key is exactly its type and value: 1,
1.0 and True are three keys. Only the exact types are keys; subclasses (an IntEnum, a namedtuple)
are refused, because they would come back as their base. What is one key although it looks like
several:

    -0.0 is 0.0 · all NaNs are one, after infinity · aware datetimes are their moment in UTC · a
    datetime's `fold` is ignored Decimals order by value, then by exponent: 1.00, 1.0 and 1 are
    three keys beside each other; -0.0 is 0.0, NaNs are one and last

Form: one tag byte, then the value. Ints carry their length, so any size orders; floats are their
IEEE bits, sign-folded. `str` (UTF-8, lone surrogates refused) and `bytes` stand as they are at the
top and are escaped (00 -> 00 FF) and ended by 00 inside tuples; a tuple is its elements and 00.
Element encodings are prefix-free, so tuples compare element by element, and a shorter one first
(the scheme of FoundationDB's tuple layer).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

NONE, BOOL, INT, FLOAT, DECIMAL, STR, BYTES = 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38
DATE, DATETIME_NAIVE, DATETIME_AWARE, UUID_TAG, TUPLE = 0x40, 0x48, 0x49, 0x50, 0x58
"""Tags rise in the order of the types and leave room between them. None is 00 or FF: those end and
escape."""

_STR, _BYTES = bytes([STR]), bytes([BYTES])
_ZERO_INT = 0x80
_MAX_SHORT_INT_BYTES = 0x7E
_EPOCH, _EPOCH_UTC = datetime(1, 1, 1), datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_D_MINUS_INF, _D_NEGATIVE, _D_ZERO, _D_POSITIVE, _D_INF, _D_NAN = 0x10, 0x20, 0x30, 0x40, 0x50, 0x60
_INVERT = bytes(255 - i for i in range(256))


class BadKey(Exception):
    """A value that cannot be a key; the text says why."""


def encode(key: Any) -> bytes:
    """The key's encoding. Raises BadKey."""
    kind = type(key)
    try:
        if kind is str:
            return _STR + str.encode(key)
        if kind is bytes:
            return _BYTES + bytes(key)
        encoder = _ENCODERS.get(kind)
        if encoder is None:
            raise BadKey(_refusal(key))
        return encoder(key)
    except UnicodeEncodeError as error:
        raise BadKey(
            f"the str {key!a} cannot be a key: it holds a lone surrogate, which UTF-8 cannot write"
        ) from error
    except OverflowError as error:
        raise BadKey(
            f"{key!r} cannot be a key: its moment in UTC lies outside the years 1 to 9999"
        ) from error
    except RecursionError as error:
        raise BadKey("a tuple nested this deeply cannot be a key") from error


def decode(data: bytes) -> Any:
    """The key that `encode` was given, in its canonical form. Raises ValueError for bytes that
    `encode` never wrote."""
    if data[:1] == _STR:
        return data[1:].decode()
    if data[:1] == _BYTES:
        return data[1:]
    try:
        key, end = _decode_at(data, 0)
    except (IndexError, struct.error) as error:
        raise ValueError("key encoding is cut short") from error
    if end != len(data):
        raise ValueError("key encoding has bytes behind its end")
    return key


def _refusal(key: Any) -> str:
    kind = type(key)
    base = next((t for t in kind.__mro__[1:] if t in _KEY_TYPES), None)
    if base is not None:
        return (
            f"a {kind.__qualname__} cannot be a key, because it is a subclass of "
            f"{base.__name__}: yield {base.__name__}(…) of it"
        )
    allowed = "str, bytes, int, float, bool, None, date, datetime, Decimal, UUID and tuples of them"
    return f"a {kind.__qualname__} cannot be a key: keys are {allowed}"


def _int(value: int) -> bytes:
    """Length-tagged big-endian magnitude; negative values inverted, so that longer ones come
    first."""
    if value >= 0:
        size = (value.bit_length() + 7) >> 3
        body = value.to_bytes(size, "big")
        return (
            bytes((_ZERO_INT + size,))
            if size <= _MAX_SHORT_INT_BYTES
            else b"\xff" + struct.pack(">Q", size)
        ) + body
    size = ((-value).bit_length() + 7) >> 3
    body = (-value).to_bytes(size, "big").translate(_INVERT)
    return (
        bytes((_ZERO_INT - size,))
        if size <= _MAX_SHORT_INT_BYTES
        else b"\x00" + struct.pack(">Q", size).translate(_INVERT)
    ) + body


def _int_at(data: bytes, at: int) -> tuple[int, int]:
    head = data[at]
    at += 1
    negative = head < _ZERO_INT
    if head in (0x00, 0xFF):
        raw = data[at : at + 8]
        (size,) = struct.unpack(">Q", raw.translate(_INVERT) if negative else raw)
        at += 8
    else:
        size = abs(head - _ZERO_INT)
    body = data[at : at + size]
    if len(body) != size:
        raise IndexError
    return (
        -int.from_bytes(body.translate(_INVERT), "big") if negative else int.from_bytes(body, "big")
    ), at + size


def _float(value: float) -> bytes:
    if value != value:
        return b"\xff\xf8\0\0\0\0\0\0"
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))  # + 0.0 turns -0.0 into 0.0
    return struct.pack(">Q", bits ^ 0xFFFFFFFFFFFFFFFF if bits >> 63 else bits | 1 << 63)


def _float_at(data: bytes, at: int) -> tuple[float, int]:
    (bits,) = struct.unpack_from(">Q", data, at)
    bits = bits & ~(1 << 63) if bits >> 63 else bits ^ 0xFFFFFFFFFFFFFFFF
    return struct.unpack(">d", struct.pack(">Q", bits))[0], at + 8


def _decimal(value: Decimal) -> bytes:
    if value.is_nan():
        return bytes((_D_NAN,))
    if value.is_infinite():
        return bytes((_D_MINUS_INF if value < 0 else _D_INF,))
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if not any(digits):
        return bytes((_D_ZERO,)) + _int(exponent)
    text = "".join(map(str, digits))
    magnitude = _int(len(text) + exponent) + text.rstrip("0").encode() + b"\0"
    if sign:
        return bytes((_D_NEGATIVE,)) + magnitude.translate(_INVERT) + _int(exponent)
    return bytes((_D_POSITIVE,)) + magnitude + _int(exponent)


def _decimal_at(data: bytes, at: int) -> tuple[Decimal, int]:
    form = data[at]
    at += 1
    if form == _D_NAN:
        return Decimal("NaN"), at
    if form in (_D_MINUS_INF, _D_INF):
        return Decimal("-Infinity" if form == _D_MINUS_INF else "Infinity"), at
    if form == _D_ZERO:
        exponent, at = _int_at(data, at)
        return Decimal((0, (0,), exponent)), at
    negative = form == _D_NEGATIVE
    plain = data[:at] + data[at:].translate(_INVERT) if negative else data
    point, digits_at = _int_at(plain, at)
    end = plain.index(0, digits_at)
    exponent, at = _int_at(data, end + 1)
    digits = plain[digits_at:end].decode().ljust(point - exponent, "0")
    return Decimal((int(negative), tuple(map(int, digits)), exponent)), at


def _datetime(value: datetime) -> bytes:
    offset = value.utcoffset()
    if offset is None:
        return bytes((DATETIME_NAIVE,)) + struct.pack(
            ">Q", (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
        )
    return bytes((DATETIME_AWARE,)) + struct.pack(
        ">Q", (value.astimezone(UTC) - _EPOCH_UTC) // _MICROSECOND
    )


def _nested(key: Any) -> bytes:
    kind = type(key)
    if kind is str:
        return _STR + str.encode(key).replace(b"\0", b"\0\xff") + b"\0"
    if kind is bytes:
        return _BYTES + bytes.replace(key, b"\0", b"\0\xff") + b"\0"
    encoder = _ENCODERS.get(kind)
    if encoder is None:
        raise BadKey(_refusal(key).replace("cannot be a key", "cannot be part of a key", 1))
    return encoder(key)


def _tuple(key: tuple[Any, ...]) -> bytes:
    return b"\x58" + b"".join(map(_nested, key)) + b"\0"


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _none: bytes((NONE,)),
    bool: lambda value: bytes((BOOL, value)),
    int: lambda value: b"\x18" + _int(value),
    float: lambda value: b"\x20" + _float(value),
    Decimal: lambda value: b"\x28" + _decimal(value),
    date: lambda value: b"\x40" + struct.pack(">I", value.toordinal()),
    datetime: _datetime,
    UUID: lambda value: b"\x50" + value.bytes,
    tuple: _tuple,
}
_KEY_TYPES = frozenset({str, bytes, *_ENCODERS})


def _text_at(data: bytes, at: int) -> tuple[bytes, int]:
    """An escaped, terminated string of bytes."""
    end = data.index(0, at)
    while data[end + 1 : end + 2] == b"\xff":
        end = data.index(0, end + 2)
    return data[at:end].replace(b"\0\xff", b"\0"), end + 1


def _decode_at(data: bytes, at: int) -> tuple[Any, int]:
    tag = data[at]
    at += 1
    if tag == TUPLE:
        items = []
        while data[at]:
            item, at = _decode_at(data, at)
            items.append(item)
        return tuple(items), at + 1
    decoder = _DECODERS.get(tag)
    if decoder is None:
        raise ValueError(f"key encoding has unknown tag {tag:#04x}")
    return decoder(data, at)


def _str_at(data: bytes, at: int) -> tuple[str, int]:
    text, at = _text_at(data, at)
    return text.decode(), at


def _bool_at(data: bytes, at: int) -> tuple[bool, int]:
    return bool(data[at]), at + 1


def _moment_at(data: bytes, at: int) -> tuple[timedelta, int]:
    return struct.unpack_from(">Q", data, at)[0] * _MICROSECOND, at + 8


def _naive_at(data: bytes, at: int) -> tuple[datetime, int]:
    since, at = _moment_at(data, at)
    return _EPOCH + since, at


def _aware_at(data: bytes, at: int) -> tuple[datetime, int]:
    since, at = _moment_at(data, at)
    return _EPOCH_UTC + since, at


_DECODERS: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    NONE: lambda _data, at: (None, at),
    BOOL: _bool_at,
    INT: _int_at,
    FLOAT: _float_at,
    DECIMAL: _decimal_at,
    STR: _str_at,
    BYTES: _text_at,
    DATE: lambda data, at: (date.fromordinal(struct.unpack_from(">I", data, at)[0]), at + 4),
    DATETIME_NAIVE: _naive_at,
    DATETIME_AWARE: _aware_at,
    UUID_TAG: lambda data, at: (UUID(bytes=data[at : at + 16]), at + 16),
}
