"""A block file of this machine, read through the descriptor that its datanode passed. Verified
against its checksums on every read.

The descriptors outlive the datanode's own: a block that is deleted or repaired meanwhile is still
the one that was asked for, and is verified like any other.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading

from minihdfs.checksum import first_bad_chunk_of
from minihdfs.client.datanodes import Connection, Datanodes
from minihdfs.client.remote_block import ReplicaBroken
from minihdfs.errors import ChecksumMismatch
from minihdfs.model import BlockRef, DatanodeAddress, LocatedBlock
from minihdfs.wire import local_fd
from minihdfs.wire.data_transfer import MAX_PACKET_BYTES, ChecksumType, WireError
from minihdfs.wire.streams import receive_bytes

PIECE_BYTES = 1 << 20
MAX_OPEN = 4
"""Blocks that one reader keeps open: two descriptors each."""


class NotGiven(Exception):
    """The datanode does not pass this block's descriptors (it is being written, or the socket is
    not there): read over TCP."""


class LocalBlock:
    """Open descriptors of one finalized replica; closed with the last reference, so a reading
    thread never loses them."""

    def __init__(self, reply: local_fd.FdReply, data_fd: int, checksum_fd: int) -> None:
        self._reply, self._data_fd, self._checksum_fd = reply, data_fd, checksum_fd

    def __del__(self) -> None:
        for fd in (self._data_fd, self._checksum_fd):
            with contextlib.suppress(OSError):
                os.close(fd)

    @property
    def length(self) -> int:
        return self._reply.length

    def readinto(self, view: memoryview, offset: int) -> int:
        """Fills `view` from `offset` of the block, as far as the block goes. Raises
        ChecksumMismatch naming the byte, or ReplicaBroken."""
        try:
            return self._fill(view, offset)
        except OSError as error:
            raise ReplicaBroken(f"the block file cannot be read: {error.strerror}") from error

    def _fill(self, view: memoryview, offset: int) -> int:
        wanted = max(0, min(len(view), self._reply.length - offset))
        done = 0
        while done < wanted:
            # in pieces that end at chunks: what was just read is verified while the processor still
            # has it near
            piece = min(wanted - done, PIECE_BYTES - (offset + done) % PIECE_BYTES)
            self._read_piece(view[done : done + piece], offset + done)
            done += piece
        return wanted

    def _read_piece(self, main: memoryview, offset: int) -> None:
        before, after = self._margins(offset, len(main))
        done = os.preadv(
            self._data_fd,
            [before, main, after] if before or after else [main],
            offset - len(before),
        )
        if done != len(before) + len(main) + len(after):
            raise ChecksumMismatch(
                f"the block file ends at byte {offset - len(before) + done} of {self._reply.length}"
            )
        self._verify(offset, [before, main, after])

    def read(self, offset: int, length: int) -> bytes:
        """As `readinto`, without the copy that making bytes of a filled buffer would cost."""
        wanted = max(0, min(length, self._reply.length - offset))
        before, after = self._margins(offset, wanted)
        main = os.pread(self._data_fd, wanted, offset)
        done = len(main)
        if before:
            done += os.preadv(self._data_fd, [before], offset - len(before))
        if after:
            done += os.preadv(self._data_fd, [after], offset + wanted)
        if done != len(before) + wanted + len(after):
            raise ChecksumMismatch(f"the block file is shorter than its {self._reply.length} bytes")
        self._verify(offset, [before, memoryview(main), after])
        return main

    def _margins(self, offset: int, length: int) -> tuple[memoryview, memoryview]:
        """Room for what must be read before and after a range so that whole chunks can be
        verified."""
        chunk, end = self._reply.bytes_per_checksum, offset + length
        stop = min(-(-end // chunk) * chunk, self._reply.length)
        return memoryview(bytearray(offset % chunk)), memoryview(bytearray(stop - end))

    def _verify(self, offset: int, parts: list[memoryview]) -> None:
        chunk = self._reply.bytes_per_checksum
        first = offset // chunk
        count = -(-sum(map(len, parts)) // chunk)
        sums = os.pread(self._checksum_fd, 4 * count, self._reply.checksum_offset + 4 * first)
        bad = first_bad_chunk_of(parts, sums, chunk, self._reply.checksum_type)
        if bad is not None:
            raise ChecksumMismatch(
                f"bytes {(first + bad) * chunk} to {(first + bad + 1) * chunk - 1} do not match "
                "their checksum"
            )


class LocalBlocks:
    """The local blocks that one reader has open, the last few of them, each with the datanode it
    came from. Thread-safe."""

    def __init__(self, datanodes: Datanodes, timeout_s: float, *, enabled: bool) -> None:
        self._datanodes, self._timeout_s, self._enabled = datanodes, timeout_s, enabled
        self._lock = threading.Lock()
        self._open: dict[int, tuple[str, LocalBlock]] = {}  # by block id, with the holder's uuid
        self._refused: set[tuple[int, str]] = set()
        self._broken: set[str] = set()  # datanodes whose socket does not work

    def holds(self, block: LocatedBlock, address: DatanodeAddress) -> bool:
        known = self._open.get(block.block.id)
        return known is not None and known[0] == address.uuid

    def get(self, block: LocatedBlock, address: DatanodeAddress) -> LocalBlock | None:
        """This datanode's replica of `block`, None when it must be read over TCP: that its socket
        does not work says nothing about the datanode, which TCP finds out."""
        block_id, length = block.block.id, block.block.length
        known = self._open.get(block_id)
        if known is not None and known[0] == address.uuid:
            return known[1]
        if not self._enabled or not address.domain_socket or not self._datanodes.is_local(address):
            return None
        if address.uuid in self._broken or (block_id, address.uuid) in self._refused:
            return None
        try:
            opened = open_local(self._datanodes, address, block.block, self._timeout_s)
        except NotGiven:
            self._refused.add((block_id, address.uuid))
            return None
        except (OSError, WireError):
            # in another container, another user's, a dead process's, without a connection left, or
            # it does not answer: waited for once, not once a block
            self._broken.add(address.uuid)
            return None
        if opened.length < length:
            return None
        with self._lock:
            while len(self._open) >= MAX_OPEN:
                self._open.pop(next(iter(self._open)))
            self._open[block_id] = address.uuid, opened
        return opened

    def forget(self, block: LocatedBlock) -> None:
        with self._lock:
            self._open.pop(block.block.id, None)

    def clear(self) -> None:
        with self._lock:
            self._open.clear()


def open_local(
    datanodes: Datanodes, address: DatanodeAddress, block: BlockRef, timeout_s: float
) -> LocalBlock:
    """Raises NotGiven or OSError."""
    connection = datanodes.connect_local(address)
    try:
        return _ask(datanodes, connection, block, timeout_s)
    except (ConnectionError, BrokenPipeError):
        connection.close()
        if not connection.reused:
            raise
    return _ask(datanodes, datanodes.connect_local(address, fresh=True), block, timeout_s)


def _ask(
    datanodes: Datanodes, connection: Connection, block: BlockRef, timeout_s: float
) -> LocalBlock:
    sock = connection.socket
    sock.settimeout(timeout_s)
    fds: list[int] = []
    try:
        sock.sendall(local_fd.encode_request(local_fd.FdRequest(block.id, block.stamp)))
        data, fds, _, _ = socket.recv_fds(sock, local_fd.REPLY_BYTES, local_fd.DESCRIPTORS)
        for fd in fds:
            os.set_inheritable(fd, False)  # what a user's code starts by exec has no use for it
        if not data:
            raise ConnectionResetError("the datanode closed its descriptor socket")
        if len(data) < local_fd.REPLY_BYTES:
            data += receive_bytes(sock, local_fd.REPLY_BYTES - len(data))
        reply, reason_bytes = local_fd.decode_fd_reply(data)
        reason = receive_bytes(sock, reason_bytes).decode(errors="replace")
        if reply.status != local_fd.OK:
            datanodes.keep(connection)
            raise NotGiven(reason or f"status {reply.status}")
        if len(fds) != local_fd.DESCRIPTORS:
            raise WireError(f"the datanode passed {len(fds)} descriptors")
        if not 0 < reply.bytes_per_checksum <= MAX_PACKET_BYTES or reply.checksum_type not in (
            ChecksumType.CRC32,
            ChecksumType.CRC32C,
        ):
            raise WireError(
                f"checksums of type {reply.checksum_type} over {reply.bytes_per_checksum} bytes "
                "cannot be verified"
            )
    except BaseException as error:
        if not isinstance(error, NotGiven):
            connection.close()
        for fd in fds:
            os.close(fd)
        raise
    datanodes.keep(connection)
    return LocalBlock(reply, fds[0], fds[1])
