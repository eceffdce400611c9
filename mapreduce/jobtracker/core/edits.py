"""Everything the tracker makes durable: jobs as submitted, attempts that ended, grants, results.
Append fields with defaults; never remove.

Running attempts and the places of map outputs are not here: a new tracker learns them from the
workers.
"""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce.jobtracker.core.model import AttemptRow, Counters, FileResult, JobPlan


@dataclass(frozen=True, slots=True)
class JobAccepted:
    job_id: str
    token: str
    plan: JobPlan


@dataclass(frozen=True, slots=True)
class JobStarted:
    job_id: str


@dataclass(frozen=True, slots=True)
class MapMade:
    """A map attempt succeeded: its counters count, and its output exists as long as its worker
    holds it."""

    attempt_id: str
    worker_id: str
    counters: Counters


@dataclass(frozen=True, slots=True)
class MapOutputLost:
    """Reduces still need an output that nobody holds any more: the map is to be made again."""

    job_id: str
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """`state` is FAILED, KILLED or LOST."""

    attempt_id: str
    worker_id: str
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class CommitGranted:
    """This attempt's file is the task's output, for ever."""

    attempt_id: str
    worker_id: str
    file: FileResult
    counters: Counters


@dataclass(frozen=True, slots=True)
class JobFinished:
    job_id: str
    state: str  # SUCCEEDED | FAILED | KILLED
    error: str = ""
    failure_json: bytes = b""


@dataclass(frozen=True, slots=True)
class StagingCleared:
    job_id: str


# ── the checkpoint: what replay starts from once older edits are forgotten ────────────────────────


@dataclass(frozen=True, slots=True)
class TaskImage:
    state: str
    failures: int
    losses: int
    ended: tuple[AttemptRow, ...]
    winner: str
    winner_worker: str
    counters: Counters
    file: FileResult | None


@dataclass(frozen=True, slots=True)
class StageImage:
    total: int
    done: int
    failed_attempts: int
    killed_attempts: int
    tasks: tuple[TaskImage, ...]


@dataclass(frozen=True, slots=True)
class JobImage:
    job_id: str
    token: str
    plan: JobPlan
    accepted_epoch: int
    submitted_us: int
    finished_us: int
    state: str
    maps: StageImage
    reduces: StageImage
    counters: Counters
    error: str
    failure_json: bytes
    staging_cleared: bool
    rows: tuple[AttemptRow, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The whole durable state. It is an ordinary edit: once it is durable, every edit before it may
    be forgotten."""

    last_day: str
    last_number: int
    jobs: tuple[JobImage, ...]
