"""One data directory of a datanode: whose it is, where its files are, how much room is left, and
whether its disk still works.

    volume.json                               magic, format version, cluster id, node id, its own id
    rbw/blk_ID + blk_ID_STAMP.meta            being written by a client (or left behind by one)
    tmp/blk_ID + blk_ID_STAMP.meta            a copy from another datanode under way: deleted at
                                              start
    finalized/subdirX/subdirY/blk_ID + .meta  complete; X and Y are bits 16–20 and 8–12 of the block
                                              id, as in Hadoop
    finalized/…/blk_ID_STAMP.bad              beside a replica known to be bad, says why
    trash/                                    what is kept for a while instead of deleted (trash.py)

A block file is exactly the block's bytes. The volume's `lock` guards pairs of file operations and
nothing else waits for it but operations on this same disk: one that hangs holds up no other. A disk
that fails (core/volume_health) is left alone: nothing on it is deleted.
"""

from __future__ import annotations

import logging
import os
import shlex
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from clusterkit.disks import mount_point
from clusterkit.durable_file import fsync_directory, make_directory, write_durably
from clusterkit.errors import ClusterError, CorruptRecord
from minihdfs.datanode.core.volume_health import VolumeHealth
from minihdfs.datanode.files.directory_sync import DirectorySync
from minihdfs.datanode.files.disk_errors import FAILING, DiskFull
from minihdfs.datanode.files.trash import Trash
from minihdfs.errors import WrongCluster

log = logging.getLogger(__name__)

VOLUME_MAGIC = "mrcluster block volume"
VOLUME_VERSION = 1
RBW, TMP, FINALIZED = "rbw", "tmp", "finalized"
FRESH = "fresh"
"""A file of this name in an empty directory says that the blocks which were there are gone for
good."""
NO_STRANGERS = frozenset({FRESH, "lost+found"})
SHORT_BYTES = 64 << 20
"""With less room than this above the reserve, trash is emptied before a write is refused."""
HANGS_AFTER_S = 10.0


class VolumeIdentity(msgspec.Struct, frozen=True):
    magic: str = VOLUME_MAGIC
    version: int = VOLUME_VERSION
    cluster_id: str = ""
    node_id: str = ""
    volume_id: str = ""


class VolumeGone(ClusterError):
    """A directory that held blocks is empty: its disk is not mounted, or was replaced."""

    code = "VOLUME_GONE"


class Volume:
    def __init__(self, root: Path, reserve_bytes: int, volume_id: str = "") -> None:
        self.root, self.reserve_bytes, self.volume_id = root, reserve_bytes, volume_id
        self.lock = threading.Lock()
        self.directory_sync = DirectorySync()
        self.trash = Trash(root)
        self.failure = ""  # why it is not used any more
        self.left: Callable[[Volume], None] = lambda _volume: None  # told once, when it fails
        self._health = VolumeHealth()
        self._made: set[tuple[int, int]] = set()
        self.disk_id = ""  # of the file system it lies on
        self._room = (0, 0)
        self._measured_s = -HANGS_AFTER_S

    @classmethod
    def open(
        cls, root: Path, node_id: str, cluster_id: str, reserve_bytes: int, known_id: str = ""
    ) -> Volume:
        """`known_id` is that of the volume that was here last time. Raises WrongCluster for a
        directory of another cluster or node, VolumeGone for a known one that is empty, ClusterError
        for what is no volume at all, OSError."""
        file = root / "volume.json"
        if not file.exists():
            cls._format(root, node_id, cluster_id, known_id)
        try:
            identity = msgspec.json.decode(file.read_bytes(), type=VolumeIdentity)
        except msgspec.DecodeError as error:
            raise CorruptRecord(
                f"{file} does not decode: {error}", next_command=f"cat {file}"
            ) from error
        if identity.magic != VOLUME_MAGIC or identity.version > VOLUME_VERSION:
            raise ClusterError(
                f"{file} has format {identity.magic!r} {identity.version}; this version reads "
                f"{VOLUME_VERSION}"
            )
        if identity.node_id != node_id:
            raise WrongCluster(
                f"{root} belongs to datanode {identity.node_id}, not to {node_id}",
                next_command=f"cat {file}",
            )
        volume = cls(root, reserve_bytes, identity.volume_id or str(uuid.uuid4()))
        if identity.cluster_id not in ("", cluster_id):
            raise WrongCluster(
                f"{root} belongs to cluster {identity.cluster_id}, not to {cluster_id}",
                next_command=f"cat {file}",
            )
        if identity.cluster_id != cluster_id or not identity.volume_id:
            volume.adopt(node_id, cluster_id)
        for name in (RBW, TMP, FINALIZED):
            (root / name).mkdir(exist_ok=True)
        fsync_directory(root)
        volume.measure()
        return volume

    @staticmethod
    def _format(root: Path, node_id: str, cluster_id: str, known_id: str) -> None:
        if known_id and not (root / FRESH).exists():
            raise VolumeGone(
                f"{root} is empty, but held this datanode's blocks (volume {known_id}): is its "
                "disk mounted? "
                f"If they are gone for good, make a file {root / FRESH}",
                next_command=f"findmnt --target {root}",
            )
        make_directory(root)
        strangers = sorted(
            path.name
            for path in root.iterdir()
            if not path.name.startswith(".") and path.name not in NO_STRANGERS
        )
        if strangers:
            raise ClusterError(
                f"{root} holds {strangers[0]} but no volume.json: not a block directory of this "
                "software"
            )
        identity = VolumeIdentity(
            cluster_id=cluster_id, node_id=node_id, volume_id=str(uuid.uuid4())
        )
        write_durably(root / "volume.json", msgspec.json.encode(identity))
        (root / FRESH).unlink(missing_ok=True)

    def adopt(self, node_id: str, cluster_id: str) -> None:
        """Makes a fresh volume that of a cluster."""
        identity = VolumeIdentity(cluster_id=cluster_id, node_id=node_id, volume_id=self.volume_id)
        write_durably(self.root / "volume.json", msgspec.json.encode(identity))

    # ── paths ─────────────────────────────────────────────────────────────────────────────────────

    def make_finalized_directory(self, block_id: int) -> None:
        """Makes it durably. Not under the lock: it may fsync. One that is there already may be a
        name that no fsync has followed yet: another stream's of this moment, or one whose fsync
        failed, or a killed process's. So each is fsynced once by this process."""
        key = _buckets(block_id)
        if key in self._made:
            return
        inner = self.directory(FINALIZED, block_id)
        for path in (inner.parent, inner):
            path.mkdir(mode=0o700, exist_ok=True)
            self.directory_sync.sync(path.parent)
        self._made.add(key)

    def data_path(self, place: str, block_id: int) -> Path:
        return self.directory(place, block_id) / f"blk_{block_id}"

    def meta_path(self, place: str, block_id: int, stamp: int) -> Path:
        return self.directory(place, block_id) / f"blk_{block_id}_{stamp}.meta"

    def mark_path(self, block_id: int, stamp: int) -> Path:
        """Is there when the finalized replica is known to be bad."""
        return self.directory(FINALIZED, block_id) / f"blk_{block_id}_{stamp}.bad"

    def directory(self, place: str, block_id: int) -> Path:
        if place != FINALIZED:
            return self.root / place
        outer, inner = _buckets(block_id)
        return self.root / FINALIZED / f"subdir{outer}" / f"subdir{inner}"

    # ── room ──────────────────────────────────────────────────────────────────────────────────────

    def measure(self) -> tuple[int, int]:
        """(capacity, remaining) in bytes now, both without the reserve; what is in the trash counts
        as remaining."""
        facts = os.statvfs(self.root)
        self.disk_id = f"{self.root.stat().st_dev:x}-{facts.f_fsid:x}"
        capacity, free = (
            facts.f_blocks * facts.f_frsize,
            facts.f_bavail * facts.f_frsize + self.trash.size,
        )
        self._room = max(0, capacity - self.reserve_bytes), max(0, free - self.reserve_bytes)
        self._measured_s = time.monotonic()
        return self._room

    def room(self) -> tuple[int, int]:
        """As last measured: never waits for the disk. No room on a disk that has failed or
        hangs."""
        hangs = time.monotonic() - self._measured_s > HANGS_AFTER_S
        return (0, 0) if self.failure else (self._room[0], 0) if hangs else self._room

    def make_room(self, what: str) -> None:
        """Returns when a write may go on. Empties the trash first. Raises DiskFull."""
        remaining = self.measure()[1]
        if remaining - self.trash.size <= SHORT_BYTES and self.trash.size:
            with self.lock:
                freed = self.trash.give(SHORT_BYTES)
            log.info("%s is short of room: %d bytes of its trash are gone", self.root, freed)
            remaining = self.measure()[1]
        if remaining <= 0:
            raise self.full(what)

    def full(self, what: str, why: str = "no space left") -> DiskFull:
        kept = f"with {self.reserve_bytes >> 20} MiB kept in reserve"
        disk = f"the disk at {mount_point(self.root)}"
        return DiskFull(
            f"{what}: {why} on {disk}, {kept}: {self.root}, where this datanode keeps its "
            "replicas, cannot grow",
            next_command=f"df -h {shlex.quote(str(self.root))}",
        )

    def tend(self) -> None:
        """Now and then, by a thread of this volume's own: measures the room, deletes what has been
        in the trash long enough."""
        if self.failure:
            return
        with suppress(OSError), self.watched(str(self.root)):
            self.measure()
            if self.trash.size:
                with self.lock:
                    self.trash.sweep(time.monotonic())

    # ── health ────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def watched(self, what: str) -> Iterator[None]:
        """File operations on `what`: an error that means a failing disk is counted, and passed
        on."""
        try:
            yield
        except OSError as error:
            self.note(what, error)
            raise

    def note(self, what: str, error: OSError) -> None:
        if error.errno not in FAILING or self.failure:
            return
        log.warning("%s: %s: %s", self.root, what, error)
        now_us = time.monotonic_ns() // 1000
        if self._health.failed_at(what, now_us) or (
            not self._takes_a_write() and self._health.failed_at("a probe", now_us)
        ):
            self.fail(f"{what}: {error.strerror}")

    def fail(self, why: str) -> None:
        if not self.failure:
            self.failure = why
            log.error(
                "%s has failed and is not used any more (%s); its files stay as they are",
                self.root,
                why,
            )
            self.left(self)

    def _takes_a_write(self) -> bool:
        path = self.root / f".probe.{threading.get_ident()}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, b"?", 0)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            return error.errno not in FAILING
        finally:
            with suppress(OSError):
                path.unlink()
        return True


def _buckets(block_id: int) -> tuple[int, int]:
    return block_id >> 16 & 31, block_id >> 8 & 31
