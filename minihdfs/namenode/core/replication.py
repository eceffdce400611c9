"""Bringing every block back to its number of replicas: copies for too few, deletions for too many, repairs in place for bad ones.

Runs in bounded slices of the monitor's tick, never in safe mode. Blocks with the fewest replicas go first; one datanode sends and
receives a bounded number of copies at a time; a copy that is not reported in time is forgotten and tried again. A bad replica is
mended by its own holder from a sound one (so three datanodes with three replicas heal too); one with an older stamp is deleted once a
sound one exists. What leaves on a heartbeat's reply is asked about once more at that moment; of deletions, `deletions` asks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from clusterkit.effects import Instant
from minihdfs.model import BlockRef
from minihdfs.namenode.core.blocks import Blocks
from minihdfs.namenode.core.commands import Order, Repair, Replicate
from minihdfs.namenode.core.datanodes import Datanode, Datanodes, Deletion
from minihdfs.namenode.core.deletions import Deletions
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.placement import Placement
from minihdfs.namenode.core.records import Block

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
        self, options: Options, blocks: Blocks, datanodes: Datanodes, deletions: Deletions, placement: Placement, rng: random.Random
    ) -> None:
        self._options, self._blocks, self._datanodes, self._deletions = options, blocks, datanodes, deletions
        self._placement, self._rng = placement, rng
        self.pending: dict[int, dict[str, tuple[str, int]]] = {}
        """Block → target → (source, deadline)."""
        self._deadlines: dict[tuple[int, str], int] = {}
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
        self._drop(block_id, uuid)
        self._repairs.pop((block_id, uuid), None)

    def credit(self, pause_us: int) -> None:
        """This process was paused: nothing could be reported meanwhile."""
        self._credited_us += pause_us

    def in_flight(self) -> int:
        return len(self._deadlines)

    def run(self, now: Instant) -> None:
        """One slice. Orders are left with the datanodes."""
        self._expire(now)
        self._repair(now)
        self._trim(now)
        self._copy(now)

    def _expire(self, now: Instant) -> None:
        awake_us = now.mono_us - self._credited_us
        for (block_id, target), deadline in list(self._deadlines.items()):
            if deadline > awake_us:
                break
            self._drop(block_id, target)
        for block_id, until in list(self._settling.items()):
            if until > awake_us:
                break
            del self._settling[block_id]

    def _drop(self, block_id: int, target: str) -> None:
        targets = self.pending.get(block_id)
        if targets is None or target not in targets:
            return
        source, _deadline = targets.pop(target)
        if not targets:
            del self.pending[block_id]
        self._deadlines.pop((block_id, target), None)
        sender, receiver = self._datanodes.get(source), self._datanodes.get(target)
        if sender is not None:
            sender.sending -= 1
        if receiver is not None:
            receiver.receiving -= 1

    # ── too few ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _copy(self, now: Instant) -> None:
        scanned = 0
        nodes = len(self._datanodes.live())
        for count in sorted(self._blocks.under):
            if count >= nodes:
                continue  # every live datanode already has these
            queue = self._blocks.under[count]
            for block_id in list(queue)[: SCANNED_MAX - scanned]:
                scanned += 1
                del queue[block_id]
                queue[block_id] = None  # to the back: the next slice looks at others first
                if block_id not in self._settling:
                    self._copy_one(self._blocks.require(block_id), count, now)
            if scanned >= SCANNED_MAX:
                return

    def _copy_one(self, block: Block, count: int, now: Instant) -> None:
        under_way = self.pending.get(block.id, {})
        hoped = sum(1 for uuid in self._blocks.bad.get(block.id, {}) if self._datanodes.is_live(uuid) and self._hoped_for(block.id, uuid))
        wanted = block.replication - count - len(under_way) - hoped
        if wanted <= 0:
            return
        cap = self._options.streams_per_datanode
        holders = tuple(node for uuid in self._blocks.holders(block.id) if (node := self._datanodes.get(uuid)) is not None)
        sources = [node for node in holders if node.alive and node.sending < cap]
        if not sources:
            return
        full = [node.uuid for node in self._datanodes.live() if node.receiving >= cap or node.is_deleting(block.id, block.stamp)]
        exclude = self._blocks.everywhere(block.id) | set(under_way) | set(full)
        for target in self._placement.choose(wanted, block.length, now, exclude=exclude, existing=holders):
            sources = [node for node in sources if node.sending < cap]
            if not sources:
                return
            calmest = min((self._datanodes.is_stale(node, now), node.sending) for node in sources)
            source = self._rng.choice([node for node in sources if (self._datanodes.is_stale(node, now), node.sending) == calmest])
            self._start(block, source, target, now)

    def _hoped_for(self, block_id: int, uuid: str) -> bool:
        state = self._repairs.get((block_id, uuid))
        return state is None or state.attempts < REPAIRS_HOPED_FOR

    def _start(self, block: Block, source: Datanode, target: Datanode, now: Instant) -> None:
        deadline = now.mono_us - self._credited_us + self._options.replication_timeout_us
        self.pending.setdefault(block.id, {})[target.uuid] = (source.uuid, deadline)
        self._deadlines[(block.id, target.uuid)] = deadline
        source.sending += 1
        target.receiving += 1
        source.copies.append(Replicate(BlockRef(block.id, block.stamp, block.length), (target.address,)))

    # ── too many ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _trim(self, now: Instant) -> None:
        for block_id in list(self._blocks.over)[:SCANNED_MAX]:
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
        return min(nodes, key=lambda node: (-per_rack[node.address.rack], node.usage.remaining_bytes, node.uuid))

    # ── bad ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _repair(self, now: Instant) -> None:
        for block_id in list(self._blocks.bad)[:SCANNED_MAX]:
            block = self._blocks.require(block_id)
            for uuid, ref in list(self._blocks.bad[block_id].items()):
                node = self._datanodes.get(uuid)
                if node is not None and node.alive:
                    self._repair_one(block, node, ref, now)
            if block_id in self._blocks.bad:
                self._blocks.bad[block_id] = self._blocks.bad.pop(block_id)  # to the back
        if len(self._repairs) > 2 * SCANNED_MAX + sum(map(len, self._blocks.bad.values())):
            self._repairs = {key: state for key, state in self._repairs.items() if key[1] in self._blocks.bad.get(key[0], {})}

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

    # ── what leaves ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def orders(self, node: Datanode, now: Instant) -> list[Order]:
        """Copies and repairs for this datanode, those that still make sense."""
        orders: list[Order] = []
        while node.copies:
            copy = node.copies.popleft()
            if self._makes_sense(node, copy):
                orders.append(copy)
            else:
                self._drop(copy.block.id, copy.targets[0].uuid)
        for block_id in node.repairs:
            block, bad = self._blocks.get(block_id), node.uuid in self._blocks.bad.get(block_id, {})
            if block is not None and bad and not node.is_deleting(block_id, block.stamp):
                sources = self._live_holders(block_id)
                self._rng.shuffle(sources)
                orders.append(Repair(BlockRef(block.id, block.stamp, block.length), tuple(other.address for other in sources)))
        node.repairs.clear()
        return orders

    def _makes_sense(self, source: Datanode, copy: Replicate) -> bool:
        block, target = self._blocks.get(copy.block.id), self._datanodes.get(copy.targets[0].uuid)
        if block is None or block.stamp != copy.block.stamp or target is None or not target.alive or target.address != copy.targets[0]:
            return False
        holders = self._blocks.holders(block.id)
        return source.uuid in holders and target.uuid not in self._blocks.everywhere(block.id) and len(holders) < block.replication

    def _live_holders(self, block_id: int) -> list[Datanode]:
        return [node for uuid in self._blocks.holders(block_id) if (node := self._datanodes.get(uuid)) is not None and node.alive]
