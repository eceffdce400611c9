"""The agent's durable edits, kept as what they say: the highest namenode epoch and the cluster's
id, in the data directory's own files.

Satisfies clusterkit.journal.Journal for the driver; there is nothing to replay, because the agent
is made from what the directory holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterkit.disks import disk_failure
from clusterkit.journal import JournalRecord
from clusterkit.records import EditCodec
from clusterkit.service import DataDirectory
from minihdfs.datanode.core.events import ClusterAdopted, EpochSeen
from minihdfs.datanode.files.block_store import BlockStore

NAMENODE_SERVICE = "namenode"
CODEC = EditCodec([EpochSeen, ClusterAdopted])


class IdentityJournal:
    def __init__(self, directory: DataDirectory, store: BlockStore, node_id: str) -> None:
        self._directory, self._store, self._node_id = directory, store, node_id
        self._last_txid = 0

    def read(self, after_txid: int = 0) -> Iterator[JournalRecord]:
        return iter(())

    def append(self, records: Sequence[JournalRecord]) -> None:
        """Durable when it returns. Raises Fenced, ClusterError (another cluster), DiskFailed."""
        try:
            self._append(records)
        except OSError as error:
            raise disk_failure(
                error, self._directory.path, "this datanode's identity and the epochs it has seen"
            ) from error

    def _append(self, records: Sequence[JournalRecord]) -> None:
        for record in records:
            op = CODEC.decode(record.payload).op
            if isinstance(op, EpochSeen):
                self._directory.saw_epoch(NAMENODE_SERVICE, op.epoch)
            elif isinstance(op, ClusterAdopted):
                # The directory first: volumes that a crash left without a cluster follow it when
                # they are opened.
                self._directory.adopt(op.cluster_id)
                self._store.adopt(self._node_id, op.cluster_id)
            self._last_txid = record.txid

    def sync(self) -> None:
        return None

    def last_txid(self) -> int:
        return self._last_txid

    def forget(self, up_to_txid: int) -> None:
        return None

    def close(self) -> None:
        return None
