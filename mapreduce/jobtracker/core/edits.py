"""Everything the tracker makes durable: jobs as submitted and extended, attempts that ended, what
tasks made, grants, what was published. Fields are appended with defaults, a number is never used
again (EDITS).

An attempt's id names its job, stage and task. Running attempts and the places of outputs are not
here: a new tracker learns them from the workers.
"""

from __future__ import annotations

from clusterkit.records import Record
from mapreduce.model import Counters, FileResult, JobOutput, JobPlan, Stage


class AttemptRow(Record, frozen=True):
    """One attempt as `mrc job logs` lists it."""

    attempt_id: str
    worker_id: str
    state: str  # RUNNING | SUCCEEDED | FAILED | KILLED | LOST


class JobAccepted(Record, tag=1, frozen=True):
    job_id: str
    token: str
    plan: JobPlan


class JobStarted(Record, tag=2, frozen=True):
    job_id: str


class PlanExtended(Record, tag=3, frozen=True):
    """Stages whose ids go on from those the job has, and outputs of their own."""

    job_id: str
    seq: int
    stages: tuple[Stage, ...]
    outputs: tuple[JobOutput, ...] = ()


class PlanClosed(Record, tag=4, frozen=True):
    job_id: str


class StagesRetired(Record, tag=5, frozen=True):
    """Nobody reads the stages up to this one any more: their tasks are forgotten, their numbers
    stay."""

    job_id: str
    up_to: int


class TaskDone(Record, tag=6, frozen=True):
    """An attempt succeeded that commits nothing: its counters count. Its output, if it made one,
    exists as long as a worker holds it; its result is kept."""

    attempt_id: str
    worker_id: str
    counters: Counters
    result: bytes = b""
    fingerprint: str = ""


class OutputLost(Record, tag=7, frozen=True):
    """Somebody still needs an output that nobody holds any more: the task is to be done again."""

    job_id: str
    stage: int
    task: int
    reason: str


class AttemptEnded(Record, tag=8, frozen=True):
    """`state` is FAILED, KILLED or LOST."""

    attempt_id: str
    worker_id: str
    state: str
    message: str


class CommitGranted(Record, tag=9, frozen=True):
    """This attempt's files are the task's, for ever."""

    attempt_id: str
    worker_id: str
    files: tuple[FileResult, ...]
    counters: Counters
    result: bytes = b""


class OutputPublished(Record, tag=10, frozen=True):
    job_id: str
    seq: int
    output: int


class JobFinished(Record, tag=11, frozen=True):
    job_id: str
    state: str  # SUCCEEDED | FAILED | KILLED
    error: str = ""
    failure_json: bytes = b""


class StagingCleared(Record, tag=12, frozen=True):
    job_id: str


# ── the checkpoint: what replay starts from once older edits are forgotten ────────────────────────


class TaskImage(Record, frozen=True):
    state: str
    failures: int
    losses: int
    ended: tuple[AttemptRow, ...]
    winner: str
    winner_worker: str
    counters: Counters
    files: tuple[FileResult, ...]
    made: bool
    result: bytes
    fingerprint: str


class StageImage(Record, frozen=True):
    stage: Stage
    seq: int
    done: int
    made: int
    failed_attempts: int
    killed_attempts: int
    retired: bool
    tasks: tuple[TaskImage, ...]


class OutputImage(Record, frozen=True):
    seq: int
    output: JobOutput
    appeared: bool


class JobImage(Record, frozen=True):
    job_id: str
    token: str
    plan: JobPlan  # without its stages and outputs
    accepted_epoch: int
    submitted_us: int
    finished_us: int
    state: str
    stages: tuple[StageImage, ...]
    outputs: tuple[OutputImage, ...]
    extensions: int
    closed: bool
    counters: Counters
    error: str
    failure_json: bytes
    staging_cleared: bool
    rows: tuple[AttemptRow, ...]


class Checkpoint(Record, tag=13, frozen=True):
    """The whole durable state. It is an ordinary edit: once it is durable, every edit before it may
    be forgotten."""

    last_day: str
    last_number: int
    jobs: tuple[JobImage, ...]


EDITS: tuple[type[Record], ...] = (
    JobAccepted,
    JobStarted,
    PlanExtended,
    PlanClosed,
    StagesRetired,
    TaskDone,
    OutputLost,
    AttemptEnded,
    CommitGranted,
    OutputPublished,
    JobFinished,
    StagingCleared,
    Checkpoint,
)
