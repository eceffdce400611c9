"""The durable changes of which datanodes there are, each followed by what it does to the state
(rules: tree/edits)."""

from __future__ import annotations

from clusterkit.records import Record
from minihdfs.namenode.core.registry import Edits
from minihdfs.namenode.core.state import State


class DatanodeMet(Record, frozen=True, tag=50):
    """It registered for the first time: a safe mode waits for it. `forgotten` ("" = none) makes
    room for it."""

    uuid: str
    forgotten: str


def datanode_met(state: State, op: DatanodeMet, at_ms: int) -> None:
    if op.forgotten:
        state.overlay.datanode.remove(op.forgotten)
        state.datanodes.forget(op.forgotten)
    state.overlay.datanode.put(op.uuid, True)
    state.datanodes.meet(op.uuid)


EDITS: Edits = {
    DatanodeMet: datanode_met,
}
