"""Takes packets off a socket into one buffer that is used again for each: as parts to verify and
store, and whole to pass on.

The buffer grows to what a packet announces, within what all streams may have together (buffers.py).
"""

from __future__ import annotations

import socket
import time
from types import TracebackType

from minihdfs.datanode.transfer.buffers import FREE_BYTES, Buffers
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_into

_PREFIX = dt.PACKET_PREFIX.size
_PACKET_S = 600.0
"""A packet that has begun is whole after so long, or the stream ends: silence is noticed much
sooner."""


class PacketReceiver:
    """After `receive`, `checksums`, `data` and `wire` (the packet as it came) are views that hold
    until the next `receive`."""

    def __init__(self, sock: socket.socket, buffers: Buffers) -> None:
        self._sock, self._buffers, self._counted = sock, buffers, 0
        self._buffer = memoryview(bytearray(FREE_BYTES))
        self.checksums = self.data = self.wire = self._buffer[:0]

    def __enter__(self) -> PacketReceiver:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._buffers.give(self._counted)
        self._counted = 0

    def receive(self) -> dt.PacketHeader:
        """Raises WireError, OSError."""
        receive_into(self._sock, self._buffer[:_PREFIX])
        deadline_s = time.monotonic() + _PACKET_S
        payload_bytes, header_bytes = dt.decode_packet_prefix(self._buffer[:_PREFIX])
        body = _PREFIX + header_bytes
        end = body + payload_bytes
        if end > len(self._buffer):
            self._grow(end + 4096)
        receive_into(self._sock, self._buffer[_PREFIX:end], deadline_s)
        header = dt.decode_packet_header(self._buffer[_PREFIX:body], payload_bytes)
        self.checksums = self._buffer[body : body + header.checksum_bytes]
        self.data = self._buffer[body + header.checksum_bytes : end]
        self.wire = self._buffer[:end]
        return header

    def _grow(self, size: int) -> None:
        self._buffers.take(size - self._counted)
        self._counted = size
        larger = memoryview(bytearray(size))
        larger[:_PREFIX] = self._buffer[:_PREFIX]
        self._buffer = larger
