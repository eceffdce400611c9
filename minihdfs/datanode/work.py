"""The agent's orders, done: copies, repairs and deletions on a few threads of their own, each answered with an event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from minihdfs.datanode.block_store import BlockStore
from minihdfs.datanode.core import events as e
from minihdfs.datanode.replicator import Replicator
from minihdfs.model import BlockRef

log = logging.getLogger(__name__)


class Work:
    def __init__(self, store: BlockStore, replicator: Replicator, post: Callable[[Any], None], threads: int) -> None:
        """`threads` is at least what the agent lets run at once."""
        self._store, self._replicator, self._post = store, replicator, post
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="work")

    def begin(self, order: e.CopyReplica | e.RepairReplica | e.DeleteReplicas) -> None:
        self._pool.submit(self._do, order)

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, order: e.CopyReplica | e.RepairReplica | e.DeleteReplicas) -> None:
        try:
            if isinstance(order, e.CopyReplica):
                failed = self._replicator.push(order.block, order.targets)
                self._post(e.CopyFinished(order.block, order.targets, failed))
            elif isinstance(order, e.RepairReplica):
                reason = self._replicator.repair(order.block, order.sources)
                self._post(e.RepairFinished(order.block, not reason, reason))
            else:
                self._delete(order.blocks)
        except Exception:  # a bug in one order must not end the others silently: the agent would wait for its answer for ever
            log.exception("order failed: %s", order)
            if isinstance(order, e.CopyReplica):
                self._post(e.CopyFinished(order.block, order.targets, tuple((t.uuid, "failed inside") for t in order.targets)))
            elif isinstance(order, e.RepairReplica):
                self._post(e.RepairFinished(order.block, False, "failed inside"))

    def _delete(self, blocks: tuple[BlockRef, ...]) -> None:
        replicas = [self._store.invalidate(block) for block in blocks]
        self._post(e.ReplicasDeleted(blocks))
        for replica in replicas:
            if replica is None:
                continue
            try:
                self._store.unlink(replica)
            except OSError as error:
                log.warning("the files of block %d could not be deleted: %s", replica.block_id, error)
