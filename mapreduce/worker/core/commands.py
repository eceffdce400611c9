"""What the worker's agent orders: calls to the tracker, tasks to start and end, directories to
drop. Frozen, no wire types."""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce.exchange import HeldAttempt, Launch, OutputLocation

TRACKER, POOL, DISK = "tracker", "pool", "disk"
"""The addressees of an agent's sends. DISK carries out each before the next send is delivered."""


# ── to the tracker ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Attend:
    """Find the tracker, end the older stream if there is one, say hello and listen. What else a
    hello says of this process, the link knows. (Reports and commits: mapreduce/exchange.py.)"""

    session: int
    highest_epoch: int
    inventory: tuple[HeldAttempt, ...]
    no_room: str = ""  # why no slots are offered, in words; "" = they are


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
    locations: tuple[OutputLocation, ...]


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
    """Serve this attempt's segments from now on."""

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
