"""What happens by itself: datanodes declared dead, leases expired, copies and deletions ordered,
deleted trees reclaimed. In bounded slices.

A tick that comes later than a heartbeat after the one before means that this process was paused:
every deadline that others had to meet meanwhile is extended by the pause.
"""

from __future__ import annotations

from itertools import islice

from minihdfs.namenode.core import edits
from minihdfs.namenode.core.datanodes import Datanode
from minihdfs.namenode.core.lease_recovery import take_over_silent
from minihdfs.namenode.core.records import BLOCKS_AT_ONCE, Inode
from minihdfs.namenode.core.rooms import Rooms


class Monitor:
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._interval_us = max(1, rooms.options.heartbeat_us // 2)
        self._looked_us = 0
        self._due_us = 0

    def start(self) -> None:
        self._looked_us = self._rooms.now.mono_us
        self._due_us = self._looked_us + self._interval_us

    def next_deadline(self) -> int:
        """Always soon: silence of a datanode or a writer is only noticed by looking."""
        return self._due_us

    def credit_pause(self) -> None:
        """Called before every event, so that a paused namenode blames nobody for what it slept
        through."""
        rooms = self._rooms
        late = rooms.now.mono_us - self._due_us
        if late > rooms.options.heartbeat_us:
            rooms.datanodes.credit(late)
            rooms.leases.credit(late)
            rooms.parking.credit(late)
            rooms.replication.credit(late)
            rooms.safemode.credit(late)
            self._due_us = rooms.now.mono_us

    def run(self) -> None:
        if self._rooms.now.mono_us < self._due_us:
            return
        self._looked_us = self._rooms.now.mono_us
        self._due_us = self._looked_us + self._interval_us
        self._bury()
        rooms = self._rooms
        rooms.datanodes.room.expire(rooms.now)
        rooms.safemode.look(rooms.now)
        if (
            not rooms.safemode.on
            and rooms.now.mono_us - rooms.safemode.left_us >= rooms.options.settle_us
        ):
            rooms.replication.run(rooms.now)
        if rooms.safemode.may_edit:
            take_over_silent(rooms)
            self._reclaim_soon()

    def _bury(self) -> None:
        for node in self._rooms.datanodes.silent(self._rooms.now):
            node.alive = False
            self._rooms.replication.copies.gone(node.uuid, as_target=True)
            node.repairs.clear()
            node.wishes.clear()  # if it comes back, its full report speaks
            node.ordered.clear()
            node.report = None
            self._rooms.work.append(Burial(self._rooms, node))

    def _reclaim_soon(self) -> None:
        rooms = self._rooms
        if rooms.namespace.detached and not rooms.reclaiming:
            rooms.reclaiming = True
            rooms.work.append(Reclaim(rooms))


class Burial:
    """Takes a dead datanode's replicas out of the map, unless it comes back meanwhile (then its
    full report speaks)."""

    def __init__(self, rooms: Rooms, node: Datanode) -> None:
        self._rooms, self._node = rooms, node

    def __call__(self) -> bool:
        rooms, uuid = self._rooms, self._node.uuid
        if rooms.datanodes.get(uuid) is not self._node:
            return True
        held = rooms.blocks.blocks_of(uuid)
        for block_id in list(islice(held, rooms.options.step_records)):
            rooms.blocks.lost(uuid, block_id)
        return not rooms.blocks.blocks_of(uuid)


class Reclaim:
    """Frees deleted trees and large files: some children or blocks of one that is detached per
    slice. Stops while nothing may be edited; the monitor starts it again."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def __call__(self) -> bool:
        rooms = self._rooms
        if not rooms.safemode.may_edit or not rooms.namespace.detached:
            rooms.reclaiming = False
            return True
        inode = rooms.namespace.require(next(iter(rooms.namespace.detached)))
        rooms.commit(self._some_children(inode) if inode.is_directory else self._some_blocks(inode))
        return False

    def _some_children(self, directory: Inode) -> edits.Reclaimed:
        """What they take with them counts: the budget is one of records."""
        limit = self._rooms.options.reclaim_records
        found = self._rooms.namespace.children(directory.id, "", limit)
        taken: list[int] = []
        records = 0
        for _name, inode_id in found:
            blocks = len(self._rooms.namespace.require(inode_id).blocks)
            records += 1 + (blocks if blocks <= BLOCKS_AT_ONCE else 0)
            if taken and records > limit:
                break
            taken.append(inode_id)
        return edits.Reclaimed(directory.id, tuple(taken), len(taken) == len(found) < limit)

    def _some_blocks(self, file: Inode) -> edits.Reclaimed:
        count = min(len(file.blocks), self._rooms.options.reclaim_records)
        return edits.Reclaimed(file.id, (), count == len(file.blocks), count)
