"""The next datanode of a pipeline: connecting to it, handing the operation on, what it answered."""

from __future__ import annotations

import socket
from dataclasses import replace

from minihdfs.datanode.transfer.context import TransferOptions
from minihdfs.errors import FsError
from minihdfs.model import DatanodeAddress
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_delimited, set_timeouts


class MirrorRefused(FsError):
    """A datanode could not be reached or did not take the operation; `link` is the "host:port" of
    the one to leave out."""

    code = "MIRROR"

    def __init__(self, link: str, message: str) -> None:
        super().__init__(message)
        self.link = link


def link_of(address: DatanodeAddress) -> str:
    return f"{address.host}:{address.xfer_port}"


def connect(
    address: DatanodeAddress, options: TransferOptions, nodes_behind: int = 0
) -> socket.socket:
    """A connection with the timeout of a set-up. Raises OSError."""
    sock = socket.create_connection((address.host, address.xfer_port), timeout=options.connect_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    set_timeouts(
        sock, options.setup_s + (options.connect_s + options.mirror_extra_s) * nodes_behind
    )
    return sock


def open_mirror(write: dt.WriteBlock, options: TransferOptions) -> socket.socket:
    """Begins `write` at its first target, which begins it at the next. Returns the stream for
    packets. Raises MirrorRefused."""
    target, behind = write.targets[0], write.targets[1:]
    link = link_of(target)
    try:
        sock = connect(target, options, len(behind))
    except OSError as error:
        raise MirrorRefused(link, f"no connection to {link}: {error}") from error
    try:
        sock.sendall(dt.encode_operation(replace(write, targets=behind)))
        reply = dt.decode_reply(receive_delimited(sock))
    except (OSError, dt.WireError) as error:
        sock.close()
        raise MirrorRefused(link, f"no answer from {link}: {error}") from error
    if reply.status != dt.Status.SUCCESS:
        sock.close()
        # One that fails itself names nobody; without a name the writer would blame the first of the
        # pipeline.
        raise MirrorRefused(
            reply.first_bad_link or link,
            reply.message or f"{link} answered with status {reply.status}",
        )
    set_timeouts(sock, options.close_s + options.mirror_extra_s * len(behind))
    return sock
