"""A namespace that is older than the blocks, in the simulator: the namenode's disk is replaced by
what it held some time before.

What was acknowledged since then is gone from the namespace, and no program can help that. But the
blocks are still on the datanodes, and whoever restores a backup wants them: none of those that the
old namespace cannot know may be deleted, and no block that is written from then on may get the
number of one that was reported. (Before all have reported nobody can know: whoever restores skips
numbers.) Happens at the end of a seed, when everything else has been compared.
"""

from __future__ import annotations

from minihdfs.namenode.store.memory import MemoryStore
from tests.simulation.fs_clients import Client
from tests.simulation.fs_processes import DatanodeProcess, NamenodeProcess
from tests.simulation.fs_writers import Shared
from tests.simulation.kernel import SECOND, Kernel, Violation

AFTERWARDS_US = 25 * SECOND


class Backup:
    def __init__(self, kernel: Kernel, plant: str) -> None:
        self._kernel, self._plant = kernel, plant
        self._rng = kernel.stream("backup")
        self._is_restored = self._rng.random() < 0.2
        self._records = 0
        """How much of the journal was there. The store is made again from it: a backup is a
        consistent one."""

    def start(self, namenode: NamenodeProcess) -> None:
        def take() -> None:
            self._records = len(namenode.journal.durable)

        self._kernel.after(self._rng.randrange(2 * SECOND, 10 * SECOND), take)

    def restore(
        self, namenode: NamenodeProcess, datanodes: list[DatanodeProcess], least_replication: int
    ) -> None:
        """Raises Violation when a block that the restored namespace cannot know was deleted, or its
        number was given again."""
        if not self._is_restored or not self._records:
            return
        kernel = self._kernel
        kernel.note("the namenode's disk is replaced by a backup")
        known = namenode.core.state.overlay.block
        before = {
            (node.name, block_id): node.disk[block_id].ref
            for node in datanodes
            for block_id in node.disk
        }
        latest = {block_id for block_id, _block in known.items()}
        namenode.crash()
        namenode.journal.durable = namenode.journal.durable[: self._records]
        namenode.store = MemoryStore()
        namenode.start()
        counters = namenode.core.state.counters()
        newer = {
            key: ref
            for key, ref in before.items()
            if ref.id > counters.last_block_id or ref.stamp > counters.last_stamp
        }
        kernel.run(kernel.now_us + AFTERWARDS_US // 2, lambda: None)
        client = Client(kernel, "late", Shared(zombie_deletes=False), least_replication)
        client.start()
        kernel.run(kernel.now_us + AFTERWARDS_US // 2, lambda: None)
        client.finishing = True
        kernel.run(kernel.now_us + AFTERWARDS_US // 2, lambda: None)
        for node in datanodes:
            for block_id, ref in [
                (one, ref) for (name, one), ref in newer.items() if name == node.name
            ]:
                if block_id not in node.disk or node.disk[block_id].ref.stamp < ref.stamp:
                    raise Violation(
                        f"{node.name} deleted block {block_id}, which a restored namespace "
                        "cannot know"
                    )
        for block_id, block in namenode.core.state.overlay.block.items():
            if block_id in latest and block_id > counters.last_block_id:
                raise Violation(f"block {block.id} was given again, and {sorted(newer)} lie about")
