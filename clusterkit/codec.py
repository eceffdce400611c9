"""Frozen dataclasses to bytes and back, for journals: MessagePack arrays `[tag, field, ...]`,
tagged by class name.

A `Codec` is built from the classes it may meet; nothing else decodes, and nothing is ever
unpickled. Fields may hold None, bool, int, float, str, bytes, lists, tuples (which come back as
tuples), dicts with str keys, and registered dataclasses, nested at will. A field appended to a
class with a default reads old records; fields are never removed or reordered.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from clusterkit.errors import CorruptRecord

_EXT_OBJECT = 1


class Codec:
    def __init__(self, classes: Iterable[type]) -> None:
        self._by_tag: dict[str, tuple[type, int]] = {}
        self._fields: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
        for cls in classes:
            if not dataclasses.is_dataclass(cls):
                raise TypeError(f"{cls.__name__} is not a dataclass")
            if cls.__name__ in self._by_tag:
                raise ValueError(f"two classes are called {cls.__name__}")
            names = tuple(f.name for f in dataclasses.fields(cls))
            self._by_tag[cls.__name__] = (cls, len(names))
            self._fields[cls] = _getter(names)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(ext_hook=self._ext_hook)

    def encode(self, value: Any) -> bytes:
        """Raises TypeError for a value of an unregistered class."""
        return self._encoder.encode(self._plain(value))

    def decode(self, data: bytes | memoryview) -> Any:
        """Raises CorruptRecord for anything `encode` did not write."""
        try:
            return _tupled(self._decoder.decode(data))
        except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
            raise CorruptRecord(f"record does not decode: {error}") from error

    def _plain(self, value: Any) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind is tuple or kind is list:
            return [self._plain(item) for item in value]
        if kind is dict:
            return {key: self._plain(item) for key, item in value.items()}
        fields = self._fields.get(kind)
        if fields is None:
            raise TypeError(f"{kind.__name__} is not registered with this codec")
        row = [kind.__name__, *fields(value)]
        for index, item in enumerate(row):
            if type(item) not in _SCALARS:  # most fields are: they need no call
                row[index] = self._plain(item)
        return msgspec.msgpack.Ext(_EXT_OBJECT, self._encoder.encode(row))

    def _ext_hook(self, code: int, data: memoryview) -> Any:
        if code != _EXT_OBJECT:
            raise ValueError(f"extension {code} is not known")
        tag, *values = self._decoder.decode(data)
        if tag not in self._by_tag:
            raise ValueError(f"record of unknown kind {tag!r}")
        cls, width = self._by_tag[tag]
        if len(values) > width:
            raise ValueError(f"{tag} has {len(values)} fields, this version knows {width}")
        return cls(*(_tupled(item) for item in values))


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """All fields of an object at once. (attrgetter of one name gives the bare value, of none it
    cannot be made.)"""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


_SCALARS = frozenset({type(None), bool, int, float, str, bytes})


def _tupled(value: Any) -> Any:
    """Sequences come back as tuples, because the dataclasses that hold them are frozen."""
    if type(value) is list:
        return tuple(_tupled(item) for item in value)
    if type(value) is dict:
        return {key: _tupled(item) for key, item in value.items()}
    return value
