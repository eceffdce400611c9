"""Blocking socket steps that both ends of the data plane take: exactly n bytes, one delimited
message, all of several buffers.

Timeouts are the socket's own, Python's or, better, the kernel's (`set_timeouts`): then a receive of
a whole packet is one system call (MSG_WAITALL). Both show as TimeoutError. An orderly end of the
stream in the middle of something is ConnectionResetError: the peer died.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

from minihdfs.wire.data_transfer import MAX_OP_BYTES, WireError

_TIMEVAL = struct.Struct("@ll")


def set_timeouts(sock: socket.socket, receive_s: float, send_s: float | None = None) -> None:
    """Timeouts in the kernel; 0 is none. Plain calls on the socket show them as BlockingIOError,
    the functions here as TimeoutError."""
    sock.setblocking(True)
    for option, seconds in (
        (socket.SO_RCVTIMEO, receive_s),
        (socket.SO_SNDTIMEO, receive_s if send_s is None else send_s),
    ):
        sock.setsockopt(
            socket.SOL_SOCKET, option, _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1e6))
        )


def receive_into(sock: socket.socket, view: memoryview, deadline_s: float = 0) -> None:
    """Fills `view`. A peer that sends a byte now and then outlasts every timeout, so all of it has
    to come by `deadline_s` (monotonic)."""
    while view:
        try:
            count = sock.recv_into(view, len(view), socket.MSG_WAITALL)
        except BlockingIOError:
            raise TimeoutError("the peer sent nothing in time") from None
        if not count:
            raise ConnectionResetError("the peer closed the connection")
        view = view[count:]
        if view and deadline_s and time.monotonic() > deadline_s:
            raise TimeoutError("the peer sends too slowly")


def receive_scattered(
    sock: socket.socket, first: memoryview, second: memoryview, deadline_s: float = 0
) -> None:
    """Fills `first`, then `second`, with as few system calls as the stream allows."""
    while first:
        try:
            count = sock.recvmsg_into([first, second], 0, socket.MSG_WAITALL)[0]
        except BlockingIOError:
            raise TimeoutError("the peer sent nothing in time") from None
        if not count:
            raise ConnectionResetError("the peer closed the connection")
        if count < len(first):
            first = first[count:]
        else:
            first, second = first[:0], second[count - len(first) :]
        if first and deadline_s and time.monotonic() > deadline_s:
            raise TimeoutError("the peer sends too slowly")
    receive_into(sock, second, deadline_s)


def receive_bytes(sock: socket.socket, count: int, deadline_s: float = 0) -> bytes:
    buffer = bytearray(count)
    receive_into(sock, memoryview(buffer), deadline_s)
    return bytes(buffer)


def receive_delimited(
    sock: socket.socket, limit: int = MAX_OP_BYTES, deadline_s: float = 0
) -> bytes:
    """One varint-delimited message. Reads no byte beyond it, so the stream can be handed on. Raises
    WireError past `limit`."""
    length = shift = 0
    while True:
        byte = receive_bytes(sock, 1, deadline_s)
        if deadline_s and time.monotonic() > deadline_s:
            raise TimeoutError("the peer sends too slowly")
        length |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            break
        shift += 7
        if shift > 28:
            raise WireError("a message length does not end")
    if length > limit:
        raise WireError(f"message of {length} bytes, the limit is {limit}")
    return receive_bytes(sock, length, deadline_s)


def send_buffers(
    sock: socket.socket, buffers: Sequence[bytes | memoryview], deadline_s: float = 0
) -> None:
    """All of `buffers`, in order, in one system call when the socket takes it. All of it has to be
    taken by `deadline_s` (monotonic)."""
    left = [memoryview(buffer) for buffer in buffers]
    while left:
        try:
            sent = sock.sendmsg(left)
        except BlockingIOError:
            raise TimeoutError("the peer took nothing in time") from None
        while left and sent >= len(left[0]):
            sent -= len(left.pop(0))
        if left:
            left[0] = left[0][sent:]
            if deadline_s and time.monotonic() > deadline_s:
                raise TimeoutError("the peer takes too slowly")
