"""The file system's processes for the simulator: the namenode's and the datanodes' real cores
behind the real driver, on simulated disks.

What the shells do in production is done here in a few lines each: answers find their way back by
token, a datanode's orders become reads and writes of its simulated disk after a while, the
namenode's store is flushed in the background. Nothing here decides anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clusterkit.driver import Driver
from clusterkit.effects import Edit, Event, Send, Tick
from clusterkit.journal import JournalRecord
from clusterkit.records import EditCodec
from minihdfs.datanode.core import events as agent_events
from minihdfs.datanode.core.agent import Agent, AgentOptions
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core import commands, events
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.edit_codec import CODEC
from minihdfs.namenode.store.memory import MemoryStore
from tests.simulation.fs_plants import infect_core, infect_report
from tests.simulation.kernel import MS, SECOND, CoreProcess, DiskJournal, Kernel

NAMENODE = "nn"
AGENT_CODEC = EditCodec([agent_events.EpochSeen, agent_events.ClusterAdopted])

ORDER_LIFE_US = 4 * SECOND
"""An order that a namenode sent has been carried out, or will never be, after so long: slow
messages, slow disks."""

Token = tuple[str, int, int]
"""Who asks: process, incarnation, call. The answer goes back with it and is dropped when the asker
has restarted since."""


class EarlyDriver(Driver):
    """The planted bug "ack-before-fsync": speaks first, then makes it durable."""

    def turn(self, events_: Iterable[Event]) -> int:
        edits: list[Edit] = []
        sends: list[Send] = []
        for event in [*events_, Tick()]:
            effects = self.core.step(event, self._clock.now())
            edits += effects.journal
            sends += effects.sends
        for send in sends:
            self._deliver(send)
        if edits:
            self._journal.append(
                [JournalRecord(edit.txid, edit.epoch, self._codec.encode(edit)) for edit in edits]
            )
            self._journal.sync()
            self._durable(edits)
        return len(sends)


class NamenodeProcess(CoreProcess):
    def __init__(
        self, kernel: Kernel, options: Options, *, plant: str, look: Callable[[], None]
    ) -> None:
        """`look` is called after every turn in which anything but heartbeats happened:
        invariants."""
        super().__init__(kernel, NAMENODE)
        self._options, self._plant, self._look = options, plant, look
        self._connections: dict[str, int] = {}
        """Of each client, the one that is listened to (and those made later): older ones were
        dropped."""
        self._rng = kernel.stream("nn/flush")
        self._flushes = self._rng.random() < 0.7
        self.store = MemoryStore()
        self.epochs = 0
        self._full = False
        self.core: Namesystem

    def boot(self) -> None:
        self.core = Namesystem(
            self._options, self.store, self.kernel.stream(f"nn/{self.incarnation}")
        )
        kind = EarlyDriver if self._plant == "ack-before-fsync" else Driver
        self.driver = kind(
            self.core, self.journal, CODEC, self._deliver, self.clock, durable=self._made_durable
        )
        self.driver.replay(self.core.txid)
        infect_core(self.core, self._plant)
        self.epochs += 1  # the coordinator's: it rises whatever happens here
        self.journal.is_full = False
        self.turn(events.LeadershipGained(self.epochs))
        self._tell_of_space()

    def set_full(self, full: bool) -> None:
        self._full = full
        if self.up:
            self.guarded(self._tell_of_space)

    def _tell_of_space(self) -> None:
        """The core is told, and from then on it decides nothing that has to be written. (Room for a
        term's first edits is kept.)"""
        if self._full or self.journal.is_full:
            self.journal.is_full = False
            self.turn(events.StoreSpaceChanged("the disk is full" if self._full else ""))
            self.journal.is_full = self._full

    def receive(self, source: str, message: Any) -> None:
        if self._is_of_a_dropped_connection(source, message):
            return
        self.turn(message)
        if type(message) is not events.Heartbeat:
            self._look()

    def _is_of_a_dropped_connection(self, source: str, message: Any) -> bool:
        """As the rpc loop does: a repeated call ends every other connection of its client, so that
        its first transmission cannot follow."""
        caller = getattr(message, "caller", None)
        if caller is None:
            return False
        connection = caller.reply_to[3]
        if caller.retry and self._plant != "late-firsts-run":
            self._connections[source] = max(connection, self._connections.get(source, 0))
        return connection < self._connections.get(source, 0)

    def _deliver(self, send: Send) -> None:
        for order in getattr(send.message, "orders", ()):
            if isinstance(order, commands.Invalidate):
                target = self.kernel.processes[send.to[0]]
                assert isinstance(target, DatanodeProcess)
                target.doom(order.blocks, send.to[1])
        self.send(send.to[0], (send.to, send.message))

    def _made_durable(self, _edits: list[Edit]) -> None:
        """Sometimes a batch goes to the store; its writer is another process and outlives a crash
        of this one."""
        if not self._flushes or self._rng.random() < 0.7:
            return
        batch = self.core.freeze()
        if batch is not None:
            delay = self._rng.randrange(MS, 500 * MS)
            store = self.store
            self.kernel.after(delay, lambda: store.write(batch))
            self.later(delay + 1, lambda: self.turn(events.StoreFlushed(batch.counters.txid)))


@dataclass(slots=True)
class Replica:
    ref: BlockRef
    content: str
    bad: bool = False


class DatanodeProcess(CoreProcess):
    def __init__(
        self, kernel: Kernel, name: str, rack: str, *, plant: str, guard: Callable[[str, int], None]
    ) -> None:
        """`guard(datanode, block id)` is called before a replica is deleted: it must not be the
        last good one."""
        super().__init__(kernel, name)
        number = int(name[2:])
        self.address = DatanodeAddress(
            name, f"host-{name}", name, 9000 + number, 9100 + number, rack
        )
        self._options = AgentOptions(
            self.address,
            0 if plant == "no-periodic-full-report" else 5 * SECOND,
            0.2,
            report_chunk_replicas=3,
            call_timeout_us=SECOND,
        )
        self._plant, self._guard = plant, guard
        self._rng = kernel.stream(f"{name}/work")
        self.disk: dict[int, Replica] = {}
        self.left: dict[int, BlockRef] = {}
        """What writers left unfinished: no replica, but on the disk."""
        self.marked: set[int] = set()
        """Only asked for membership: replicas that bear a mark on the disk that their bytes are
        wrong."""
        self.unreadable: set[int] = set()
        """Only asked for membership: replicas that the disk does not give out at present (EIO, too
        many open files)."""
        self._write_fails = kernel.stream(f"{name}/errors").choice((0.0, 0.0, 0.03, 0.15))
        self._doomed: dict[int, int] = {}

    def doom(self, blocks: tuple[BlockRef, ...], incarnation: int) -> None:
        """An order to delete these is on its way to this incarnation: until it has been carried out
        or lost, they count as gone."""
        if incarnation == self.incarnation:
            self._doomed |= {block.id: self.kernel.now_us + ORDER_LIFE_US for block in blocks}

    def is_doomed(self, block_id: int) -> bool:
        return block_id in self._doomed and (
            self.paused or self.kernel.now_us < self._doomed[block_id]
        )

    def resume(self) -> None:
        if self.paused:
            self._doomed = dict.fromkeys(self._doomed, self.kernel.now_us + ORDER_LIFE_US)
        super().resume()

    def lose_memory(self) -> None:
        super().lose_memory()
        self._doomed.clear()

    def lose_disk(self, lost: list[int]) -> None:
        """While it is down: one of its disks with these replicas. Who it is and the epoch it has
        seen may be lost with the last of them."""
        for block_id in lost:
            del self.disk[block_id]
            self.marked.discard(block_id)
            self.unreadable.discard(block_id)
        if not self.disk and self._rng.random() < 0.5:
            self.left.clear()
            self.journal = DiskJournal(self)

    def boot(self) -> None:
        agent = Agent(self._options, random.Random(self._rng.random()))
        self.driver = Driver(agent, self.journal, AGENT_CODEC, self._deliver, self.clock)
        self.driver.replay()
        refs = [self.disk[block_id].ref for block_id in sorted(self.disk)]
        if self._plant == "unreadable-is-deleted":
            for ref in [ref for ref in refs if ref.id in self.unreadable]:
                refs.remove(ref)
                self._guard(self.name, ref.id)
                del self.disk[ref.id]
        known = () if self._plant == "bad-mark-is-lost" else self.marked
        bad = tuple(ref for ref in refs if ref.id in known or ref.id in self.unreadable)
        self.turn(
            agent_events.ReplicasListed(
                tuple(refs), tuple(self.left[block_id] for block_id in sorted(self.left)), bad
            )
        )
        self.later(self._rng.randrange(SECOND, 4 * SECOND), self._scan)

    def receive(self, source: str, message: Any) -> None:
        kind, *rest = message
        if kind == "write" or kind == "copy":
            self._take(source, *rest)
        elif kind == "read":
            token, block_id = rest
            replica = self.disk.get(block_id)
            is_lying = replica is not None and (replica.bad or block_id in self.unreadable)
            found = "none" if replica is None else "bad" if is_lying else f"={replica.content}"
            self.send(source, (token, found))
        else:
            self._answered(kind, rest[0])

    # ── the namenode ──────────────────────────────────────────────────────────────────────────────

    def _deliver(self, send: Send) -> None:
        if send.to == agent_events.SHELL:
            self._work(send.message)
            return
        message, usage = (
            infect_report(send.message, self._plant),
            DatanodeUsage(1 << 40, 0, 1 << 40, 0, len(self.disk)),
        )
        to: Token = (self.name, self.incarnation, message.call)
        if isinstance(message, agent_events.Register):
            self.send(
                NAMENODE, events.RegisterDatanode(to, message.address, message.cluster_id, usage)
            )
        elif isinstance(message, agent_events.Heartbeat):
            self.send(NAMENODE, events.Heartbeat(to, self.name, message.registration_id, usage))
        elif isinstance(message, agent_events.FullReportChunk):
            numbers = (message.report_id, message.begun_sequence, message.chunk, message.last)
            chunk = (*numbers, message.replicas, message.unfinished, message.bad)
            self.send(
                NAMENODE, events.FullBlockReport(to, self.name, message.registration_id, *chunk)
            )
        elif isinstance(message, agent_events.Changes):
            changes = (message.sequence, message.received, message.deleted, message.copied)
            self.send(
                NAMENODE, events.BlocksChanged(to, self.name, message.registration_id, *changes)
            )
        else:
            assert isinstance(message, agent_events.FoundBad)
            self.send(
                NAMENODE,
                events.ReplicasFoundBad(to, self.name, message.registration_id, message.blocks),
            )

    def _answered(self, token: Token, reply: Any) -> None:
        _name, incarnation, call = token
        if incarnation != self.incarnation:
            return
        if isinstance(reply, commands.Registered):
            facts = (
                reply.registration_id,
                reply.cluster_id,
                reply.epoch,
                reply.heartbeat_interval_ms,
            )
            self.turn(agent_events.Registered(call, *facts))
        elif isinstance(reply, commands.HeartbeatReply):
            self.turn(agent_events.HeartbeatAnswered(call, reply.epoch, reply.orders))
        elif isinstance(reply, commands.ReportTaken):
            self.turn(agent_events.ReportTaken(call, reply.epoch, reply.orders))
        elif isinstance(reply, commands.Reregister):
            self.turn(agent_events.ReregisterAsked(call, reply.epoch))
        else:
            self.turn(agent_events.CallFailed(call, reply.message))

    # ── the disk ──────────────────────────────────────────────────────────────────────────────────

    def _take(self, source: str, token: Token | None, ref: BlockRef, content: str) -> None:
        """A write or a copy: durable first, then told to the agent, then acknowledged."""

        def finalize() -> None:
            held = self.disk.get(ref.id)
            if self._rng.random() < self._write_fails:
                if (
                    token is not None and held is None
                ):  # a writer's; of a copy that fails nothing is kept
                    self.left[ref.id] = ref
                    self.turn(agent_events.ReplicaLeft(ref))
                return
            if held is None or held.bad or held.ref.stamp < ref.stamp or held.ref == ref:
                self.disk[ref.id] = Replica(ref, content)
                self.left.pop(ref.id, None)
                self.marked.discard(ref.id)
                self.unreadable.discard(ref.id)
            if token is not None:
                self.send(source, (token, "written"))
            self.turn(agent_events.ReplicaFinalized(self.disk[ref.id].ref))

        self.later(self._rng.randrange(MS, 30 * MS), finalize)

    def _work(self, order: Any) -> None:
        delay = self._rng.randrange(MS, 100 * MS)
        if isinstance(order, agent_events.CopyReplica):
            self.later(delay, lambda: self._copy(order))
        elif isinstance(order, agent_events.DeleteReplicas):
            self.later(delay, lambda: self._invalidate(order, delay))
        elif isinstance(order, agent_events.RepairReplica):
            self.later(delay, lambda: self._repair(order))
        elif not isinstance(order, agent_events.BringBack):  # simulated disks keep nothing aside
            raise AssertionError(f"{self.name} was told to halt: {order.message}")

    def _copy(self, order: agent_events.CopyReplica) -> None:
        replica = self.disk.get(order.block.id)
        if replica is not None and replica.bad:
            self._found_bad(replica.ref)
        elif replica is not None and order.block.id not in self.unreadable:
            for target in order.targets:
                self.send(target.uuid, ("copy", None, replica.ref, replica.content))
        self.turn(agent_events.CopyFinished(order.block, order.targets))

    def _found_bad(self, ref: BlockRef) -> None:
        self.marked.add(ref.id)
        self.turn(agent_events.ReplicaFoundBad(ref))

    def _invalidate(self, order: agent_events.DeleteReplicas, delay: int) -> None:
        """Out of the map first, then the files: of those replicas, not of one with the same name
        that comes meanwhile."""
        gone = {
            ref.id: self.disk[ref.id]
            for ref in order.blocks
            if ref.id in self.disk and self.disk[ref.id].ref.stamp <= ref.stamp
        }
        self.turn(agent_events.ReplicasDeleted(order.blocks))
        self.later(delay, lambda: self._delete(order, gone))

    def _delete(self, order: agent_events.DeleteReplicas, gone: dict[int, Replica]) -> None:
        for ref in order.blocks:
            held, left = self.disk.get(ref.id), self.left.get(ref.id)
            if held is not None and held is gone.get(ref.id):
                self._guard(self.name, ref.id)
                del self.disk[ref.id]
                self.marked.discard(ref.id)
            if left is not None and left.stamp <= ref.stamp:
                del self.left[ref.id]

    def _repair(self, order: agent_events.RepairReplica) -> None:
        held = self.disk.get(order.block.id)
        if held is None:
            return self.turn(agent_events.RepairFinished(order.block, False, "gone"))
        is_suspect = held.bad or order.block.id in self.unreadable
        for source in order.sources if is_suspect else ():
            other = self.kernel.processes[source.uuid]
            assert isinstance(other, DatanodeProcess)
            there = other.disk.get(order.block.id)
            reachable = (
                other.up
                and (other.name, self.name) not in self.kernel.network.cuts
                and order.block.id not in other.unreadable
            )
            if reachable and there is not None and not there.bad and there.ref == order.block:
                self.disk[order.block.id] = Replica(there.ref, there.content)
                self.unreadable.discard(order.block.id)
                is_suspect = False
                break
        if order.block.id in self.unreadable:
            return self.turn(
                agent_events.RepairFinished(
                    order.block, False, "it cannot be read now", known=False
                )
            )
        (self.marked.add if is_suspect else self.marked.discard)(order.block.id)
        self.turn(agent_events.RepairFinished(order.block, not is_suspect))

    def _scan(self) -> None:
        """What is known to be bad is not looked at again: nobody needs to be told twice."""
        for block_id in sorted(self.disk):
            if self.disk[block_id].bad and block_id not in self.marked:
                self._found_bad(self.disk[block_id].ref)
        self.later(self._rng.randrange(2 * SECOND, 4 * SECOND), self._scan)
