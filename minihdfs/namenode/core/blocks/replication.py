"""Bringing every block back to its number of replicas: copies for too few, deletions for too many,
repairs in place for bad ones.

Runs in bounded slices of the monitor's tick, never in safe mode. Blocks with the fewest replicas go
first, and none while a live datanode has yet to say what it holds; what is under way, `copies`
knows. A bad replica is mended by its own holder from a sound one (so three datanodes with three
replicas heal too); one with an older stamp is deleted once a sound one exists. What leaves on a
heartbeat's reply is asked about once more at that moment; of deletions, `deletions` asks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice

from clusterkit.effects import Instant
from minihdfs.model import BlockRef
from minihdfs.namenode.core.blocks.blocks import Blocks
from minihdfs.namenode.core.blocks.copies import Copies, Copy
from minihdfs.namenode.core.blocks.deletions import Deletions
from minihdfs.namenode.core.blocks.placement import Placement
from minihdfs.namenode.core.commands import Order, Repair, Replicate
from minihdfs.namenode.core.datanodes.datanodes import Datanode, Datanodes, Deletion
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.records import COMPLETE, Block

SCANNED_MAX = 2_000
"""Blocks looked at in one slice, of each kind."""

REPAIRS_HOPED_FOR = 3
"""Repairs ordered for a replica before a copy is made elsewhere instead of waiting for it."""


@dataclass(slots=True)
class RepairState:
    attempts: int
    due_us: int


class Replication:
    def __init__(
        self,
        options: Options,
        blocks: Blocks,
        datanodes: Datanodes,
        deletions: Deletions,
        placement: Placement,
        rng: random.Random,
    ) -> None:
        self._options, self._blocks, self._datanodes, self._deletions = (
            options,
            blocks,
            datanodes,
            deletions,
        )
        self._placement, self._rng = placement, rng
        self.copies = Copies(options)
        self._awaiting_us: int | None = None
        self._settling: dict[int, int] = {}
        self._repairs: dict[tuple[int, str], RepairState] = {}
        self._credited_us = 0
        """What this process slept through: deadlines are kept without it."""

    def settle(self, block_id: int, now: Instant) -> None:
        """Its other replicas are about to be reported: no copies yet."""
        self._settling.pop(block_id, None)
        self._settling[block_id] = now.mono_us - self._credited_us + self._options.settle_us

    def arrived(self, uuid: str, block_id: int) -> None:
        """A sound replica was reported: whatever was under way for it there is done."""
        self.copies.end(block_id, uuid)
        self._repairs.pop((block_id, uuid), None)

    def credit(self, pause_us: int) -> None:
        """This process was paused: nothing could be reported meanwhile."""
        self._credited_us += pause_us
        self.copies.credit(pause_us)

    def in_flight(self) -> int:
        return len(self.copies)

    def run(self, now: Instant) -> None:
        """One slice. Orders are left with the datanodes."""
        self._expire(now)
        self._repair(now)
        self._trim(now)
        if not self._are_reports_awaited(now):
            self._copy(now)

    def _expire(self, now: Instant) -> None:
        self.copies.expire(now)
        awake_us = now.mono_us - self._credited_us
        for block_id, until in list(self._settling.items()):
            if until > awake_us:
                break
            del self._settling[block_id]

    def _are_reports_awaited(self, now: Instant) -> bool:
        """While a live datanode has not said what it holds, any block may have more replicas than
        are known. For a while."""
        if all(node.reported for node in self._datanodes.live()):
            self._awaiting_us = None
            return False
        if self._awaiting_us is None:
            self._awaiting_us = now.mono_us - self._credited_us
        return (
            now.mono_us - self._credited_us - self._awaiting_us < self._options.reports_awaited_us
        )

    # ── too few ───────────────────────────────────────────────────────────────────────────────────

    def _copy(self, now: Instant) -> None:
        scanned = 0
        nodes = len(self._datanodes.live())
        for count in sorted(self._blocks.under):
            if count >= nodes:
                continue  # every live datanode already has these
            queue = self._blocks.under[count]
            for block_id in list(islice(queue, SCANNED_MAX - scanned)):
                scanned += 1
                del queue[block_id]
                queue[block_id] = None  # to the back: the next slice looks at others first
                if block_id not in self._settling:
                    self._copy_one(self._blocks.require(block_id), count, now)
            if scanned >= SCANNED_MAX:
                return

    def _copy_one(self, block: Block, count: int, now: Instant) -> None:
        under_way = self.copies.of_block(block.id)
        hoped = sum(
            1
            for uuid in self._blocks.bad.get(block.id, {})
            if self._datanodes.is_live(uuid) and self._hoped_for(block.id, uuid)
        )
        wanted = block.replication - count - len(under_way) - hoped
        if wanted <= 0:
            return
        sources = [node for node in self._live_holders(block.id) if self.copies.may_plan(node.uuid)]
        if not sources:
            return
        exclude = self._blocks.everywhere(block.id) | set(under_way)
        exclude |= {
            node.uuid for node in self._datanodes.live() if not self._may_receive(node, block)
        }
        existing = tuple(
            node
            for uuid in self._blocks.holders(block.id)
            if (node := self._datanodes.get(uuid)) is not None
        )
        for target in self._placement.choose(
            wanted, block.length, now, exclude=exclude, existing=existing
        ):
            sources = [node for node in sources if self.copies.may_plan(node.uuid)]
            if not sources:
                return
            loads = [
                (self._datanodes.is_stale(node, now), self.copies.load(node.uuid))
                for node in sources
            ]
            calmest = min(loads)
            source = self._rng.choice(
                [node for node, load in zip(sources, loads, strict=True) if load == calmest]
            )
            self.copies.plan(
                Copy(block.id, block.stamp, block.length, source.uuid, target.uuid), now
            )
            self._datanodes.promise(target, block.id, block.length, now)

    def _may_receive(self, node: Datanode, block: Block) -> bool:
        failed = self.copies.has_failed(block.id, node.uuid)
        return (
            not failed
            and self.copies.may_receive(node.uuid)
            and not node.is_deleting(block.id, block.stamp)
        )

    def _hoped_for(self, block_id: int, uuid: str) -> bool:
        state = self._repairs.get((block_id, uuid))
        return state is None or state.attempts < REPAIRS_HOPED_FOR

    def copy_ended(
        self, source: Datanode, block_id: int, target: str, failure: str, now: Instant
    ) -> None:
        """The source's word. One that failed is tried again at once, with another target if there
        is one."""
        if not failure:
            self.copies.sent(source.uuid, block_id, target)
        elif self.copies.failed(source.uuid, block_id, target, now):
            self._datanodes.room.kept(target, block_id)
            block, count = self._blocks.get(block_id), len(self._blocks.holders(block_id))
            if block is not None and block.state == COMPLETE and 0 < count < block.replication:
                self._copy_one(block, count, now)

    # ── too many ──────────────────────────────────────────────────────────────────────────────────

    def _trim(self, now: Instant) -> None:
        for block_id in list(islice(self._blocks.over, SCANNED_MAX)):
            block = self._blocks.require(block_id)
            sure = self._deletions.staying(block, now)
            for _ in range(len(sure) - block.replication):
                victim = self._excess(sure)
                sure.remove(victim)
                victim.wish(Deletion(BlockRef(block_id, block.stamp, block.length), excess=True))
            if block_id in self._blocks.over:  # to the back: it waits for reports
                del self._blocks.over[block_id]
                self._blocks.over[block_id] = None

    @staticmethod
    def _excess(nodes: list[Datanode]) -> Datanode:
        """The one to lose: from the rack with the most replicas, the fullest datanode."""
        per_rack: dict[str, int] = {}
        for node in nodes:
            per_rack[node.address.rack] = per_rack.get(node.address.rack, 0) + 1
        return min(
            nodes,
            key=lambda node: (-per_rack[node.address.rack], node.usage.remaining_bytes, node.uuid),
        )

    # ── bad ───────────────────────────────────────────────────────────────────────────────────────

    def _repair(self, now: Instant) -> None:
        for block_id in list(islice(self._blocks.bad, SCANNED_MAX)):
            block = self._blocks.require(block_id)
            for uuid, ref in list(self._blocks.bad[block_id].items()):
                node = self._datanodes.get(uuid)
                if node is not None and node.alive:
                    self._repair_one(block, node, ref, now)
            if block_id in self._blocks.bad:
                self._blocks.bad[block_id] = self._blocks.bad.pop(block_id)  # to the back
        if len(self._repairs) > 2 * SCANNED_MAX + sum(map(len, self._blocks.bad.values())):
            self._repairs = {
                key: state
                for key, state in self._repairs.items()
                if key[1] in self._blocks.bad.get(key[0], {})
            }

    def _repair_one(self, block: Block, node: Datanode, ref: BlockRef, now: Instant) -> None:
        if node.is_deleting(block.id, ref.stamp):
            return
        if ref.stamp < block.stamp and self._deletions.staying(block, now):
            node.wish(Deletion(ref, excess=False))
            return
        state = self._repairs.setdefault((block.id, node.uuid), RepairState(0, 0))
        if state.due_us > now.mono_us:
            return
        state.attempts += 1
        state.due_us = now.mono_us + self._options.order_resend_us * min(state.attempts, 12)
        node.repairs[block.id] = None

    # ── what leaves ───────────────────────────────────────────────────────────────────────────────

    def orders(self, node: Datanode, now: Instant) -> list[Order]:
        """Copies and repairs for this datanode, those that still make sense."""
        orders: list[Order] = []
        while (copy := self.copies.next(node.uuid)) is not None:
            target = self._target(node, copy)
            if target is None:
                self.copies.end(copy.block_id, copy.target)
            else:
                self.copies.ordered(copy, now)
                orders.append(
                    Replicate(BlockRef(copy.block_id, copy.stamp, copy.length), (target.address,))
                )
        for block_id in dict.fromkeys([*node.repairs, *node.to_verify]):
            block, bad = self._blocks.get(block_id), node.uuid in self._blocks.bad.get(block_id, {})
            doubted = (
                block is not None
                and node.to_verify.get(block_id) == block.stamp
                and node.uuid in self._blocks.holders(block_id)
            )
            if (
                block is not None
                and (bad or doubted)
                and not node.is_deleting(block_id, block.stamp)
            ):
                sources = [other for other in self._live_holders(block_id) if other is not node]
                self._rng.shuffle(sources)
                orders.append(
                    Repair(
                        BlockRef(block.id, block.stamp, block.length),
                        tuple(other.address for other in sources),
                    )
                )
        node.repairs.clear()
        node.to_verify.clear()
        return orders

    def _target(self, source: Datanode, copy: Copy) -> Datanode | None:
        """Where it goes, if it still makes sense."""
        block, target = self._blocks.get(copy.block_id), self._datanodes.get(copy.target)
        if block is None or block.stamp != copy.stamp or target is None or not target.alive:
            return None
        holders = self._blocks.holders(block.id)
        wanted = (
            source.uuid in holders
            and copy.target not in self._blocks.everywhere(block.id)
            and len(holders) < block.replication
        )
        return target if wanted else None

    def _live_holders(self, block_id: int) -> list[Datanode]:
        return [
            node
            for uuid in self._blocks.holders(block_id)
            if (node := self._datanodes.get(uuid)) is not None and node.alive
        ]
