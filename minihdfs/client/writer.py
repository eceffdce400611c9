"""Files opened for writing: raw binary streams that append, each block through a pipeline to all of
its replicas.

`close` is durable: every datanode has synced and finalized its replica, and the namenode has the
file complete, when it returns. Left by an exception, a `with` block aborts instead: the file is
removed, unless another client has taken it over meanwhile.

A pipeline that cannot be set up is tried again without the datanode that is to blame; one sound
datanode suffices. One that breaks later is begun again from the block's first byte, on a new block,
as long as all bytes of the block are still kept (`resend_bytes`); beyond that the write fails with
BrokenPipeline, and whoever has the source starts the file again.
"""

from __future__ import annotations

import contextlib
import io
import math
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from clusterkit.errors import ClusterError
from minihdfs.client.api import ClientOptions, NamenodeCalls
from minihdfs.client.datanodes import Datanodes
from minihdfs.client.patience import patiently
from minihdfs.client.write_session import PipelineBroken, WriteSession, begin_block, blamed
from minihdfs.errors import BrokenPipeline, NoDatanodes
from minihdfs.model import BlockRef, DatanodeAddress, FileStatus, LocatedBlock, ServerDefaults
from minihdfs.wire.data_transfer import Checksum, ChecksumType

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_SETUPS = 8
"""Pipelines tried for one block, set up or begun again, before the write gives up."""


SMALLEST_CHUNK_BYTES = 512


def chunk_of(block_bytes: int, announced: int) -> int:
    """Bytes under one checksum: as announced, or as much of it as divides the file's blocks.
    Readers of HDFS count on whole chunks in a block; where none of 512 bytes or more divides it,
    the last one of each block is short, which ours understand."""
    dividing = math.gcd(block_bytes, announced)
    return dividing if dividing >= SMALLEST_CHUNK_BYTES else announced


class LeaseHolder(Protocol):
    def opened(self, writer: FileWriter) -> None: ...
    def closed(self, writer: FileWriter) -> None: ...


class FileWriter(io.RawIOBase):
    """Thread-safe; `write` takes all it is given. Raises the errors of `minihdfs.errors`; after
    one, only `abort` is of use."""

    def __init__(
        self,
        calls: NamenodeCalls,
        datanodes: Datanodes,
        path: str,
        status: FileStatus,
        defaults: ServerDefaults,
        *,
        client_name: str,
        options: ClientOptions | None = None,
        lease_holder: LeaseHolder | None = None,
    ) -> None:
        super().__init__()
        self.path = self.name = path
        self.inode_id = status.inode_id
        self.block_bytes = status.block_bytes or defaults.block_bytes
        self._calls, self._datanodes, self._client_name = calls, datanodes, client_name
        self._options = options or ClientOptions()
        chunk = chunk_of(self.block_bytes, defaults.bytes_per_checksum)
        self._checksum = Checksum(ChecksumType.CRC32C, chunk)
        self._packet_bytes = max(1, defaults.packet_bytes // chunk) * chunk
        self._lock = threading.RLock()
        self._packet = memoryview(b"")
        self._filled = 0  # of the packet
        self._block_sent = 0  # bytes of the current block that went into packets
        self._session: WriteSession | None = None
        self._previous: BlockRef | None = None
        self._length = 0
        self._kept: (
            list[memoryview] | None
        ) = []  # the current block's packets, None when they were too many
        self._kept_bytes = 0
        self._setups = 0
        self._failed: Exception | None = None
        self._lease_holder = lease_holder
        if lease_holder is not None:
            lease_holder.opened(self)

    # ── the stream ────────────────────────────────────────────────────────────────────────────────

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._length

    def write(self, data: ReadableBuffer) -> int:
        with self._lock, memoryview(data) as given, given.cast("B") as view:
            self._check_usable()
            try:
                self._take(view)
            except Exception as error:
                self._fail(error)
                raise
            self._length += len(view)
            return len(view)

    def close(self) -> None:
        """Durable and complete when it returns; a close that fails gives the file up as `abort`
        does. Closing twice is no error."""
        with self._lock:
            if self.closed:
                return
            try:
                self._check_usable()
                self._flush_packet()
                self._finish_block()
                self._complete()
            except BaseException:
                self.abort()
                raise
            self._leave()

    def abort(self) -> None:
        """Gives the file up: it is removed, if this client still writes it. Raises nothing."""
        with self._lock:
            if self.closed:
                return
            if self._session is not None:
                self._session.close()
            with contextlib.suppress(ClusterError, OSError):
                self._calls.abandon_file(self.inode_id, self._client_name)
            self._leave()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # A writer that was forgotten is no finished file: leave it to the namenode's lease, never
        # complete it from here.
        session = getattr(self, "_session", None)
        if session is not None:
            session.close()

    def keep_alive(self) -> None:
        """The lease holder's thread calls this every few seconds; a write in progress keeps the
        pipeline alive by itself."""
        if self._lock.acquire(blocking=False):
            try:
                if self._session is not None and self._failed is None:
                    self._session.keep_alive()
            except PipelineBroken:
                pass  # the next packet meets the same and deals with it
            finally:
                self._lock.release()

    def _leave(self) -> None:
        self._packet, self._kept, self._session = memoryview(b""), None, None
        if self._lease_holder is not None:
            self._lease_holder.closed(self)
        super().close()

    def _check_usable(self) -> None:
        if self.closed:
            raise ValueError(f"{self.path}: write to a closed file")
        if self._failed is not None:
            raise BrokenPipeline(f"{self.path}: an earlier write failed: {self._failed}")

    def _fail(self, error: Exception) -> None:
        self._failed = error
        if self._session is not None:
            self._session.close()

    # ── packets ───────────────────────────────────────────────────────────────────────────────────

    def _take(self, view: memoryview) -> None:
        while view:
            room = min(self._packet_bytes, self.block_bytes - self._block_sent)
            if not self._filled and len(view) >= room:
                self._send(view[:room])
                view = view[room:]
                continue
            if not self._packet:
                self._packet = memoryview(bytearray(self._packet_bytes))
            count = min(room - self._filled, len(view))
            self._packet[self._filled : self._filled + count] = view[:count]
            self._filled += count
            view = view[count:]
            if self._filled == room:
                self._flush_packet()

    def _flush_packet(self) -> None:
        if self._filled:
            count, self._filled = self._filled, 0
            self._send(self._packet[:count])

    def _send(self, view: memoryview) -> None:
        kept = self._keep(view)
        try:
            if self._session is None:
                self._begin_block()
            assert self._session is not None
            self._session.send(view)
        except PipelineBroken as error:
            self._begin_again(error, kept)
        self._block_sent += len(view)
        if self._block_sent == self.block_bytes:
            self._finish_block()

    def _keep(self, view: memoryview) -> bool:
        """Keeps what goes into the block, so that it can be sent again; a copy unless the caller's
        bytes cannot change."""
        if self._kept is not None and self._kept_bytes + len(view) > self._options.resend_bytes:
            self._kept = None
        if self._kept is None:
            return False
        self._kept.append(view[:] if isinstance(view.obj, bytes) else memoryview(bytes(view)))
        self._kept_bytes += len(view)
        return True

    # ── blocks ────────────────────────────────────────────────────────────────────────────────────

    def _begin_block(self) -> None:
        """Allocates blocks until one has a pipeline. Raises BrokenPipeline or what the namenode
        says."""
        excluded = {node.uuid: node for node in self._datanodes.suspects()}
        reasons: list[str] = []
        while self._setups < MAX_SETUPS:
            self._setups += 1
            located = self._allocate(excluded, reasons)
            try:
                session = begin_block(
                    self._datanodes, located, self._client_name, self._checksum, self._options
                )
            except PipelineBroken as guess:
                error = blamed(
                    self._datanodes, located.locations, guess, self._options.probe_timeout_s
                )
                reasons.append(str(error))
                excluded[error.bad.uuid] = error.bad
                self._datanodes.suspect(error.bad)
                self._abandon(located.block)
                continue
            self._session = session
            return
        raise BrokenPipeline(
            f"{self.path}: no pipeline after {self._setups} tries: {'; '.join(reasons)}",
            next_command="mrc status",
        )

    def _allocate(self, excluded: dict[str, DatanodeAddress], reasons: list[str]) -> LocatedBlock:
        exclude = tuple(excluded.values())
        try:
            return self._add_block(exclude)
        except NoDatanodes as error:
            if not exclude:
                raise
            if reasons:
                raise BrokenPipeline(
                    f"{self.path}: {error.message}; failed: {'; '.join(reasons)}",
                    next_command="mrc status",
                ) from error
            excluded.clear()  # they were suspected by an earlier file: better one of them than none
            return self._add_block(())

    def _add_block(self, exclude: Sequence[DatanodeAddress]) -> LocatedBlock:
        def ask() -> LocatedBlock:
            return self._calls.add_block(
                self.path, self._client_name, self.inode_id, self._previous, exclude
            )

        return patiently(ask, self._options.complete_timeout_s)

    def _abandon(self, block: BlockRef) -> None:
        patiently(
            lambda: self._calls.abandon_block(self.path, self._client_name, self.inode_id, block),
            self._options.complete_timeout_s,
        )

    def _begin_again(self, error: PipelineBroken, kept: bool) -> None:
        """The pipeline broke in the middle of the block: sends what is kept of it through a new
        one."""
        while True:
            session, self._session = self._session, None
            if session is not None:
                error = blamed(self._datanodes, session.nodes, error, self._options.probe_timeout_s)
            self._datanodes.suspect(error.bad)
            if not kept or self._kept is None:
                raise BrokenPipeline(
                    f"{self.path}: the pipeline broke at byte {self._length}: {error}",
                    next_command="mrc status",
                ) from error
            if session is not None:
                self._abandon(session.block)
            try:
                self._begin_block()
                assert self._session is not None
                for packet in self._kept:
                    self._session.send(packet)
                return
            except PipelineBroken as again:
                error = again

    def _finish_block(self) -> None:
        if self._session is None:
            return
        while True:
            try:
                self._previous = self._session.finish()
                break
            except PipelineBroken as error:
                self._begin_again(error, self._kept is not None)
        self._session, self._block_sent, self._setups = None, 0, 0
        self._kept, self._kept_bytes = [], 0

    def _complete(self) -> None:
        deadline, pause_s = time.monotonic() + self._options.complete_timeout_s, 0.02

        def ask() -> bool:
            return self._calls.complete(self.path, self._client_name, self.inode_id, self._previous)

        while not patiently(ask, self._options.complete_timeout_s):
            if time.monotonic() > deadline:
                raise BrokenPipeline(
                    f"{self.path}: its last block was not reported by any datanode within "
                    f"{self._options.complete_timeout_s:g} s",
                    next_command="mrc status",
                )
            time.sleep(pause_s)
            pause_s = min(0.4, 2 * pause_s)
