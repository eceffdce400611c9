"""The nouns of a job, one vocabulary for clients, tracker, workers and task processes: stages and
their edges, attempt ids, results and failures. Frozen plain data; nothing here decides.
What is a `Record` is on disk as well: its fields are only appended, with defaults.

A job is a list of stages. A stage has `tasks` tasks that all run the same program (which one, the
job's spec says: nobody but the planner and the task process reads that). A task reads what the
stage's edges name, and makes one of three things: an output of `partitions` segments on its
worker's disk, files that it asks to commit, or only a result, a few bytes told with its end.

Stage ids are their positions: appended, never used again; edges point to smaller ones, so every
plan is free of cycles. A classic job is two stages, 0 (map) and 1 (reduce).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import msgspec

from clusterkit.records import Record

MAX_ATTEMPT_ID_CHARACTERS = 100
"""Ours have about 40. Python refuses to make a number of thousands of digits, and nothing may raise
here."""

MAX_RESULT_BYTES, MAX_JOB_RESULT_BYTES = 64 << 10, 16 << 20
"""Of one task's result, and of all results that a job keeps."""

MESSAGE_RESULT_BYTES = 4 << 20
"""Results that one message carries at most: a job's are more than fit into one."""

Counters = tuple[tuple[str, str, int], ...]
"""(group, name, value), sorted, each (group, name) once."""

JOB_GROUP = "job"
ENGINE_COUNTERS = (
    "map_input_records",
    "map_output_records",
    "combine_output_records",
    "reduce_input_groups",
    "reduce_output_records",
    "lost_map_outputs",
)
"""Counters every job's status shows, 0 when nothing was counted."""

FRAMES = 1
"""The codec of an output whose segments are the engine's own frames (mapreduce.engine.codec). What
has another number is passed on unread, as a file."""

# ── stages ────────────────────────────────────────────────────────────────────────────────────────

PART, ALL, SAME, RESULT, SPLITS = "part", "all", "same", "result", "splits"
FETCHED = (PART, ALL, SAME)
"""Kinds of edges whose bytes are fetched from other tasks' workers."""


class Edge(Record, frozen=True):
    """What every task of a stage reads.

    part     task p reads partition `first` + p of each task of `stage`: one output, several cuts
    all      every task reads every partition of each task of `stage`
    same     task p reads every partition of task p of `stage`
    result   every task is handed the result of each task of `stage`
    splits   task p reads its split (Stage.splits); `stage` means nothing

    Values of one key come in the order of (edge, task, position in the task's output)."""

    tag: int  # which of its inputs this is to the program
    stage: int
    kind: str
    first: int = 0


class TaskSplit(Record, frozen=True):
    """What a task of a stage with a `splits` edge reads: opaque but for the hosts that hold it."""

    tag: int
    source: bytes
    hosts: tuple[str, ...] = ()


class Stage(Record, frozen=True):
    id: int
    name: str  # for people: tasks are called NAME/INDEX
    tasks: int
    inputs: tuple[Edge, ...] = ()
    partitions: int = 0  # segments of each task's output; 0 = it has none that others fetch
    commits: tuple[int, ...] = ()  # numbers of the plan's outputs that its tasks write files of
    splits: tuple[TaskSplit, ...] = ()  # one a task, or none
    driver: bool = False  # its tasks watch over the job: they run without a slot
    affinity: str = ""  # tasks of one affinity would like one warm process (not used yet)

    @property
    def reads_splits(self) -> bool:
        return any(edge.kind == SPLITS for edge in self.inputs)

    @property
    def letter(self) -> str:
        """Of its files' names: m where its tasks read splits, else r."""
        return "m" if self.reads_splits else "r"


class JobOutput(Record, frozen=True):
    """A directory that a job makes. One that is not `published` is a durable cut: its files stay in
    the job's staging directory and go with it."""

    number: int
    path: str
    published: bool = True
    replaced_file_id: int = 0  # the directory that it swaps out; 0 = there must be none
    replaced_job_id: str = ""  # who made that one


class Limits(Record, frozen=True):
    """What a worker watches over in a task."""

    memory_limit_bytes: int = 2 << 30  # resident, all its processes; 0 = none
    no_progress_limit_us: int = 600_000_000  # 0 = none


class JobPlan(Record, frozen=True):
    """What was submitted. `spec` is for the task processes: nobody else decodes it."""

    name: str
    user: str
    stages: tuple[Stage, ...]
    outputs: tuple[JobOutput, ...]
    spec: bytes = b""
    limits: Limits = Limits()
    max_attempts: int = 4
    code: str = ""  # its own code archive, which goes when it has ended
    code_sha256: str = ""
    open: bool = False  # more stages may follow; it ends only once it is closed

    @property
    def output(self) -> str:
        """What people know it by: the first directory that it publishes, "" where it makes none."""
        return next((output.path for output in self.outputs if output.published), "")


R = TypeVar("R", bound=Record)


def changed(record: R, **fields: Any) -> R:
    """The same with other values in these fields."""
    return msgspec.structs.replace(record, **fields)


def part_name(letter: str, index: int) -> str:
    """The name of a task's file in an output: part-r-00003."""
    return f"part-{letter}-{index:05d}"


# ── tasks and attempts ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, order=True)
class TaskId:
    stage: int
    index: int


@dataclass(frozen=True, slots=True)
class AttemptId:
    """`attempt_YYYYMMDD_3000001_s2_000003_0`: job, stage, task, number. Numbers start at 1000 ×
    (tracker epochs since the job was accepted), so that a tracker that restarts without knowing
    what its predecessor launched never gives one id to two attempts."""

    job_id: str
    stage: int
    index: int
    number: int

    @property
    def task(self) -> TaskId:
        return TaskId(self.stage, self.index)

    def __str__(self) -> str:
        job = self.job_id.removeprefix("job_")
        return f"attempt_{job}_s{self.stage}_{self.index:06d}_{self.number}"

    @staticmethod
    def parse(text: str) -> AttemptId | None:
        """None for anything that is not an attempt's id in its one spelling."""
        parts = text.split("_") if len(text) <= MAX_ATTEMPT_ID_CHARACTERS else []
        if len(parts) != 6 or parts[0] != "attempt" or not parts[3].startswith("s"):
            return None
        numbers = (parts[1], parts[2], parts[3][1:], parts[4], parts[5])
        if not all(part.isascii() and part.isdigit() for part in numbers):
            return None
        found = AttemptId(
            job_id=f"job_{parts[1]}_{parts[2]}",
            stage=int(parts[3][1:]),
            index=int(parts[4]),
            number=int(parts[5]),
        )
        return found if str(found) == text else None


def is_of_job(attempt_id: str, job_id: str) -> bool:
    """Whether an attempt's name is one of this job."""
    return attempt_id.startswith(f"attempt_{job_id.removeprefix('job_')}_")


class TaskOutput(NamedTuple):
    """What a task left on its worker's disk for others: sizes of its segments, one a partition."""

    segment_bytes: tuple[int, ...] = ()
    segment_records: tuple[int, ...] = ()
    codec: int = FRAMES
    fingerprint: str = ""  # of its content, to find programs that are not deterministic (not yet)


class FileResult(Record, frozen=True):
    """An attempt's private file, closed and durable. `output` is the number of the output that it
    is for."""

    path: str
    file_id: int
    length: int
    crc32c: int
    output: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or a job failed. `report` is the FailureReport the user will read as JSON, b""
    when there is none."""

    kind: str
    message: str
    report: bytes = b""
