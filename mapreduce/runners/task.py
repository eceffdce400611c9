"""One task of a job whose map outputs lie in a directory of this machine: what the inline and the
local runner both call."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clusterkit.errors import CorruptRecord
from mapreduce.api.counters import Totals
from mapreduce.api.job import Job
from mapreduce.engine.attempt import PartOutput, ProgressSink, Segment, Task
from mapreduce.engine.map_output import DATA_NAME, INDEX_NAME, read_index
from mapreduce.engine.tasks import run_map, run_map_only, run_reduce
from mapreduce.failures import FailureReport, printable
from mapreduce.model import part_name
from mapreduce.plan.spec import JobSpec
from mapreduce.runners.output import Output
from mapreduce.runners.record import JobRecord
from mapreduce.storage.api import Storage, Writer
from mapreduce.storage.manifest import Part


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """`part_path`: where the attempt's part file goes; "" for a map that feeds reducers."""

    kind: str  # m | r
    index: int
    attempt_id: str
    part_path: str = ""


Versions = dict[str, tuple[int, int]]
"""Files of a job's code that a task has loaded: path -> time in ns, size."""


def loaded_versions(directory: Path) -> Versions:
    """What of the job's own directory this process has loaded."""
    found: Versions = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(f"{directory}/"):
            with contextlib.suppress(OSError):
                state = Path(file).stat()
                found[file] = state.st_mtime_ns, state.st_size
    return found


def changed_code(known: Versions, loaded: Versions) -> FailureReport | None:
    """A failure when a task has loaded another version of a file than the tasks before it, whose
    versions are `known`; adds to them."""
    for file, version in loaded.items():
        if known.setdefault(file, version) != version:
            return FailureReport(
                kind="input",
                message=f"{printable(file)} changed while the job ran: its tasks have not run "
                "the same code",
            )
    return None


@dataclass(frozen=True, slots=True)
class Workplace:
    """What all tasks of a job share. `work` is a directory of this machine."""

    job: type[Job]
    code: Path  # the directory that its files are in
    spec: JobSpec
    source: Storage
    target: Storage
    work: Path


def run_one(place: Workplace, plan: TaskPlan, progress: ProgressSink) -> tuple[Totals, Part | None]:
    """The task's counters, and its part file where it makes one. Raises TaskFailed, and what the
    storages raise when files are closed."""
    task, directory = Task(plan.attempt_id, plan.index), place.work / f"{plan.kind}-{plan.index}"
    directory.mkdir()
    if not plan.part_path:
        split = place.spec.splits[plan.index]
        return run_map(
            place.job, place.spec, split, place.source, directory, task=task, progress=progress
        ).counters, None
    writer = place.target.create(plan.part_path, replication=place.spec.output_replication)
    try:
        part = _write(place, plan, task, directory, writer, progress)
        info = writer.close()
    except BaseException:
        writer.abort()
        raise
    if info.length != part.length:
        raise CorruptRecord(
            f"{plan.part_path} has {info.length} bytes after {part.length} were written"
        )
    return part.counters, Part(
        part_name(plan.kind, plan.index), part.length, part.crc32c, plan.attempt_id, part.records
    )


def _write(
    place: Workplace,
    plan: TaskPlan,
    task: Task,
    directory: Path,
    writer: Writer,
    progress: ProgressSink,
) -> PartOutput:
    if plan.kind == "m":
        return run_map_only(
            place.job,
            place.spec,
            place.spec.splits[plan.index],
            place.source,
            writer,
            task=task,
            progress=progress,
        )
    return run_reduce(
        place.job,
        place.spec,
        _segments(place, plan.index),
        writer,
        directory,
        task=task,
        progress=progress,
    )


def _segments(place: Workplace, partition: int) -> Iterator[Segment]:
    for index in range(len(place.spec.splits)):
        directory = place.work / f"m-{index}"
        entry = read_index(directory / INDEX_NAME).entries[partition]
        yield Segment(index, entry.length, entry.crc32c, str(directory / DATA_NAME), entry.offset)


def task_plans(record: JobRecord, output: Output) -> Iterator[TaskPlan]:
    """Every task of a job, maps first."""
    spec = record.spec

    def plan(kind: str, index: int, path: Callable[[str, int, str], str] | None) -> TaskPlan:
        attempt_id = record.attempt_id(kind, index)
        return TaskPlan(kind, index, attempt_id, path(kind, index, attempt_id) if path else "")

    for index in range(len(spec.splits)):
        yield plan("m", index, output.attempt_path if spec.reducers == 0 else None)
    for index in range(spec.reducers):
        yield plan("r", index, output.attempt_path)
