"""READ_BLOCK: a range of a replica as packets, the checksums as they are stored. The client
verifies; this side only copies.

One preadv into a buffer that the connection keeps and one sendmsg per packet. Packets are whole
chunks: the range is widened to chunk borders at both ends. The last chunk of a replica that is
still being written is summed here, because its stored checksum may already be that of a longer
chunk.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from types import TracebackType

from clusterkit.errors import CorruptRecord
from minihdfs.checksum import checksums_of, chunk_count
from minihdfs.datanode.files.disk_errors import ReplicaUnreadable
from minihdfs.datanode.files.meta_file import CRC_BYTES, crc_offset
from minihdfs.datanode.files.replica import OpenReplica, ReplicaNotFound, State
from minihdfs.datanode.files.verify import read_fully
from minihdfs.datanode.transfer.buffers import FREE_BYTES, Buffers
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.datanode.transfer.guests import Guest
from minihdfs.model import BlockRef
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_delimited, send_buffers

log = logging.getLogger(__name__)

_READAHEAD_FROM_BYTES = 1 << 20
_PACKET_S = 600.0
"""A reader has taken a packet that was begun after so long, or the stream ends: one that takes
nothing is noticed much sooner."""


class ReadBuffer:
    """The data buffer of one connection; grows to what its reads need, within what all streams may
    have together."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers, self._counted = buffers, 0
        self._view = memoryview(bytearray())

    def __enter__(self) -> ReadBuffer:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._buffers.give(self._counted)
        self._counted = 0

    def of(self, size: int, least: int) -> memoryview:
        """`size` bytes, or fewer when the others take too much; `least` is a chunk."""
        if len(self._view) < size:
            if size > FREE_BYTES and not self._buffers.try_take(size - self._counted):
                size = max(least, FREE_BYTES - FREE_BYTES % least)
            elif size > FREE_BYTES:
                self._counted = size
            if len(self._view) < size:
                self._view = memoryview(bytearray(size))
        return self._view[:size]


def open_for_peer(context: TransferContext, block: BlockRef) -> OpenReplica | dt.OpReply:
    """The replica, or what to tell a peer who cannot have it; the agent hears of files that are bad
    or gone."""
    try:
        return context.store.open_replica(block.id, block.stamp)
    except ReplicaNotFound as error:
        return dt.OpReply(dt.Status.ERROR, error.message)
    except CorruptRecord as error:
        context.found_bad(block, error.message)
        return dt.OpReply(dt.Status.ERROR, error.message)
    except FileNotFoundError as error:
        log.warning("block %d is in the map, but %s is gone", block.id, error.filename)
        context.gone(block)
        return dt.OpReply(dt.Status.ERROR, f"the files of block {block.id} are gone")
    except ReplicaUnreadable as error:
        context.suspected(block)
        return dt.OpReply(dt.Status.ERROR, error.message)


def serve_read(
    guest: Guest, read: dt.ReadBlock, context: TransferContext, buffer: ReadBuffer
) -> bool:
    """True when the connection can be used again."""
    sock = guest.socket
    files = open_for_peer(context, read.block)
    if isinstance(files, dt.OpReply):
        sock.sendall(dt.encode_reply(files))
        return False
    with files, context.stream():
        per_chunk, length = files.checksum.bytes_per_checksum, files.ref.length
        if read.offset > length:
            reason = f"offset {read.offset} is beyond the {length} bytes of block {read.block.id}"
            sock.sendall(dt.encode_reply(dt.OpReply(dt.Status.ERROR, reason)))
            return False
        start = read.offset - read.offset % per_chunk
        end = min(length, chunk_count(read.offset + read.length, per_chunk) * per_chunk)
        kind = files.checksum.type if read.send_checksums else dt.ChecksumType.NULL
        said = dt.Checksum(kind, per_chunk)
        sock.sendall(
            dt.encode_reply(dt.OpReply(dt.Status.SUCCESS, checksum=said, chunk_offset=start))
        )
        if not _send_range(guest, files, start, end, read.send_checksums, context, buffer):
            return False
        return _take_status(sock, files.ref, context)


def _send_range(
    guest: Guest,
    files: OpenReplica,
    start: int,
    end: int,
    sums_too: bool,
    context: TransferContext,
    buffer: ReadBuffer,
) -> bool:
    """False when the files cannot be read or are shorter than the replica should be: the stream
    then ends in the middle, which tells."""
    per_chunk = files.checksum.bytes_per_checksum
    packet = max(per_chunk, context.options.packet_bytes - context.options.packet_bytes % per_chunk)
    data = buffer.of(min(packet, end - start), per_chunk)
    packet = len(data)
    if end - start > _READAHEAD_FROM_BYTES:
        os.posix_fadvise(files.data_fd, start, end - start, os.POSIX_FADV_SEQUENTIAL)
    seqno, at = 0, start
    while at < end:
        size = min(packet, end - at)
        piece = data[:size]
        wanted = CRC_BYTES * chunk_count(size, per_chunk) if sums_too else 0
        try:
            with files.reading():
                sums = (
                    os.pread(files.meta_fd, wanted, crc_offset(at // per_chunk)) if wanted else b""
                )
                whole = read_fully(files.data_fd, piece, at) == size and len(sums) == wanted
            wrong = "" if whole else f"its files are shorter than its {files.ref.length} bytes"
        except ReplicaUnreadable as error:
            wrong = error.message
        if wrong:
            log.warning("block %d, at byte %d for a reader: %s", files.ref.id, at, wrong)
            context.suspected(files.ref)
            return False
        if sums_too and size % per_chunk and files.state is not State.FINALIZED:
            sums = sums[:-CRC_BYTES] + checksums_of(
                piece[size - size % per_chunk :], per_chunk, files.checksum.type
            )
        send_buffers(
            guest.socket,
            [dt.encode_packet_header(at, seqno, size, len(sums)), sums, piece],
            time.monotonic() + _PACKET_S,
        )
        guest.moves()
        at += size
        seqno += 1
    guest.socket.sendall(dt.encode_packet_header(end, seqno, 0, 0, last=True))
    return True


def _take_status(sock: socket.socket, block: BlockRef, context: TransferContext) -> bool:
    status = dt.decode_read_status(receive_delimited(sock))
    if status == dt.Status.ERROR_CHECKSUM:
        context.suspected(block)
    return status in (dt.Status.SUCCESS, dt.Status.CHECKSUM_OK)
