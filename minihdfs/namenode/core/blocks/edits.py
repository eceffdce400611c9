"""The durable changes of the numbers that blocks are given, each followed by what it does to the
state (rules: tree/edits)."""

from __future__ import annotations

from clusterkit.records import Record
from minihdfs.namenode.core.registry import Edits
from minihdfs.namenode.core.state import State


class StampAllocated(Record, frozen=True, tag=40):
    stamp: int


def stamp_allocated(state: State, op: StampAllocated, at_ms: int) -> None:
    state.given.gave(0, op.stamp)


class IdsSkipped(Record, frozen=True, tag=41):
    """Datanodes hold replicas with ids and stamps up to these, and this namespace did not give
    them: they are never given."""

    block_id: int
    stamp: int


def ids_skipped(state: State, op: IdsSkipped, at_ms: int) -> None:
    state.given.skip(op.block_id, op.stamp)


EDITS: Edits = {
    StampAllocated: stamp_allocated,
    IdsSkipped: ids_skipped,
}
