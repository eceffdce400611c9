"""What happens by itself: datanodes declared dead, leases expired, copies and deletions ordered,
deleted trees reclaimed. In bounded slices.

A tick that comes later than a heartbeat after the one before means that this process was paused:
every deadline that others had to meet meanwhile is extended by the pause.
"""

from __future__ import annotations

from minihdfs.namenode.core.datanodes.burial import Burial
from minihdfs.namenode.core.files.lease_recovery import take_over_silent
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree.deleting import Reclaim


class Monitor:
    def __init__(self, state: State) -> None:
        self._state = state
        self._interval_us = max(1, state.options.heartbeat_us // 2)
        self._looked_us = 0
        self._due_us = 0

    def start(self) -> None:
        self._looked_us = self._state.now.mono_us
        self._due_us = self._looked_us + self._interval_us

    def next_deadline(self) -> int:
        """Always soon: silence of a datanode or a writer is only noticed by looking."""
        return self._due_us

    def credit_pause(self) -> None:
        """Called before every event, so that a paused namenode blames nobody for what it slept
        through."""
        state = self._state
        late = state.now.mono_us - self._due_us
        if late > state.options.heartbeat_us:
            state.datanodes.credit(late)
            state.leases.credit(late)
            state.parking.credit(late)
            state.replication.credit(late)
            state.safemode.credit(late)
            self._due_us = state.now.mono_us

    def run(self) -> None:
        if self._state.now.mono_us < self._due_us:
            return
        self._looked_us = self._state.now.mono_us
        self._due_us = self._looked_us + self._interval_us
        self._bury()
        state = self._state
        state.datanodes.room.expire(state.now)
        state.safemode.look(state.now)
        if (
            not state.safemode.on
            and state.now.mono_us - state.safemode.left_us >= state.options.settle_us
        ):
            state.replication.run(state.now)
        if state.safemode.may_edit:
            take_over_silent(state)
            self._reclaim_soon()

    def _bury(self) -> None:
        for node in self._state.datanodes.silent(self._state.now):
            node.alive = False
            self._state.replication.copies.gone(node.uuid, as_target=True)
            node.repairs.clear()
            node.wishes.clear()  # if it comes back, its full report speaks
            node.ordered.clear()
            node.report = None
            self._state.work.append(Burial(self._state, node))

    def _reclaim_soon(self) -> None:
        state = self._state
        if state.namespace.detached and not state.reclaiming:
            state.reclaiming = True
            state.work.append(Reclaim(state))
