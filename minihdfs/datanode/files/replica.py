"""One replica as the store's map has it, and one that is open for reading.

(create) → RBW ──finalize──▶ FINALIZED ──invalidate──▶ out of the map, then deleted (or kept in the
trash for an hour)
            │ the writer died: kept, readable up to what was acknowledged (deleted when empty)
            ▼ restart
           RWR, readable up to its last good chunk; not reported as a replica
(create temporary) → TEMPORARY ──finalize──▶ FINALIZED;  its writer died, or restart: deleted
"""

from __future__ import annotations

import enum
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clusterkit.durable_file import write_durably
from clusterkit.errors import CorruptRecord
from minihdfs.datanode.files.disk_errors import ReplicaUnreadable, unreadable
from minihdfs.datanode.files.meta_file import read_header
from minihdfs.datanode.files.replica_writer import ReplicaWriter
from minihdfs.datanode.files.verify import good_length, torn_prefix
from minihdfs.datanode.files.volume import FINALIZED, RBW, TMP, Volume
from minihdfs.errors import FsError
from minihdfs.model import BlockRef
from minihdfs.wire.data_transfer import Checksum

log = logging.getLogger(__name__)


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
    bad: str = ""  # why its bytes are not to be trusted

    @property
    def ref(self) -> BlockRef:
        return BlockRef(self.block_id, self.stamp, self.length)

    @property
    def data_path(self) -> Path:
        return self.volume.data_path(PLACES[self.state], self.block_id)

    @property
    def meta_path(self) -> Path:
        return self.volume.meta_path(PLACES[self.state], self.block_id, self.stamp)

    @property
    def visible(self) -> int:
        """How much of it a reader may see."""
        return self.length if self.writer is None else self.writer.visible

    def open(self) -> OpenReplica:
        """Raises CorruptRecord (a bad meta file), FileNotFoundError, ReplicaUnreadable."""
        what = f"block {self.block_id}"
        fds: list[int] = []
        try:
            with self.volume.watched(what):
                fds.append(os.open(self.data_path, os.O_RDONLY | os.O_CLOEXEC))
                fds.append(os.open(self.meta_path, os.O_RDONLY | os.O_CLOEXEC))
                header = read_header(fds[1], self.block_id, self.stamp)
        except BaseException as error:
            for fd in fds:
                os.close(fd)
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                raise unreadable(what, error) from error
            raise
        return OpenReplica(
            BlockRef(self.block_id, self.stamp, self.visible),
            self.state,
            header.checksum,
            self.volume,
            fds[0],
            fds[1],
        )

    def measure(self) -> None:
        """How much of what a dead writer left agrees with its checksums. The files stay as they
        are, whatever is found."""
        try:
            with self.open() as files, files.reading():
                size = os.fstat(files.data_fd).st_size
                self.length = good_length(files.data_fd, files.meta_fd, size, files.checksum)
                if self.length < size:
                    self.length += torn_prefix(
                        files.data_fd, files.meta_fd, self.length, files.checksum
                    )
            self.bad = (
                "its first chunk does not match its checksum" if size and not self.length else ""
            )
        except (CorruptRecord, ReplicaUnreadable, OSError) as error:
            self.length, self.bad = 0, str(error)
        if self.bad:
            log.warning(
                "what was written of block %d is kept, but cannot be read: %s",
                self.block_id,
                self.bad,
            )

    def unlink(self, *, keep_data: bool = False) -> None:
        """Data first: a crash in between leaves a checksum file of a few bytes, never a block file
        that nobody counts."""
        for path in (self.data_path, self.meta_path, self.mark_path)[1 if keep_data else 0 :]:
            with suppress(FileNotFoundError):
                path.unlink()

    @property
    def mark_path(self) -> Path:
        return self.volume.mark_path(self.block_id, self.stamp)

    def write_mark(self) -> None:
        """That it is bad outlives this process. Raises OSError."""
        with self.volume.watched(str(self.mark_path)):
            write_durably(self.mark_path, self.bad.encode())

    def remove_mark(self) -> None:
        with self.volume.watched(str(self.mark_path)):
            self.mark_path.unlink(missing_ok=True)


class OpenReplica:
    """Two descriptors for reading, which stay good whatever happens to the names. Close it."""

    def __init__(
        self,
        ref: BlockRef,
        state: State,
        checksum: Checksum,
        volume: Volume,
        data_fd: int,
        meta_fd: int,
    ) -> None:
        self.ref, self.state, self.checksum = ref, state, checksum
        self.data_fd, self.meta_fd = data_fd, meta_fd
        self._volume = volume

    def __enter__(self) -> OpenReplica:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.data_fd)
        os.close(self.meta_fd)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around reads of the two files and nothing else: an error of the disk becomes
        ReplicaUnreadable, and the volume hears of it."""
        what = f"block {self.ref.id}"
        try:
            with self._volume.watched(what):
                yield
        except OSError as error:
            raise unreadable(what, error) from error
