"""What the tracker's core orders and answers. Workers are addressed by the stream they attend on,
the publisher by PUBLISHER, requests by the `reply_to` they came with. Frozen, no wire types."""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce.jobtracker.core.model import AttemptRow, Counters, FileResult

PUBLISHER, ROOT = "publisher", "root"

# ── to a worker's stream ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class MapLocation:
    map_index: int
    attempt_id: str
    host: str
    shuffle_port: int
    bytes: int  # of all its segments
    worker_id: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    attempt_id: str
    job_id: str
    stage: str
    index: int
    spec_json: bytes
    split_json: bytes = b""
    maps: int = 0
    known: tuple[MapLocation, ...] = ()


@dataclass(frozen=True, slots=True)
class TellMapOutputs:
    job_id: str
    locations: tuple[MapLocation, ...]


@dataclass(frozen=True, slots=True)
class KillAttempt:
    attempt_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ForgetJob:
    job_id: str


@dataclass(frozen=True, slots=True)
class EndStream:
    """Close this stream: a newer one replaced it, or its worker is taken for dead."""

    reason: str


# ── to the publisher ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Part:
    name: str  # part-r-00000
    file: FileResult
    records: int
    attempt_id: str


@dataclass(frozen=True, slots=True)
class PublishOutput:
    """Put the granted files in place and make the output appear. Every step may have been done by
    an earlier try."""

    job_id: str
    name: str
    user: str
    output: str
    replaced_file_id: int
    parts: tuple[Part, ...]
    counters: Counters
    spec_json: bytes = b""


@dataclass(frozen=True, slots=True)
class RemoveStaging:
    """`code`: the job's own archive, removed with its work; "" = none. Both are removed as
    `user`."""

    job_id: str
    output: str
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
class JobAccepted:
    job_id: str


@dataclass(frozen=True, slots=True)
class StageStatus:
    total: int
    done: int
    running: int
    failed_attempts: int
    killed_attempts: int
    fraction: float  # of the stage's work, running attempts' progress included


@dataclass(frozen=True, slots=True)
class JobStatus:
    id: str
    name: str
    user: str
    state: str
    submitted_us: int
    finished_us: int  # 0 = not finished
    maps: StageStatus
    reduces: StageStatus
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


@dataclass(frozen=True, slots=True)
class ReportReceived:
    hello_again: bool


@dataclass(frozen=True, slots=True)
class CommitAnswer:
    granted: bool
    winner: str = ""
    reason: str = ""
