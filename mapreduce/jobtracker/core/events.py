"""What the tracker's core is told, and what it says, beside its talk with workers
(mapreduce/exchange.py): requests of clients and their answers, the publisher's orders and news.
Frozen, no wire types.

A request carries `reply_to` and gets exactly one `Send(to=reply_to, …)`; a watch gets several and
ends with a finished job. Workers are addressed by the stream they attend on, the publisher by
PUBLISHER.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mapreduce.exchange import AskCommit, Hello, Report
from mapreduce.jobtracker.core.edits import AttemptRow
from mapreduce.model import Counters, FileResult, JobOutput, JobPlan, Stage

# ════ told ════

# ── leadership ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class BecameLeader:
    """The first event: everything in the journal has been applied, and this epoch is ours."""

    epoch: int


@dataclass(frozen=True, slots=True)
class EpochCeiling:
    """The highest epoch of a tracker that the coordinator has handed out: none above it was ever
    anybody's."""

    service: str
    number: int


# ── clients ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SubmitJob:
    """`token` is the client's own name for this submission: said again, it gets the first
    answer."""

    reply_to: Any
    token: str
    plan: JobPlan


@dataclass(frozen=True, slots=True)
class ExtendPlan:
    """More stages for an open job. Submission is seq 0; a known seq gets its first answer."""

    reply_to: Any
    job_id: str
    seq: int
    stages: tuple[Stage, ...]
    outputs: tuple[JobOutput, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosePlan:
    """No more stages will follow: the job ends with those it has."""

    reply_to: Any
    job_id: str


@dataclass(frozen=True, slots=True)
class RetireStages:
    """Nobody will read the stages up to this one any more."""

    reply_to: Any
    job_id: str
    up_to: int


@dataclass(frozen=True, slots=True)
class GetJob:
    """`ref` is a job's id, an unambiguous prefix of one, or "@" for the newest accepted: here and
    below."""

    reply_to: Any
    ref: str


@dataclass(frozen=True, slots=True)
class WatchJob:
    reply_to: Any
    ref: str
    interval_us: int


@dataclass(frozen=True, slots=True)
class WatchEnded:
    """The watcher went away."""

    reply_to: Any


@dataclass(frozen=True, slots=True)
class KillJob:
    reply_to: Any
    ref: str
    reason: str


@dataclass(frozen=True, slots=True)
class ListJobs:
    reply_to: Any
    finished_too: bool


@dataclass(frozen=True, slots=True)
class FindLogs:
    """`task` is "" (all), NAME/INDEX ("map/3"), or an attempt's id."""

    reply_to: Any
    ref: str
    task: str


@dataclass(frozen=True, slots=True)
class GetCluster:
    reply_to: Any


# ── workers ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class WorkerAttended:
    """A worker opened its stream of orders. `stream` names that stream; orders are sent to it until
    it ends."""

    stream: Any
    hello: Hello


@dataclass(frozen=True, slots=True)
class StreamEnded:
    worker_id: str
    stream: Any


@dataclass(frozen=True, slots=True)
class WorkerReported:
    reply_to: Any
    worker_id: str
    incarnation: str
    report: Report


@dataclass(frozen=True, slots=True)
class CommitRequested:
    reply_to: Any
    worker_id: str
    ask: AskCommit


# ── the publisher ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OutputAppeared:
    """The publisher has put this output in place."""

    job_id: str
    seq: int
    output: int


@dataclass(frozen=True, slots=True)
class PublishFailed:
    """For good: trying again would not help."""

    job_id: str
    seq: int
    output: int
    message: str


@dataclass(frozen=True, slots=True)
class StagingRemoved:
    job_id: str


# ════ said ════

PUBLISHER, ROOT = "publisher", "root"

# ── to a worker's stream ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class EndStream:
    """Close this stream: a newer one replaced it, or its worker is taken for dead."""

    reason: str


# ── to the publisher ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class GrantedPart:
    name: str  # part-r-00000
    file: FileResult
    attempt_id: str


@dataclass(frozen=True, slots=True)
class PublishOutput:
    """Put the granted files in place and make the output appear. Every step may have been done by
    an earlier try."""

    job_id: str
    seq: int
    output: int
    path: str
    name: str
    user: str
    replaced_file_id: int
    replaced_job_id: str
    code_sha256: str
    parts: tuple[GrantedPart, ...]
    counters: Counters


@dataclass(frozen=True, slots=True)
class RemoveStaging:
    """The staging directories of these outputs; `code`: the job's own archive, removed with its
    work, "" = none. All are removed as `user`."""

    job_id: str
    outputs: tuple[str, ...]
    user: str = ""
    code: str = ""


# ── to the root ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StepDown:
    """A worker has seen a newer tracker: this process must exit."""

    reason: str


# ── answers ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str  # NOT_FOUND | ALREADY_EXISTS | FAILED_PRECONDITION | INVALID_ARGUMENT | TRY_AGAIN
    message: str
    next_command: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job was submitted (seq 0), or an open one's plan was extended, closed or retired."""

    job_id: str
    seq: int = 0


@dataclass(frozen=True, slots=True)
class StageStatus:
    id: int
    name: str
    total: int
    done: int
    running: int
    failed_attempts: int
    killed_attempts: int
    fraction: float  # of the stage's work, running attempts' progress included
    reads_splits: bool


@dataclass(frozen=True, slots=True)
class JobStatus:
    id: str
    name: str
    user: str
    state: str
    submitted_us: int
    finished_us: int  # 0 = not finished
    stages: tuple[StageStatus, ...]
    counters: Counters
    output: str
    error: str
    failure_json: bytes


@dataclass(frozen=True, slots=True)
class JobList:
    jobs: tuple[JobStatus, ...]


@dataclass(frozen=True, slots=True)
class LocatedAttempt:
    attempt: AttemptRow
    worker_address: str  # of the worker's log service; "" when that worker does not attend


@dataclass(frozen=True, slots=True)
class AttemptList:
    attempts: tuple[LocatedAttempt, ...]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    worker_id: str
    address: str
    state: str  # live | detached | dead
    slots: int
    busy: int
    no_room: str = ""  # why it is given no task while another worker has room


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    workers: tuple[WorkerStatus, ...]
    running: int
    waiting: int
    epoch: int
