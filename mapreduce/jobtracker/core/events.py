"""What the tracker's core is told: requests of clients, attendance and reports of workers, what
became of a publish. Frozen, no wire types.

A request carries `reply_to` and gets exactly one `Send(to=reply_to, …)`; a watch gets several and
ends with a finished job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mapreduce.jobtracker.core.model import Counters, Failure, FileResult, JobPlan

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
    """`task` is "" (all), "map/3", "reduce/0", or an attempt's id."""

    reply_to: Any
    ref: str
    task: str


@dataclass(frozen=True, slots=True)
class GetCluster:
    reply_to: Any


# ── workers ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """One line of a worker's inventory. `state` is running | succeeded | ended; a succeeded map
    tells its segments, and an ended attempt is named because its job's directories are still
    there."""

    attempt_id: str
    state: str
    segment_bytes: tuple[int, ...] = ()
    segment_records: tuple[int, ...] = ()
    counters: Counters = ()


@dataclass(frozen=True, slots=True)
class WorkerAttended:
    """A worker opened its stream of orders. `stream` names that stream; orders are sent to it until
    it ends."""

    stream: Any
    worker_id: str
    incarnation: str
    host: str
    rpc_port: int
    shuffle_port: int
    slots: int
    highest_epoch: int = 0
    inventory: tuple[HeldAttempt, ...] = ()
    no_room: str = ""  # why its scratch disk takes no more, in words; "" = it has room


@dataclass(frozen=True, slots=True)
class StreamEnded:
    worker_id: str
    stream: Any


@dataclass(frozen=True, slots=True)
class AttemptProgressed:
    attempt_id: str
    fraction: float
    phase: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class MapSucceeded:
    attempt_id: str
    segment_bytes: tuple[int, ...]
    segment_records: tuple[int, ...]
    counters: Counters = ()


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """`killed`: by order or by circumstance, not the job's fault."""

    attempt_id: str
    failure: Failure
    killed: bool = False


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A reduce cannot get map outputs. A `reason` that begins with missing or corrupt is believed
    at once, any other when repeated."""

    attempt_id: str
    map_attempt_ids: tuple[str, ...]
    reason: str


AttemptNews = AttemptProgressed | MapSucceeded | AttemptFailed | FetchFailed


@dataclass(frozen=True, slots=True)
class WorkerReported:
    """`sequence` rises by one per report of an incarnation; the same one said again changes nothing
    but is answered."""

    reply_to: Any
    worker_id: str
    incarnation: str
    sequence: int
    news: tuple[AttemptNews, ...] = ()
    no_room: str = ""


@dataclass(frozen=True, slots=True)
class CommitRequested:
    """The attempt's part file is closed: may it be the task's output?"""

    reply_to: Any
    attempt_id: str
    worker_id: str
    file: FileResult
    counters: Counters = ()


# ── the publisher ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OutputPublished:
    job_id: str


@dataclass(frozen=True, slots=True)
class PublishFailed:
    """For good: trying again would not help."""

    job_id: str
    message: str


@dataclass(frozen=True, slots=True)
class StagingRemoved:
    job_id: str
