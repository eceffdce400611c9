"""Blocking socket steps that both ends of the data plane take: exactly n bytes, one delimited message, all of several buffers.

Timeouts are the socket's own. An orderly end of the stream in the middle of something is ConnectionResetError: the peer died.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from minihdfs.data_transfer import MAX_OP_BYTES, WireError


def receive_into(sock: socket.socket, view: memoryview) -> None:
    """Fills `view`."""
    while view:
        count = sock.recv_into(view)
        if not count:
            raise ConnectionResetError("the peer closed the connection")
        view = view[count:]


def receive_scattered(sock: socket.socket, first: memoryview, second: memoryview) -> None:
    """Fills `first`, then `second`, with as few system calls as the stream allows."""
    while first:
        count = sock.recvmsg_into([first, second])[0]
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
        byte = sock.recv(1)
        if not byte:
            raise ConnectionResetError("the peer closed the connection")
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
