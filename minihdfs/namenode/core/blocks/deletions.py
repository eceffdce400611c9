"""Which replicas datanodes are to delete. A deletion is a wish until it is ordered, and whether it
may be done is asked each time the order leaves, the repetitions too: what was true when it was
decided (others hold the block) may not be true any more.

A replica of a block that is gone from the namespace may always go: ids never come back. One that
this namespace cannot know, by its id or stamp, may never go (`given`). An *excess* replica may go
only while as many others as the block should have stay, an outdated or unfinished one only while
one other stays. To stay is to be a sound replica on a datanode that lives, was heard of, has
reported in full, and is not to delete it.

    wished ──▶ ordered ──▶ the datanode says it is deleted, or a full report does not name it
       │          │ may not go any more: the datanode is asked what became of the replica (a
       │          │ Repair is that question)
       ▼          ▼
    dropped    doubted ──▶ it says received, bad or deleted

A wished replica is still in the map of replicas, an ordered one is not. Orders go by block id and
stamp: what is newer than the order cancels it.
"""

from __future__ import annotations

from itertools import islice

from clusterkit.effects import Instant
from minihdfs.model import BlockRef, DatanodeAddress
from minihdfs.namenode.core.blocks.blocks import Blocks
from minihdfs.namenode.core.blocks.given import Given
from minihdfs.namenode.core.commands import Invalidate, Order, Repair
from minihdfs.namenode.core.datanodes.datanodes import Datanode, Datanodes, Deletion
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.records import COMPLETE, Block

ORDERED_MAX = 1_000
"""Deletions looked at for one heartbeat reply."""


class Deletions:
    def __init__(
        self, options: Options, given: Given, blocks: Blocks, datanodes: Datanodes
    ) -> None:
        self._options, self._given, self._blocks, self._datanodes = (
            options,
            given,
            blocks,
            datanodes,
        )

    def staying(self, block: Block, now: Instant, *, without: str = "") -> list[Datanode]:
        """Datanodes whose sound replica of it is sure to stay, leaving one of them out of
        account."""
        nodes = [
            node
            for uuid in self._blocks.holders(block.id)
            if uuid != without and (node := self._datanodes.get(uuid)) is not None
        ]
        return [
            node
            for node in nodes
            if self._datanodes.is_sure(node, now) and not node.is_deleting(block.id, block.stamp)
        ]

    def may_go(self, node: Datanode, deletion: Deletion, now: Instant) -> bool:
        if self._given.never(deletion.ref):
            return False
        block = self._blocks.get(deletion.ref.id)
        if block is None:
            return True
        if block.state != COMPLETE:
            return False
        wanted = block.replication if deletion.excess else 1
        return len(self.staying(block, now, without=node.uuid)) >= wanted

    def wish(self, node: Datanode, ref: BlockRef, now: Instant) -> None:
        """Of a replica that was reported and is not sound, or whose block this namespace does not
        know."""
        deletion = Deletion(ref, excess=False, unknown=self._blocks.get(ref.id) is None)
        if self.may_go(node, deletion, now):
            node.wish(deletion)

    def register_again(self, old: Datanode, node: Datanode) -> None:
        """Its full report will say what it holds: of the wishes only those stay that nothing can
        make wrong."""
        for deletion in islice(
            [*old.wishes.values(), *old.ordered.values()], self._options.step_records
        ):
            if self._blocks.get(deletion.ref.id) is None:
                node.wish(Deletion(deletion.ref, excess=False, unknown=deletion.unknown))

    def orders(self, node: Datanode, now: Instant) -> list[Order]:
        """What leaves now: first what is to be repeated, then new ones."""
        overdue = [
            deletion
            for deletion in islice(node.ordered.values(), ORDERED_MAX)
            if deletion.due_us <= now.mono_us
        ]
        gone: list[Deletion] = []
        orders: list[Order] = []
        for deletion in overdue:
            self._order(node, deletion, now)
            if deletion.doubted:
                orders.append(Repair(deletion.ref, self._sources(node, deletion.ref)))
            else:
                gone.append(deletion)
        for deletion in list(islice(node.wishes.values(), ORDERED_MAX - len(overdue))):
            del node.wishes[deletion.ref.id]
            if self.may_go(node, deletion, now):
                self._blocks.lost(node.uuid, deletion.ref.id)
                self._order(node, deletion, now)
                gone.append(deletion)
        for unknown in (False, True):
            refs = tuple(deletion.ref for deletion in gone if deletion.unknown is unknown)
            if refs:
                orders.append(Invalidate(refs, unknown))
        return orders

    def _order(self, node: Datanode, deletion: Deletion, now: Instant) -> None:
        deletion.doubted = not self.may_go(node, deletion, now)
        deletion.due_us = now.mono_us + self._options.order_resend_us
        node.ordered.pop(deletion.ref.id, None)
        node.ordered[deletion.ref.id] = deletion  # to the back: the front is what is due first

    def _sources(self, node: Datanode, ref: BlockRef) -> tuple[DatanodeAddress, ...]:
        block = self._blocks.get(ref.id)
        if block is None or block.stamp != ref.stamp:
            return ()
        holders = [
            other
            for uuid in self._blocks.holders(ref.id)
            if (other := self._datanodes.get(uuid)) is not None
        ]
        return tuple(other.address for other in holders if other.alive and other is not node)
