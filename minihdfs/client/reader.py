"""Files opened for reading: raw binary streams with a position, and `pread`, which has none and may
be called from any thread.

A range is read from the nearest replica that works: a datanode of this machine through the block
file's descriptor, else over TCP, among equals at random. A replica that fails is left out and the
next one tried; when all failed, the namenode is asked again where they are, a few times with
growing pauses, before BlockMissing names every holder and its reason. One with wrong bytes is
reported to the namenode, one that ends early or cannot be read from its disk when it does so again:
that is the replica's fault, not its datanode's, which goes on to be asked for others. Reading on
from where the last read ended keeps one datanode streaming to the end of the block; a read
elsewhere asks for its range only.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from clusterkit.errors import ClusterError
from minihdfs.client.api import ClientOptions, NamenodeCalls
from minihdfs.client.block_map import BlockMap
from minihdfs.client.datanodes import Datanodes
from minihdfs.client.local_block import LocalBlocks
from minihdfs.client.remote_block import RemoteBlock, ReplicaBroken, ReplicaRefused, open_remote
from minihdfs.errors import BlockMissing, ChecksumMismatch
from minihdfs.model import DatanodeAddress, LocatedBlock
from minihdfs.wire.data_transfer import WireError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FIRST_RANGE_BYTES = 512 << 10
"""What a read somewhere in the middle asks a datanode for; if the next read goes on from there, the
rest of the block follows."""
FIRST_PAUSE_S = 0.2
BROKEN_TIMES = 2
"""So often a replica ends early before the namenode hears of it."""
PATIENCE_S = 30.0
"""No further round begins later than this after the first failure."""


class FileReader(io.RawIOBase):
    """`readinto`, `read` and `readall` fill what was asked for, except at the end of the file.
    Raises the errors of `minihdfs.errors`."""

    def __init__(
        self,
        calls: NamenodeCalls,
        datanodes: Datanodes,
        path: str,
        *,
        client_name: str = "mrc",
        options: ClientOptions | None = None,
    ) -> None:
        super().__init__()
        self.path = self.name = path
        self._calls, self._datanodes, self._client_name = calls, datanodes, client_name
        self._options = options or ClientOptions()
        self._map = BlockMap(calls, path)
        self._lock = threading.Lock()  # of the position and the stream
        self._position = 0
        self._stream: RemoteBlock | None = None
        self._stream_block: LocatedBlock | None = None
        self._stream_holder: DatanodeAddress | None = None
        self._sequential_at = 0  # where a read counts as going on
        self._locals = LocalBlocks(
            datanodes, self._options.read_timeout_s, enabled=self._options.local_reads
        )
        self._broken: dict[
            tuple[int, str], int
        ] = {}  # (block id, datanode) -> how often that replica failed this reader
        self._random = random.Random()

    @property
    def length(self) -> int:
        """Bytes that were known when the file was opened."""
        return self._map.length

    # ── the stream ────────────────────────────────────────────────────────────────────────────────

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Anywhere from 0 to any place; reading behind the end gives nothing. A negative position
        is a ValueError."""
        self._check_open()
        with self._lock:
            base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.length}[whence]
            if base + offset < 0:
                raise ValueError(f"negative position {base + offset} in {self.path}")
            self._position = base + offset
            return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._check_open()
        with memoryview(buffer) as given, given.cast("B") as view, self._lock:
            return self._read_on(view)

    def read(self, size: int | None = -1) -> bytes:
        self._check_open()
        with self._lock:
            left = max(0, self.length - self._position)
            size = left if size is None or size < 0 else min(size, left)
            if not size:
                return b""
            whole = self._read_local(self._position, size)
            if whole is not None:
                self._position += size
                self._sequential_at = self._position
                return whole
            data = bytearray(size)
            self._read_on(memoryview(data))
            return bytes(data)

    def readall(self) -> bytes:
        return self.read(-1)

    def pread(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), fewer only at the end of the file. Leaves the position
        alone; any thread may call it."""
        self._check_open()
        if offset < 0:
            raise ValueError(f"negative offset {offset} in {self.path}")
        size = min(length, self.length - offset)
        if size <= 0:
            return b""
        whole = self._read_local(offset, size)
        if whole is not None:
            return whole
        data = bytearray(size)
        self._read_range(memoryview(data), offset)
        return bytes(data)

    def preadinto(self, buffer: WriteableBuffer, offset: int) -> int:
        """As `pread`, into a buffer; returns how many bytes."""
        self._check_open()
        with memoryview(buffer) as given, given.cast("B") as view:
            size = max(0, min(len(view), self.length - offset))
            self._read_range(view[:size], offset)
            return size

    def close(self) -> None:
        if not self.closed:
            with self._lock:
                self._drop_stream()
            self._locals.clear()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self.path}: read of a closed file")

    # ── reading on ────────────────────────────────────────────────────────────────────────────────

    def _read_on(self, view: memoryview) -> int:
        filled, want = 0, max(0, min(len(view), self.length - self._position))
        while filled < want:
            block = self._map.block_at(self._position)
            count = min(want - filled, block.offset + block.block.length - self._position)
            self._from_some_replica(
                block, partial(self._stream_into, view[filled : filled + count])
            )
            filled += count
            self._position += count
            self._sequential_at = self._position
        return filled

    def _stream_into(self, view: memoryview, block: LocatedBlock, address: DatanodeAddress) -> None:
        start = self._position - block.offset
        local = self._locals.get(block, address)
        if local is not None:
            _filled(local.readinto(view, start), view)
            return
        stream = self._stream
        going_on = (
            stream is not None
            and self._stream_block is not None
            and self._stream_block.block.id == block.block.id
        )
        if (
            stream is not None
            and going_on
            and stream.position == start
            and stream.end - start >= len(view)
            and self._stream_holder == address
        ):
            try:
                return _filled(stream.readinto(view), view)
            except ReplicaBroken:
                # it was left standing for longer than a datanode waits: that is nobody's fault
                pass
            except BaseException:
                self._drop_stream()
                raise
        self._drop_stream()
        end = block.block.length
        if self._position != self._sequential_at:
            end = min(end, start + max(len(view), FIRST_RANGE_BYTES))
        stream = self._open_remote(block, address, start, end)
        self._stream, self._stream_block, self._stream_holder = stream, block, address
        try:
            _filled(stream.readinto(view), view)
        except BaseException:
            self._drop_stream()
            raise

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = self._stream_block = self._stream_holder = None

    # ── reading a range ───────────────────────────────────────────────────────────────────────────

    def _read_range(self, view: memoryview, offset: int) -> None:
        while view:
            block = self._map.block_at(offset)
            count = min(len(view), block.offset + block.block.length - offset)
            self._from_some_replica(
                block, partial(self._range_into, view[:count], offset - block.offset)
            )
            view, offset = view[count:], offset + count

    def _range_into(
        self, view: memoryview, start: int, block: LocatedBlock, address: DatanodeAddress
    ) -> None:
        local = self._locals.get(block, address)
        if local is not None:
            _filled(local.readinto(view, start), view)
            return
        stream = self._open_remote(block, address, start, start + len(view))
        try:
            _filled(stream.readinto(view), view)
        finally:
            stream.close()

    def _open_remote(
        self, block: LocatedBlock, address: DatanodeAddress, start: int, end: int
    ) -> RemoteBlock:
        timeout_s = self._options.read_timeout_s
        return open_remote(
            self._datanodes,
            address,
            block.block,
            start,
            end,
            client_name=self._client_name,
            timeout_s=timeout_s,
        )

    def _read_local(self, offset: int, size: int) -> bytes | None:
        """The bytes without a copy, when one block file of this machine holds them all and they are
        sound."""
        block = self._map.block_at(offset)
        if offset + size > block.offset + block.block.length:
            return None
        with contextlib.suppress(
            ChecksumMismatch, WireError, OSError
        ):  # the slower way finds the same and deals with it
            for address in self._nearest_first(block)[:1]:
                local = self._locals.get(block, address)
                return None if local is None else local.read(offset - block.offset, size)
        return None

    # ── replicas ──────────────────────────────────────────────────────────────────────────────────

    def _from_some_replica(
        self, block: LocatedBlock, read: Callable[[LocatedBlock, DatanodeAddress], None]
    ) -> None:
        began = time.monotonic()
        for round_ in range(self._options.read_rounds):
            reasons: dict[DatanodeAddress, str] = {}
            only_bad = True
            for address in self._nearest_first(block):
                try:
                    read(block, address)
                    self._datanodes.clear(address)
                    return
                except ChecksumMismatch as error:
                    reasons[address] = error.message
                    self._locals.forget(block)
                    self._report_bad(block, address)
                except ReplicaBroken as error:
                    only_bad = False
                    reasons[address] = error.message
                    self._locals.forget(block)
                    self._broke(block, address)
                except (OSError, WireError, ReplicaRefused) as error:
                    only_bad = False
                    reasons[address] = _reason(error)
                    if not isinstance(error, ReplicaRefused):
                        self._datanodes.suspect(address)
            last = round_ == self._options.read_rounds - 1 or (only_bad and reasons and round_ >= 1)
            if last or time.monotonic() - began > PATIENCE_S:
                raise self._missing(block, reasons)
            time.sleep(FIRST_PAUSE_S * 2**round_)
            block = self._map.refreshed(block)

    def _nearest_first(self, block: LocatedBlock) -> list[DatanodeAddress]:
        holder = (
            self._stream_holder
            if self._stream_block is not None and self._stream_block.block.id == block.block.id
            else None
        )

        def rank(address: DatanodeAddress) -> tuple[bool, int, bool, bool, float]:
            suspect = self._datanodes.is_suspect(address)
            away = not self._datanodes.is_local(address)
            broken = self._broken.get((block.block.id, address.uuid), 0)
            return (
                suspect,
                broken,
                address != holder and not self._locals.holds(block, address),
                away,
                self._random.random(),
            )

        return sorted(block.locations, key=rank)

    def _broke(self, block: LocatedBlock, address: DatanodeAddress) -> None:
        """This replica ended early. A second time says that it was no accident."""
        key = block.block.id, address.uuid
        self._broken[key] = self._broken.get(key, 0) + 1
        if self._broken[key] == BROKEN_TIMES:
            self._report_bad(block, address)

    def _report_bad(self, block: LocatedBlock, address: DatanodeAddress) -> None:
        # Best effort: the datanodes' own scan finds it too.
        with contextlib.suppress(ClusterError, OSError):
            self._calls.report_bad_blocks([(block.block, address)])

    def _missing(self, block: LocatedBlock, reasons: dict[DatanodeAddress, str]) -> BlockMissing:
        holders = "; ".join(
            f"{address.hostname or address.host}:{address.xfer_port}: {why}"
            for address, why in reasons.items()
        )
        what = (
            f"{self.path}: block blk_{block.block.id}_{block.block.stamp} (from byte "
            f"{block.offset}) cannot be read"
        )
        return BlockMissing(
            f"{what}: {holders or 'no datanode that lives is known to hold it'}",
            next_command="mrc status",
        )


def _filled(count: int, view: memoryview) -> None:
    if count != len(view):
        raise WireError(f"the replica ends {len(view) - count} bytes early")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
