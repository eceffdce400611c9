"""A datanode that died leaves the map of replicas, in slices."""

from __future__ import annotations

from itertools import islice

from minihdfs.namenode.core.datanodes.datanodes import Datanode
from minihdfs.namenode.core.state import State


class Burial:
    """Takes a dead datanode's replicas out of the map, unless it comes back meanwhile (then its
    full report speaks)."""

    def __init__(self, state: State, node: Datanode) -> None:
        self._state, self._node = state, node

    def __call__(self) -> bool:
        state, uuid = self._state, self._node.uuid
        if state.datanodes.get(uuid) is not self._node:
            return True
        held = state.blocks.blocks_of(uuid)
        for block_id in list(islice(held, state.options.step_records)):
            state.blocks.lost(uuid, block_id)
        return not state.blocks.blocks_of(uuid)
