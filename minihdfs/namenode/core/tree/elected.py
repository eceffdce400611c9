"""Which trackers there ever were. An epoch that a caller presents fences all lower ones, so it is
believed only up to the highest that the coordinator has handed out: a number that was never
anybody's fences nobody and is not stored.

The core does not know the coordinator. Above what it was told last it asks (one question at a time,
to COORDINATOR) and parks the request; the shell reads the counter off the core's thread and answers
with the event EpochCeiling. Who came while a question was under way is judged by the next one: the
counter may have been read before their epoch was handed out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clusterkit.effects import Send
from minihdfs.errors import InvalidArgument, StartingUp
from minihdfs.namenode.core.commands import AskEpochCeiling, Refusal
from minihdfs.namenode.core.parking import EPOCH_ASKED, EPOCH_NEXT, Waits

TRACKER = "tracker"


COORDINATOR = "coordinator"
"""The addressee of questions for the coordinator."""


@dataclass(frozen=True, slots=True)
class EpochCeiling:
    """The highest epoch that the coordinator has handed out for this service: none above it was
    ever anybody's."""

    service: str
    number: int


class Elected:
    """The tracker's ceiling, and whether it is being asked for."""

    def __init__(self) -> None:
        self.ceiling = 0
        self.asking = False


def require_elected(state: Any, epoch: int, *, patient: bool) -> None:
    """Raises InvalidArgument for an epoch that no tracker ever had, Waits while that is not
    known."""
    elected: Elected = state.elected
    if epoch <= elected.ceiling:
        return
    if not patient:  # the counter was read for this very request
        raise InvalidArgument(
            f"no tracker of epoch {epoch} was ever elected: the last one was {elected.ceiling}"
        )
    ask(state)


def ask(state: Any) -> None:
    """Raises Waits for the coordinator's word."""
    elected: Elected = state.elected
    late = Refusal(StartingUp, "the coordinator does not say which trackers were elected")
    if elected.asking:
        raise Waits(EPOCH_NEXT, late)
    elected.asking = True
    state.effects.sends.append(Send(COORDINATOR, AskEpochCeiling(TRACKER)))
    raise Waits(EPOCH_ASKED, late)
