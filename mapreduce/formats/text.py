"""Text input: the lines of one byte range of a file.

A record is a line without its end, `\\n` or `\\r\\n`; a `\\r` anywhere else stays. It belongs to
the split that holds its first byte, so a split skips the line that began before it and reads past
its own end to finish its last line: every line is read exactly once however a file is cut. The last
line needs no newline. Lines come in batches, because decoding and cutting a quarter of a megabyte
at a time is an order of magnitude faster than line by line; where a record lies is worked out only
when somebody asks.

What begins a file decides how it is read (containers.py): compressed lines are decompressed, and
their offsets are those in the text; UTF-8's byte order mark is no part of the first record; a
format that is no lines is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import accumulate

from mapreduce.formats.compressed import Decompressed
from mapreduce.formats.containers import BYTE_ORDER_MARK, COMPRESSED, recognise, refusal
from mapreduce.formats.errors import BadInput, BadRecord
from mapreduce.plan.spec import JobSpec, Split
from mapreduce.storage.api import Reader

READ_BYTES = 4 << 20
"""Reads begin at multiples of this, so that a file system reads ahead well."""
BATCH_BYTES = 256 << 10
_TAIL_BYTES = 64 << 10
"""First step past the end of the split; each further one doubles."""


class Batch:
    """Consecutive lines."""

    __slots__ = ("_offsets", "_raw", "_start", "records")

    def __init__(self, lines: Sequence[str] | Sequence[bytes], raw: bytes, start: int) -> None:
        self.records, self._raw, self._start = lines, raw, start
        self._offsets: list[int] | None = None

    def offset(self, index: int) -> int:
        """Byte offset in the file of the line with that index."""
        if self._offsets is None:
            lengths = (len(line) + 1 for line in self._raw.split(b"\n"))
            self._offsets = list(accumulate(lengths, initial=self._start))
        return self._offsets[index]


def read(reader: Reader, split: Split, spec: JobSpec) -> TextInput:
    """See registry."""
    return TextInput(
        reader,
        split.offset,
        split.length,
        record_type=spec.record_type,
        encoding_errors=spec.encoding_errors,
    )


class TextInput:
    """The lines of `length` bytes from `offset`. `record_type` is `str` or `bytes`;
    `encoding_errors` is `strict` or `replace`."""

    def __init__(
        self,
        reader: Reader,
        offset: int,
        length: int,
        *,
        record_type: str = "str",
        encoding_errors: str = "strict",
    ) -> None:
        self._reader = reader
        self._offset, self._end = offset, offset + length
        self._decode = record_type == "str"
        self._errors = encoding_errors
        self._decompressed: Decompressed | None = None
        self.bytes_done = 0  # of the split, for progress

    def batches(self) -> Iterator[Batch]:
        """Raises BadRecord, BadInput, and what the storage raises."""
        for start, raw in self._pieces():
            if start == 0 and raw.startswith(BYTE_ORDER_MARK):
                start, raw = len(BYTE_ORDER_MARK), raw[len(BYTE_ORDER_MARK) :]
            if raw:
                yield self._batch(start, raw)
            self.bytes_done = (
                min(start + len(raw), self._end) - self._offset
                if self._decompressed is None
                else self._decompressed.raw_done
            )
        if self._decompressed is not None:
            self.bytes_done = self._decompressed.raw_done

    def _batch(self, start: int, raw: bytes) -> Batch:
        """`raw` is whole lines; only the last of a file may lack its newline."""
        if self._decode:
            try:
                text = raw.decode("utf-8", self._errors)
            except UnicodeDecodeError as error:
                raise _bad_text(raw, start, error) from None
            if "\r" in text:
                text = text.replace("\r\n", "\n")
            lines: list[str] | list[bytes] = text.split("\n")
        else:
            lines = (raw.replace(b"\r\n", b"\n") if b"\r" in raw else raw).split(b"\n")
        if raw.endswith(b"\n"):
            lines.pop()
        return Batch(lines, raw, start)

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of whole lines that belong to the split, about BATCH_BYTES each."""
        start = (
            self._offset if self._offset == 0 else None
        )  # where the current line begins; None: not found yet
        held: list[bytes] = []  # what has been read of a line that has not ended
        for at, block in self._blocks():
            cut = 0
            if start is None:
                cut = block.find(b"\n") + 1
                if cut == 0 or at + cut >= self._end:
                    if at + len(block) >= self._end or cut:
                        return
                    continue
                start = at + cut
            while cut < len(block):
                end = block.rfind(b"\n", cut, cut + BATCH_BYTES) + 1 or block.find(b"\n", cut) + 1
                if end == 0:
                    held.append(block[cut:])
                    break
                piece = b"".join([*held, block[cut:end]])
                held.clear()
                yield start, piece
                start += len(piece)
                cut = end
        if start is not None and start < self._end:
            yield from self._finish(start, held)

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """The split's bytes and the one before it (it says whether a line begins at the split's
        start), in aligned reads."""
        at = max(self._offset - 1, 0)
        while at < self._end:
            wanted = min(self._end, (at // READ_BYTES + 1) * READ_BYTES) - at
            block = self._reader.read_at(at, wanted)
            if at == 0 and self._offset == 0 and (form := recognise(block)):
                yield from self._decompress(form, block)
                return
            if block:
                yield at, block
            at += len(block)
            if len(block) < wanted:
                raise BadInput(
                    f"ends after {at} bytes, before the {self._end} that were planned: it has "
                    "become shorter"
                )

    def _decompress(self, form: str, first: bytes) -> Iterator[tuple[int, bytes]]:
        """The text in a compressed file, which is one split; what follows reads that text, too."""
        if form not in COMPRESSED:
            raise BadInput(refusal(form))
        self._reader = self._decompressed = Decompressed(form, self._reader, first, self._end)
        self._end, at = sys.maxsize, 0
        while block := self._reader.read_at(at, READ_BYTES):
            yield at, block
            at += len(block)

    def _finish(self, start: int, held: list[bytes]) -> Iterator[tuple[int, bytes]]:
        """The line that began inside and goes on behind the end."""
        at, step = start + sum(map(len, held)), _TAIL_BYTES
        while True:
            block = self._reader.read_at(at, step)
            end = block.find(b"\n") + 1
            held.append(block[:end] if end else block)
            at += len(block)
            if end or len(block) < step:
                break
            step = min(2 * step, READ_BYTES)
        line = b"".join(held)
        if line:
            yield start, line


def _bad_text(raw: bytes, start: int, error: UnicodeDecodeError) -> BadRecord:
    first = raw.rfind(b"\n", 0, error.start) + 1
    line = raw[first : raw.find(b"\n", error.start) if b"\n" in raw[error.start :] else len(raw)]
    what = (
        f"the record is not valid UTF-8: byte {raw[error.start]:#04x} at "
        f"{start + error.start}, {error.reason}"
    )
    return BadRecord(what, start + first, line.removesuffix(b"\r"))
