"""What workers and the tracker tell each other, as both cores know it: events of the one are orders
of the other. Frozen; mapreduce/wire/exchange.py puts each on the wire and takes it off, once.

Everything that the tracker says comes with its epoch, which the shells add and check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mapreduce.model import FRAMES, Counters, Failure, FileResult, Limits, TaskOutput

# ── a worker to the tracker ───────────────────────────────────────────────────────────────────────

RUNNING, SUCCEEDED, ENDED = "running", "succeeded", "ended"


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """One line of a worker's inventory. `state` is running | succeeded | ended; a succeeded one
    tells what it made, and an ended one is named because its job's directories are still there."""

    attempt_id: str
    state: str
    output: TaskOutput | None = None
    counters: Counters = ()
    result: bytes = b""


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker opens its stream of orders. `incarnation` is new at every start of its process."""

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
class Progressed:
    attempt_id: str
    fraction: float
    phase: str
    status: str = ""
    counters: Counters = ()


@dataclass(frozen=True, slots=True)
class TaskDone:
    """The attempt has ended well: `output` is on its worker's disk (no partitions: it made none),
    `result` is all that is told of it."""

    attempt_id: str
    output: TaskOutput
    counters: Counters = ()
    result: bytes = b""


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """`killed`: by order or by circumstance, not the job's fault."""

    attempt_id: str
    failure: Failure
    killed: bool = False


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A task cannot get other tasks' outputs; it goes on trying until the tracker says where else
    they are. A `reason` that begins with missing or corrupt is believed at once, any other when
    repeated."""

    attempt_id: str
    sources: tuple[str, ...]  # attempts
    reason: str


News = Progressed | TaskDone | AttemptFailed | FetchFailed


@dataclass(frozen=True, slots=True)
class Report:
    """`sequence` rises by one a report of an incarnation; the same one said again changes nothing,
    but is answered."""

    sequence: int
    news: tuple[News, ...] = ()
    no_room: str = ""  # as in Hello, with every report


@dataclass(frozen=True, slots=True)
class ReportReceived:
    hello_again: bool  # the tracker does not know this worker (any more): attend anew


@dataclass(frozen=True, slots=True)
class AskCommit:
    """The attempt's files are closed: may they be the task's output?"""

    attempt_id: str
    files: tuple[FileResult, ...]
    counters: Counters = ()
    result: bytes = b""


@dataclass(frozen=True, slots=True)
class CommitAnswer:
    granted: bool
    winner: str = ""
    reason: str = ""


# ── the tracker to a worker ───────────────────────────────────────────────────────────────────────


class OutputLocation(NamedTuple):
    """Where a task's output can be fetched, by the attempt that made it; `lost` takes it back."""

    stage: int
    task: int
    attempt_id: str
    host: str
    shuffle_port: int
    bytes: int  # of all its segments
    worker_id: str
    lost: bool = False
    codec: int = FRAMES


class Input(NamedTuple):
    """An edge that is fetched, with what a task must know of the stage at its other end. `edge` is
    its position among the edges of the reading stage."""

    edge: int
    tag: int
    stage: int
    kind: str
    first: int
    tasks: int
    partitions: int


class TaskResult(NamedTuple):
    stage: int
    task: int
    result: bytes


class Target(NamedTuple):
    """A file that a task writes: the number and path of the output, the file's name in it."""

    output: int
    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Launch:
    """`spec` and `split` are for the task process alone."""

    attempt_id: str
    job_id: str
    stage: int
    index: int
    spec: bytes
    limits: Limits
    user: str = ""  # as whom the task reads and writes
    split: bytes = b""
    split_tag: int = 0
    partitions: int = 0
    targets: tuple[Target, ...] = ()
    inputs: tuple[Input, ...] = ()
    known: tuple[OutputLocation, ...] = ()  # what can be fetched already; the rest is told later
    results: tuple[TaskResult, ...] = ()
    driver: bool = False
    extensions: int = 0  # a driver's plan has been extended so often already
    affinity: str = ""


@dataclass(frozen=True, slots=True)
class TellResults:
    """Results for an attempt that is about to be launched, where they are more than one message
    should hold. What its Launch brings comes behind them."""

    attempt_id: str
    results: tuple[TaskResult, ...]


@dataclass(frozen=True, slots=True)
class TellOutputs:
    job_id: str
    locations: tuple[OutputLocation, ...]


@dataclass(frozen=True, slots=True)
class KillAttempt:
    attempt_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ForgetJob:
    job_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """The first message of a stream of orders: the epoch, and that the worker is seated."""


Order = Launch | TellResults | TellOutputs | KillAttempt | ForgetJob | Ping
