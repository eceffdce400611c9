"""What the worker's agent orders: calls to the tracker, tasks to start and end, directories to
drop. Frozen, no wire types."""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce.worker.core.events import (
    Counters,
    Failure,
    FileResult,
    Launch,
    MapLocation,
    MapOutput,
)

TRACKER, POOL, DISK = "tracker", "pool", "disk"
"""The addressees of an agent's sends. DISK carries out each before the next send is delivered."""


# ── to the tracker ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class InventoryItem:
    attempt_id: str
    state: str  # running | succeeded | ended
    output: MapOutput | None = None
    counters: Counters = ()


@dataclass(frozen=True, slots=True)
class Attend:
    """Find the tracker, end the older stream if there is one, say hello and listen."""

    session: int
    highest_epoch: int
    inventory: tuple[InventoryItem, ...]
    no_room: str = ""  # why no slots are offered, in words; "" = they are


@dataclass(frozen=True, slots=True)
class ProgressReport:
    attempt_id: str
    fraction: float
    phase: str
    status: str
    counters: Counters


@dataclass(frozen=True, slots=True)
class MapSucceededReport:
    attempt_id: str
    output: MapOutput
    counters: Counters


@dataclass(frozen=True, slots=True)
class FailedReport:
    attempt_id: str
    failure: Failure
    killed: bool


@dataclass(frozen=True, slots=True)
class FetchFailedReport:
    attempt_id: str
    map_attempt_ids: tuple[str, ...]
    reason: str


ReportItem = ProgressReport | MapSucceededReport | FailedReport | FetchFailedReport


@dataclass(frozen=True, slots=True)
class Report:
    sequence: int
    items: tuple[ReportItem, ...]
    no_room: str = ""


@dataclass(frozen=True, slots=True)
class AskCommit:
    attempt_id: str
    file: FileResult
    counters: Counters


# ── to the task pool ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StartTask:
    launch: Launch


@dataclass(frozen=True, slots=True)
class KillTask:
    attempt_id: str
    dump_stacks: bool = False  # into its log, first


@dataclass(frozen=True, slots=True)
class TellLocations:
    attempt_id: str
    locations: tuple[MapLocation, ...]


@dataclass(frozen=True, slots=True)
class TellCommit:
    attempt_id: str
    granted: bool
    reason: str


# ── to the disk ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RememberEpoch:
    epoch: int


@dataclass(frozen=True, slots=True)
class OfferOutput:
    """Serve this map attempt's segments from now on."""

    job_id: str
    attempt_id: str


@dataclass(frozen=True, slots=True)
class DropAttempt:
    """Its work directory and output, not its log."""

    job_id: str
    attempt_id: str


@dataclass(frozen=True, slots=True)
class DropJob:
    job_id: str


@dataclass(frozen=True, slots=True)
class MeasureRoom:
    """At once: an attempt has met a full disk."""


@dataclass(frozen=True, slots=True)
class NoteRoom:
    """For the log: `no_room` as in Attend, since now."""

    no_room: str
