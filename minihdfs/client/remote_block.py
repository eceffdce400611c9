"""One READ_BLOCK over TCP: packets straight into the caller's buffer where they fit, through a
reused one where they do not. Verified.

A stream covers a range of one block and is read from front to back. Read to its end it hands its
connection back for the next operation; left earlier, the connection is closed, because the datanode
is still sending.
"""

from __future__ import annotations

import time

from minihdfs.checksum import chunk_count, first_bad_chunk
from minihdfs.client.datanodes import Connection, Datanodes
from minihdfs.errors import ChecksumMismatch, FsError
from minihdfs.model import BlockRef, DatanodeAddress
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import (
    receive_delimited,
    receive_into,
    receive_scattered,
    send_buffers,
    set_timeouts,
)

_PREFIX = dt.PACKET_PREFIX.size
_FIRST = (
    _PREFIX + 25
)  # what every packet begins with: the prefix, and a header that is never shorter


PACKET_S = 300.0
"""A packet that has begun is whole after so long: a datanode that drips would hold a reader for
ever."""
MAX_BEYOND_BYTES = dt.MAX_PACKET_BYTES
"""What a datanode may send beyond the range, because it sends whole chunks, before the connection
is given up."""


class ReplicaRefused(FsError):
    """The datanode answered that it cannot serve this block; the message says why."""


class ReplicaBroken(FsError):
    """The datanode is there and began, but this replica ends early or makes no sense: it is to
    blame, not the datanode."""


class RemoteBlock:
    """`position` is the block offset of the next byte that `readinto` gives; `end` is where the
    range ends."""

    def __init__(
        self, datanodes: Datanodes, connection: Connection, reply: dt.OpReply, start: int, end: int
    ) -> None:
        checksum = reply.checksum
        if checksum is None or checksum.type not in (dt.ChecksumType.CRC32, dt.ChecksumType.CRC32C):
            raise ReplicaBroken("the datanode named no checksum that could be verified")
        if (
            not 0 < checksum.bytes_per_checksum <= dt.MAX_PACKET_BYTES
            or not 0 <= reply.chunk_offset <= start
        ):
            raise ReplicaBroken(
                f"the datanode begins at {reply.chunk_offset} with chunks of "
                f"{checksum.bytes_per_checksum} bytes"
            )
        self.position, self.end = start, end
        self._datanodes, self._connection, self._checksum = datanodes, connection, checksum
        self._next = reply.chunk_offset  # block offset at which the next packet must begin
        self._front = memoryview(bytearray(_FIRST + dt.MAX_HEADER_BYTES))
        self._sums = memoryview(bytearray(64))
        self._buffer = memoryview(b"")
        self._rest = memoryview(
            b""
        )  # verified bytes of the packet in `_buffer` that nobody has taken yet
        self._done = False

    def readinto(self, view: memoryview) -> int:
        """Fills `view` as far as the range goes. Raises ChecksumMismatch, ReplicaBroken,
        TimeoutError; then the stream is of no further use."""
        try:
            return self._fill(view)
        except TimeoutError:
            raise
        except (OSError, dt.WireError) as error:
            raise ReplicaBroken(f"{error} at byte {self.position} of the block") from error

    def _fill(self, view: memoryview) -> int:
        filled, want = 0, min(len(view), self.end - self.position)
        while filled < want:
            if not self._rest:
                filled += self._packet(view[filled:want])
                continue
            count = min(len(self._rest), want - filled)
            view[filled : filled + count] = self._rest[:count]
            self._rest = self._rest[count:]
            self.position += count
            filled += count
        if self.position == self.end and not self._done:
            self._finish()
        return filled

    def close(self) -> None:
        """Does nothing once the range was read whole: then the connection is another's already."""
        if not self._done:
            self._done = True
            self._connection.close()

    def _packet(self, view: memoryview) -> int:
        """Takes the next packet: straight into `view` (returns its bytes) when all of it is wanted
        and fits, else into the buffer (0)."""
        header = self._header()
        if header.last or header.offset != self._next or header.data_bytes < 1:
            raise dt.WireError(
                f"packet at {header.offset} of {header.data_bytes} bytes, one at {self._next} "
                "was due"
            )
        sock = self._connection.socket
        chunks = chunk_count(header.data_bytes, self._checksum.bytes_per_checksum)
        if header.checksum_bytes != 4 * chunks or self._next % self._checksum.bytes_per_checksum:
            raise dt.WireError(
                f"packet of {header.data_bytes} bytes with {header.checksum_bytes} bytes of "
                "checksums"
            )
        if len(self._sums) < header.checksum_bytes:
            self._sums = memoryview(bytearray(header.checksum_bytes))
        sums = self._sums[: header.checksum_bytes]
        direct = header.offset == self.position and header.data_bytes <= len(view)
        if direct:
            data = view[: header.data_bytes]
        else:
            if len(self._buffer) < header.data_bytes:
                self._buffer = memoryview(bytearray(header.data_bytes))
            data = self._buffer[: header.data_bytes]
        receive_scattered(sock, sums, data, time.monotonic() + PACKET_S)
        bad = first_bad_chunk(data, sums, self._checksum.bytes_per_checksum, self._checksum.type)
        if bad is not None:
            at = header.offset + bad * self._checksum.bytes_per_checksum
            raise ChecksumMismatch(f"bytes from {at} do not match their checksum")
        self._next = header.offset + header.data_bytes
        if direct:
            self.position += header.data_bytes
            return header.data_bytes
        skipped = self.position - header.offset
        if skipped < 0:
            raise dt.WireError(f"the datanode began at {header.offset}, after {self.position}")
        self._rest = data[skipped : self.end - header.offset]
        return 0

    def _header(self) -> dt.PacketHeader:
        sock, front = self._connection.socket, self._front
        receive_into(sock, front[:_FIRST])
        payload, size = dt.decode_packet_prefix(front[:_PREFIX])
        if _PREFIX + size > _FIRST:
            receive_into(sock, front[_FIRST : _PREFIX + size])
        elif _PREFIX + size < _FIRST:
            raise dt.WireError(f"packet header of {size} bytes")
        return dt.decode_packet_header(front[_PREFIX : _PREFIX + size], payload)

    def _finish(self) -> None:
        """Takes the empty last packet, says that all was well, and gives the connection back."""
        self._done = True
        try:
            header = self._header()
            beyond = 0
            while not header.last:  # a datanode may send whole chunks beyond the range
                beyond += header.checksum_bytes + header.data_bytes
                if beyond > MAX_BEYOND_BYTES or not header.data_bytes:
                    raise dt.WireError("the datanode does not come to an end")
                receive_into(
                    self._connection.socket,
                    memoryview(bytearray(header.checksum_bytes + header.data_bytes)),
                )
                header = self._header()
            send_buffers(self._connection.socket, [dt.encode_read_status(dt.Status.CHECKSUM_OK)])
        except (OSError, dt.WireError):
            # Every byte that was asked for is here and verified: how the datanode says goodbye
            # changes nothing.
            self._connection.close()
        else:
            self._datanodes.keep(self._connection)


def open_remote(
    datanodes: Datanodes,
    address: DatanodeAddress,
    block: BlockRef,
    start: int,
    end: int,
    *,
    client_name: str,
    timeout_s: float,
) -> RemoteBlock:
    """Begins to read [start, end) of a block. Raises ReplicaRefused, ReplicaBroken, WireError or
    OSError."""
    operation = dt.encode_operation(dt.ReadBlock(block, client_name, start, end - start))
    connection = datanodes.connect(address)
    try:
        return _begin(datanodes, connection, operation, start, end, timeout_s)
    except OSError:
        if not connection.reused:
            raise
    return _begin(
        datanodes, datanodes.connect(address, fresh=True), operation, start, end, timeout_s
    )


def _begin(
    datanodes: Datanodes,
    connection: Connection,
    operation: bytes,
    start: int,
    end: int,
    timeout_s: float,
) -> RemoteBlock:
    try:
        set_timeouts(connection.socket, timeout_s)
        connection.socket.sendall(operation)
        reply = dt.decode_reply(
            receive_delimited(connection.socket, deadline_s=time.monotonic() + 2 * timeout_s)
        )
        if reply.status != dt.Status.SUCCESS:
            raise ReplicaRefused(reply.message or f"status {reply.status}")
        return RemoteBlock(datanodes, connection, reply, start, end)
    except BaseException:
        connection.close()
        raise
