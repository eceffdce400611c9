"""The datanodes: who is registered, who is alive, what each is to be ordered. All soft: rebuilt
from registrations and reports.

A datanode is *live* until it has been silent for `dead_after`, *stale* in between (the last choice
for writes and for reads). Each registration has an id; whatever comes with an older one is answered
`Reregister`. Orders ride on heartbeat replies, which may be lost, so a deletion or repair is
repeated until it is confirmed. Nothing is deleted on a datanode before its first full report to
this leader; which deletions leave, `deletions` decides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clusterkit.effects import Instant
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeReportRow, DatanodeUsage
from minihdfs.namenode.core.datanodes.room import Room
from minihdfs.namenode.core.options import Options

DOUBTS_MAX, DOUBT_AGAIN_US = 1_000, 60_000_000


@dataclass(slots=True)
class OpenReport:
    """A full report whose last chunk has not come yet."""

    report_id: int
    next_chunk: int = 0
    named: set[int] = field(default_factory=set)  # only asked for membership


@dataclass(slots=True)
class Deletion:
    """Of every replica of a block up to a stamp, on one datanode. See `deletions`."""

    ref: BlockRef
    excess: bool
    """The replica is sound: it may go only while enough others stay."""
    unknown: bool = False
    """It was reported, and this namespace knows no such block: its datanode keeps the files for a
    while."""
    due_us: int = 0
    doubted: bool = False
    """It was ordered and should not have been: the datanode is asked what became of the replica."""


@dataclass(slots=True)
class Datanode:
    address: DatanodeAddress
    usage: DatanodeUsage
    registration_id: int
    contact_us: int
    contact_wall_us: int
    heard_us: int
    """As `contact_us`, and a pause of this process is not made up for: nothing was heard in it."""
    alive: bool = True
    reported: bool = False
    """Has sent a whole full report under this registration."""
    report: OpenReport | None = None
    finished_report_id: int = 0
    sequence: int = 0
    received_at: dict[int, int] = field(default_factory=dict)
    deleted_at: dict[int, int] = field(default_factory=dict)
    """Block → sequence of the message that said so, since the last full report: newer than what
    that report lists."""
    wishes: dict[int, Deletion] = field(default_factory=dict)
    ordered: dict[int, Deletion] = field(default_factory=dict)
    """Block → deletion that was ordered and not confirmed, in the order in which they are due
    again."""
    repairs: dict[int, None] = field(default_factory=dict)
    doubts: dict[int, int] = field(default_factory=dict)
    """Block → when a client last said that the replica here is bad. Only its holder can tell: it is
    asked, once a minute at most."""
    to_verify: dict[int, int] = field(default_factory=dict)
    """Block → stamp of a doubted replica; the order leaves with the next heartbeat."""

    def doubt(self, ref: BlockRef, mono_us: int) -> None:
        if len(self.doubts) >= DOUBTS_MAX:
            self.doubts = {
                block_id: at
                for block_id, at in self.doubts.items()
                if mono_us - at < DOUBT_AGAIN_US
            }
        if (
            len(self.doubts) < DOUBTS_MAX
            and mono_us - self.doubts.get(ref.id, -DOUBT_AGAIN_US) >= DOUBT_AGAIN_US
        ):
            self.doubts[ref.id] = mono_us
            self.to_verify[ref.id] = ref.stamp

    @property
    def uuid(self) -> str:
        return self.address.uuid

    def is_deleting(self, block_id: int, stamp: int = 0) -> bool:
        """The replica with this stamp, or any."""
        deletion = self.wishes.get(block_id) or self.ordered.get(block_id)
        return deletion is not None and deletion.ref.stamp >= stamp

    def wish(self, deletion: Deletion) -> None:
        if not self.is_deleting(deletion.ref.id, deletion.ref.stamp):
            self.cancel(deletion.ref.id)
            self.wishes[deletion.ref.id] = deletion

    def cancel(self, block_id: int) -> None:
        self.wishes.pop(block_id, None)
        self.ordered.pop(block_id, None)

    def deleted(self, ref: BlockRef) -> None:
        """It said so."""
        deletion = self.wishes.get(ref.id) or self.ordered.get(ref.id)
        if deletion is not None and deletion.ref.stamp <= ref.stamp:
            self.cancel(ref.id)


class Datanodes:
    def __init__(self, options: Options, rng: random.Random, known: Iterable[str] = ()) -> None:
        """`known`: the uuids of all that have ever registered, as far as is remembered."""
        self._options, self._rng = options, rng
        self.by_uuid: dict[str, Datanode] = {}
        self.known: dict[str, None] = dict.fromkeys(known)
        self.awaited: dict[str, None] = dict(self.known)
        """Those of them that have not reported in full to this namenode."""
        self.have_reported = False
        self.room = Room(options)
        self._registrations = 0

    def register(
        self, address: DatanodeAddress, usage: DatanodeUsage, epoch: int, now: Instant
    ) -> Datanode:
        """A new registration. What was known of its replicas stays until its full report says
        otherwise."""
        self._registrations += 1
        node = Datanode(
            address,
            usage,
            (epoch << 24) + self._registrations,
            now.mono_us,
            now.wall_us,
            now.mono_us,
        )
        self.by_uuid[address.uuid] = node
        return node

    # ── durable: called by `appliers` only ────────────────────────────────────────────────────────

    def meet(self, uuid: str) -> None:
        self.known[uuid] = self.awaited[uuid] = None

    def forget(self, uuid: str) -> None:
        self.known.pop(uuid, None)
        self.awaited.pop(uuid, None)

    # ── soft ──────────────────────────────────────────────────────────────────────────────────────

    def to_forget(self) -> str | None:
        """Whom to forget for one more: "" while there is room, None when all that are known are
        here."""
        if len(self.known) < self._options.datanodes_max:
            return ""
        return next((uuid for uuid in self.known if uuid not in self.by_uuid), None)

    def make_place(self, uuid: str, blocks_of: Callable[[str], Iterable[int]]) -> bool:
        """For one more: in place of a dead one of which nothing is known, when there are too
        many."""
        if uuid in self.by_uuid or len(self.by_uuid) < self._options.datanodes_max:
            return True
        gone = next(
            (
                node.uuid
                for node in self.by_uuid.values()
                if not node.alive and not blocks_of(node.uuid)
            ),
            None,
        )
        if gone is not None:
            del self.by_uuid[gone]
        return gone is not None

    def has_reported(self, node: Datanode) -> None:
        node.reported = self.have_reported = True
        self.awaited.pop(node.uuid, None)

    def get(self, uuid: str) -> Datanode | None:
        return self.by_uuid.get(uuid)

    def registered(self, uuid: str, registration_id: int) -> Datanode | None:
        """The live datanode that speaks with its present registration, or None: then it must
        register again."""
        node = self.by_uuid.get(uuid)
        return (
            node
            if node is not None and node.alive and node.registration_id == registration_id
            else None
        )

    def promise(self, node: Datanode, block_id: int, size: int, now: Instant) -> None:
        self.room.promise(node.address, node.usage, block_id, size, now)

    def free_bytes(self, node: Datanode) -> int:
        """What is free there and promised to nobody."""
        return node.usage.remaining_bytes - self.room.promised(node.address, node.usage)

    def live(self) -> list[Datanode]:
        return [node for node in self.by_uuid.values() if node.alive]

    def is_live(self, uuid: str) -> bool:
        node = self.by_uuid.get(uuid)
        return node is not None and node.alive

    def is_stale(self, node: Datanode, now: Instant) -> bool:
        return now.mono_us - node.contact_us > self._options.stale_us

    def is_sure(self, node: Datanode, now: Instant) -> bool:
        """Is what is known of its replicas to be built on, when another's is to be deleted?"""
        return (
            node.alive and node.reported and now.mono_us - node.heard_us <= self._options.stale_us
        )

    def silent(self, now: Instant) -> list[Datanode]:
        """Live ones that have been silent for too long."""
        limit = now.mono_us - self._options.dead_after_us
        return [node for node in self.by_uuid.values() if node.alive and node.contact_us <= limit]

    def credit(self, pause_us: int) -> None:
        """This process was paused, so nobody can be blamed for silence."""
        for node in self.by_uuid.values():
            node.contact_us += pause_us

    def locations(
        self, uuids: Iterable[str], host: str, now: Instant
    ) -> tuple[DatanodeAddress, ...]:
        """Addresses for a reader: on its own host first, the rest in random order, stale ones last,
        dead ones not at all."""
        nodes = [node for node in map(self.by_uuid.get, uuids) if node is not None and node.alive]
        if len(nodes) > 1:
            self._rng.shuffle(nodes)
            nodes.sort(key=lambda node: (self.is_stale(node, now), not is_on(node, host)))
        return tuple([node.address for node in nodes])

    def rows(self, which: str, now: Instant) -> tuple[DatanodeReportRow, ...]:
        rows = []
        for uuid in sorted(self.by_uuid):
            node = self.by_uuid[uuid]
            state = "dead" if not node.alive else "stale" if self.is_stale(node, now) else "live"
            if which == "all" or (which == "dead") == (state == "dead"):
                rows.append(
                    DatanodeReportRow(node.address, node.usage, state, node.contact_wall_us)
                )
        return tuple(rows)

    def deleting_total(self) -> int:
        return sum(len(node.wishes) + len(node.ordered) for node in self.by_uuid.values())


def is_on(node: Datanode, host: str) -> bool:
    return bool(host) and host in (node.address.host, node.address.hostname)
