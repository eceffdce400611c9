"""Text output: `key TAB value NEWLINE`, bytes as they are, all else through `str` in UTF-8; a None leaves out itself and the tab."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from clusterkit.checksum import crc32c
from mapreduce.storage.api import Writer

FLUSH_BYTES = 1 << 20


class TextOutput:
    """Writes pairs to a Writer and keeps count. The caller closes the writer after `flush`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pending = bytearray()
        self.length = self.crc32c = self.records = 0

    def write(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Takes pairs to their end. An exception leaves those before it written, which does not matter: the attempt has failed."""
        for key, value in pairs:
            self._pending += line(key, value)
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


def line(key: Any, value: Any) -> bytes:
    """One record as text. Raises UnicodeEncodeError for a str with lone surrogates."""
    if type(key) is not bytes and type(value) is not bytes and key is not None and value is not None:
        return f"{key!s}\t{value!s}\n".encode()
    return b"\t".join([_field(item) for item in (key, value) if item is not None]) + b"\n"


def _field(item: Any) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode()
