"""One replica while it is written: packets in, a block file and its checksum file grow.

Chunks are stored with the file's own bytes-per-checksum. When the sender's chunks are the same and
begin on a border, its checksums are stored as they came; otherwise the data must have been verified
with the sender's, and is summed anew here. A packet may begin before the end of what is stored (a
client resends a partial chunk after a flush) but never after it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minihdfs.checksum import crc_function
from minihdfs.datanode.files.disk_errors import FULL
from minihdfs.datanode.files.meta_file import CRC_BYTES, MetaHeader, crc_offset, encode_header
from minihdfs.datanode.files.volume import Volume
from minihdfs.datanode.files.writeback import begin_writeback
from minihdfs.errors import ChecksumMismatch, FsError
from minihdfs.model import BlockRef
from minihdfs.wire.data_transfer import Checksum, ChecksumType

WRITEBACK_BYTES = 8 << 20
ROOM_CHECK_BYTES = 16 << 20


class ReplicaGap(FsError):
    """A packet does not continue what was received, or the end is not where the writer says."""

    code = "REPLICA_GAP"


class ReplicaWriter:
    """Made by the BlockStore. One thread writes; any may read `length` and `visible`."""

    def __init__(
        self,
        block: BlockRef,
        checksum: Checksum,
        paths: tuple[Path, Path],
        volume: Volume,
        *,
        temporary: bool,
    ) -> None:
        """`paths` are those of the block file and of its checksum file; `open` makes them."""
        self.block_id, self.stamp, self.checksum, self.temporary = (
            block.id,
            block.stamp,
            checksum,
            temporary,
        )
        self.data_path, self.meta_path = paths
        self.length = 0
        # acknowledged by every datanode behind this one: what a reader of an open file may see
        self.visible = 0
        self._volume = volume
        self._room_checked = 0
        self._writeback_from = 0
        self.data_fd = self.meta_fd = -1

    def open(self) -> None:
        """The meta file first: a block file without one is then always half of a finalize. Raises
        DiskFull, OSError (also when a file of this name is there that no replica in the map has: it
        is not ours to truncate)."""
        flags = (
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if self.temporary else os.O_EXCL)
        )
        try:
            with self._disk():
                self.meta_fd = os.open(self.meta_path, flags, 0o600)
                self.data_fd = os.open(self.data_path, flags, 0o600)
                os.pwrite(
                    self.meta_fd,
                    encode_header(MetaHeader(self.block_id, self.stamp, self.checksum)),
                    0,
                )
        except BaseException:
            self.close()
            raise

    def takes_checksums_of(self, offset: int, sender: Checksum) -> bool:
        """May the sender's checksums of a packet at `offset` be stored as they are? Otherwise
        verify the packet first."""
        return sender == self.checksum and offset % self.checksum.bytes_per_checksum == 0

    def write(self, offset: int, data: memoryview, checksums: memoryview, sender: Checksum) -> None:
        """Raises ReplicaGap, ChecksumMismatch, DiskFull, OSError."""
        end = offset + len(data)
        if offset > self.length:
            raise ReplicaGap(
                f"block {self.block_id}: a packet begins at {offset}, after {self.length} bytes"
            )
        if end <= self.length:
            # all of it is stored; its last checksum may be of a shorter chunk than the stored one
            return
        self._check_room(end)
        with self._disk():
            if self.takes_checksums_of(offset, sender):
                _pwrite_all(self.data_fd, data, offset)
                _pwrite_all(
                    self.meta_fd, checksums, crc_offset(offset // self.checksum.bytes_per_checksum)
                )
            else:
                fresh = data[self.length - offset :]
                self._write_sums(fresh)
                _pwrite_all(self.data_fd, fresh, self.length)
        self.length = end
        if end - self._writeback_from >= WRITEBACK_BYTES:
            begin_writeback(self.data_fd, self._writeback_from, end - self._writeback_from)
            self._writeback_from = end

    def _write_sums(self, fresh: memoryview) -> None:
        """Checksums of what follows `length`, continuing the partial chunk that ends there."""
        per_chunk = self.checksum.bytes_per_checksum
        chunk, filled = divmod(self.length, per_chunk)
        crc = crc_function(self.checksum.type)
        running = self._sum_of_partial(chunk, filled) if filled else 0
        sums, at = [], 0
        while at < len(fresh):
            piece = fresh[at : at + per_chunk - filled]
            sums.append(crc(piece, running))
            at, running, filled = at + len(piece), 0, 0
        _pwrite_all(
            self.meta_fd, memoryview(struct.pack(f">{len(sums)}I", *sums)), crc_offset(chunk)
        )

    def _sum_of_partial(self, chunk: int, filled: int) -> int:
        """The CRC of the `filled` bytes that are stored of this chunk, read back. Raises
        ChecksumMismatch: to go on from bytes that rotted would make a sum that agrees with them."""
        data = os.pread(self.data_fd, filled, self.length - filled)
        known = int.from_bytes(os.pread(self.meta_fd, CRC_BYTES, crc_offset(chunk)), "big")
        running = crc_function(self.checksum.type)(data)
        if len(data) != filled or running != known:
            raise ChecksumMismatch(
                f"block {self.block_id}: what is stored of it from byte {self.length - filled} to "
                f"{self.length - 1} does not match its checksum any more"
            )
        return running

    def _check_room(self, end: int) -> None:
        """The reserve is kept by looking now and then; a disk that fills faster answers ENOSPC,
        with the same outcome."""
        if end - self._room_checked >= ROOM_CHECK_BYTES or not self._room_checked:
            self._room_checked = end
            with self._disk():
                self._volume.make_room(f"block {self.block_id}")

    def sync(self) -> None:
        """Everything written is on disk when this returns; the name may not be yet."""
        with self._disk():
            os.fdatasync(self.data_fd)
            os.fdatasync(self.meta_fd)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Around file operations: a full disk is called one, with its path; one that fails is told
        to the volume."""
        what = f"block {self.block_id}"
        try:
            with self._volume.watched(what):
                yield
        except OSError as error:
            if error.errno in FULL:
                raise self._volume.full(what, str(error.strerror)) from error
            raise

    def close(self) -> None:
        """May be called again."""
        for fd in (self.data_fd, self.meta_fd):
            if fd >= 0:
                os.close(fd)
        self.data_fd = self.meta_fd = -1


def stored_checksum(requested: Checksum) -> Checksum:
    """The checksum a new file records: the writer's own, except where it has none."""
    return requested if requested.type != ChecksumType.NULL else Checksum()


def _pwrite_all(fd: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count
