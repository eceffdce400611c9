"""Which trackers there ever were. An epoch that a caller presents fences all lower ones, so it is
believed only up to the highest that the coordinator has handed out: a number that was never
anybody's fences nobody and is not stored.

The core does not know the coordinator. Above what it was told last it asks (one question at a time,
to COORDINATOR) and parks the request; the shell reads the counter off the core's thread and answers
with the event EpochCeiling. Who came while a question was under way is judged by the next one: the
counter may have been read before their epoch was handed out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from clusterkit.effects import Send
from minihdfs import paths
from minihdfs.errors import InvalidArgument, StartingUp
from minihdfs.namenode.core import edits, events
from minihdfs.namenode.core.commands import AskEpochCeiling, Refusal
from minihdfs.namenode.core.parking import EPOCH_ASKED, EPOCH_NEXT, Waits

TRACKER = "tracker"
COORDINATOR = "coordinator"
"""The addressee of questions for the coordinator."""

_STAGING_OF_A_JOB = re.compile(r"\..+\.job_[0-9]{8}_[0-9]{7,12}")
"""A job's number is the tracker's epoch × 10^6 + a counter. What programs of their own make has
longer ones (a time of day)."""


@dataclass(frozen=True, slots=True)
class ResetTrackerEpoch:
    """Ours: the superuser takes back a tracker's epoch that nobody ever had. Answer: (what it was,
    what it is now)."""

    caller: events.Caller


class Elected:
    """The tracker's ceiling, and whether it is being asked for."""

    def __init__(self) -> None:
        self.ceiling = 0
        self.asking = False


def require_elected(rooms: Any, epoch: int) -> None:
    """Raises InvalidArgument for an epoch that no tracker ever had, Waits while that is not
    known."""
    elected: Elected = rooms.elected
    if epoch <= elected.ceiling:
        return
    if not rooms.patient:  # the counter was read for this very request
        raise InvalidArgument(
            f"no tracker of epoch {epoch} was ever elected: the last one was {elected.ceiling}"
        )
    ask(rooms)


def ask(rooms: Any) -> None:
    """Raises Waits for the coordinator's word."""
    elected: Elected = rooms.elected
    late = Refusal(StartingUp, "the coordinator does not say which trackers were elected")
    if elected.asking:
        raise Waits(EPOCH_NEXT, late)
    elected.asking = True
    rooms.effects.sends.append(Send(COORDINATOR, AskEpochCeiling(TRACKER)))
    raise Waits(EPOCH_ASKED, late)


def refuse_a_jobs_staging(event: events.Publish) -> None:
    """A program may publish without an epoch, but not what a tracker publishes: it would end a
    job's work half done."""
    if event.tracker_epoch == 0 and any(
        _STAGING_OF_A_JOB.fullmatch(name) for name in paths.components(event.staging)
    ):
        raise InvalidArgument(
            f"{event.staging} is a job's: only its tracker publishes it, with its epoch"
        )


def reset_tracker_epoch(rooms: Any, event: ResetTrackerEpoch) -> tuple[int, int]:
    """(what it was, what it is now). For a namespace that believed a number, or a coordinator that
    lost its memory."""
    rooms.permissions.check_superuser(event.caller, "resetting the tracker's epoch")
    if rooms.patient:
        ask(rooms)
    was, ceiling = rooms.tracker_epoch, rooms.elected.ceiling
    if was <= ceiling:
        raise InvalidArgument(
            f"the tracker's epoch here is {was}, and the coordinator has handed out {ceiling}: "
            "nothing to reset"
        )
    rooms.commit(edits.TrackerEpochReset(ceiling))
    return was, ceiling
