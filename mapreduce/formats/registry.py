"""The formats, by name: how files are cut into splits, how a split's records are read, how pairs
are written. The planner and the engine ask here and know none by themselves; what a format needs is
imported when it is asked for.

A format is one row of FORMATS and up to three functions:

    split(storage, files, *, split_bytes, least) -> list[Split]     the planner's
    read(reader, split, spec) -> RecordSource                       a map task's
    write(writer, spec) -> PairSink                                 whose pairs end in a file
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from clusterkit.errors import UsageError
from mapreduce.plan.spec import JobSpec, Split
from mapreduce.storage.api import FileInfo, Reader, Storage, Writer


class RecordBatch(Protocol):
    """Consecutive records of a split."""

    @property
    def records(self) -> Sequence[Any]: ...

    def offset(self, index: int) -> int:
        """Where the record with this index begins, for people: -1 where that means nothing."""
        ...


class RecordSource(Protocol):
    """The records of one split, each read by exactly one however the file is cut."""

    bytes_done: int  # of the split, for progress

    def batches(self) -> Iterator[RecordBatch]:
        """Raises BadRecord, BadInput (formats.errors), and what the storage raises."""
        ...


class PairSink(Protocol):
    """Writes pairs to a file. The caller closes it after `flush`."""

    length: int  # bytes written so far
    crc32c: int
    records: int

    def write(self, pairs: Iterable[tuple[Any, Any]]) -> None: ...

    def take(self, pairs: Iterable[tuple[Any, Any]], limit: int) -> bool:
        """Writes up to `limit` pairs; False when there were fewer."""
        ...

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Format:
    """Each of the three is `module:function`, "" where the format cannot do that."""

    name: str
    split: str = ""
    read: str = ""
    write: str = ""

    def splits(
        self, storage: Storage, files: Sequence[FileInfo], *, split_bytes: int, least: int
    ) -> list[Split]:
        made: list[Split] = _function(self, "split")(
            storage, files, split_bytes=split_bytes, least=least
        )
        return made

    def source(self, reader: Reader, split: Split, spec: JobSpec) -> RecordSource:
        made: RecordSource = _function(self, "read")(reader, split, spec)
        return made

    def sink(self, writer: Writer, spec: JobSpec) -> PairSink:
        made: PairSink = _function(self, "write")(writer, spec)
        return made


FORMATS = {
    found.name: found
    for found in (
        Format(
            "text",
            split="mapreduce.plan.splits:text_splits",
            read="mapreduce.formats.text:read",
            write="mapreduce.formats.text_output:write",
        ),
    )
}


def format_of(name: str) -> Format:
    """Raises UsageError for a format that is not there."""
    if name not in FORMATS:
        raise UsageError(f"there is no format {name[:40]!r}; there are: {', '.join(FORMATS)}")
    return FORMATS[name]


def _function(found: Format, what: str) -> Any:
    place = getattr(found, what)
    if not place:
        raise UsageError(f"the format {found.name} cannot {what}")
    module, _colon, name = place.partition(":")
    return getattr(import_module(module), name)
