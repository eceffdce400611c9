"""The two kinds of map task: into a partitioned map output, or straight into a part file.

The user's generators are consumed from C (`chain.from_iterable(map(job.map, lines))`), a bounded
number of pairs at a time; between two such batches the task looks at its memory (spill). Batches
adapt to the job's speed. Whether the task moves is seen from beside it (pulse.py). Which record is
being mapped is read off the line iterator when a failure asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from mapreduce.api.job import Job, defines
from mapreduce.engine.attempt import MapOutput, PartOutput, ProgressSink, Task
from mapreduce.engine.map_output import DATA_NAME, INDEX_NAME
from mapreduce.engine.map_side import NO_KEY, Collector
from mapreduce.engine.memory import ResidentGauge, SpillGauge
from mapreduce.engine.spill import Spills
from mapreduce.engine.task_run import GentleGarbageCollection, Position, TaskRun
from mapreduce.formats.opening import check_unchanged, open_planned
from mapreduce.formats.pairs import Pair
from mapreduce.formats.registry import RecordBatch, format_of
from mapreduce.plan.spec import JobSpec, Split
from mapreduce.storage.api import Storage, Writer

MAX_TAKEN_PAIRS = 8192
MAX_SLICE_RECORDS = 1 << 16
_BATCH_SLOW_S, _BATCH_FAST_S = 0.2, 0.05


class _Input:
    """The split's records as pairs of the user's map, and where in it the task is."""

    def __init__(self, run: TaskRun, spec: JobSpec, split: Split, storage: Storage) -> None:
        self._run, self._split = run, split
        self._reader = open_planned(storage, split)
        self._source = format_of(spec.input_format).source(self._reader, split, spec)
        self._batch: RecordBatch | None = None
        self._slice: Any = iter(())  # a list iterator: it knows how many it has left
        self._slice_end = 0
        run.position = self.position

    def position(self) -> Position:
        """The record that was read last, which is the one being mapped."""
        index = self._slice_end - self._slice.__length_hint__() - 1
        if self._batch is None or index < 0:
            return Position(self._split.path)
        return Position(self._split.path, self._batch.offset(index), self._batch.records[index])

    def _records(self) -> Iterator[Any]:
        """Every record of the split; between slices of them the task reports."""
        records, size = self._run.counter("map_input_records"), 1
        for batch in self._source.batches():
            self._batch, self._slice_end = batch, 0
            while self._slice_end < len(batch.records):
                started = self._run.tick()
                part = batch.records[self._slice_end : self._slice_end + size]
                self._slice, self._slice_end = iter(part), self._slice_end + len(part)
                yield from self._slice
                records.inc(len(part))
                size = adapted(size, self._run.tick() - started, MAX_SLICE_RECORDS)
            self._run.fraction = self._source.bytes_done / max(self._split.length, 1)
        self._batch = None
        check_unchanged(self._reader, self._split)
        self._run.counter("map_input_bytes").inc(self._source.bytes_done)

    def consume(
        self, take: Callable[[Iterator[Pair], int], bool], between: Callable[[], None]
    ) -> None:
        """Feeds every pair to `take(pairs, limit)`, which says whether there may be more; calls
        `between` in between."""
        mapped = chain.from_iterable(
            map(self._run.calls.pairs_of("map"), self._run.moves.through(self._records()))
        )
        pairs, limit = self._run.moves.through(mapped), 1
        before = self._run.tick()
        while take(pairs, limit):
            between()
            now = self._run.tick()
            limit, before = adapted(limit, now - before, MAX_TAKEN_PAIRS), now

    def close(self) -> None:
        self._reader.close()


def adapted(size: int, took_s: float, most: int) -> int:
    if took_s < _BATCH_FAST_S:
        return min(2 * size, most)
    return max(size // 2, 1) if took_s > _BATCH_SLOW_S else size


def run_map(
    job: type[Job],
    spec: JobSpec,
    split: Split,
    storage: Storage,
    directory: Path,
    *,
    task: Task,
    progress: ProgressSink,
    gauge: SpillGauge | None = None,
    partitions: int = 0,
) -> MapOutput:
    """See tasks.run_map. `gauge` is for tests."""
    run = TaskRun(job, spec, task, progress, phase="map", input_path=split.path)
    with run.boundary(), GentleGarbageCollection():
        run.begin()
        combine = run.calls.pairs_of("combine") if defines(job, "combine") else None
        collector = Collector(combine, run.moves)
        spills = Spills(
            collector,
            directory,
            partitions or spec.reducers,
            gauge or ResidentGauge(spec.spill_bytes),
            can_fold=combine is not None,
        )
        source = _Input(run, spec, split, storage)
        run.position = lambda: (
            source.position()
            if collector.failed_key is NO_KEY
            else _combining(collector.failed_key)
        )
        try:
            source.consume(collector.take, spills.check)
            run.calls.once("teardown")
        finally:
            source.close()
        run.phase = "sort"
        entries = spills.finish(run.tick)
        run.counter("map_output_records").inc(collector.map_output_records)
        if combine is not None:
            run.counter("combine_output_records").inc(collector.combine_output_records)
        if spills.spilled_records:
            run.counter("spilled_records").inc(spills.spilled_records)
        run.counter("map_output_bytes").inc(sum(entry.length for entry in entries))
        run.fraction = 1.0
        run.report()
    return MapOutput(
        data_path=directory / DATA_NAME,
        index_path=directory / INDEX_NAME,
        segment_bytes=tuple(entry.length for entry in entries),
        segment_records=tuple(entry.records for entry in entries),
        counters=run.totals(),
    )


def _combining(key: Any) -> Position:
    return Position(record=f"key {key!r}", method="combine")


def run_map_only(
    job: type[Job],
    spec: JobSpec,
    split: Split,
    storage: Storage,
    writer: Writer,
    *,
    task: Task,
    progress: ProgressSink,
) -> PartOutput:
    """See tasks.run_map_only."""
    run = TaskRun(job, spec, task, progress, phase="map", input_path=split.path)
    with run.boundary(), GentleGarbageCollection():
        run.begin()
        output = format_of(spec.output_format).sink(writer, spec)
        source = _Input(run, spec, split, storage)
        try:
            source.consume(output.take, lambda: None)
            run.calls.once("teardown")
        finally:
            source.close()
        output.flush()
        run.counter("map_output_records").inc(output.records)
        run.fraction = 1.0
        run.report()
    return PartOutput(output.length, output.crc32c, output.records, run.totals())
