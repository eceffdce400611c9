"""The replicas of one datanode on its disks: which there are, in which state (replica.py), and the
files behind them.

`finalize` is durable: data and checksums are fsynced, then renamed, then the directory is fsynced;
only then may it be told. A replica leaves the map before its files go, so that nothing is
acknowledged about a replica that is half deleted.

Two kinds of locks. The map's guards dictionaries and is never held over a file operation: whatever
a disk does, every other replica can be found. A volume's guards pairs of file operations that a
reader must not see between (opening two files, renaming two files), never an fsync. Who needs both
takes the volume's first. A volume that fails takes its replicas out of the map; its files stay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from minihdfs.datanode.files.disk_errors import DiskFull
from minihdfs.datanode.files.replica import (
    PLACES,
    OpenReplica,
    Replica,
    ReplicaExists,
    ReplicaNotFound,
    State,
)
from minihdfs.datanode.files.replica_writer import ReplicaWriter, stored_checksum
from minihdfs.datanode.files.trash import STRAY, UNKNOWN
from minihdfs.datanode.files.volume import FINALIZED, Volume
from minihdfs.datanode.files.volume_scan import bring_back, scan
from minihdfs.model import BlockRef, DatanodeUsage, Disk
from minihdfs.wire.data_transfer import Checksum

log = logging.getLogger(__name__)


class BlockStore:
    def __init__(self, volumes: Sequence[Volume]) -> None:
        """Reads the directories: what it finds is in the map when this returns."""
        self.volumes = tuple(volumes)
        self.lost: Callable[[tuple[BlockRef, ...]], None] = lambda _blocks: (
            None
        )  # told when a failed volume takes replicas along
        self._lock = threading.Lock()
        self._replicas: dict[int, Replica] = {}
        self._temporary: dict[
            int, Replica
        ] = {}  # copies under way, beside what may be in the map already (a repair)
        self._used_bytes = 0
        for volume in self.volumes:
            volume.left = self._volume_failed
            self._load(volume)

    def _load(self, volume: Volume) -> None:
        finalized, unfinished = scan(volume)
        for found in finalized:
            self._take_found(
                Replica(
                    found.block_id,
                    found.stamp,
                    found.length,
                    State.FINALIZED,
                    volume,
                    bad=found.bad,
                )
            )
        for found in unfinished:
            replica = Replica(
                found.block_id, found.stamp, found.length, State.RWR, volume, bad=found.bad
            )
            if not replica.bad:
                replica.measure()
            self._take_found(replica)
        volume.measure()

    def _take_found(self, replica: Replica) -> None:
        """Of two replicas of one block the better counts; the other is kept aside. A disk that
        failed and came back still has what was copied to another one meanwhile."""
        if replica.volume.failure:
            return
        held = self._replicas.get(replica.block_id)
        if held is None:
            self._put(replica)
            return
        better, other = sorted((held, replica), key=_worth, reverse=True)
        if better is replica:
            self._put(replica)
        log.warning(
            "block %d is here twice: %s counts, not %s",
            held.block_id,
            better.data_path,
            other.data_path,
        )
        if better.state is not State.FINALIZED:
            return  # it may be cut yet: the other one stays where it is
        paths: tuple[Path, ...] = (other.data_path, other.meta_path)
        if other.state is State.FINALIZED:
            paths += (other.mark_path,)
        with suppress(OSError):
            other.volume.trash.take(STRAY, paths, time.monotonic())

    # ── the map ───────────────────────────────────────────────────────────────────────────────────

    def _put(self, replica: Replica) -> None:
        previous = self._replicas.get(replica.block_id)
        if previous is not None and previous is not replica and previous.writer is None:
            self._used_bytes -= previous.length
        self._replicas[replica.block_id] = replica
        self._used_bytes += replica.length

    def _drop(self, replica: Replica) -> None:
        del self._replicas[replica.block_id]
        if replica.writer is None:
            self._used_bytes -= replica.length

    def get(self, block_id: int) -> Replica | None:
        return self._replicas.get(block_id)

    def _all(self) -> list[Replica]:
        with self._lock:
            return list(self._replicas.values())

    def finalized(self) -> list[BlockRef]:
        return [replica.ref for replica in self._all() if replica.state is State.FINALIZED]

    def finalized_ids(self) -> list[int]:
        """In order."""
        return sorted(
            replica.block_id for replica in self._all() if replica.state is State.FINALIZED
        )

    def bad(self) -> list[BlockRef]:
        """Of the finalized ones, those whose bytes are not to be trusted."""
        return [
            replica.ref
            for replica in self._all()
            if replica.bad and replica.state is State.FINALIZED
        ]

    def unfinished(self) -> list[BlockRef]:
        """What writers that are gone have left."""
        return [
            replica.ref
            for replica in self._all()
            if replica.state is not State.FINALIZED and replica.writer is None
        ]

    def visible_length(self, block_id: int, stamp: int) -> int:
        """How much of a replica a reader may see. Raises ReplicaNotFound."""
        return self._found(block_id, stamp).visible

    def usage(self, transfers: int) -> DatanodeUsage:
        """Waits for no disk."""
        rooms: dict[str, tuple[int, int]] = {}
        for volume in self.volumes:  # several may lie on one disk, and one of them may have failed
            rooms[volume.disk_id] = max(rooms.get(volume.disk_id, (0, 0)), volume.room())
        disks = tuple(Disk(disk_id, *room) for disk_id, room in rooms.items())
        capacity, remaining = (
            sum(disk.capacity_bytes for disk in disks),
            sum(disk.remaining_bytes for disk in disks),
        )
        return DatanodeUsage(
            capacity, self._used_bytes, remaining, transfers, len(self._replicas), disks
        )

    def _found(self, block_id: int, stamp: int) -> Replica:
        replica = self._replicas.get(block_id)
        if replica is None:
            raise ReplicaNotFound(f"block {block_id} is not on this datanode")
        if replica.stamp < stamp:
            raise ReplicaNotFound(
                f"block {block_id} is here with generation stamp {replica.stamp}, older than "
                f"{stamp}"
            )
        if replica.state is State.RWR and replica.bad:
            raise ReplicaNotFound(
                f"what was written of block {block_id} cannot be read: {replica.bad}"
            )
        return replica

    def _volume_failed(self, volume: Volume) -> None:
        with self._lock:
            gone = [replica for replica in self._replicas.values() if replica.volume is volume]
            for replica in gone:
                self._drop(replica)
            self._temporary = {
                one: replica
                for one, replica in self._temporary.items()
                if replica.volume is not volume
            }
        self.lost(tuple(replica.ref for replica in gone))

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    def open_replica(self, block_id: int, stamp: int) -> OpenReplica:
        """`ref.length` is what may be read now. Raises ReplicaNotFound, CorruptRecord (a bad meta
        file), FileNotFoundError, ReplicaUnreadable."""
        while True:
            replica = self._found(block_id, stamp)
            with replica.volume.lock:
                if self._replicas.get(block_id) is replica:
                    return replica.open()

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    def create(self, block_id: int, stamp: int, requested: Checksum) -> ReplicaWriter:
        """A client's new replica. Raises ReplicaExists, DiskFull, OSError."""
        return self._create(block_id, stamp, requested, State.RBW, replace=False)

    def create_temporary(
        self, block_id: int, stamp: int, requested: Checksum, *, replace: bool = False
    ) -> ReplicaWriter:
        """A copy from another datanode. With `replace` it may be of a replica that is here, to be
        renamed over it. Raises as `create`."""
        return self._create(block_id, stamp, requested, State.TEMPORARY, replace=replace)

    def _create(
        self, block_id: int, stamp: int, requested: Checksum, state: State, *, replace: bool
    ) -> ReplicaWriter:
        temporary = state is State.TEMPORARY
        places = self._temporary if temporary else self._replicas
        with self._lock:
            held = self._replicas.get(block_id)
            if held is not None and (
                held.writer is not None or (not replace and (held.stamp >= stamp or not temporary))
            ):
                raise ReplicaExists(
                    f"block {block_id} is here already, {held.state.name} with generation stamp "
                    f"{held.stamp}"
                )
            if block_id in self._temporary:
                raise ReplicaExists(f"a copy of block {block_id} is under way here already")
            volume = held.volume if held is not None else self._roomiest(block_id)
            replica = Replica(block_id, stamp, 0, state, volume)
            paths = replica.data_path, replica.meta_path
            writer = replica.writer = ReplicaWriter(
                replica.ref, stored_checksum(requested), paths, volume, temporary=temporary
            )
            places[block_id] = replica
        try:
            volume.make_room(f"block {block_id}")
            with volume.lock:
                writer.open()
                if self._of_writer(writer) is not replica:
                    replica.unlink()
                    raise self._deleted(writer)
        except BaseException:
            with self._lock:
                if places.get(block_id) is replica:
                    del places[block_id]
            writer.close()
            raise
        return writer

    def _roomiest(self, block_id: int) -> Volume:
        volumes = [volume for volume in self.volumes if not volume.failure]
        if not volumes:
            failed = ", ".join(f"{volume.root} ({volume.failure})" for volume in self.volumes)
            raise DiskFull(f"block {block_id}: no disk of this datanode works: {failed}")
        return (
            volumes[0] if len(volumes) == 1 else max(volumes, key=lambda volume: volume.room()[1])
        )

    def finalize(self, writer: ReplicaWriter, *, durable: bool = True) -> BlockRef:
        """The replica is complete, readable and, when this returns, durable. Closes the writer.
        Raises OSError."""
        replica = self._of(writer)
        if durable:
            writer.sync()
        volume, what = replica.volume, f"block {replica.block_id}"
        with volume.watched(what):
            volume.make_finalized_directory(replica.block_id)
            with volume.lock:
                held = self._replaced_by(replica, writer)
                meta = volume.meta_path(FINALIZED, replica.block_id, replica.stamp)
                data = volume.data_path(FINALIZED, replica.block_id)
                writer.meta_path.rename(meta)
                writer.data_path.rename(data)
                if held is not None and (held.stamp, held.state) != (
                    replica.stamp,
                    State.FINALIZED,
                ):
                    held.unlink(keep_data=held.state is State.FINALIZED)
                (held or replica).remove_mark()
                if not self._becomes_finalized(replica, writer):
                    if not volume.failure:
                        data.unlink(missing_ok=True)
                        meta.unlink(missing_ok=True)
                    raise self._deleted(writer)
            writer.close()
            if durable:
                volume.directory_sync.sync(data.parent)
        return replica.ref

    def _replaced_by(self, replica: Replica, writer: ReplicaWriter) -> Replica | None:
        """The finalized replica whose place this one takes."""
        with self._lock:
            if self._of_writer(writer) is not replica:
                raise self._deleted(writer)
            held = self._replicas.get(replica.block_id)
            if held is replica or held is None:
                return None
            if held.stamp > replica.stamp or held.volume is not replica.volume:
                raise ReplicaExists(
                    f"block {replica.block_id} is here with generation stamp {held.stamp} in "
                    f"{held.volume.root}"
                )
            return held

    def _becomes_finalized(self, replica: Replica, writer: ReplicaWriter) -> bool:
        with self._lock:
            if self._of_writer(writer) is not replica:
                return False
            if writer.temporary:
                del self._temporary[replica.block_id]
            replica.state, replica.length, replica.writer = State.FINALIZED, writer.length, None
            self._put(replica)
            return True

    def abandon(self, writer: ReplicaWriter) -> BlockRef | None:
        """Its writer is gone: a copy and an empty replica are deleted, what a client sent stays as
        it is, readable where acknowledged. Returns what stays unfinished."""
        with self._lock:
            replica = self._of_writer(writer)
            if replica is not None and (writer.temporary or writer.visible == 0):
                del (self._temporary if writer.temporary else self._replicas)[writer.block_id]
            elif replica is not None:
                replica.length, replica.writer = writer.visible, None
                self._used_bytes += replica.length
        writer.close()
        if replica is None:  # finalized, or deleted meanwhile
            return None
        if replica.writer is None:
            return replica.ref
        with replica.volume.lock:
            replica.unlink()
        return None

    def sync(self, writer: ReplicaWriter) -> BlockRef:
        """What has been written, and that there is such a replica, survives a power cut."""
        replica = self._of(writer)
        writer.sync()
        with replica.volume.watched(f"block {replica.block_id}"):
            replica.volume.directory_sync.sync(writer.data_path.parent)
        return replica.ref

    def leave_rbw(self, writer: ReplicaWriter) -> BlockRef:
        """All of a replica that is still being written elsewhere has been copied here: it stays
        RBW, durable, for its writer to go on."""
        replica = self._of(writer)
        self.sync(writer)
        writer.visible = writer.length
        self.abandon(writer)
        return replica.ref

    def _of(self, writer: ReplicaWriter) -> Replica:
        replica = self._of_writer(writer)
        if replica is None:
            raise self._deleted(writer)
        return replica

    def _of_writer(self, writer: ReplicaWriter) -> Replica | None:
        replica = (self._temporary if writer.temporary else self._replicas).get(writer.block_id)
        return replica if replica is not None and replica.writer is writer else None

    @staticmethod
    def _deleted(writer: ReplicaWriter) -> ReplicaNotFound:
        return ReplicaNotFound(f"block {writer.block_id} was deleted while it was written")

    # ── good and bad ──────────────────────────────────────────────────────────────────────────────

    def examine(self, block_id: int) -> BlockRef | None:
        """Looks again at what a dead writer left and could not be read; what is readable now, None
        when nothing has changed."""
        replica = self._replicas.get(block_id)
        if replica is None or replica.state is not State.RWR or not replica.bad:
            return None
        again = Replica(block_id, replica.stamp, replica.length, State.RWR, replica.volume)
        again.length = max(1, again.length)
        again.measure()
        with self._lock:
            if again.bad or self._replicas.get(block_id) is not replica:
                return None
            self._put(again)
            return again.ref

    def mark_bad(self, block: BlockRef, reason: str) -> None:
        """Remembered over restarts, as far as the disk takes it."""
        replica = self._replicas.get(block.id)
        if replica is None or replica.stamp != block.stamp or replica.state is not State.FINALIZED:
            return
        replica.bad = reason or "wrong bytes"
        try:
            replica.write_mark()
        except OSError as error:
            log.warning("that block %d is bad could not be written down: %s", block.id, error)

    def mark_sound(self, block: BlockRef) -> bool:
        """Every byte was read and agreed; True when it was taken for bad before."""
        replica = self._replicas.get(block.id)
        if replica is None or replica.stamp != block.stamp or not replica.bad:
            return False
        replica.bad = ""
        try:
            replica.remove_mark()
        except OSError as error:
            log.warning("the mark of block %d could not be removed: %s", block.id, error)
        return True

    # ── deleting ──────────────────────────────────────────────────────────────────────────────────

    def invalidate(self, block: BlockRef) -> Replica | None:
        """Takes a replica with this stamp or an older one out of the map, in whatever state;
        `unlink` it then. None when there is none."""
        with self._lock:
            replica = self._replicas.get(block.id)
            if replica is None or replica.stamp > block.stamp:
                return None
            self._drop(replica)
            return replica

    def drop_if_gone(self, block: BlockRef) -> bool:
        """True when no such replica is here: none in the map, or one whose block file has vanished,
        which leaves the map."""
        replica = self._replicas.get(block.id)
        if replica is None:
            return True
        with replica.volume.lock:
            try:
                if replica.writer is not None or replica.data_path.exists():
                    return False
            except OSError:
                return False  # it cannot be said
            with self._lock:
                if self._replicas.get(block.id) is replica:
                    self._drop(replica)
            return True

    def unlink(self, replica: Replica, *, keep: bool = False) -> None:
        """Deletes the files of a replica that `invalidate` returned, unless the same block was
        created anew meanwhile. With `keep` they go to the trash, from where the block can come
        back. Raises OSError."""
        with replica.volume.watched(f"block {replica.block_id}"), replica.volume.lock:
            again = self._replicas.get(replica.block_id)
            if again is not None and (
                again.volume is not replica.volume or PLACES[again.state] != PLACES[replica.state]
            ):
                again = None
            if (
                keep
                and replica.state is State.FINALIZED
                and replica.writer is None
                and again is None
            ):
                mark = replica.volume.mark_path(replica.block_id, replica.stamp)
                replica.volume.trash.take(
                    UNKNOWN, (replica.data_path, replica.meta_path, mark), time.monotonic()
                )
            elif again is None or again.stamp != replica.stamp:
                replica.unlink(keep_data=again is not None)

    def bring_back(self) -> list[BlockRef]:
        """What namenodes did not know and is still in the trash counts again: now it is asked about
        anew."""
        back = []
        for volume in self.volumes:
            if volume.failure or not volume.trash.unknown():
                continue
            with volume.lock:
                for found in bring_back(volume, self._replicas.__contains__):
                    replica = Replica(
                        found.block_id,
                        found.stamp,
                        found.length,
                        State.FINALIZED,
                        volume,
                        bad=found.bad,
                    )
                    with self._lock:
                        self._put(replica)
                    back.append(replica.ref)
        return back

    def adopt(self, node_id: str, cluster_id: str) -> None:
        for volume in self.volumes:
            if not volume.failure:
                volume.adopt(node_id, cluster_id)


def _worth(replica: Replica) -> tuple[int, bool, bool, int]:
    """The newer before the older, then the complete, the one not known to be bad, the longer."""
    return replica.stamp, replica.state is State.FINALIZED, not replica.bad, replica.length
