"""Copies between datanodes: pushing a replica to others, and mending one of ours from a sound one.

A push verifies every chunk while it reads: bad bytes are never sent on, the copy is broken off and
the replica reported. A repair first verifies ours (the accusation may be wrong, or about an open
descriptor that is gone), then fetches a copy beside it, verifying what arrives, and renames it
over: a node that already holds a replica of everything heals too.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from clusterkit.errors import CorruptRecord
from minihdfs.checksum import chunk_count, first_bad_chunk
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.files.disk_errors import ReplicaUnreadable
from minihdfs.datanode.files.meta_file import CRC_BYTES, crc_offset
from minihdfs.datanode.files.replica import OpenReplica, ReplicaNotFound, State
from minihdfs.datanode.files.replica_writer import ReplicaWriter
from minihdfs.datanode.files.verify import good_length, read_fully
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.datanode.transfer.mirror import MirrorRefused, connect, link_of, open_mirror
from minihdfs.datanode.transfer.packets import PacketReceiver
from minihdfs.errors import ChecksumMismatch, FsError
from minihdfs.model import BlockRef, DatanodeAddress
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_delimited, send_buffers, set_timeouts

log = logging.getLogger(__name__)

Failures = tuple[tuple[str, str], ...]
"""(datanode uuid, reason) for each that did not get or give a copy."""


class Replicator:
    def __init__(self, context: TransferContext) -> None:
        self._context = context

    # ── pushing ───────────────────────────────────────────────────────────────────────────────────

    def push(
        self, block: BlockRef, targets: tuple[DatanodeAddress, ...], client_name: str = ""
    ) -> Failures:
        """A copy to each target, one after the other. A bad source is told to the agent, and fails
        for all of them."""
        failures = []
        for target in targets:
            try:
                with (
                    self._context.stream(),
                    self._context.store.open_replica(block.id, block.stamp) as files,
                ):
                    self._push_one(files, target, client_name)
            except (ChecksumMismatch, CorruptRecord) as error:
                self._context.found_bad(block, error.message)
                return tuple((other.uuid, error.message) for other in targets)
            except ReplicaUnreadable as error:  # our disk's fault, not the target's
                self._context.suspected(block)
                return tuple((other.uuid, error.message) for other in targets)
            except (ReplicaNotFound, FileNotFoundError) as error:
                self._context.gone(block)
                return tuple((other.uuid, str(error)) for other in targets)
            except (FsError, OSError) as error:
                log.warning("no copy of block %d to %s: %s", block.id, link_of(target), error)
                failures.append((target.uuid, str(error)))
        return tuple(failures)

    def _push_one(self, files: OpenReplica, target: DatanodeAddress, client_name: str) -> None:
        stage = dt.Stage.CREATE if not client_name else dt.Stage.TRANSFER_FINALIZED
        if files.state is not State.FINALIZED:
            stage = dt.Stage.TRANSFER_RBW
        write = dt.WriteBlock(
            files.ref, client_name, (target,), stage, 1, files.checksum, stamp=files.ref.stamp
        )
        with open_mirror(write, self._context.options) as sock:
            packets = _send_verified(
                sock, files, self._context.options.packet_bytes
            )  # acks are small: they wait in the socket
            for _ in range(packets):
                ack = dt.decode_ack(receive_delimited(sock))
                if any(ack.replies):
                    raise MirrorRefused(
                        link_of(target),
                        f"{link_of(target)} acknowledged with status {ack.replies[0]}",
                    )

    def transfer(self, operation: dt.TransferBlock) -> dt.OpReply:
        """TRANSFER_BLOCK: a writer that lost a datanode has us bring the block to another."""
        failures = self.push(operation.block, operation.targets, operation.client_name)
        if failures:
            return dt.OpReply(dt.Status.ERROR, "; ".join(reason for _, reason in failures))
        return dt.OpReply(dt.Status.SUCCESS)

    # ── mending ───────────────────────────────────────────────────────────────────────────────────

    def repair(self, block: BlockRef, sources: tuple[DatanodeAddress, ...]) -> str:
        """ "" when our replica is sound, or has been replaced by a sound copy; else why not. Raises
        ReplicaUnreadable while that cannot be said: a passing shortage here is no fault of the
        replica's."""
        wrong = fault_of(self._context.store, block)
        if not wrong:
            self._context.store.mark_sound(block)
            return ""
        reasons = []
        for source in sources:
            try:
                with self._context.stream():
                    self._fetch(block, source)
                log.info("block %d is mended with a copy from %s", block.id, link_of(source))
                return ""
            except (FsError, OSError) as error:
                reasons.append(f"{link_of(source)}: {error}")
        log.warning(
            "block %d cannot be mended: %s",
            block.id,
            "; ".join(reasons) or "nobody has a sound copy",
        )
        self._context.store.mark_bad(block, wrong)
        return "; ".join(reasons) or "the namenode knows no other replica"

    def _fetch(self, block: BlockRef, source: DatanodeAddress) -> None:
        store, options = self._context.store, self._context.options
        with connect(source, options) as sock:
            sock.sendall(dt.encode_operation(dt.ReadBlock(block, "", 0, block.length)))
            reply = dt.decode_reply(receive_delimited(sock))
            set_timeouts(sock, options.packet_s)
            if reply.status != dt.Status.SUCCESS or reply.checksum is None:
                raise MirrorRefused(link_of(source), reply.message or f"status {reply.status}")
            writer = store.create_temporary(block.id, block.stamp, reply.checksum, replace=True)
            try:
                with PacketReceiver(sock, self._context.buffers) as packets:
                    _take(sock, packets, writer, reply.checksum)
                if writer.length != block.length:
                    raise ChecksumMismatch(
                        f"the copy that arrived has {writer.length} bytes of {block.length}"
                    )
                with suppress(OSError):
                    sock.sendall(dt.encode_read_status(dt.Status.CHECKSUM_OK))
                store.finalize(writer)
            finally:
                store.abandon(writer)


def _take(
    sock: socket.socket, packets: PacketReceiver, writer: ReplicaWriter, checksum: dt.Checksum
) -> None:
    """All of a read, verified."""
    while not (header := packets.receive()).last:
        if (
            first_bad_chunk(
                packets.data, packets.checksums, checksum.bytes_per_checksum, checksum.type
            )
            is not None
        ):
            with suppress(OSError):
                sock.sendall(dt.encode_read_status(dt.Status.ERROR_CHECKSUM))
            raise ChecksumMismatch("the copy that arrived is bad as well")
        writer.write(header.offset, packets.data, packets.checksums, checksum)


def fault_of(
    store: BlockStore, block: BlockRef, pause: Callable[[int], None] = lambda _bytes: None
) -> str:
    """Reads all of our replica and compares: what is wrong with it, "" when it is sound. Wrong is
    also what cannot be read or is shorter than `block` says. `pause` as in verify. Raises
    ReplicaUnreadable for a shortage that passes: then nothing is known."""
    try:
        with store.open_replica(block.id, block.stamp) as files, files.reading():
            length, size = files.ref.length, os.fstat(files.data_fd).st_size
            sums_end = crc_offset(chunk_count(length, files.checksum.bytes_per_checksum))
            if length < block.length or size != length:
                return (
                    f"its file has {size} bytes, the replica {length} and the block {block.length}"
                )
            if os.fstat(files.meta_fd).st_size != sums_end:
                return "its checksum file has another length"
            good = good_length(files.data_fd, files.meta_fd, length, files.checksum, pause)
            return "" if good == length else f"the chunk at byte {good} does not match its checksum"
    except ReplicaUnreadable as error:
        if error.passing:
            raise
        return error.message
    except (CorruptRecord, ReplicaNotFound) as error:
        return error.message
    except OSError as error:
        return str(error)


def is_sound(store: BlockStore, block: BlockRef) -> bool:
    return not fault_of(store, block)


def _send_verified(sock: socket.socket, files: OpenReplica, packet_bytes: int) -> int:
    """Sends all of an open replica as packets; returns how many. Raises ChecksumMismatch before a
    bad byte leaves."""
    per_chunk, length = files.checksum.bytes_per_checksum, files.ref.length
    packet = max(per_chunk, packet_bytes - packet_bytes % per_chunk)
    buffer = memoryview(bytearray(min(packet, length)))
    seqno = at = 0
    while at < length:
        piece = buffer[: min(packet, length - at)]
        with files.reading():
            sums = os.pread(
                files.meta_fd,
                CRC_BYTES * chunk_count(len(piece), per_chunk),
                crc_offset(at // per_chunk),
            )
            count = read_fully(files.data_fd, piece, at)
        if (
            count < len(piece)
            or first_bad_chunk(piece, sums, per_chunk, files.checksum.type) is not None
        ):
            raise ChecksumMismatch(
                f"our replica of block {files.ref.id} is bad at or after byte {at}"
            )
        send_buffers(sock, [dt.encode_packet_header(at, seqno, len(piece), len(sums)), sums, piece])
        at += len(piece)
        seqno += 1
    sock.sendall(dt.encode_packet_header(length, seqno, 0, 0, last=True))
    return seqno + 1
