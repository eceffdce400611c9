"""What becomes of a value between the method that yields it and the method that is given it: it is
taken as it is at that moment, and comes back as the receiver's own object.

Plain immutable values travel as they are. Everything else is pickled alone, when it is yielded:
what the job does to the object afterwards, what else holds it, and where a split or a spill ends,
change nothing. A value that does not pickle fails at the record that yielded it.
"""

from __future__ import annotations

import pickle
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

ATOMS = frozenset(
    {int, str, bytes, float, bool, type(None), complex, date, timedelta, Decimal, UUID}
)
"""Exact types whose objects nobody can change."""


MAX_BYTES = 1 << 30


class Pickled(bytes):
    """One value as its pickle."""

    __slots__ = ()


class CannotPickle(Exception):
    """A value that cannot travel to a reducer."""


class CannotUnpickle(Exception):
    """A value that does not come back."""


def freeze(value: Any) -> Any:
    """For whatever is not an atom: itself when it is a tuple of atoms, else its pickle. Raises
    CannotPickle."""
    if type(value) is tuple and ATOMS.issuperset(map(type, value)):
        return value
    try:
        data = pickle.dumps(value, 5)
    except Exception as error:  # whatever __reduce__ raises
        raise CannotPickle(
            f"a value of type {type(value).__qualname__} cannot travel to a reducer: {_said(error)}"
        ) from error
    if len(data) > MAX_BYTES:
        raise CannotPickle(
            f"a value of type {type(value).__qualname__} cannot travel to a reducer: "
            f"{len(data) >> 20} MiB are too large"
        )
    return Pickled(data)


def thaw(value: Any) -> Any:
    """What was frozen, as an object of its own. Raises CannotUnpickle."""
    if type(value) is not Pickled:
        return value
    try:
        return pickle.loads(value)
    except Exception as error:
        # whatever a class's __setstate__ raises; the bytes are sound, their checksum said so
        raise CannotUnpickle(f"a value does not come back from pickling: {_said(error)}") from error


def thaw_pair(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    return pair[0], thaw(pair[1])


def _said(error: Exception) -> str:
    try:
        return f"{type(error).__qualname__}: {error!s:.1000}"
    except Exception:  # a user's __str__
        return type(error).__qualname__
