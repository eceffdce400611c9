"""What happens to the datanodes' disks in the simulator: bits rot, replicas cannot be read for a
while, and whole disks are lost, under a ledger of what may be lost at all.

A fault may only strike where a file system that makes no mistake keeps every acknowledged byte. So
a disk is lost only when each of its blocks has another good replica that no deletion under way is
about to take (*doomed*), and when the namenode, wrong as its knowledge may be for as long as a
silent datanode counts as there, cannot rightly decide to delete that one. Either more than one
replica is wanted, and no other disk was lost just before; or (a switch dies, and then a disk) every
other holder goes down first, and stays down until the namenode must know.
"""

from __future__ import annotations

from collections.abc import Callable

from minihdfs.namenode.core.options import Options
from tests.simulation.fs_processes import DatanodeProcess, NamenodeProcess
from tests.simulation.kernel import MS, SECOND, Kernel

BETWEEN_LOSSES_US = 8 * SECOND


class Disks:
    def __init__(
        self,
        kernel: Kernel,
        options: Options,
        namenode: NamenodeProcess,
        datanodes: list[DatanodeProcess],
    ) -> None:
        self._kernel, self._options, self._namenode, self._nodes = (
            kernel,
            options,
            namenode,
            datanodes,
        )
        self._rng = kernel.stream("disks")
        kinds = self._rng.random()
        self.rots, self.is_lost = kinds < 0.35, 0.3 < kinds < 0.85
        """Swarm: some seeds rot, some lose disks, a few do both, some have neither."""
        self.resists = self._rng.random() < 0.4
        """Replicas cannot be read for a while: nothing is lost by that, whatever is done
        meanwhile."""
        self._behind_a_switch = self._rng.random() < 0.5
        self._last_loss_us = -BETWEEN_LOSSES_US
        self._over = False

    @property
    def least_replication(self) -> int:
        """What setReplication asks for at least. With bits rotting it is 2: trimming to one replica
        may keep one whose bad bytes nobody has met yet, and no system could do better. The same
        holds for a disk that was lost a moment ago."""
        return 2 if self.rots or (self.is_lost and not self._behind_a_switch) else 1

    def start(self) -> None:
        if self.rots:
            self._again(self._rot, SECOND, 4 * SECOND)
        if self.is_lost:
            self._again(
                self._lose,
                100 * MS if self._behind_a_switch else SECOND,
                SECOND if self._behind_a_switch else 6 * SECOND,
            )

        if self.resists:
            self._again(self._resist, SECOND // 2, 2 * SECOND)

    def heal(self) -> None:
        self._over = True
        for node in self._nodes:
            node.unreadable.clear()

    def _again(self, act: Callable[[], int], least_us: int, most_us: int) -> None:
        def strike() -> None:
            if not self._over:
                soon = act()
                self._again(act, soon or least_us, soon * 2 or most_us)

        self._kernel.after(self._rng.randrange(least_us, most_us), strike)

    # ── rot ───────────────────────────────────────────────────────────────────────────────────────

    def _rot(self) -> int:
        """A bit flips in one replica. Only where another good one stays even if the namenode,
        unaware, trims to the wanted number."""
        candidates = [
            (node, block_id)
            for node in self._nodes
            for block_id in sorted(node.disk)
            if not node.disk[block_id].bad
            and self._may_rot(node, block_id)
            and not self._is_suspect(block_id, node.name)
        ]
        if candidates and self._kernel.now_us - self._last_loss_us > BETWEEN_LOSSES_US:
            node, block_id = self._rng.choice(candidates)
            self._kernel.note(f"{node.name} rots {block_id}")
            node.disk[block_id].bad = True
            self._last_loss_us = max(
                self._last_loss_us, self._kernel.now_us - BETWEEN_LOSSES_US // 2
            )
        return 0

    def _may_rot(self, node: DatanodeProcess, block_id: int) -> bool:
        block = self._namenode.core.state.blocks.get(block_id)
        others = [(one, one.disk[block_id]) for one in self._others(node, block_id)]
        equal = [
            one
            for one, copy in others
            if copy.ref == node.disk[block_id].ref and not one.is_doomed(block_id)
        ]
        return (
            block is not None
            and block.replication > 1
            and bool(equal)
            and not any(copy.bad for _one, copy in others)
        )

    def _is_suspect(self, block_id: int, datanode: str) -> bool:
        """Mended, but the news is under way: the namenode could not tell a second flip from the one
        it knows of."""
        return datanode in self._namenode.core.state.blocks.bad.get(block_id, ())

    # ── EIO ───────────────────────────────────────────────────────────────────────────────────────

    def _resist(self) -> int:
        """For a while a disk gives out some of its replicas to nobody. Often somebody restarts its
        datanode because of it."""
        node = self._rng.choice(self._nodes)
        chosen = {block_id for block_id in sorted(node.disk) if self._rng.random() < 0.3}
        if chosen:
            self._kernel.note(f"{node.name} cannot read {sorted(chosen)}")
            node.unreadable |= chosen
            self._kernel.after(
                self._rng.randrange(SECOND, 6 * SECOND),
                lambda: node.unreadable.difference_update(chosen),
            )
            if self._rng.random() < 0.5:
                node.crash()
                self._kernel.after(self._rng.randrange(100 * MS, SECOND), node.start)
        return 0

    # ── loss ──────────────────────────────────────────────────────────────────────────────────────

    def _lose(self) -> int:
        """A disk of a datanode is replaced by an empty one: after a while, or (somebody was quick,
        or a mount is missing) at once."""
        if self._kernel.now_us - self._last_loss_us < BETWEEN_LOSSES_US:
            return 0
        on_disk = {
            node: [block_id for block_id in sorted(node.disk) if self._may_lose(node, block_id)]
            for node in self._nodes
        }
        if (
            self._behind_a_switch and self._rng.random() < 0.995
        ):  # the worst moment: somebody's replica is one too many
            on_disk = {
                node: [block_id for block_id in ids if self._is_excess(block_id, node)]
                for node, ids in on_disk.items()
            }
        candidates = [node for node in self._nodes if on_disk[node]]
        if not candidates:
            return 50 * MS
        node = self._rng.choice(candidates)
        lost = [block_id for block_id in on_disk[node] if self._rng.random() < 0.8]
        self._kernel.note(f"{node.name} loses a disk with {lost}")
        self._last_loss_us = self._kernel.now_us
        quickly = self._rng.random() < 0.3
        if self._behind_a_switch:
            others = [one for block_id in lost for one in self._others(node, block_id)]
            for one in sorted(set(others), key=lambda one: one.name):
                one.crash()
                one.keep_down(self._options.dead_after_us + 2 * SECOND)
                self._kernel.after(self._rng.randrange(SECOND, 10 * SECOND), one.start)
        node.crash()
        node.lose_disk(lost)
        self._kernel.after(MS if quickly else self._rng.randrange(SECOND, 10 * SECOND), node.start)
        return 0

    def _is_excess(self, block_id: int, node: DatanodeProcess) -> bool:
        """Is the namenode about to have another replica of it deleted, because there are enough?"""
        others = [
            one
            for one in self._namenode.core.state.datanodes.by_uuid.values()
            if one.uuid != node.name
        ]
        return any(
            wish.excess
            for one in others
            for wish in (one.wishes.get(block_id), one.ordered.get(block_id))
            if wish is not None
        )

    def _may_lose(self, node: DatanodeProcess, block_id: int) -> bool:
        block = self._namenode.core.state.blocks.get(block_id)
        if block is None:
            return True
        held, others = node.disk[block_id], self._others(node, block_id)
        safe = [
            one
            for one in others
            if not one.is_doomed(block_id)
            and not one.disk[block_id].bad
            and one.disk[block_id].ref == held.ref
        ]
        enough = self._behind_a_switch or (
            block.replication > 1 and not any(one.disk[block_id].bad for one in others)
        )
        return not held.bad and bool(safe) and enough

    def _others(self, node: DatanodeProcess, block_id: int) -> list[DatanodeProcess]:
        return [one for one in self._nodes if one is not node and block_id in one.disk]
