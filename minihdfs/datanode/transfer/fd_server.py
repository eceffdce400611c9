"""The unix socket on which clients of this machine get the descriptors of a finalized replica's two
files (framing: minihdfs.wire.local_fd).

The socket lies in the datanode's own directory, which only its user may enter: who can connect may
read block files anyway.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from minihdfs.datanode.files.meta_file import HEADER_BYTES
from minihdfs.datanode.files.replica import State
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.datanode.transfer.guests import Guest
from minihdfs.datanode.transfer.reader_side import open_for_peer
from minihdfs.datanode.transfer.server import ConnectionServer
from minihdfs.model import BlockRef
from minihdfs.wire import data_transfer as dt
from minihdfs.wire import local_fd
from minihdfs.wire.streams import receive_into, set_timeouts

PATH_BYTES_MAX = 100
"""A unix socket's path is at most 107 bytes; some room is left for what appends to it."""


class DescriptorServer:
    def __init__(self, context: TransferContext) -> None:
        self._context = context
        self._connections = ConnectionServer(
            "descriptors", self._serve, context.options.connections_max
        )
        self._path: Path | None = None

    def start(self, path: Path) -> str:
        """Listens at `path` and returns it; "" where it is too long for a unix socket, and clients
        then read over TCP."""
        if len(os.fsencode(path)) > PATH_BYTES_MAX:
            return ""
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o600)
        self._connections.start(listener)
        self._path = path
        return str(path)

    def stop(self) -> None:
        self._connections.stop()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()

    def _serve(self, guest: Guest) -> None:
        sock, options = guest.socket, self._context.options
        set_timeouts(sock, options.idle_s, options.packet_s)
        request = memoryview(bytearray(local_fd.REQUEST_BYTES))
        while True:
            guest.waits()
            receive_into(sock, request, time.monotonic() + options.idle_s + options.request_s)
            guest.moves()
            self._answer(sock, local_fd.decode_request(request))

    def _answer(self, sock: socket.socket, request: local_fd.FdRequest) -> None:
        files = open_for_peer(self._context, BlockRef(request.block_id, request.stamp, 0))
        if isinstance(files, dt.OpReply):
            sock.sendall(
                local_fd.encode_fd_reply(local_fd.FdReply(local_fd.NOT_HERE, reason=files.message))
            )
            return
        with files:
            if files.state is not State.FINALIZED:
                reason = f"block {request.block_id} is still being written"
                sock.sendall(
                    local_fd.encode_fd_reply(
                        local_fd.FdReply(local_fd.NOT_FINALIZED, reason=reason)
                    )
                )
                return
            checksum = files.checksum
            reply = local_fd.FdReply(
                local_fd.OK,
                checksum.type,
                checksum.bytes_per_checksum,
                HEADER_BYTES,
                files.ref.length,
            )
            socket.send_fds(sock, [local_fd.encode_fd_reply(reply)], [files.data_fd, files.meta_fd])
