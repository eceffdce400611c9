"""The world of the namenode's golden scripts: a core on a memory journal and store, and datanodes
that do as they are ordered.

Time moves only by `advance`, in steps of half a heartbeat. Blocks are shown as blk_1, blk_2 … in
the order of their ids, stamps as @1, @2 …
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clusterkit.effects import Edit, Event, Instant, Tick
from minihdfs.model import (
    BlockRef,
    CopyEnded,
    DatanodeAddress,
    DatanodeUsage,
    Disk,
    FileStatus,
    Listing,
    LocatedBlock,
    LocatedBlocks,
    ServerDefaults,
)
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import (
    Answer,
    HeartbeatReply,
    Invalidate,
    Refusal,
    Registered,
    Repair,
    Replicate,
    Reregister,
)
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.edit_codec import CODEC
from minihdfs.namenode.store.memory import MemoryStore

SECOND = 1_000_000
BLOCK_1 = 1 << 30
STAMP_1 = 1000
START_WALL_US = 1_700_000_000 * SECOND


@dataclass
class ScriptedDatanode:
    name: str
    rack: str
    free: int
    host: str
    disk: str = ""
    registration_id: int = 0
    sequence: int = 0
    reports: int = 0
    silent: bool = False
    lazy: bool = False
    """Takes orders and does nothing about them."""
    deaf: bool = False
    """No copy reaches it: its sources say so."""
    holds: dict[int, BlockRef] = field(default_factory=dict)
    rotten: set[int] = field(default_factory=set)
    """Those of `holds` that it knows to be bad."""

    @property
    def report(self) -> tuple[tuple[BlockRef, ...], tuple[BlockRef, ...], tuple[BlockRef, ...]]:
        """What a full report says: sound, unfinished, bad."""
        held = [self.holds[block_id] for block_id in sorted(self.holds)]
        return (
            tuple(r for r in held if r.id not in self.rotten),
            (),
            tuple(r for r in held if r.id in self.rotten),
        )

    @property
    def address(self) -> DatanodeAddress:
        return DatanodeAddress(
            self.name, self.host, self.name, 9000 + int(self.name[1:]), 9100, self.rack
        )

    @property
    def usage(self) -> DatanodeUsage:
        disks = (Disk(self.disk, 1 << 40, self.free),) if self.disk else ()
        return DatanodeUsage(1 << 40, 0, self.free, 0, len(self.holds), disks)


class World:
    def __init__(self) -> None:
        self.mono_us = 100 * SECOND
        self.lines: list[str] = []
        self.nodes: dict[str, ScriptedDatanode] = {}
        self.journal: list[bytes] = []
        self.store = MemoryStore()
        self.options = Options("c1", "root")
        self.shown_edits = 0
        self.epoch = 0
        self.calls = 0
        self.replies: dict[Any, Any] = {}
        self.inodes: dict[str, int] = {}
        self.last: dict[str, BlockRef] = {}
        self.alive: dict[str, bool] = {}
        self.core: Namesystem

    # ── the machine ───────────────────────────────────────────────────────────────────────────────

    def run(self, verb: str, words: list[str], options: dict[str, str]) -> list[str]:
        self.lines = []
        command: Callable[..., None] = getattr(self, f"do_{verb}")
        command(*words, **options)
        return self.lines

    def step(self, event: Event) -> None:
        effects = self.core.step(event, self.now)
        self.journal += [CODEC.encode(edit) for edit in effects.journal]
        self.core.check_invariants()
        for send in effects.sends:
            self.replies[send.to] = send.message

    @property
    def now(self) -> Instant:
        return Instant(self.mono_us, START_WALL_US + self.mono_us)

    def caller(
        self, call: int | None = None, client: str = "shell", user: str = "root", host: str = ""
    ) -> events.Caller:
        self.calls += 1
        call_id = self.calls if call is None else call
        return events.Caller(
            f"{client}#{self.calls}", user, (user,), client.encode(), call_id, host=host
        )

    def ask(self, event: Any) -> Any:
        """The reply, or None when the request is parked."""
        self.step(event)
        return self.replies.pop(event.caller.reply_to, None)

    def say(self, event: Any) -> Any:
        reply = self.ask(event)
        if reply is None:
            self.lines.append(f"… {event.caller.reply_to} waits")
        else:
            self.lines.append(self.shown(reply))
        return reply

    def shown(self, reply: Any) -> str:
        if isinstance(reply, Refusal):
            return f"✗ {reply.error.__name__}: {reply.message}"
        value = reply.value
        if isinstance(value, LocatedBlock):
            return f"{self.block(value.block)} {[a.uuid for a in value.locations]}".replace("'", "")
        if isinstance(value, FileStatus):
            kind = "directory" if value.is_directory else f"file of {value.length}"
            return f"{kind} {value.owner}:{value.group} {value.permission:o}" + (
                ", open" if value.under_construction else ""
            )
        if isinstance(value, LocatedBlocks):
            blocks = [
                f"{self.block(one.block)} [{' '.join(sorted(a.uuid for a in one.locations))}]"
                for one in value.blocks
            ]
            return " ".join(blocks)
        if isinstance(value, Listing):
            return "; ".join(self.shown(Answer(of_file)) for of_file in value.locations)
        return "ok" if value is None else str(value)

    @staticmethod
    def block(ref: BlockRef) -> str:
        return f"blk_{ref.id - BLOCK_1 + 1}@{ref.stamp - STAMP_1 + 1}"

    def ref(self, text: str, length: str | None = None) -> BlockRef:
        """`blk_1`: as the record has it; `blk_1@2`: with that stamp."""
        name, _, stamp = text.partition("@")
        block_id = BLOCK_1 + int(name.removeprefix("blk_")) - 1
        known = self.core.state.blocks.get(block_id)
        base = (
            BlockRef(block_id, known.stamp, known.length)
            if known
            else BlockRef(block_id, STAMP_1, 0)
        )
        return BlockRef(
            block_id,
            STAMP_1 + int(stamp) - 1 if stamp else base.stamp,
            base.length if length is None else int(length),
        )

    # ── commands: the world ───────────────────────────────────────────────────────────────────────

    def do_cluster(
        self,
        datanodes: str = "3",
        replication: str = "3",
        dead_after: str = "10s",
        racks: str = "1",
        **more: str,
    ) -> None:
        numbers = {name: int(value) for name, value in more.items()}
        self.options = Options(
            "c1",
            "root",
            dead_after_us=us(dead_after),
            defaults=ServerDefaults(replication=int(replication)),
            **numbers,
        )
        for number in range(int(datanodes)):
            self.do_datanode(f"d{number + 1}", rack=f"/r{number % int(racks) + 1}")
        self._open()
        for node in self.nodes.values():
            self._register(node)

    def do_datanode(
        self, name: str, rack: str = "/r1", free: str = str(1 << 39), host: str = "", disk: str = ""
    ) -> None:
        self.nodes[name] = ScriptedDatanode(name, rack, int(free), host or f"host-{name}", disk)

    def _open(self) -> None:
        self.core = Namesystem(self.options, self.store, random.Random(7))
        for data in self.journal:
            edit: Edit = CODEC.decode(data)
            if edit.txid > self.core.txid:
                self.core.apply(edit)
        self.epoch += 1
        self.step(events.LeadershipGained(self.epoch))

    def do_restart(self) -> None:
        """The namenode's process ends and starts again from store and journal; datanodes find out
        by their next heartbeat."""
        before = {table.name: list(table.items()) for table in self.core.state.overlay.tables}
        self._open()
        after = {table.name: list(table.items()) for table in self.core.state.overlay.tables}
        self.lines.append(
            "everything durable is as before" if before == after else "the state differs"
        )
        self.replies.clear()

    def do_space(self, reason: str = "") -> None:
        """What the shell says about the disk under the journal."""
        self.step(events.StoreSpaceChanged(reason))

    def do_edits(self) -> None:
        """The kinds of the edits since this was last asked."""
        kinds = [type(CODEC.decode(data).op).__name__ for data in self.journal[self.shown_edits :]]
        self.shown_edits = len(self.journal)
        self.lines.append(" ".join(kinds) or "no edits")

    def do_flush(self) -> None:
        batch = self.core.freeze()
        assert batch is not None
        self.store.write(batch)
        self.step(events.StoreFlushed(batch.counters.txid))

    def do_advance(self, time: str) -> None:
        end = self.mono_us + us(time)
        while self.mono_us < end:
            self.mono_us += self.options.heartbeat_us // 2
            self._tick()
            if (self.mono_us // (self.options.heartbeat_us // 2)) % 2 == 0:
                for node in self.nodes.values():
                    if not node.silent:
                        self._heartbeat(node)
        self._tick()
        for name, message in sorted(self.replies.items()):
            self.lines.append(f"{name}: {self.shown(message)}")
        self.replies.clear()

    def do_pause(self, time: str) -> None:
        """The namenode's process stands still; everybody else goes on."""
        self.mono_us += us(time)
        self._tick()

    def _tick(self) -> None:
        while True:
            deadline = self.core.next_deadline()
            if deadline is None or deadline > self.mono_us:
                break
            self.step(Tick())
        for name in sorted(self.core.state.datanodes.by_uuid):
            alive = self.core.state.datanodes.by_uuid[name].alive
            if self.alive.get(name, True) != alive:
                self.lines.append(f"{name} {'live again' if alive else 'dead'}")
            self.alive[name] = alive

    # ── commands: datanodes ───────────────────────────────────────────────────────────────────────

    def do_silence(self, *names: str) -> None:
        for name in names:
            self.nodes[name].silent = True

    def do_speak(self, *names: str) -> None:
        for name in names:
            self.nodes[name].silent = False

    def do_lazy(self, *names: str) -> None:
        for name in names:
            self.nodes[name].lazy = True

    def do_diligent(self, *names: str) -> None:
        for name in names:
            self.nodes[name].lazy = False

    def do_deaf(self, *names: str) -> None:
        for name in names:
            self.nodes[name].deaf = True

    def do_hears(self, *names: str) -> None:
        for name in names:
            self.nodes[name].deaf = False

    def do_forget(self, name: str, block: str) -> None:
        """The replica is gone from the datanode's disk, and nobody has noticed."""
        del self.nodes[name].holds[self.ref(block).id]

    def do_has(self, name: str, block: str, length: str | None = None) -> None:
        """The datanode holds a replica, and has not said so."""
        ref = self.ref(block, length)
        self.nodes[name].holds[ref.id] = ref

    def do_rotten(self, name: str, block: str) -> None:
        """The datanode finds out that its replica has wrong bytes, and has not said so."""
        self.nodes[name].rotten.add(self.ref(block).id)

    def do_received(
        self, name: str, block: str, length: str | None = None, sequence: str = ""
    ) -> None:
        ref = self.ref(block, length)
        self.nodes[name].holds[ref.id] = ref
        self._changed(self.nodes[name], received=(ref,), sequence=int(sequence or 0))
        self._late_replies()

    def do_bad(self, name: str, block: str, user: str = "root") -> None:
        """A client says this replica has wrong bytes."""
        self.say(events.ReportBadBlocks(self.caller(user=user), ((self.ref(block), name),)))

    def do_found(self, name: str, block: str) -> None:
        """Its holder has verified this replica and says that its bytes are wrong."""
        self.step(
            events.ReplicasFoundBad(
                f"report {name}", name, self.nodes[name].registration_id, (self.ref(block),)
            )
        )
        self.lines.append(type(self.replies.pop(f"report {name}")).__name__)

    def do_report(
        self, name: str, begun: str = "", blocks: str | None = None, registration: str = ""
    ) -> None:
        """A full report: of all it holds, or of `blocks` (comma separated), begun at an earlier
        sequence."""
        node = self.nodes[name]
        node.reports += 1
        refs = (
            node.report
            if blocks is None
            else (tuple(self.ref(block) for block in blocks.split(",") if block),)
        )
        sequence = int(begun) if begun else node.sequence
        to = f"report {name}"
        self.step(
            events.FullBlockReport(
                to,
                name,
                int(registration or node.registration_id),
                node.reports,
                sequence,
                0,
                True,
                *refs,
            )
        )
        reply = self.replies.pop(to)
        self.lines.append(type(reply).__name__)

    def do_register(self, name: str, cluster: str = "c1", host: str = "") -> None:
        node = self.nodes[name]
        address = DatanodeAddress(
            name, host or node.host, name, node.address.xfer_port, 9100, node.rack
        )
        self.step(events.RegisterDatanode(f"register {name}", address, cluster, node.usage))
        reply = self.replies.pop(f"register {name}")
        if isinstance(reply, Registered):
            node.registration_id, node.sequence = reply.registration_id, 0
        self.lines.append(
            f"epoch {reply.epoch}" if isinstance(reply, Registered) else self.shown(reply)
        )

    def _register(self, node: ScriptedDatanode) -> None:
        to = f"register {node.name}"
        self.step(events.RegisterDatanode(to, node.address, "c1", node.usage))
        reply = self.replies.pop(to)
        if isinstance(reply, Registered):
            node.registration_id, node.sequence = reply.registration_id, 0
            node.reports += 1
            self.step(
                events.FullBlockReport(
                    to, node.name, node.registration_id, node.reports, 0, 0, True, *node.report
                )
            )
            self.replies.pop(to)

    def _heartbeat(self, node: ScriptedDatanode) -> None:
        to = f"heartbeat {node.name}"
        self.step(events.Heartbeat(to, node.name, node.registration_id, node.usage))
        reply = self.replies.pop(to)
        if isinstance(reply, Reregister):
            self._register(node)
        elif isinstance(reply, HeartbeatReply):
            for order in reply.orders:
                self._obey(node, order)

    def _obey(self, node: ScriptedDatanode, order: Any) -> None:
        if isinstance(order, Replicate):
            self.lines.append(
                f"{node.name} ← Replicate {self.block(order.block)} → "
                f"{' '.join(t.uuid for t in order.targets)}"
            )
            if not node.lazy and node.holds.get(order.block.id) == order.block:
                for address in order.targets:
                    self._copy(node, order.block, self.nodes[address.uuid])
        elif isinstance(order, Invalidate):
            blocks = " ".join(self.block(ref) for ref in order.blocks)
            unknown = " (unknown)" if order.unknown else ""
            self.lines.append(f"{node.name} ← Invalidate {blocks}{unknown}")
            if not node.lazy:
                for ref in order.blocks:
                    node.holds.pop(ref.id, None)
                self._changed(node, deleted=order.blocks)
        elif isinstance(order, Repair):
            sources = ", ".join(sorted(source.uuid for source in order.sources))
            self.lines.append(f"{node.name} ← Repair {self.block(order.block)} from [{sources}]")
            if not node.lazy:
                node.holds[order.block.id] = order.block
                node.rotten.discard(order.block.id)
                self._changed(node, received=(order.block,))

    def _copy(self, source: ScriptedDatanode, ref: BlockRef, target: ScriptedDatanode) -> None:
        if target.silent:
            return
        if target.deaf:
            self._changed(source, copied=(CopyEnded(ref.id, target.name, "no route"),))
            return
        target.holds[ref.id] = ref
        self._changed(target, received=(ref,))
        self._changed(source, copied=(CopyEnded(ref.id, target.name),))

    def _changed(
        self,
        node: ScriptedDatanode,
        received: tuple[BlockRef, ...] = (),
        deleted: tuple[BlockRef, ...] = (),
        copied: tuple[CopyEnded, ...] = (),
        sequence: int = 0,
    ) -> None:
        if not sequence:
            node.sequence += 1
        to = f"changed {node.name}"
        self.step(
            events.BlocksChanged(
                to,
                node.name,
                node.registration_id,
                sequence or node.sequence,
                received,
                deleted,
                copied,
            )
        )
        for order in getattr(self.replies.pop(to), "orders", ()):
            self._obey(node, order)

    def _late_replies(self) -> None:
        for name in sorted(self.replies):
            self.lines.append(f"{name}: {self.shown(self.replies[name])}")
        self.replies.clear()


def us(text: str) -> int:
    for suffix, factor in (("ms", 1000), ("s", SECOND), ("min", 60 * SECOND)):
        if text.removesuffix(suffix).isdigit():
            return int(text.removesuffix(suffix)) * factor
    raise ValueError(f"{text!r} is no time")
