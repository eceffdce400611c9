"""The namenode's orders, and in which order and how many at a time they become work: copies,
repairs, deletions.

An order for a replica that is not held is answered with what is true (deleted), a repair of another
stamp is dropped: the next full report settles it. A replica known to be bad is never copied from,
and a copy that is not made is told as failed. Deletions wait until the namenode has taken a full
report in this registration: a leader that has not seen what this datanode holds has no ground for
deleting here.
"""

from __future__ import annotations

from collections import deque

from minihdfs.datanode.core.events import CopyReplica, DeleteReplicas, RepairReplica, ShellOrder
from minihdfs.datanode.core.reports import Reports
from minihdfs.model import BlockRef, CopyEnded, Invalidate, Order, Repair, Replicate

QUEUE_MAX = 10_000
"""Orders held back at most; the namenode gives those that were dropped again when it misses their
effect."""


class Orders:
    def __init__(self, copies_max: int, repairs_max: int) -> None:
        self._copies_max, self._repairs_max = copies_max, repairs_max
        self._copies: deque[CopyReplica] = deque()
        self._repairs: deque[RepairReplica] = deque()
        self._deletions: dict[
            int, tuple[BlockRef, bool]
        ] = {}  # block id -> (which, unknown to the namenode)
        self._copying: list[CopyReplica] = []
        self._repairing: set[int] = set()

    def take(self, order: Order, reports: Reports) -> None:
        if isinstance(order, Invalidate):
            for block in order.blocks:
                self._deletions[block.id] = block, order.unknown
            return
        held = reports.replicas.get(order.block.id)
        if isinstance(order, Replicate):
            self._take_copy(order, held, reports)
        elif held is None:
            reports.not_held(order.block)
        elif held.stamp != order.block.stamp:
            return
        elif isinstance(order, Repair):
            # The namenode's length, not ours: a replica that lost its tail believes in what is left
            # of it.
            self._take_repair(RepairReplica(order.block, order.sources))

    def _take_copy(self, order: Replicate, held: BlockRef | None, reports: Reports) -> None:
        if held is None or held.stamp != order.block.stamp or held.id in reports.bad:
            if held is None:
                reports.not_held(order.block)
            elif held.id in reports.bad:
                reports.found_bad(held)
            return _not_copied(order, "no such replica is here, or it is bad", reports)
        copy = CopyReplica(held, order.targets)
        if copy in self._copying or copy in self._copies:
            return None
        if len(self._copies) >= QUEUE_MAX:
            return _not_copied(order, "too many copies wait here", reports)
        return self._copies.append(copy)

    def _take_repair(self, repair: RepairReplica) -> None:
        waiting = repair.block.id in self._repairing or any(
            other.block.id == repair.block.id for other in self._repairs
        )
        if not waiting and len(self._repairs) < QUEUE_MAX:
            self._repairs.append(repair)

    def copy_finished(self, block: BlockRef, targets: object) -> None:
        self._copying = [
            copy for copy in self._copying if (copy.block, copy.targets) != (block, targets)
        ]

    def repair_finished(self, block: BlockRef) -> None:
        self._repairing.discard(block.id)

    def ready(self, reports: Reports) -> list[ShellOrder]:
        """Work that begins now."""
        begun: list[ShellOrder] = []
        if self._deletions and reports.complete:
            deletions, self._deletions = self._deletions, {}
            for unknown in (False, True):
                blocks = tuple(block for block, kept in deletions.values() if kept is unknown)
                for block in blocks:
                    reports.forget(block)
                if blocks:
                    begun.append(DeleteReplicas(blocks, unknown))
        while self._copies and len(self._copying) < self._copies_max:
            copy = self._copies.popleft()
            if (
                reports.replicas.get(copy.block.id) == copy.block
                and copy.block.id not in reports.bad
            ):
                self._copying.append(copy)
                begun.append(copy)
            else:
                _not_copied(copy, "the replica is gone or bad", reports)
        while self._repairs and len(self._repairing) < self._repairs_max:
            repair = self._repairs.popleft()
            held = reports.replicas.get(repair.block.id)
            if held is not None and held.stamp == repair.block.stamp:
                self._repairing.add(repair.block.id)
                begun.append(repair)
        return begun

    def forget_deletions(self) -> None:
        """A new registration: whoever leads now says again what it wants deleted."""
        self._deletions = {}

    def check_invariants(self) -> None:
        assert (
            len(self._copying) <= self._copies_max and len(self._repairing) <= self._repairs_max
        ), "more work at once than allowed"


def _not_copied(order: Replicate | CopyReplica, why: str, reports: Reports) -> None:
    """Told at once: the namenode makes the copy from another replica, or somewhere else."""
    for target in order.targets:
        reports.copied(CopyEnded(order.block.id, target.uuid, why))
