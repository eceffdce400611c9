"""What a map does when it holds too much: combine it, and if that is not enough, write it out
sorted; merge such spills at the end.

A spill is a map output of its own (map_output.py), `spill-N` in the attempt's directory. The last
one holds what was in memory at the end. They are merged partition by partition in their order, so
that a key's values keep the order in which the map yielded them; where there is a combine, a key
that stands in several spills goes through it once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from mapreduce.engine.attempt import Segment
from mapreduce.engine.codec import FRAME_RECORDS, Section, encode_frames
from mapreduce.engine.map_output import MapOutputWriter, SegmentEntry
from mapreduce.engine.map_side import Collector
from mapreduce.engine.memory import SpillGauge
from mapreduce.engine.merge import merge
from mapreduce.engine.segments import SegmentReader
from mapreduce.formats.pairs import Pair

_KEY, _VALUE = itemgetter(0), itemgetter(1)


class Spills:
    """The spills of one map attempt."""

    def __init__(
        self,
        collector: Collector,
        directory: Path,
        partitions: int,
        gauge: SpillGauge,
        *,
        can_fold: bool,
    ) -> None:
        self._collector, self._directory, self._partitions, self._gauge = (
            collector,
            directory,
            partitions,
            gauge,
        )
        self._can_fold = can_fold
        self._files: list[tuple[Path, list[SegmentEntry]]] = []
        self.spilled_records = 0

    def check(self) -> None:
        """Between two batches: makes room if that is due."""
        collector = self._collector
        if collector.wants_fold:
            collector.fold()
        if self._gauge.is_full(collector.records_held):
            held = collector.records_held
            self._spill()
            self._gauge.spilled(held)

    def _spill(self) -> None:
        writer = MapOutputWriter(
            self._directory, self._partitions, stem=f"spill-{len(self._files)}"
        )
        self._collector.write(writer, self._partitions)
        entries = writer.finish()
        writer.index_path.unlink()  # the entries are here
        self._files.append((writer.data_path, entries))
        self.spilled_records += sum(entry.records for entry in entries)

    def finish(self, tick: Callable[[], object]) -> list[SegmentEntry]:
        """Writes the map output and removes the spills."""
        if not self._files:
            writer = MapOutputWriter(self._directory, self._partitions)
            self._collector.write(writer, self._partitions)
            return writer.finish()
        self._spill()
        writer = MapOutputWriter(self._directory, self._partitions)
        for number in range(self._partitions):
            writer.begin(number)
            self._merge_partition(number, writer, tick)
        entries = writer.finish()
        for path, _entries in self._files:
            path.unlink()
        return entries

    def _merge_partition(
        self, number: int, writer: MapOutputWriter, tick: Callable[[], object]
    ) -> None:
        segments = [
            (path, entries[number]) for path, entries in self._files if entries[number].length
        ]
        readers = [
            SegmentReader(Segment(-1, entry.length, entry.crc32c, str(path), entry.offset))
            for path, entry in segments
        ]
        for section, pieces in merge(readers, tick):
            pairs = chain.from_iterable(pieces)
            write_merged(
                writer, section, self._combined(section, pairs) if self._can_fold else pairs
            )

    def _combined(self, section: Section, pairs: Iterator[Pair]) -> Iterator[Pair]:
        """Each key that stands in several spills is combined once more."""
        for key, group in groupby(pairs, _KEY):
            rest = iter(group)
            first, second = next(rest), next(rest, None)
            if second is None:
                yield first
            else:
                values = map(_VALUE, chain((first, second), rest))
                for value in self._collector.combine_one(section, key, values):
                    yield key, value


def write_merged(writer: MapOutputWriter, section: Section, pairs: Iterable[Pair]) -> None:
    """Sorted pairs as frames, one piece at a time."""
    pairs = iter(pairs)
    while piece := list(islice(pairs, FRAME_RECORDS)):
        keys: list[Any] = []
        counts: list[int] = []
        for key, group in groupby(map(_KEY, piece)):
            keys.append(key)
            counts.append(sum(1 for _ in group))
        values = list(map(_VALUE, piece))
        for frame, records in encode_frames(
            section, keys, counts if len(keys) < len(values) else None, values
        ):
            writer.write(frame, records)
