"""The datanodes: who is registered, who is alive, what each is to be ordered. All soft: rebuilt from registrations and reports.

A datanode is *live* until it has been silent for `dead_after`, *stale* in between (the last choice for writes and for reads).
Each registration has an id; whatever comes with an older one is answered `Reregister`. Orders ride on heartbeat replies, which may be
lost, so a deletion or repair is repeated until it is confirmed. Nothing is deleted on a datanode before its first full report to this
leader.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from clusterkit.effects import Instant
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeReportRow, DatanodeUsage
from minihdfs.namenode.core.commands import Invalidate, Order, Repair, Replicate
from minihdfs.namenode.core.options import Options

INVALIDATE_MAX = 1_000
"""Deletions one heartbeat reply carries at most."""


@dataclass(slots=True)
class OpenReport:
    """A full report whose last chunk has not come yet."""

    report_id: int
    next_chunk: int = 0
    named: set[int] = field(default_factory=set)  # only asked for membership


@dataclass(slots=True)
class Datanode:
    address: DatanodeAddress
    usage: DatanodeUsage
    registration_id: int
    contact_us: int
    contact_wall_us: int
    alive: bool = True
    reported: bool = False
    """Has sent a whole full report under this registration."""
    report: OpenReport | None = None
    finished_report_id: int = 0
    sequence: int = 0
    received_at: dict[int, int] = field(default_factory=dict)
    deleted_at: dict[int, int] = field(default_factory=dict)
    """Block → sequence of the message that said so, since the last full report: newer than what that report lists."""
    to_invalidate: dict[int, BlockRef] = field(default_factory=dict)
    invalidating: dict[int, tuple[BlockRef, int]] = field(default_factory=dict)
    """Deletions ordered and not confirmed, and when to order them again."""
    copies: deque[Replicate] = field(default_factory=deque)
    repairs: dict[int, Repair] = field(default_factory=dict)
    sending: int = 0
    receiving: int = 0

    @property
    def uuid(self) -> str:
        return self.address.uuid

    def is_deleting(self, block_id: int) -> bool:
        return block_id in self.to_invalidate or block_id in self.invalidating

    def invalidate(self, ref: BlockRef) -> None:
        if not self.is_deleting(ref.id):
            self.to_invalidate[ref.id] = ref

    def deleted(self, block_id: int) -> None:
        self.to_invalidate.pop(block_id, None)
        self.invalidating.pop(block_id, None)


class Datanodes:
    def __init__(self, options: Options, rng: random.Random) -> None:
        self._options, self._rng = options, rng
        self.by_uuid: dict[str, Datanode] = {}
        self._registrations = 0

    def register(self, address: DatanodeAddress, usage: DatanodeUsage, epoch: int, now: Instant) -> Datanode:
        """A new registration. What was known of its replicas stays until its full report says otherwise."""
        self._registrations += 1
        node = Datanode(address, usage, (epoch << 24) + self._registrations, now.mono_us, now.wall_us)
        old = self.by_uuid.get(address.uuid)
        if old is not None:
            node.to_invalidate = old.to_invalidate | {block_id: ref for block_id, (ref, _due) in old.invalidating.items()}
            node.sending, node.receiving = old.sending, old.receiving
        self.by_uuid[address.uuid] = node
        return node

    def get(self, uuid: str) -> Datanode | None:
        return self.by_uuid.get(uuid)

    def registered(self, uuid: str, registration_id: int) -> Datanode | None:
        """The live datanode that speaks with its present registration, or None: then it must register again."""
        node = self.by_uuid.get(uuid)
        return node if node is not None and node.alive and node.registration_id == registration_id else None

    def live(self) -> list[Datanode]:
        return [node for node in self.by_uuid.values() if node.alive]

    def is_live(self, uuid: str) -> bool:
        node = self.by_uuid.get(uuid)
        return node is not None and node.alive

    def is_stale(self, node: Datanode, now: Instant) -> bool:
        return now.mono_us - node.contact_us > self._options.stale_us

    def is_sure(self, node: Datanode, now: Instant) -> bool:
        """Is what is known of its replicas to be built on, when another's is to be deleted?"""
        return node.alive and node.reported and not self.is_stale(node, now)

    def silent(self, now: Instant) -> list[Datanode]:
        """Live ones that have been silent for too long."""
        limit = now.mono_us - self._options.dead_after_us
        return [node for node in self.by_uuid.values() if node.alive and node.contact_us <= limit]

    def credit(self, pause_us: int) -> None:
        """This process was paused, so nobody can be blamed for silence."""
        for node in self.by_uuid.values():
            node.contact_us += pause_us

    def locations(self, uuids: Iterable[str], host: str, now: Instant) -> tuple[DatanodeAddress, ...]:
        """Addresses for a reader: on its own host first, the rest in random order, stale ones last, dead ones not at all."""
        nodes = [node for node in map(self.by_uuid.get, uuids) if node is not None and node.alive]
        if len(nodes) > 1:
            self._rng.shuffle(nodes)
            nodes.sort(key=lambda node: (self.is_stale(node, now), not is_on(node, host)))
        return tuple([node.address for node in nodes])

    def orders(self, node: Datanode, now: Instant, *, may_delete: bool) -> tuple[Order, ...]:
        """What waits for this datanode, now on its way."""
        orders: list[Order] = list(node.copies)
        node.copies.clear()
        orders += [node.repairs.pop(block_id) for block_id in list(node.repairs)]
        if may_delete and node.reported:
            overdue = [block_id for block_id, (_ref, due) in node.invalidating.items() if due <= now.mono_us]
            for block_id in overdue[:INVALIDATE_MAX]:
                node.to_invalidate[block_id] = node.invalidating.pop(block_id)[0]
            refs = [node.to_invalidate.pop(block_id) for block_id in list(node.to_invalidate)[:INVALIDATE_MAX]]
            for ref in refs:
                node.invalidating[ref.id] = (ref, now.mono_us + self._options.order_resend_us)
            if refs:
                orders.append(Invalidate(tuple(refs)))
        return tuple(orders)

    def rows(self, which: str, now: Instant) -> tuple[DatanodeReportRow, ...]:
        rows = []
        for uuid in sorted(self.by_uuid):
            node = self.by_uuid[uuid]
            state = "dead" if not node.alive else "stale" if self.is_stale(node, now) else "live"
            if which == "all" or (which == "dead") == (state == "dead"):
                rows.append(DatanodeReportRow(node.address, node.usage, state, node.contact_wall_us))
        return tuple(rows)

    def deleting_total(self) -> int:
        return sum(len(node.to_invalidate) + len(node.invalidating) for node in self.by_uuid.values())


def is_on(node: Datanode, host: str) -> bool:
    return bool(host) and host in (node.address.host, node.address.hostname)
