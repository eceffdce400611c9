"""The data plane's listener: one thread per connection, a bounded number of them, one operation
after the other on each.

A connection whose first bytes are no DataTransferProtocol v28 is closed without a word, as Hadoop
does. Reads leave the connection open for the next operation; everything else ends it.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from clusterkit.listening import listen
from minihdfs.datanode.transfer.block_checksum import serve_block_checksum
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.datanode.transfer.guests import Guest, Guests
from minihdfs.datanode.transfer.reader_side import ReadBuffer, serve_read
from minihdfs.datanode.transfer.writer_side import serve_write
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_delimited, receive_into, set_timeouts

log = logging.getLogger(__name__)

_BACKLOG = 128
_STOP_JOIN_S = 2.0
_ACCEPT_AGAIN_S = 0.1


class ConnectionServer:
    """Accepts on one listening socket and runs `serve` on a thread per connection; `guests.py` says
    how many."""

    def __init__(self, name: str, serve: Callable[[Guest], None], connections_max: int) -> None:
        self._name, self._serve = name, serve
        self.guests = Guests(connections_max)
        self._listener: socket.socket | None = None
        self._stopping = threading.Event()

    def start(self, listener: socket.socket) -> None:
        self._listener = listener
        listener.listen(_BACKLOG)
        threading.Thread(target=self._accept, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """Closes the listener and every connection; returns when their threads have ended, or after
        a moment."""
        self._stopping.set()
        threads = self.guests.close()
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for thread in threads:
            if thread is not threading.current_thread():
                with suppress(RuntimeError):  # one that was just admitted and never ran
                    thread.join(_STOP_JOIN_S)

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                sock, address = self._listener.accept()
            except OSError as error:
                if self._stopping.is_set() or self._listener.fileno() < 0:
                    return
                log.warning("%s: a connection could not be accepted: %s", self._name, error)
                self.guests.make_room()
                self._stopping.wait(
                    _ACCEPT_AGAIN_S
                )  # without descriptors it would fail again at once, and fill the log
                continue
            guest = Guest(sock, str(address[0]) if isinstance(address, tuple) else "")
            thread = threading.Thread(
                target=self._run, args=(guest,), name=f"{self._name}-{sock.fileno()}", daemon=True
            )
            if not self.guests.admit(guest, thread):
                log.warning("%s: a connection beyond %d is closed", self._name, self.guests.most)
                sock.close()
                continue
            try:
                thread.start()
            except RuntimeError as error:  # no more threads
                log.warning("%s: a connection is closed: %s", self._name, error)
                self.guests.left(guest)
                sock.close()

    def _run(self, guest: Guest) -> None:
        try:
            self._serve(guest)
        except (OSError, dt.WireError) as error:
            log.debug("%s: connection ended: %s", self._name, error)
        except (
            Exception
        ):  # a bug in one operation must not take the other streams of this datanode with it
            log.exception("%s: an operation failed", self._name)
        finally:
            self.guests.left(guest)
            guest.socket.close()


class TransferServer:
    """DataTransferProtocol over TCP."""

    def __init__(
        self, context: TransferContext, transfer: Callable[[dt.TransferBlock], dt.OpReply]
    ) -> None:
        """`transfer` pushes a replica of ours to other datanodes and says how that went."""
        self._context, self._transfer = context, transfer
        self._connections = ConnectionServer(
            "transfer", self._serve, context.options.connections_max
        )
        self.port = 0

    def start(self, host: str, port: int) -> int:
        """Raises OSError when the port is taken."""
        listener = listen(host, port)
        self.port = int(listener.getsockname()[1])
        self._connections.start(listener)
        return self.port

    def stop(self) -> None:
        self._connections.stop()

    def _serve(self, guest: Guest) -> None:
        sock, options = guest.socket, self._context.options
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        prefix = memoryview(bytearray(dt.OP_PREFIX.size))
        with ReadBuffer(self._context.buffers) as buffer:
            while True:
                guest.waits()
                set_timeouts(sock, options.idle_s, options.packet_s)
                deadline_s = time.monotonic() + options.idle_s + options.request_s
                receive_into(sock, prefix, deadline_s)
                version, opcode = dt.OP_PREFIX.unpack(prefix)
                if version != dt.VERSION:
                    raise dt.WireError(
                        f"data transfer version {version}, this datanode speaks {dt.VERSION}"
                    )
                body = receive_delimited(
                    sock, deadline_s=min(deadline_s, time.monotonic() + options.request_s)
                )
                guest.moves()
                set_timeouts(sock, options.packet_s)
                if not self._operate(guest, opcode, body, buffer):
                    return

    def _operate(self, guest: Guest, opcode: int, body: bytes, buffer: ReadBuffer) -> bool:
        """True when the connection can be used for another operation."""
        sock = guest.socket
        try:
            operation = dt.decode_operation(opcode, body)
        except dt.WireError as error:
            sock.sendall(dt.encode_reply(dt.OpReply(dt.Status.ERROR_UNSUPPORTED, error.message)))
            return False
        if isinstance(operation, dt.ReadBlock):
            return serve_read(guest, operation, self._context, buffer)
        if isinstance(operation, dt.WriteBlock):
            return serve_write(guest, operation, self._context)
        if isinstance(operation, dt.BlockChecksum):
            return serve_block_checksum(sock, operation, self._context)
        sock.sendall(dt.encode_reply(self._transfer(operation)))
        return False
