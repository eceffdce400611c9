"""Text output: `key TAB value NEWLINE`, bytes as they are, all else through `str` in UTF-8; a None
leaves out itself and the tab. What has no text but its address in memory is refused: the same job
would write something else each time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
)
from typing import Any

from clusterkit.checksum import crc32c
from mapreduce.formats.pairs import as_pair
from mapreduce.plan.spec import JobSpec
from mapreduce.storage.api import Writer

FLUSH_BYTES = 1 << 20


_TOLD_BY_ADDRESS = frozenset(
    {AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, MethodType}
    | {BuiltinFunctionType}
)


class CannotWrite(Exception):
    """A key or value that has no text; the cause is what writing it raised."""


def write(writer: Writer, spec: JobSpec) -> TextOutput:
    """See registry."""
    return TextOutput(writer)


class TextOutput:
    """Writes pairs to a Writer and keeps count. The caller closes the writer after `flush`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pending = bytearray()
        self.length = self.crc32c = self.records = 0

    def write(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Takes pairs to their end. An exception leaves those before it written, which does not
        matter: the attempt has failed."""
        looked_at: type = str  # the last value's; most have the same all along
        for pair in pairs:
            if type(pair) is not tuple:
                pair = as_pair(pair)
            key, value = pair
            if type(value) is not looked_at:
                looked_at = _with_text("value", type(value))
            if type(key) is not str:
                _with_text("key", type(key))
            try:
                self._pending += line(key, value)
            except Exception as error:  # whatever a class's __str__ raises
                raise CannotWrite(_refusal(key, value)) from error
            self.records += 1
            if len(self._pending) >= FLUSH_BYTES:
                self.flush()

    def take(self, pairs: Iterable[tuple[Any, Any]], limit: int) -> bool:
        """Writes up to `limit` pairs; False when there were fewer."""
        before = self.records
        self.write(islice(pairs, limit))
        return self.records - before == limit

    def flush(self) -> None:
        if self._pending:
            data = bytes(self._pending)
            self._writer.write(data)
            self.length += len(data)
            self.crc32c = crc32c(data, self.crc32c)
            self._pending.clear()


def _with_text(name: str, kind: type) -> type:
    """`kind`. Raises CannotWrite when its objects have no text of their own."""
    texts: list[tuple[object, object]] = [
        (kind.__str__, object.__str__),
        (kind.__repr__, object.__repr__),
        (kind.__format__, object.__format__),
    ]
    if kind in _TOLD_BY_ADDRESS or all(own is inherited for own, inherited in texts):
        raise CannotWrite(
            f"a {name} of type {kind.__qualname__} cannot be written as text: it has none but its "
            "address in memory, which is another one in every run"
        )
    return kind


def line(key: Any, value: Any) -> bytes:
    """One record as text. Raises UnicodeEncodeError for a str with lone surrogates."""
    if (
        type(key) is not bytes
        and type(value) is not bytes
        and key is not None
        and value is not None
    ):
        return f"{key!s}\t{value!s}\n".encode()
    return b"\t".join([_field(item) for item in (key, value) if item is not None]) + b"\n"


def _refusal(key: Any, value: Any) -> str:
    """Which of the two it is, and why."""
    for name, item in (("key", key), ("value", value)):
        try:
            if item is not None:
                _field(item)
        except Exception as error:  # as above
            why = (
                f"{type(error).__qualname__}: {error!s:.500}"
                if type(error).__module__ == "builtins"
                else type(error).__qualname__
            )
            return f"a {name} of type {type(item).__qualname__} cannot be written as text: {why}"
    return "a pair cannot be written as text"


def _field(item: Any) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode()
