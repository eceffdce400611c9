"""The file system under the simulator: one namenode, some datanodes, some clients, bit rot, and a
layer that loses reports it answered.

Promises, after every event: the namenode's invariants hold; no datanode deletes the last good
replica of a block; at most one client wins a name. At rest: every client's directory is exactly
what it was told; every block has its replicas, all good, and no disk holds anything else; a
namenode started anew from the same disk knows the same.
"""

from __future__ import annotations

from typing import Any

from minihdfs.model import ROOT_INODE_ID, ServerDefaults
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import ReportTaken
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.edit_codec import CODEC
from tests.simulation import fs_plants
from tests.simulation.fs_backup import Backup
from tests.simulation.fs_clients import Client
from tests.simulation.fs_disks import Disks
from tests.simulation.fs_processes import NAMENODE, DatanodeProcess, NamenodeProcess, Replica
from tests.simulation.fs_writers import Log, Shared
from tests.simulation.kernel import MS, SECOND, Kernel, Violation


class FileSystemWorld:
    PLANTS = fs_plants.PLANTS

    def __init__(self, kernel: Kernel, plant: str) -> None:
        self._kernel, rng = kernel, kernel.stream("world")
        self._rng = rng
        count = rng.randrange(2, 5)
        self.options = Options(
            "c1",
            "root",
            defaults=ServerDefaults(replication=rng.randrange(1, 4)),
            heartbeat_interval_us=SECOND // 2,
            stale_after_us=1_500 * MS,
            dead_after_us=rng.choice((2, 4)) * SECOND,
            park_us=SECOND,
            settle_us=SECOND,
            replication_timeout_us=4 * SECOND,
            order_resend_us=2 * SECOND,
            reclaim_records=3,
            step_records=5,
            listing_page=4,
            cached_records_max=rng.choice((0, 1000)),
        )
        self.options = fs_plants.infect_options(self.options, plant)
        self._backup = Backup(kernel, plant)
        self.shared = Shared(zombie_deletes=plant == "abort-by-path")
        self.namenode = NamenodeProcess(kernel, self.options, plant=plant, look=self._look)
        self.datanodes = [
            DatanodeProcess(kernel, f"dn{i}", f"/r{i % 2}", plant=plant, guard=self._guard)
            for i in range(1, count + 1)
        ]
        self._disks = Disks(kernel, self.options, self.namenode, self.datanodes)
        self.clients = [
            Client(kernel, f"c{i}", self.shared, self._disks.least_replication)
            for i in range(1, rng.randrange(1, 4) + 1)
        ]
        self._swallows = rng.choice((0.0, 0.0, 0.02, 0.1))
        self._known_bad: dict[tuple[int, str, int], Replica] = {}

    def start(self) -> None:
        for process in (self.namenode, *self.datanodes, *self.clients):
            process.start()
        self._backup.start(self.namenode)
        if self._swallows:
            self._kernel.network.filter = self._swallow
        self._disks.start()

    def targets(self) -> list[str]:
        return [NAMENODE, NAMENODE, *(node.name for node in self.datanodes)]

    def heal(self) -> None:
        self._disks.heal()
        for client in self.clients:
            client.finishing = True

    # ── faults of this world ──────────────────────────────────────────────────────────────────────

    def _swallow(self, source: str, target: str, message: Any) -> Any:
        """A report of changes that was answered and lost: only the next full report can tell."""
        if (
            type(message) is events.BlocksChanged
            and self._rng.random() < self._swallows
            and self.namenode.up
        ):
            self._kernel.note(f"{source}'s report is swallowed")
            self.namenode.send(source, (message.reply_to, ReportTaken(self.namenode.core.epoch)))
            return None
        return message

    # ── promises ──────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """After every event; what costs more is looked at when it may have changed."""

    def _look(self) -> None:
        self.namenode.core.check_invariants()
        for path, names in self.shared.winners.items():
            if len(names) != len(set(names)) or len(names) > 1:
                raise Violation(f"{path} was created by {names}")

        self._bad_stays_bad()

    def _bad_stays_bad(self) -> None:
        """What the namenode knew to be bad is not served again before it was mended (or its
        datanode registered anew)."""
        rooms = self.namenode.core.state
        nodes = {node.name: node for node in self.datanodes}
        for (block_id, name, registration), replica in list(self._known_bad.items()):
            node = rooms.datanodes.get(name)
            if (
                node is None
                or node.registration_id != registration
                or nodes[name].disk.get(block_id) is not replica
            ):
                del self._known_bad[(block_id, name, registration)]
            elif name in rooms.blocks.holders(block_id):
                raise Violation(
                    f"{name}'s replica of block {block_id} has wrong bytes, was known to, and "
                    "counts as sound"
                )
        for block_id, by_datanode in rooms.blocks.bad.items():
            for name in by_datanode:
                replica, node = nodes[name].disk.get(block_id), rooms.datanodes.get(name)
                if replica is not None and replica.bad and node is not None:
                    self._known_bad[(block_id, name, node.registration_id)] = replica

    def _guard(self, datanode: str, block_id: int) -> None:
        """A datanode is about to delete a replica."""
        if not self.namenode.up:
            return
        block = self.namenode.core.state.blocks.get(block_id)
        if block is None:
            return
        others = [
            node for node in self.datanodes if node.name != datanode and block_id in node.disk
        ]
        if not any(
            not node.disk[block_id].bad and node.disk[block_id].ref.stamp == block.stamp
            for node in others
        ):
            raise Violation(f"{datanode} deletes the last good replica of block {block_id}")

    def unrest(self) -> str:
        busy = [f"{client.name} does {client.doing}" for client in self.clients if not client.idle]
        if busy:
            return ", ".join(busy)
        rooms = self.namenode.core.state
        reachable = len(self.datanodes)
        wanting = [
            block_id
            for block_id, block in rooms.overlay.block.items()
            if len(rooms.blocks.holders(block_id)) != min(block.replication, reachable)
        ]
        if wanting:
            return f"blocks {wanting} do not have their replicas"
        if rooms.namespace.detached or rooms.blocks.bad or rooms.datanodes.deleting_total():
            return (
                f"{len(rooms.blocks.bad)} bad, {rooms.datanodes.deleting_total()} to delete, "
                f"{len(rooms.namespace.detached)} to reclaim"
            )
        on_disks = sum(len(node.disk) for node in self.datanodes)
        known = sum(len(holders) for holders in rooms.blocks.sound.values())
        if on_disks != known or any(
            replica.bad for node in self.datanodes for replica in node.disk.values()
        ):
            return f"{on_disks} replicas on disks, {known} known, or bad ones among them"
        return ""

    def verify(self) -> None:
        self.namenode.core.check_invariants()
        for client in self.clients:
            self._verify_tree(client)
        rooms = self.namenode.core.state
        for block_id, holders in rooms.blocks.sound.items():
            for node in self.datanodes:
                held = node.disk.get(block_id)
                if (node.name in holders) != (held is not None and not held.bad):
                    raise Violation(
                        f"block {block_id}: the namenode knows {holders}, {node.name} holds {held}"
                    )
        for log in self.shared.logs.values():
            self._verify_log(log)
        again = Namesystem(self.options, self.namenode.store, self._kernel.stream("again"))
        for record in self.namenode.journal.read(again.txid):
            again.apply(CODEC.decode(record.payload))
        for one, other in zip(rooms.overlay.tables, again.state.overlay.tables, strict=True):
            if list(one.items()) != list(other.items()):
                raise Violation(f"a restarted namenode has another table of {one.name}")
        if rooms.counters() != again.state.counters():
            raise Violation(
                f"a restarted namenode counts {again.state.counters()}, this one {rooms.counters()}"
            )
        self._backup.restore(self.namenode, self.datanodes, self._disks.least_replication)

    def _verify_tree(self, client: Client) -> None:
        """The client's directory holds exactly what the client was told, down to the bytes on the
        datanodes."""
        rooms = self.namenode.core.state
        found: dict[str, tuple[str, ...] | None] = {}
        stack = [(client.home, rooms.namespace.child(ROOT_INODE_ID, client.name))]
        while stack:
            path, inode = stack.pop()
            if inode is None:
                continue
            if inode.is_directory:
                found[path] = None
                stack += [
                    (f"{path}/{name}", rooms.namespace.inode(child))
                    for name, child in rooms.namespace.children(inode.id, "", 1000)
                ]
            else:
                found[path] = tuple(self._content(block_id) for block_id in inode.blocks)
                if inode.client_name:
                    raise Violation(f"{path} is still open")
        if found != client.tree:
            gone = {
                path: blocks
                for path, blocks in client.tree.items()
                if found.get(path, "") != blocks
            }
            strange = {
                path: blocks
                for path, blocks in found.items()
                if client.tree.get(path, "") != blocks
            }
            raise Violation(
                f"{client.name}: acknowledged and not there {gone}; there and not acknowledged "
                f"{strange}"
            )

    def _verify_log(self, log: Log) -> None:
        rooms = self.namenode.core.state
        shared = rooms.namespace.child(ROOT_INODE_ID, "shared")
        inode = (
            rooms.namespace.child(shared.id, log.path.rpartition("/")[2])
            if shared is not None
            else None
        )
        if inode is None:
            if log.completed or log.closed_at >= 0:
                raise Violation(f"{log.path} is gone")
            return
        found, whole = (
            "".join(self._content(block_id) for block_id in inode.blocks),
            "".join(log.written),
        )
        if log.completed and found != whole:
            raise Violation(f"{log.path} was completed with {whole!r} and holds {found!r}")
        if not (whole + log.unsure).startswith(found) or len(found) < log.noted:
            raise Violation(
                f"{log.path} holds {found!r} of {whole!r}, of which {log.noted} bytes were noted"
            )
        if log.closed_at >= 0 and len(found) != log.closed_at:
            raise Violation(f"{log.path} was closed with {log.closed_at} bytes and holds {found!r}")

    def _content(self, block_id: int) -> str:
        for node in self.datanodes:
            held = node.disk.get(block_id)
            if held is not None and not held.bad:
                return held.content
        return "lost"
