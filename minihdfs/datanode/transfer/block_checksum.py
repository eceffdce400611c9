"""BLOCK_CHECKSUM: the MD5 of a block's stored CRCs, from which `hadoop fs -checksum` makes a
file's; or, when a COMPOSITE_CRC is asked for, the CRC of all its bytes, in which chunk and block
sizes leave no trace.

A block that the asker takes to be shorter than the replica is summed up to that length: the CRC of
its last, partial chunk is then made from the data.
"""

from __future__ import annotations

import hashlib
import os
import socket

from minihdfs.checksum import checksums_of, chunk_count, crc_function
from minihdfs.datanode.files.disk_errors import ReplicaUnreadable
from minihdfs.datanode.files.meta_file import CRC_BYTES, crc_offset
from minihdfs.datanode.files.replica import OpenReplica
from minihdfs.datanode.files.verify import PIECE_BYTES, good_length
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.datanode.transfer.reader_side import open_for_peer
from minihdfs.wire import data_transfer as dt


def serve_block_checksum(
    sock: socket.socket, request: dt.BlockChecksum, context: TransferContext
) -> bool:
    files = open_for_peer(context, request.block)
    if isinstance(files, dt.OpReply):
        sock.sendall(dt.encode_reply(files))
        return False
    with files:
        length = min(request.block.length, files.ref.length) or files.ref.length
        per_chunk, crcs = (
            files.checksum.bytes_per_checksum,
            chunk_count(length, files.checksum.bytes_per_checksum),
        )
        try:
            with files.reading():
                digest = (
                    composite_of(files, length) if request.composite else digest_of(files, length)
                )
        except ReplicaUnreadable as error:
            context.suspected(request.block)
            sock.sendall(dt.encode_reply(dt.OpReply(dt.Status.ERROR, error.message)))
            return False
    if digest is None:
        context.suspected(request.block)
        sock.sendall(
            dt.encode_reply(
                dt.OpReply(dt.Status.ERROR, f"{request.block} does not agree with its checksums")
            )
        )
        return False
    reply = dt.OpReply(
        dt.Status.SUCCESS,
        block_checksum=(per_chunk, crcs, digest),
        block_checksum_type=files.checksum.type,
        composite=request.composite,
    )
    sock.sendall(dt.encode_reply(reply))
    return True


def composite_of(files: OpenReplica, length: int) -> bytes | None:
    """The CRC of the first `length` bytes, big-endian; None when they do not agree with what is
    stored of them."""
    if (
        files.checksum.type == dt.ChecksumType.NULL
        or good_length(files.data_fd, files.meta_fd, files.ref.length, files.checksum) < length
    ):
        return None
    crc, running = crc_function(files.checksum.type), 0
    for at in range(0, length, PIECE_BYTES):
        running = crc(os.pread(files.data_fd, min(PIECE_BYTES, length - at), at), running)
    return running.to_bytes(CRC_BYTES, "big")


def digest_of(files: OpenReplica, length: int) -> bytes:
    """MD5 over the big-endian CRCs of the first `length` bytes."""
    per_chunk = files.checksum.bytes_per_checksum
    crcs = os.pread(files.meta_fd, CRC_BYTES * chunk_count(length, per_chunk), crc_offset(0))
    tail = length % per_chunk
    if tail and length < files.ref.length:
        data = os.pread(files.data_fd, tail, length - tail)
        crcs = crcs[:-CRC_BYTES] + checksums_of(data, per_chunk, files.checksum.type)
    return hashlib.md5(crcs, usedforsecurity=False).digest()
