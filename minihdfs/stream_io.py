"""Blocking socket steps that both ends of the data plane take: exactly n bytes, one delimited message, all of several buffers.

Timeouts are the socket's own, Python's or, better, the kernel's (`set_timeouts`): then a receive of a whole packet is one system call
(MSG_WAITALL). Both show as TimeoutError. An orderly end of the stream in the middle of something is ConnectionResetError: the peer died.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from minihdfs.data_transfer import MAX_OP_BYTES, WireError

_TIMEVAL = struct.Struct("@ll")


def set_timeouts(sock: socket.socket, receive_s: float, send_s: float | None = None) -> None:
    """Timeouts in the kernel; 0 is none. Plain calls on the socket show them as BlockingIOError, the functions here as TimeoutError."""
    sock.setblocking(True)
    for option, seconds in ((socket.SO_RCVTIMEO, receive_s), (socket.SO_SNDTIMEO, receive_s if send_s is None else send_s)):
        sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1e6)))


def receive_into(sock: socket.socket, view: memoryview) -> None:
    """Fills `view`."""
    while view:
        try:
            count = sock.recv_into(view, len(view), socket.MSG_WAITALL)
        except BlockingIOError:
            raise TimeoutError("the peer sent nothing in time") from None
        if not count:
            raise ConnectionResetError("the peer closed the connection")
        view = view[count:]


def receive_scattered(sock: socket.socket, first: memoryview, second: memoryview) -> None:
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
    receive_into(sock, second)


def receive_bytes(sock: socket.socket, count: int) -> bytes:
    buffer = bytearray(count)
    receive_into(sock, memoryview(buffer))
    return bytes(buffer)


def receive_delimited(sock: socket.socket, limit: int = MAX_OP_BYTES) -> bytes:
    """One varint-delimited message. Reads no byte beyond it, so the stream can be handed on. Raises WireError past `limit`."""
    length = shift = 0
    while True:
        byte = receive_bytes(sock, 1)
        length |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            break
        shift += 7
        if shift > 28:
            raise WireError("a message length does not end")
    if length > limit:
        raise WireError(f"message of {length} bytes, the limit is {limit}")
    return receive_bytes(sock, length)


def send_buffers(sock: socket.socket, buffers: Sequence[bytes | memoryview]) -> None:
    """All of `buffers`, in order, in one system call when the socket takes it."""
    sent = sock.sendmsg(buffers)
    for buffer in buffers:
        size = len(buffer)
        if sent >= size:
            sent -= size
        else:
            sock.sendall(memoryview(buffer)[sent:] if sent else buffer)
            sent = 0
