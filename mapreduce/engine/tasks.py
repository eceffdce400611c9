"""What a task is, whoever runs it: four functions, the same under every runner.

    run_map       one split -> one partitioned, sorted, checksummed map output (data file and index)
                  in a local directory
    run_map_only  one split -> one part file (jobs with reducers = 0)
    run_reduce    what was fetched of other tasks' outputs -> one part file
    run_reduce_into_partitions
                  the same -> one partitioned output, for the next stage

All run in a process where user code may run (a task process, or the inline runner's own), load
nothing that talks to a cluster, and raise only TaskFailed (UserCodeFailed, SegmentCorrupt; see
failures.py). Part files go to a Writer the caller has created; the caller closes it after success
(its FileInfo is what a commit names) and aborts it after a failure. A caller reads `progress` as
often as the engine gives it, about five times a second while records move; silence means that the
user's code is busy with one record.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mapreduce.api.job import Job
from mapreduce.engine import map_task, reduce_task
from mapreduce.engine.attempt import (
    MapOutput,
    PartOutput,
    Progress,
    ProgressSink,
    Segment,
    Task,
    no_progress,
)
from mapreduce.plan.spec import JobSpec, Split
from mapreduce.storage.api import Storage, Writer

__all__ = [
    "MapOutput",
    "PartOutput",
    "Progress",
    "ProgressSink",
    "Segment",
    "Task",
    "run_map",
    "run_map_only",
    "run_reduce",
    "run_reduce_into_partitions",
]


def run_map(
    job: type[Job],
    spec: JobSpec,
    split: Split,
    storage: Storage,
    directory: Path,
    *,
    task: Task,
    progress: ProgressSink = no_progress,
    partitions: int = 0,
) -> MapOutput:
    """Maps, combines, partitions (0 = as many as the job has reducers), sorts. `directory` exists
    and is this attempt's own; it holds only the two files afterwards."""
    return map_task.run_map(
        job,
        spec,
        split,
        storage,
        directory,
        task=task,
        progress=progress,
        partitions=partitions,
    )


def run_map_only(
    job: type[Job],
    spec: JobSpec,
    split: Split,
    storage: Storage,
    writer: Writer,
    *,
    task: Task,
    progress: ProgressSink = no_progress,
) -> PartOutput:
    """Writes what `map` yields as text, in the order it yields it."""
    return map_task.run_map_only(job, spec, split, storage, writer, task=task, progress=progress)


def run_reduce(
    job: type[Job],
    spec: JobSpec,
    segments: Iterable[Segment],
    writer: Writer,
    directory: Path,
    *,
    task: Task,
    progress: ProgressSink = no_progress,
) -> PartOutput:
    """Merges the segments, groups equal keys and writes what `reduce` yields as text.

    Segments may come in any order; every non-empty one of what the task reads must be there exactly
    once. `directory` exists and is this attempt's own: merges of very many segments pass through
    it. SegmentCorrupt names the task whose bytes are bad."""
    return reduce_task.run_reduce(
        job, spec, segments, writer, directory, task=task, progress=progress
    )


def run_reduce_into_partitions(
    job: type[Job],
    spec: JobSpec,
    segments: Iterable[Segment],
    output: Path,
    directory: Path,
    *,
    partitions: int,
    task: Task,
    progress: ProgressSink = no_progress,
) -> MapOutput:
    """As `run_reduce`, but partitions and sorts what `reduce` yields. `output` exists and is this
    attempt's own; it holds only the two files afterwards."""
    return reduce_task.run_reduce_into_partitions(
        job,
        spec,
        segments,
        output,
        directory,
        partitions=partitions,
        task=task,
        progress=progress,
    )
