"""One block on its way through a pipeline of datanodes: packets out, acknowledgements in, both from
the caller's own thread.

The socket does not block: while it takes no more bytes, acknowledgements are read, so an error from
any datanode is heard at once and names the datanode. At most `packets_in_flight` packets wait for
theirs. Nothing here retries: a `PipelineBroken` ends the session, and the writer decides what
becomes of the block.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections import deque
from collections.abc import Sequence

from minihdfs.checksum import checksums_of
from minihdfs.client.api import ClientOptions
from minihdfs.client.datanodes import Connection, Datanodes
from minihdfs.model import BlockRef, DatanodeAddress, LocatedBlock
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_delimited

HEARTBEAT_S = 10.0
"""An idle pipeline is kept alive by an empty packet this often."""

MAX_ACK_BYTES = 4096


class PipelineBroken(Exception):
    """`bad` is the datanode that is to blame, as far as can be told; `silence` says that it is a
    guess, because nobody said anything."""

    def __init__(self, bad: DatanodeAddress, reason: str, *, silence: bool = False) -> None:
        super().__init__(f"{bad.hostname or bad.host}:{bad.xfer_port}: {reason}")
        self.bad, self.reason, self.silence = bad, reason, silence


class WriteSession:
    """`nodes` are the pipeline, nearest first. `sent` counts the block's bytes handed to it so
    far."""

    def __init__(
        self,
        connection: Connection,
        block: BlockRef,
        nodes: Sequence[DatanodeAddress],
        checksum: dt.Checksum,
        options: ClientOptions,
    ) -> None:
        self.block, self.nodes, self.sent = block, tuple(nodes), 0
        self._connection, self._checksum, self._options = connection, checksum, options
        self._socket = connection.socket
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._in_flight: deque[int] = deque()
        self._seqno = 0
        self._incoming = bytearray()
        self._last_sent = self._progressed = time.monotonic()

    def send(self, data: memoryview) -> None:
        """One packet. `data` is not kept: the caller may reuse it. Raises PipelineBroken."""
        self._packet(data, last=False, sync=False)
        self.sent += len(data)
        while len(self._in_flight) >= self._options.packets_in_flight:
            self._wait(select.POLLIN, self._options.ack_timeout_s)

    def finish(self, *, durable: bool = True) -> BlockRef:
        """Sends the last packet and returns once every datanode has finalized the block; it is then
        as long as `sent`."""
        self._packet(memoryview(b""), last=True, sync=durable)
        while self._in_flight:
            self._wait(select.POLLIN, self._options.close_timeout_s)
        self.close()
        return BlockRef(self.block.id, self.block.stamp, self.sent)

    def keep_alive(self) -> None:
        """Call now and then while nothing is written: a datanode takes a silent writer for dead.
        Raises PipelineBroken."""
        now = time.monotonic()
        if not self._in_flight:
            self._progressed = now
        if now - self._last_sent > HEARTBEAT_S:
            self._transmit([dt.encode_packet_header(0, dt.HEARTBEAT_SEQNO, 0, 0)])
        self._take_acks()

    def close(self) -> None:
        self._connection.close()

    # ── out ───────────────────────────────────────────────────────────────────────────────────────

    def _packet(self, data: memoryview, *, last: bool, sync: bool) -> None:
        sums = checksums_of(data, self._checksum.bytes_per_checksum, self._checksum.type)
        header = dt.encode_packet_header(
            self.sent, self._seqno, len(data), len(sums), last=last, sync=sync
        )
        if not self._in_flight:
            self._progressed = time.monotonic()
        self._in_flight.append(self._seqno)
        self._seqno += 1
        self._transmit([header + sums, data] if data else [header])
        self._take_acks()

    def _transmit(self, buffers: Sequence[bytes | memoryview]) -> None:
        left = [memoryview(buffer) for buffer in buffers]
        while left:
            try:
                sent = self._socket.sendmsg(left)
            except BlockingIOError:
                self._wait(select.POLLIN | select.POLLOUT, self._options.ack_timeout_s)
                continue
            except OSError as error:
                with contextlib.suppress(OSError):
                    self._take_acks()  # may name the datanode that is really to blame
                raise self._broken(str(error)) from error
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if left:
                left[0] = left[0][sent:]
        self._last_sent = time.monotonic()

    # ── in ────────────────────────────────────────────────────────────────────────────────────────

    def _wait(self, events: int, timeout_s: float) -> None:
        """Until the socket is ready for one of `events`; acknowledgements are taken. `timeout_s`
        counts from the last sign of life."""
        self._poll.register(self._socket, events)
        left_s = self._progressed + timeout_s - time.monotonic()
        ready = self._poll.poll(max(0.0, left_s) * 1000)
        if not ready:
            raise self._broken(f"no acknowledgement for {timeout_s:g} s", silence=True)
        if ready[0][1] & ~select.POLLOUT:
            self._take_acks()
        else:
            self._progressed = time.monotonic()

    def _take_acks(self) -> None:
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError as error:
                raise self._broken(str(error)) from error
            if not data:
                raise self._broken("closed the connection")
            self._incoming += data
            self._parse_acks()
            if len(self._incoming) > MAX_ACK_BYTES:
                raise self._broken("an acknowledgement does not end")
            if not self._in_flight:
                return

    def _parse_acks(self) -> None:
        while (size := _whole_message(self._incoming)) is not None:
            prefix, length = size
            try:
                ack = dt.decode_ack(bytes(self._incoming[prefix : prefix + length]))
            except dt.WireError as error:
                raise self._broken(error.message) from error
            del self._incoming[: prefix + length]
            if len(ack.replies) > len(self.nodes):
                raise self._broken(
                    f"{len(ack.replies)} replies from a pipeline of {len(self.nodes)}"
                )
            for index, status in enumerate(ack.replies):
                if status != dt.Status.SUCCESS:
                    raise self._broken(f"answered {_status_name(status)}", index)
            if ack.seqno == dt.HEARTBEAT_SEQNO:
                continue
            if not self._in_flight or ack.seqno != self._in_flight[0]:
                raise self._broken(f"acknowledged packet {ack.seqno} out of order")
            self._in_flight.popleft()
            self._progressed = time.monotonic()

    def _broken(self, reason: str, index: int = 0, *, silence: bool = False) -> PipelineBroken:
        self.close()
        return PipelineBroken(self.nodes[min(index, len(self.nodes) - 1)], reason, silence=silence)


def begin_block(
    datanodes: Datanodes,
    located: LocatedBlock,
    client_name: str,
    checksum: dt.Checksum,
    options: ClientOptions,
) -> WriteSession:
    """Sets the pipeline up through all locations. Raises PipelineBroken naming the first datanode
    that could not be reached."""
    first, rest = located.locations[0], located.locations[1:]
    operation = dt.WriteBlock(
        located.block,
        client_name,
        rest,
        dt.Stage.CREATE,
        len(located.locations),
        checksum,
        stamp=located.block.stamp,
    )
    try:
        connection = datanodes.connect(first, fresh=True)
    except OSError as error:
        raise PipelineBroken(first, str(error) or "no answer") from error
    try:
        # Each datanode waits for the one behind it: give the blame time to travel back.
        connection.socket.settimeout(
            options.read_timeout_s + options.connect_timeout_s * (1 + len(rest))
        )
        connection.socket.sendall(dt.encode_operation(operation))
        reply = dt.decode_reply(receive_delimited(connection.socket))
    except (OSError, dt.WireError) as error:
        connection.close()
        raise PipelineBroken(
            first, str(error) or "no answer", silence=isinstance(error, TimeoutError)
        ) from error
    if reply.status != dt.Status.SUCCESS:
        connection.close()
        blamed = next(
            (
                node
                for node in located.locations
                if f"{node.host}:{node.xfer_port}" == reply.first_bad_link
            ),
            first,
        )
        raise PipelineBroken(blamed, reply.message or _status_name(reply.status))
    return WriteSession(connection, located.block, located.locations, checksum, options)


def blamed(
    datanodes: Datanodes, nodes: Sequence[DatanodeAddress], error: PipelineBroken, timeout_s: float
) -> PipelineBroken:
    """After silence, the error with the datanode that really is silent: the first of `nodes` that
    does not answer a trivial question."""
    question = dt.encode_operation(dt.ReadBlock(BlockRef(0, 0, 0), "probe", 0, 0))
    for node in nodes if error.silence else ():
        try:
            connection = datanodes.connect(node, fresh=True)
        except OSError:
            return PipelineBroken(node, error.reason)
        try:
            connection.socket.settimeout(timeout_s)
            connection.socket.sendall(question)
            receive_delimited(connection.socket)  # that there is no such block
        except (OSError, dt.WireError):
            return PipelineBroken(node, error.reason)
        finally:
            connection.close()
    return error


def _whole_message(data: bytearray) -> tuple[int, int] | None:
    """(bytes of the length, length) of the delimited message that `data` begins with, None when it
    is not whole yet."""
    length = 0
    for index, byte in enumerate(data[:5]):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return (index + 1, length) if len(data) > index + length else None
    return None


def _status_name(status: int) -> str:
    return dt.Status(status).name if status in set(dt.Status) else f"status {status}"
