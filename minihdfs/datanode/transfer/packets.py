"""Takes packets off a socket into one buffer that is used again for each: as parts to verify and store, and whole to pass on.

Sockets here are blocking, with the kernel's own timeouts (SO_RCVTIMEO, SO_SNDTIMEO): a receive of a whole packet is then one system call
(MSG_WAITALL), which Python's timeouts would make three.
"""

from __future__ import annotations

import socket
import struct

from minihdfs import data_transfer as dt

_TIMEVAL = struct.Struct("@ll")
_PREFIX = dt.PACKET_PREFIX.size
_FIRST_BUFFER_BYTES = 128 << 10


def set_timeouts(sock: socket.socket, receive_s: float, send_s: float | None = None) -> None:
    """Timeouts in the kernel; 0 is none. They show as TimeoutError from the functions here and as BlockingIOError from plain calls."""
    sock.setblocking(True)
    for option, seconds in ((socket.SO_RCVTIMEO, receive_s), (socket.SO_SNDTIMEO, receive_s if send_s is None else send_s)):
        sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1e6)))


def receive_exactly(sock: socket.socket, view: memoryview) -> None:
    """Fills `view`. Raises ConnectionResetError at the end of the stream, TimeoutError."""
    while view:
        try:
            count = sock.recv_into(view, len(view), socket.MSG_WAITALL)
        except BlockingIOError:
            raise TimeoutError("the peer sent nothing in time") from None
        if not count:
            raise ConnectionResetError("the peer closed the connection")
        view = view[count:]


class PacketReceiver:
    """After `receive`, `checksums`, `data` and `wire` (the packet as it came) are views that hold until the next `receive`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = memoryview(bytearray(_FIRST_BUFFER_BYTES))
        self.checksums = self.data = self.wire = self._buffer[:0]

    def receive(self) -> dt.PacketHeader:
        """Raises WireError, OSError."""
        receive_exactly(self._sock, self._buffer[:_PREFIX])
        payload_bytes, header_bytes = dt.decode_packet_prefix(self._buffer[:_PREFIX])
        body = _PREFIX + header_bytes
        end = body + payload_bytes
        if end > len(self._buffer):
            larger = memoryview(bytearray(end + 4096))
            larger[:_PREFIX] = self._buffer[:_PREFIX]
            self._buffer = larger
        receive_exactly(self._sock, self._buffer[_PREFIX:end])
        header = dt.decode_packet_header(self._buffer[_PREFIX:body], payload_bytes)
        self.checksums = self._buffer[body : body + header.checksum_bytes]
        self.data = self._buffer[body + header.checksum_bytes : end]
        self.wire = self._buffer[:end]
        return header
