"""What the worker's agent is told: orders and answers of the tracker, facts from its task pool.
Frozen, no wire types.

Everything that comes from the tracker carries the epoch it spoke under, and what comes over the
attend stream also the `session` that the agent gave that stream: orders of an older stream are
void, because the tracker that sent them has been told of a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce.exchange import CommitAnswer, Order
from mapreduce.model import Counters, Failure, FileResult, TaskOutput

# ── from the tracker ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OrderReceived:
    session: int
    epoch: int
    order: Order


@dataclass(frozen=True, slots=True)
class AttendEnded:
    """The stream of orders broke, was refused, or could not be opened."""

    session: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReportTaken:
    sequence: int
    epoch: int
    hello_again: bool


@dataclass(frozen=True, slots=True)
class ReportLost:
    """No answer: the report may or may not have been taken."""

    sequence: int
    reason: str


@dataclass(frozen=True, slots=True)
class CommitAnswered:
    attempt_id: str
    epoch: int
    answer: CommitAnswer


@dataclass(frozen=True, slots=True)
class CommitLost:
    """No answer: the commit may or may not have been granted."""

    attempt_id: str
    reason: str


# ── facts from the task pool ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Started:
    """The worker process serves: the first event."""


@dataclass(frozen=True, slots=True)
class TaskProgressed:
    attempt_id: str
    fraction: float
    phase: str
    status: str
    counters: Counters


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """It has made its output, or only a result, and has nothing to commit."""

    attempt_id: str
    output: TaskOutput
    counters: Counters
    result: bytes = b""


@dataclass(frozen=True, slots=True)
class CommitAsked:
    """The attempt's private files are closed; the task waits for the word."""

    attempt_id: str
    files: tuple[FileResult, ...]
    counters: Counters
    result: bytes = b""


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """The task says itself why it cannot go on; it then exits."""

    attempt_id: str
    failure: Failure
    killed: bool = False  # not the job's fault


@dataclass(frozen=True, slots=True)
class FetchesFailed:
    """A task cannot get these attempts' outputs; it goes on trying until the tracker says where
    else they are."""

    attempt_id: str
    sources: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class TaskExited:
    """The task's process is gone, and every process it left behind. `killed_by` is a signal's name
    or empty."""

    attempt_id: str
    status: int
    killed_by: str = ""
    stack_top: str = ""  # innermost frame of the user's code, from the dump made before the kill


@dataclass(frozen=True, slots=True)
class TaskNotStarted:
    """Nobody's fault, unless a `failure` says more: this machine's disk, which counts."""

    attempt_id: str
    reason: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class TaskSampled:
    """Resident size and number of all processes of an attempt."""

    attempt_id: str
    resident_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class RoomMeasured:
    """Of the scratch directory's disk, for whoever may write there; `look` is the command that
    shows it."""

    path: str
    disk: str  # where it is mounted
    free_bytes: int
    total_bytes: int
    look: str


@dataclass(frozen=True, slots=True)
class TaskLost:
    """The warm server died, and with it this task's process: nobody's fault."""

    attempt_id: str
    reason: str
