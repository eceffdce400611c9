"""A term begins: this process leads, with an epoch above all before."""

from __future__ import annotations

from dataclasses import dataclass

from clusterkit.records import Record
from minihdfs.errors import Standby
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.core.registry import Edits
from minihdfs.namenode.core.state import State


@dataclass(frozen=True, slots=True)
class LeadershipGained:
    """This process now leads with this epoch; until then every request is refused with Standby."""

    epoch: int


class LeadershipTaken(Record, frozen=True, tag=2):
    """A leader's first edit: nothing of a lower epoch follows it."""

    epoch: int


def leadership_taken(state: State, op: LeadershipTaken, at_ms: int) -> None:
    state.epoch = op.epoch


def not_leading(state: State) -> Refusal:
    return Refusal(Standby, "this namenode does not lead: ask another one")


EDITS: Edits = {
    LeadershipTaken: leadership_taken,
}
