"""A job's parameters as they travel: JSON that gives back the very value, of whatever it is.

JSON has no infinity, its readers no integers beyond 64 bits, and UTF-8 no lone surrogates (an
argument that is no UTF-8 has them). Such a value travels as an object that names its type; all
others as they are, since no parameter is an object.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from clusterkit.errors import UsageError

_LEAST_INT, _MOST_INT = -(1 << 63), (1 << 64) - 1


def encoded(value: str | float) -> Any:
    """Of a str, int, float or bool, what JSON can say."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return {"str": value.encode("utf-8", "surrogatepass").hex()}
    elif isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    elif not _LEAST_INT <= value <= _MOST_INT:
        return {"int": hex(value)}  # a decimal number of thousands of digits is refused by Python
    return value


def decoded(value: Any) -> Any:
    """Raises UsageError for an object that `encoded` does not make."""
    if not isinstance(value, dict):
        return value
    try:
        ((kind, text),) = value.items()
        return _DECODERS[kind](text)
    except (KeyError, ValueError, TypeError, AttributeError):
        raise UsageError(f"parameter value {value!r} is of no known kind") from None


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "str": lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    "float": float,
    "int": lambda text: int(text, 16),
}


def all_encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encoded(value) for name, value in values.items()}


def all_decoded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: decoded(value) for name, value in values.items()}


def shown(value: Any) -> str:
    """For a message or a help text; a number may have more digits than anybody reads, or than
    Python writes."""
    if isinstance(value, int) and not _LEAST_INT <= value <= _MOST_INT:
        return (
            f"{hex(value)[:20]}… ({value.bit_length()} bits)"
            if value.bit_length() > 256
            else str(value)
        )
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 100 else text[:99] + "…"
