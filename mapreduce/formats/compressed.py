"""Files that hold their lines compressed, as a Reader of what is in them.

A compressed stream has one beginning, so such a file is one split, and it is read from its first
byte to its last, once. Files of several streams one behind the other (`cat a.gz b.gz`, pigz,
pbzip2) are one text. Damage, and an end in the middle, are errors of the input.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from mapreduce.formats.containers import BZIP2, GZIP, XZ
from mapreduce.formats.errors import BadInput
from mapreduce.storage.api import Reader

RAW_BYTES = 1 << 20
_OPENERS: dict[str, Callable[[Any], Any]] = {
    GZIP: lambda raw: gzip.GzipFile(fileobj=raw, mode="rb"),
    BZIP2: lambda raw: bz2.BZ2File(raw),
    XZ: lambda raw: lzma.LZMAFile(raw, format=lzma.FORMAT_XZ),  # noqa: SIM115 - owns nothing to close
}


class Decompressed:
    """`first` are the file's first bytes, which somebody has read already; it ends at `length`."""

    def __init__(self, form: str, reader: Reader, first: bytes, length: int) -> None:
        self._form, self._reader, self._at = form, reader, 0
        self._raw = _Raw(reader, first, length)
        self._file = _OPENERS[form](io.BufferedReader(self._raw, RAW_BYTES))

    def stamp(self) -> str:
        return self._reader.stamp()

    def close(self) -> None:
        self._reader.close()

    @property
    def raw_done(self) -> int:
        """Compressed bytes that have been read, for progress."""
        return self._raw.position

    def read_at(self, offset: int, length: int) -> bytes:
        """Only on from where the last read ended. Raises BadInput."""
        assert offset == self._at, "a compressed stream is read from its beginning to its end"
        pieces = []
        while length and (data := self._read(length)):
            pieces.append(data)
            length -= len(data)
            self._at += len(data)
        return b"".join(pieces)

    def _read(self, length: int) -> bytes:
        try:
            data: bytes = self._file.read(length)
            return data
        except EOFError:
            raise BadInput(f"is {self._form} data that ends in the middle") from None
        except _Unreadable as error:
            raise error.reason from None
        except (OSError, zlib.error, lzma.LZMAError) as error:
            raise BadInput(
                f"is {self._form} data that is damaged behind {self._at} bytes of text: {error}"
            ) from None


class _Unreadable(Exception):
    """What the storage raised: not to be taken for damage of the data."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Raw(io.RawIOBase):
    def __init__(self, reader: Reader, first: bytes, length: int) -> None:
        super().__init__()
        self._reader, self._first, self._length = reader, first, length
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._length - self.position)
        if self.position < len(self._first):
            data = self._first[self.position : self.position + wanted]
        elif wanted > 0:
            data = self._fetch(wanted)
        else:
            return 0
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    def _fetch(self, wanted: int) -> bytes:
        try:
            return self._reader.read_at(self.position, wanted)
        except (
            Exception
        ) as error:  # whatever it is, the library above must not mistake it for its own
            raise _Unreadable(error) from error
