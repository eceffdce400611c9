"""The replicas of one datanode on its disks: which there are, in which state, and the files behind them.

    (create) → RBW ──finalize──▶ FINALIZED ──invalidate──▶ out of the map, then deleted
                │ the writer died: kept, readable up to what was acknowledged (deleted when empty)
                ▼ restart
               RWR, cut to its last good chunk; not reported as a replica
    (create temporary) → TEMPORARY ──finalize──▶ FINALIZED;  its writer died, or restart: deleted

`finalize` is durable: data and checksums are fsynced, then renamed, then the directory is fsynced; only then may it be told.
A replica leaves the map before its files go, so that nothing is acknowledged about a replica that is half deleted. The lock guards the map
and pairs of file operations that a reader must not see between (opening two files, renaming two files); it is never held over an fsync.
"""

from __future__ import annotations

import enum
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clusterkit.errors import CorruptRecord
from minihdfs.data_transfer import Checksum
from minihdfs.datanode.meta_file import read_header
from minihdfs.datanode.replica_writer import DiskFull, ReplicaWriter, stored_checksum
from minihdfs.datanode.verify import good_length
from minihdfs.datanode.volume import FINALIZED, RBW, TMP, Volume
from minihdfs.errors import FsError
from minihdfs.model import BlockRef, DatanodeUsage


class State(enum.Enum):
    FINALIZED = 0
    RBW = 1
    RWR = 2
    TEMPORARY = 4


PLACES = {State.FINALIZED: FINALIZED, State.RBW: RBW, State.RWR: RBW, State.TEMPORARY: TMP}


class ReplicaNotFound(FsError):
    """This datanode has no such replica, or only one with an older generation stamp."""

    code = "REPLICA_NOT_FOUND"


class ReplicaExists(FsError):
    code = "REPLICA_EXISTS"


@dataclass(slots=True)
class Replica:
    block_id: int
    stamp: int
    length: int
    state: State
    volume: Volume
    writer: ReplicaWriter | None = None

    @property
    def ref(self) -> BlockRef:
        return BlockRef(self.block_id, self.stamp, self.length)


class OpenReplica:
    """Two descriptors for reading, which stay good whatever happens to the names. Close it."""

    def __init__(self, ref: BlockRef, state: State, checksum: Checksum, data_fd: int, meta_fd: int) -> None:
        self.ref, self.state, self.checksum = ref, state, checksum
        self.data_fd, self.meta_fd = data_fd, meta_fd

    def __enter__(self) -> OpenReplica:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.data_fd)
        os.close(self.meta_fd)


class BlockStore:
    def __init__(self, volumes: Sequence[Volume]) -> None:
        """Reads the directories: what it finds is in the map when this returns."""
        self.volumes = tuple(volumes)
        self._lock = threading.Lock()
        self._replicas: dict[int, Replica] = {}
        self._temporary: dict[int, Replica] = {}  # copies under way, beside what may be in the map already (a repair)
        self._used_bytes = 0
        for volume in self.volumes:
            self._load(volume)

    def _load(self, volume: Volume) -> None:
        volume.clear_tmp()
        volume.finish_renames()
        for found in volume.scan_finalized():
            self._put(Replica(found.block_id, found.stamp, found.length, State.FINALIZED, volume))
        for found in volume.scan_rbw():
            replica = Replica(found.block_id, found.stamp, found.length, State.RWR, volume)
            if found.block_id in self._replicas or not self._cut(replica):
                self._unlink(replica)
            else:
                self._put(replica)

    def _cut(self, replica: Replica) -> bool:
        """Truncates what a dead writer left to its last good chunk; False when nothing good is there."""
        try:
            with self._opened(replica) as files:
                replica.length = good_length(files.data_fd, files.meta_fd, replica.length, files.checksum)
        except (CorruptRecord, OSError):
            return False
        os.truncate(self._data(replica), replica.length)
        return replica.length > 0

    # ── the map ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _put(self, replica: Replica) -> None:
        previous = self._replicas.get(replica.block_id)
        if previous is not None and previous is not replica and previous.writer is None:
            self._used_bytes -= previous.length
        self._replicas[replica.block_id] = replica
        self._used_bytes += replica.length

    def get(self, block_id: int) -> Replica | None:
        return self._replicas.get(block_id)

    def finalized(self) -> list[BlockRef]:
        with self._lock:
            return [replica.ref for replica in self._replicas.values() if replica.state is State.FINALIZED]

    def unfinished(self) -> list[BlockRef]:
        """What writers that are gone have left."""
        with self._lock:
            return [replica.ref for replica in self._replicas.values() if replica.state is not State.FINALIZED and replica.writer is None]

    def visible_length(self, block_id: int, stamp: int) -> int:
        """How much of a replica a reader may see. Raises ReplicaNotFound."""
        with self._lock:
            return self._visible(self._found(block_id, stamp))

    def usage(self, transfers: int) -> DatanodeUsage:
        rooms = [volume.room() for volume in self.volumes]
        capacity, remaining = sum(room[0] for room in rooms), sum(room[1] for room in rooms)
        return DatanodeUsage(capacity, self._used_bytes, remaining, transfers, len(self._replicas))

    def _found(self, block_id: int, stamp: int) -> Replica:
        replica = self._replicas.get(block_id)
        if replica is None:
            raise ReplicaNotFound(f"block {block_id} is not on this datanode")
        if replica.stamp < stamp:
            raise ReplicaNotFound(f"block {block_id} is here with generation stamp {replica.stamp}, older than {stamp}")
        return replica

    @staticmethod
    def _visible(replica: Replica) -> int:
        return replica.length if replica.writer is None else replica.writer.visible

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def open_replica(self, block_id: int, stamp: int) -> OpenReplica:
        """`ref.length` is what may be read now. Raises ReplicaNotFound, CorruptRecord (a bad meta file), OSError (files are gone)."""
        with self._lock:
            return self._opened(self._found(block_id, stamp))

    def _opened(self, replica: Replica) -> OpenReplica:
        data_fd = os.open(self._data(replica), os.O_RDONLY | os.O_CLOEXEC)
        try:
            meta_fd = os.open(self._meta(replica), os.O_RDONLY | os.O_CLOEXEC)
            try:
                header = read_header(meta_fd, replica.block_id, replica.stamp)
            except BaseException:
                os.close(meta_fd)
                raise
        except BaseException:
            os.close(data_fd)
            raise
        ref = BlockRef(replica.block_id, replica.stamp, self._visible(replica))
        return OpenReplica(ref, replica.state, header.checksum, data_fd, meta_fd)

    def _data(self, replica: Replica) -> Path:
        return replica.volume.data_path(PLACES[replica.state], replica.block_id)

    def _meta(self, replica: Replica) -> Path:
        return replica.volume.meta_path(PLACES[replica.state], replica.block_id, replica.stamp)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, block_id: int, stamp: int, requested: Checksum) -> ReplicaWriter:
        """A client's new replica. Raises ReplicaExists, DiskFull."""
        return self._create(block_id, stamp, requested, State.RBW, replace=False)

    def create_temporary(self, block_id: int, stamp: int, requested: Checksum, *, replace: bool = False) -> ReplicaWriter:
        """A copy from another datanode. With `replace` it may be of a replica that is here, to be renamed over it. Raises as `create`."""
        return self._create(block_id, stamp, requested, State.TEMPORARY, replace=replace)

    def _create(self, block_id: int, stamp: int, requested: Checksum, state: State, *, replace: bool) -> ReplicaWriter:
        temporary = state is State.TEMPORARY
        with self._lock:
            held = self._replicas.get(block_id)
            if held is not None and not replace and (held.stamp >= stamp or not temporary):
                raise ReplicaExists(f"block {block_id} is here already, {held.state.name} with generation stamp {held.stamp}")
            if block_id in self._temporary:
                raise ReplicaExists(f"a copy of block {block_id} is under way here already")
            volume = held.volume if held is not None else self._roomiest()
            if volume.room()[1] <= 0:
                raise DiskFull(f"block {block_id}: no space left above the reserve in {volume.root}")
            replica = Replica(block_id, stamp, 0, state, volume)
            paths = self._data(replica), self._meta(replica)
            writer = ReplicaWriter(replica.ref, stored_checksum(requested), paths, lambda: volume.room()[1], temporary=temporary)
            replica.writer = writer
            if temporary:
                self._temporary[block_id] = replica
            else:
                self._replicas[block_id] = replica
            return writer

    def _roomiest(self) -> Volume:
        return self.volumes[0] if len(self.volumes) == 1 else max(self.volumes, key=lambda volume: volume.room()[1])

    def finalize(self, writer: ReplicaWriter, *, durable: bool = True) -> BlockRef:
        """The replica is complete, readable and, when this returns, durable. Closes the writer. Raises OSError."""
        replica = self._of(writer)
        if durable:
            writer.sync()
        volume = replica.volume
        data, meta = volume.data_path(FINALIZED, replica.block_id), volume.meta_path(FINALIZED, replica.block_id, replica.stamp)
        with self._lock:
            if self._of_writer(writer) is not replica:
                raise ReplicaNotFound(f"block {replica.block_id} was deleted while it was written")
            held = self._replicas.get(replica.block_id)
            if held is not None and held is not replica and held.stamp > replica.stamp:
                raise ReplicaExists(f"block {replica.block_id} is here with the newer generation stamp {held.stamp}")
            writer.meta_path.rename(meta)
            writer.data_path.rename(data)
            if held is not None and held.stamp != replica.stamp:
                self._meta(held).unlink(missing_ok=True)
            if writer.temporary:
                del self._temporary[replica.block_id]
            replica.state, replica.length, replica.writer = State.FINALIZED, writer.length, None
            self._put(replica)
        writer.close()
        if durable:
            volume.directory_sync.sync(data.parent)
        return replica.ref

    def abandon(self, writer: ReplicaWriter) -> BlockRef | None:
        """Its writer is gone: a copy and an empty replica are deleted, what a client sent stays as it is, readable where acknowledged.
        Returns what stays unfinished."""
        with self._lock:
            replica = self._of_writer(writer)
            if replica is None:  # finalized, or deleted meanwhile
                writer.close()
                return None
            if writer.temporary:
                del self._temporary[writer.block_id]
            elif writer.visible == 0:
                del self._replicas[writer.block_id]
            else:
                replica.length, replica.writer = writer.visible, None
                self._used_bytes += replica.length
                writer.close()
                return replica.ref
        writer.close()
        self._unlink(replica)
        return None

    def sync(self, writer: ReplicaWriter) -> BlockRef:
        """What has been written, and that there is such a replica, survives a power cut."""
        replica = self._of(writer)
        writer.sync()
        replica.volume.directory_sync.sync(writer.data_path.parent)
        return replica.ref

    def leave_rbw(self, writer: ReplicaWriter) -> BlockRef:
        """All of a replica that is still being written elsewhere has been copied here: it stays RBW, durable, for its writer to go on."""
        replica = self._of(writer)
        self.sync(writer)
        writer.visible = writer.length
        self.abandon(writer)
        return replica.ref

    def _of(self, writer: ReplicaWriter) -> Replica:
        with self._lock:
            replica = self._of_writer(writer)
        if replica is None:
            raise ReplicaNotFound(f"block {writer.block_id} was deleted while it was written")
        return replica

    def _of_writer(self, writer: ReplicaWriter) -> Replica | None:
        replica = (self._temporary if writer.temporary else self._replicas).get(writer.block_id)
        return replica if replica is not None and replica.writer is writer else None

    # ── deleting ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def invalidate(self, block: BlockRef) -> Replica | None:
        """Takes a replica with this stamp or an older one out of the map, in whatever state; `unlink` it then. None when there is none."""
        with self._lock:
            replica = self._replicas.get(block.id)
            if replica is None or replica.stamp > block.stamp:
                return None
            del self._replicas[block.id]
            if replica.writer is None:
                self._used_bytes -= replica.length
            return replica

    def drop_if_gone(self, block: BlockRef) -> bool:
        """True when no such replica is here: none in the map, or one whose block file has vanished, which leaves the map."""
        with self._lock:
            replica = self._replicas.get(block.id)
            if replica is not None and (replica.writer is not None or self._data(replica).exists()):
                return False
            if replica is not None:
                del self._replicas[block.id]
                self._used_bytes -= replica.length
            return True

    def unlink(self, replica: Replica) -> None:
        """Deletes the files of a replica that `invalidate` returned, unless the same block was created anew meanwhile."""
        with self._lock:
            again = self._replicas.get(replica.block_id)
            if again is None or again.stamp != replica.stamp:
                self._unlink(replica, keep_data=again is not None and PLACES[again.state] == PLACES[replica.state])

    def _unlink(self, replica: Replica, *, keep_data: bool = False) -> None:
        with suppress(FileNotFoundError):
            self._meta(replica).unlink()
        if not keep_data:
            with suppress(FileNotFoundError):
                self._data(replica).unlink()

    def adopt(self, node_id: str, cluster_id: str) -> None:
        for volume in self.volumes:
            volume.adopt(node_id, cluster_id)
