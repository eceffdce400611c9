"""WRITE_BLOCK: packets from the writer, stored here and passed on to the datanodes behind,
acknowledged when both have them.

Per packet: forward first, then verify (at the last datanode, and wherever checksums must be made
anew), then store. Acknowledgements come back on a second thread, which joins them with what is
stored here by the rules of core/pipeline. The last packet finalises the replica durably and tells
the agent, then it is acknowledged. A failure here is acknowledged as ERROR and the connection
drained, so that the word arrives before the reset would; a dead writer leaves the replica as it is
(BlockStore.abandon says what stays).
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from contextlib import suppress

from minihdfs.checksum import first_bad_chunk
from minihdfs.datanode.core.pipeline import Ack, Pipeline, Place, admit
from minihdfs.datanode.files.replica import ReplicaExists
from minihdfs.datanode.files.replica_writer import ReplicaGap, ReplicaWriter
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.datanode.transfer.guests import Guest
from minihdfs.datanode.transfer.mirror import MirrorRefused, link_of, open_mirror
from minihdfs.datanode.transfer.packets import PacketReceiver
from minihdfs.errors import FsError
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_delimited, set_timeouts

log = logging.getLogger(__name__)

_DRAIN_S = 2.0


def serve_write(guest: Guest, write: dt.WriteBlock, context: TransferContext) -> bool:
    """Always the connection's last operation."""
    sock = guest.socket
    place = admit(write.stage, write.client_name)
    if isinstance(place, str):
        _refuse(sock, dt.OpReply(dt.Status.ERROR_UNSUPPORTED, place))
        return False
    with context.stream():
        try:
            writer = _create(write, place, context)
        except (FsError, OSError) as error:
            status = dt.Status.ERROR_EXISTS if isinstance(error, ReplicaExists) else dt.Status.ERROR
            log.warning("block %d is not taken: %s", write.block.id, error)
            _refuse(sock, dt.OpReply(status, str(error)))
            return False
        try:
            mirror = open_mirror(write, context.options) if write.targets else None
        except MirrorRefused as refused:
            context.store.abandon(writer)
            log.warning("block %d: %s", write.block.id, refused.message)
            _refuse(sock, dt.OpReply(dt.Status.ERROR, refused.message, refused.link))
            return False
        try:
            with PacketReceiver(sock, context.buffers) as packets:
                BlockReceiver(guest, packets, mirror, writer, write, place, context).run()
        finally:
            left = context.store.abandon(writer)
            if left is not None:
                context.left(left)
    return False


def _create(write: dt.WriteBlock, place: Place, context: TransferContext) -> ReplicaWriter:
    checksum = write.checksum
    if checksum.type not in set(dt.ChecksumType):
        raise dt.WireError(f"checksums of type {checksum.type} are not known")
    if not dt.MIN_BYTES_PER_CHECKSUM <= checksum.bytes_per_checksum <= dt.MAX_BYTES_PER_CHECKSUM:
        limits = f"{dt.MIN_BYTES_PER_CHECKSUM} to {dt.MAX_BYTES_PER_CHECKSUM}"
        raise dt.WireError(
            f"one checksum per {checksum.bytes_per_checksum} bytes is not taken: a chunk has "
            f"{limits} bytes"
        )
    if place is Place.COPY:
        return context.store.create_temporary(write.block.id, write.block.stamp, checksum)
    return context.store.create(write.block.id, write.block.stamp, checksum)


def _refuse(sock: socket.socket, reply: dt.OpReply) -> None:
    sock.sendall(dt.encode_reply(reply))


class BlockReceiver:
    """One write, from its acceptance to its end. `run` returns normally however it ends; what is
    left of the replica is the caller's."""

    def __init__(
        self,
        guest: Guest,
        packets: PacketReceiver,
        mirror: socket.socket | None,
        writer: ReplicaWriter,
        write: dt.WriteBlock,
        place: Place,
        context: TransferContext,
    ) -> None:
        self._guest, self._sock, self._packets = guest, guest.socket, packets
        self._mirror, self._writer, self._write = mirror, writer, write
        self._place, self._context = place, context
        self._pipeline = Pipeline(mirrored=mirror is not None)
        self._lock = threading.Lock()  # of the pipeline, and so that acks leave in order
        self._mirror_alive = mirror is not None
        self._last_seqno: int | None = None  # known before the mirror can acknowledge it
        self._ending = False

    def run(self) -> None:
        options = self._context.options
        set_timeouts(self._sock, options.packet_s)
        responder: threading.Thread | None = None
        try:
            self._sock.sendall(dt.encode_reply(dt.OpReply(dt.Status.SUCCESS)))
            if self._mirror is not None:
                responder = threading.Thread(
                    target=self._take_acks, name=f"acks-{self._writer.block_id}", daemon=True
                )
                responder.start()
            if self._take_packets() and responder is not None:
                responder.join()
        except (OSError, dt.WireError) as error:
            log.info("write of block %d ended: %s", self._writer.block_id, error)
        finally:
            self._close(responder)

    def _close(self, responder: threading.Thread | None) -> None:
        self._ending = True
        if self._mirror is not None:
            with suppress(OSError):
                self._mirror.shutdown(socket.SHUT_RDWR)
            if responder is not None:
                responder.join()
            self._mirror.close()
        if self._pipeline.broken:
            _drain(self._sock)

    # ── packets ───────────────────────────────────────────────────────────────────────────────────

    def _take_packets(self) -> bool:
        """True when this side has said its last word, which leaves as soon as the nodes behind have
        said theirs; False when an error was acknowledged meanwhile. Raises when the writer is
        gone."""
        while not self._pipeline.broken:
            header = self._packets.receive()
            self._guest.moves()
            if header.last:
                self._last_seqno = header.seqno
            if self._mirror_alive:
                self._forward()
            status = self._take(header)
            end = header.offset + header.data_bytes
            if header.seqno == dt.HEARTBEAT_SEQNO:
                end = 0
            with self._lock:
                self._send(self._pipeline.stored(header.seqno, status, end, header.last))
            if header.last or status != dt.Status.SUCCESS:
                return True
        return False

    def _forward(self) -> None:
        assert self._mirror is not None
        try:
            self._mirror.sendall(self._packets.wire)
        except OSError as error:
            log.warning(
                "block %d: %s is lost: %s",
                self._writer.block_id,
                link_of(self._write.targets[0]),
                error,
            )
            self._mirror_alive = False
            with self._lock:
                self._send(self._pipeline.mirror_lost())

    def _take(self, header: dt.PacketHeader) -> int:
        """Stores one packet; the status to acknowledge it with."""
        try:
            if header.data_bytes:
                if not self._sound(header):
                    return dt.Status.ERROR_CHECKSUM
                self._writer.write(
                    header.offset, self._packets.data, self._packets.checksums, self._write.checksum
                )
            if header.last:
                self._finish(header)
            elif header.sync:
                self._context.store.sync(self._writer)
        except (FsError, OSError) as error:
            log.warning("write of block %d failed here: %s", self._writer.block_id, error)
            return dt.Status.ERROR
        return dt.Status.SUCCESS

    def _sound(self, header: dt.PacketHeader) -> bool:
        if (
            self._place is Place.CLIENT
            and self._mirror is not None
            and self._writer.takes_checksums_of(header.offset, self._write.checksum)
        ):
            return True  # the last of the pipeline verifies, and its client waits for all
        checksum = self._write.checksum
        bad = first_bad_chunk(
            self._packets.data, self._packets.checksums, checksum.bytes_per_checksum, checksum.type
        )
        if bad is not None:
            log.warning(
                "block %d: chunk %d of the packet at %d arrived bad",
                self._writer.block_id,
                bad,
                header.offset,
            )
        return bad is None

    def _finish(self, header: dt.PacketHeader) -> None:
        end = header.offset + header.data_bytes
        if end != self._writer.length:
            raise ReplicaGap(
                f"the writer ends the block at {end}, but {self._writer.length} bytes arrived"
            )
        if self._place is Place.OPEN_COPY:
            self._context.left(self._context.store.leave_rbw(self._writer))
        else:
            self._context.finalized(self._context.store.finalize(self._writer))

    # ── acknowledgements ──────────────────────────────────────────────────────────────────────────

    def _take_acks(self) -> None:
        """The responder: reads what the mirror acknowledges until the pipeline ends or breaks."""
        assert self._mirror is not None
        while not self._pipeline.complete and not self._pipeline.broken:
            try:
                self._await_ack(self._mirror)
                ack = dt.decode_ack(receive_delimited(self._mirror))
            except (OSError, dt.WireError) as error:
                if not self._ending:
                    log.warning(
                        "block %d: %s is lost: %s",
                        self._writer.block_id,
                        link_of(self._write.targets[0]),
                        error,
                    )
                self._lose_mirror(self._mirror)
                return
            try:
                with self._lock:
                    self._send(self._pipeline.mirror_acknowledged(ack.seqno, ack.replies))
            except OSError:
                return  # the writer is gone; the receiving thread meets the same
            if ack.seqno == self._last_seqno:
                # nothing more comes, and the mirror may close before our own disk has the packet
                break
        self._end_if_broken()

    def _await_ack(self, mirror: socket.socket) -> None:
        """Returns when the mirror says something. Raises TimeoutError when it owes an
        acknowledgement for too long; idle it may be."""
        options, poller = self._context.options, select.poll()
        poller.register(mirror, select.POLLIN)
        since: tuple[tuple[int, bool] | None, float] = (None, 0.0)
        extra_s = options.mirror_extra_s * (len(self._write.targets) - 1)
        while not poller.poll(min(1.0, options.ack_s / 4) * 1000):
            with self._lock:
                owed = self._pipeline.owed()
            now = time.monotonic()
            if owed is None or owed != since[0]:
                since = owed, now
            elif now - since[1] > (options.close_s if owed[1] else options.ack_s) + extra_s:
                raise TimeoutError(f"packet {owed[0]} is not acknowledged")

    def _lose_mirror(self, mirror: socket.socket) -> None:
        self._mirror_alive = False
        with suppress(OSError):
            mirror.shutdown(socket.SHUT_RDWR)  # the receiving thread may be stuck in sending to it
        with suppress(OSError), self._lock:
            self._send(self._pipeline.mirror_lost())
        self._end_if_broken()

    def _end_if_broken(self) -> None:
        """The writer hears no more from us, so it closes, which ends the receiving thread's
        wait."""
        if self._pipeline.broken:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def _send(self, acks: list[Ack]) -> None:
        visible = min(self._pipeline.visible, self._writer.length)
        if visible > self._writer.visible:
            # before the ack leaves: who has been told that bytes are flushed may read them
            self._writer.visible = visible
        for ack in acks:
            self._sock.sendall(dt.encode_ack(dt.Ack(ack.seqno, ack.replies)))


def _drain(sock: socket.socket) -> None:
    """Ends our side and reads what the writer still sends, for a moment: closing with bytes unread
    would reset the connection, and the error acknowledgement could be lost with it."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        set_timeouts(sock, _DRAIN_S)
        while sock.recv(1 << 16):
            pass
