"""Reduce tasks: merge the segments, group equal keys, and write what the job's reduce yields into a
part file, or partition it for the next stage.

What goes wrong in reading a segment is raised inside the user's generator (it pulls the values),
where a broad `except` could swallow it and end the job with values missing. So it is kept, and
raised again after every key. The same holds for a value that does not come back from its pickle: it
is thawed when reduce reads it, and is reduce's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from mapreduce.api.job import Job
from mapreduce.engine.attempt import MapOutput, PartOutput, ProgressSink, Segment, Task
from mapreduce.engine.codec import Section
from mapreduce.engine.keys import decode
from mapreduce.engine.map_output import DATA_NAME, INDEX_NAME, MapOutputWriter
from mapreduce.engine.map_side import Collector
from mapreduce.engine.map_task import MAX_TAKEN_PAIRS
from mapreduce.engine.memory import ResidentGauge
from mapreduce.engine.merge import merge
from mapreduce.engine.segments import SegmentReader
from mapreduce.engine.spill import Spills, write_merged
from mapreduce.engine.task_run import GentleGarbageCollection, Position, TaskRun
from mapreduce.engine.values import thaw_pair
from mapreduce.formats.pairs import Pair
from mapreduce.formats.registry import format_of
from mapreduce.plan.spec import JobSpec
from mapreduce.storage.api import Writer

FAN_IN = 256
"""Most segments merged at once when they do not all fit in memory; more go through intermediate
files, neighbours first."""
IN_MEMORY_BYTES = 32 << 20
_KEY, _VALUE = itemgetter(0), itemgetter(1)


def run_reduce(
    job: type[Job],
    spec: JobSpec,
    segments: Iterable[Segment],
    writer: Writer,
    directory: Path,
    *,
    task: Task,
    progress: ProgressSink,
) -> PartOutput:
    """See tasks.run_reduce."""
    run = TaskRun(job, spec, task, progress, phase="sort")
    with run.boundary(), GentleGarbageCollection():
        source = _Source(run, segments, directory)
        output = format_of(spec.output_format).sink(writer, spec)
        for pairs in source.reduction().groups(source.sections()):
            output.write(pairs)
        run.calls.once("teardown")
        output.flush()
        run.counter("reduce_output_records").inc(output.records)
        run.fraction = 1.0
        run.report()
    return PartOutput(output.length, output.crc32c, output.records, run.totals())


def run_reduce_into_partitions(
    job: type[Job],
    spec: JobSpec,
    segments: Iterable[Segment],
    output: Path,
    directory: Path,
    *,
    partitions: int,
    task: Task,
    progress: ProgressSink,
) -> MapOutput:
    """See tasks.run_reduce_into_partitions."""
    run = TaskRun(job, spec, task, progress, phase="sort")
    with run.boundary(), GentleGarbageCollection():
        source = _Source(run, segments, directory)
        collector = Collector(None, run.moves)
        gauge = ResidentGauge(spec.spill_bytes)
        spills = Spills(collector, output, partitions, gauge, can_fold=False)

        pairs = chain.from_iterable(source.reduction().groups(source.sections()))
        while collector.take(pairs, MAX_TAKEN_PAIRS):
            spills.check()
        run.calls.once("teardown")
        entries = spills.finish(run.tick)
        run.counter("reduce_output_records").inc(sum(entry.records for entry in entries))
        if spills.spilled_records:
            run.counter("spilled_records").inc(spills.spilled_records)
        run.fraction = 1.0
        run.report()
    return MapOutput(
        data_path=output / DATA_NAME,
        index_path=output / INDEX_NAME,
        segment_bytes=tuple(entry.length for entry in entries),
        segment_records=tuple(entry.records for entry in entries),
        counters=run.totals(),
    )


class _Source:
    """The segments of a task, merged, and how far it has come with them."""

    def __init__(self, run: TaskRun, segments: Iterable[Segment], directory: Path) -> None:
        self._run = run
        ordered = sorted(
            (segment for segment in segments if segment.length),
            key=lambda segment: segment.order,
        )
        run.begin()
        self._readers = [SegmentReader(one) for one in _narrowed(ordered, directory, run.tick)]
        self._total = max(self._left(), 1)

    def _left(self) -> int:
        return sum(reader.bytes_left for reader in self._readers)

    def sections(self) -> Iterator[tuple[Section, Iterator[list[Pair]]]]:
        self._run.phase = "reduce"
        return merge(self._readers, self._on_round)

    def _on_round(self) -> None:
        self._run.fraction = 1 - self._left() / self._total
        self._run.tick()

    def reduction(self) -> _Reduction:
        return _Reduction(self._run, lambda: any(one.is_frozen for one in self._readers))


class _EndOf:
    """Stands behind the values of a key: whoever comes here when reduce has gone on to another key
    has kept the iterator, and would find it empty without a word."""

    __slots__ = ("_key", "_reduction")

    def __init__(self, reduction: _Reduction, key: Any) -> None:
        self._reduction, self._key = reduction, key

    def __iter__(self) -> Iterator[Any]:
        if self._reduction.key is not self._key:
            raise RuntimeError(
                f"the values of the key {self._key!r:.80} are read after their reduce: keep a "
                "list of them"
            )
        return iter(())


class _Reduction:
    def __init__(self, run: TaskRun, is_frozen: Callable[[], bool]) -> None:
        self._run, self._is_frozen = run, is_frozen
        self._records, self._groups = (
            run.counter("reduce_input_records"),
            run.counter("reduce_input_groups"),
        )
        self.key: Any = None
        self._failure: BaseException | None = None

    def groups(
        self, sections: Iterator[tuple[Section, Iterator[list[Pair]]]]
    ) -> Iterator[Iterable[Pair]]:
        """What reduce yields, key by key; each is to be read to its end before the next."""
        reduce_function, through = self._run.calls.pairs_of("reduce"), self._run.moves.through
        self._run.position = lambda: Position(record=f"key {self.key!r}", method="reduce")
        for section, pieces in sections:
            for key, group in groupby(through(self._pairs(pieces)), _KEY):
                self.key = key = decode(key) if section.is_encoded else key
                yield through(reduce_function(key, chain(map(_VALUE, group), _EndOf(self, key))))
                if self._failure is not None:
                    raise self._failure
                self._groups.inc()
            if self._failure is not None:
                raise self._failure

    def _pairs(self, pieces: Iterator[list[Pair]]) -> Iterator[Pair]:
        """Key and value as reduce gets it, remembering what reading them raised."""
        return chain.from_iterable(self._kept(pieces))

    def _kept(self, pieces: Iterator[list[Pair]]) -> Iterator[Iterable[Pair]]:
        """The pieces, their pairs counted."""
        try:
            for piece in pieces:
                self._records.inc(len(piece))
                yield map(self._thawed, piece) if self._is_frozen() else piece
        except BaseException as error:
            self._failure = error
            raise

    def _thawed(self, pair: Pair) -> Pair:
        try:
            return thaw_pair(pair)
        except BaseException as error:
            self._failure = error
            raise


def _narrowed(
    segments: list[Segment], directory: Path, tick: Callable[[], object]
) -> list[Segment]:
    """At most FAN_IN segments, or all of them where they fit in memory. Neighbours are merged, so
    equal keys keep the order of the maps."""
    passes = 0
    while len(segments) > FAN_IN and sum(segment.length for segment in segments) > IN_MEMORY_BYTES:
        merged: list[Segment] = []
        passes += 1
        for at in range(0, len(segments), FAN_IN):
            group = segments[at : at + FAN_IN]
            writer = MapOutputWriter(directory, 1, stem=f"merge-{passes}-{len(merged)}")
            writer.begin(0)
            for section, pieces in merge([SegmentReader(segment) for segment in group], tick):
                write_merged(writer, section, chain.from_iterable(pieces))
            (entry,) = writer.finish()
            merged.append(
                Segment(
                    task=group[0].task,
                    length=entry.length,
                    crc32c=entry.crc32c,
                    path=str(writer.data_path),
                    offset=entry.offset,
                    edge=group[0].edge,
                    partition=group[0].partition,
                )
            )
        segments = merged
    return segments
