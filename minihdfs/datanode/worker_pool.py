"""The agent's orders, done: copies, repairs and deletions on a few threads of their own, each
answered with an event."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from minihdfs.datanode.core import events as e
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.files.disk_errors import ReplicaUnreadable
from minihdfs.datanode.replicator import Replicator
from minihdfs.model import BlockRef

log = logging.getLogger(__name__)


WorkOrder = e.CopyReplica | e.RepairReplica | e.DeleteReplicas | e.BringBack


class Work:
    def __init__(
        self, store: BlockStore, replicator: Replicator, post: Callable[[Any], None], threads: int
    ) -> None:
        """`threads` is at least what the agent lets run at once. They are daemons: a copy to a
        silent datanode holds up no exit."""
        self._store, self._replicator, self._post = store, replicator, post
        self._orders: queue.SimpleQueue[WorkOrder | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"work-{i}", daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def begin(self, order: WorkOrder) -> None:
        self._orders.put(order)

    def stop(self) -> None:
        for _ in self._threads:
            self._orders.put(None)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            self._do(order)

    def _do(self, order: WorkOrder) -> None:
        try:
            if isinstance(order, e.CopyReplica):
                failed = self._replicator.push(order.block, order.targets)
                self._post(e.CopyFinished(order.block, order.targets, failed))
            elif isinstance(order, e.RepairReplica):
                self._post(self._repaired(order))
            elif isinstance(order, e.BringBack):
                for block in self._store.bring_back():
                    self._post(e.ReplicaFinalized(block))
            else:
                self._delete(order.blocks, keep=order.unknown)
        except Exception:
            # a bug in one order must not end the others silently: the agent would wait for its
            # answer for ever
            log.exception("order failed: %s", order)
            if isinstance(order, e.CopyReplica):
                self._post(
                    e.CopyFinished(
                        order.block,
                        order.targets,
                        tuple((t.uuid, "failed inside") for t in order.targets),
                    )
                )
            elif isinstance(order, e.RepairReplica):
                self._post(e.RepairFinished(order.block, False, "failed inside", known=False))

    def _repaired(self, order: e.RepairReplica) -> e.RepairFinished:
        try:
            reason = self._replicator.repair(order.block, order.sources)
        except ReplicaUnreadable as error:
            log.warning("block %d cannot be verified now: %s", order.block.id, error.message)
            return e.RepairFinished(order.block, False, error.message, known=False)
        return e.RepairFinished(order.block, not reason, reason)

    def _delete(self, blocks: tuple[BlockRef, ...], *, keep: bool) -> None:
        replicas = [self._store.invalidate(block) for block in blocks]
        self._post(e.ReplicasDeleted(blocks))
        for replica in replicas:
            if replica is None:
                continue
            try:
                self._store.unlink(replica, keep=keep)
            except OSError as error:
                log.warning(
                    "the files of block %d could not be deleted: %s", replica.block_id, error
                )
