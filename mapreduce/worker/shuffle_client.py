"""Fetches what a task reads of other tasks' outputs, inside its process: one selector loop, no
threads, while those tasks may still run.

`FetchPlan` decides; this file moves bytes. A segment is received whole and its checksum compared
before it counts; what is left of an interrupted or withdrawn fetch is thrown away with its
connection. Segments lie in memory up to a budget, then in one file of the work directory. News of
outputs comes over the task's channel in between.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from clusterkit.checksum import crc32c
from clusterkit.disks import with_its_disk
from clusterkit.errors import CorruptRecord
from mapreduce.engine.attempt import Segment
from mapreduce.engine.map_output import HOLDS
from mapreduce.model import FRAMES
from mapreduce.wire.shuffle import (
    NOT_HERE,
    OK,
    REPLY_HEAD,
    ReplyHead,
    SegmentRequest,
    decode_reply,
    encode_request,
)
from mapreduce.worker import task_messages as msg
from mapreduce.worker.core.fetch_plan import (
    CORRUPT,
    MISSING,
    UNREACHABLE,
    Fetch,
    FetchOptions,
    FetchPlan,
    Want,
    wants,
)

PIECE_BYTES = 1 << 20
SILENCE_S = 20.0
TELL_EVERY_S = 0.5


class Channel(Protocol):
    socket: socket.socket

    def send(self, message: msg.FromTask) -> None: ...

    def receive(self, *, wait: bool = True) -> msg.ToTask | None: ...


class _Bad(Exception):
    """What arrived is not the segment."""


class _NoPlace(Exception):
    """What arrives cannot be put anywhere here; `error` says why."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Arriving:
    """One segment on its way in: in memory, or at its place in the spill file."""

    def __init__(self, head: ReplyHead, spill: tuple[int, int] | None, spill_path: Path) -> None:
        self.head, self._spill, self._spill_path = head, spill, spill_path
        self.data = bytearray(head.length if spill is None else min(head.length, PIECE_BYTES))
        self._view = memoryview(self.data)
        self.got = 0
        self.crc = 0

    def room(self) -> memoryview:
        left = self.head.length - self.got
        start = self.got if self._spill is None else 0
        return self._view[start : start + min(left, PIECE_BYTES)]

    def took(self, piece: memoryview) -> None:
        """Raises _NoPlace: a disk of ours says nothing about the one who sends."""
        self.crc = crc32c(piece, self.crc)
        if self._spill is not None:
            fd, offset = self._spill
            done = 0
            try:
                while done < len(piece):
                    done += os.pwrite(fd, piece[done:], offset + self.got + done)
            except OSError as error:
                raise _NoPlace(with_its_disk(error, self._spill_path, HOLDS)) from error
        self.got += len(piece)

    @property
    def in_memory(self) -> bool:
        return self._spill is None

    def segment(self, want: Want) -> Segment:
        in_memory = self._spill is None
        return Segment(
            task=want.task,
            length=self.head.length,
            crc32c=self.head.crc32c,
            path="" if in_memory else str(self._spill_path),
            offset=0 if self._spill is None else self._spill[1],
            data=bytes(self.data) if in_memory else None,
            edge=want.edge,
            partition=want.partition,
            codec=self.head.codec,
        )


class _Connection:
    """One TCP connection to one worker; at most one fetch at a time."""

    def __init__(self, host: str, port: int) -> None:
        self.name = (host, port)
        family, kind, protocol, _canonical, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        self.socket = socket.socket(family, kind, protocol)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        status = self.socket.connect_ex(address)
        if status not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(status, os.strerror(status))
        self.fetch: Fetch | None = None
        self.to_send = b""
        self.head = bytearray()
        self.arriving: _Arriving | None = None
        self.heard_at = time.monotonic()

    def ask(self, fetch: Fetch, request: SegmentRequest) -> None:
        self.fetch, self.to_send = fetch, encode_request(request)
        self.head, self.arriving = bytearray(), None
        self.heard_at = time.monotonic()


class ShuffleClient:
    def __init__(
        self,
        order: msg.TaskOrder,
        channel: Channel,
        work: Path,
        *,
        memory_bytes: int,
        options: FetchOptions | None = None,
        tell: Callable[[float], None] = lambda _fraction: None,
    ) -> None:
        """`tell` hears the share of segments that have arrived, at least twice a second, waiting or
        not."""
        self._job_id = order.job_id
        wanted = tuple(wants(order.inputs, order.index))
        self.plan = FetchPlan(wanted, order.index, options or FetchOptions())
        for location in order.known:
            self.plan.locate(location)
        self._channel, self._tell = channel, tell
        self._memory_left = memory_bytes
        self._spill_path = work / "fetched"
        self._spill_fd = -1
        self._spill_end = 0
        self._own_files: dict[int, int] = {}  # item → descriptor
        self._idle: dict[tuple[str, int], list[_Connection]] = {}
        self._busy: set[_Connection] = set()
        self._segments: dict[int, Segment] = {}
        self._selector = selectors.DefaultSelector()

    def fetch_all(self) -> list[Segment]:
        """Every non-empty segment, in the order of merging. Waits for tasks that are still running.
        Raises DiskFailed or OSError where this machine's disk does not take them."""
        self._selector.register(self._channel.socket, selectors.EVENT_READ, None)
        told_at = 0.0
        try:
            # it may have come in one piece with the order: then the socket is not readable any more
            self._hear_news()
            while not self.plan.is_done():
                self._begin_fetches()
                for key, mask in self._selector.select(self._timeout_s()):
                    if key.data is None:
                        self._hear_news()
                    else:
                        self._advance(key.data, mask)
                self._drop_the_stale()
                if time.monotonic() - told_at > TELL_EVERY_S:
                    told_at = time.monotonic()
                    self._tell(self.plan.arrived_count / max(1, len(self.plan.wants)))
        except _NoPlace as refused:
            raise refused.error from refused
        finally:
            self._close()
        return [self._segments[index] for index in sorted(self._segments)]

    # ── the loop's parts ──

    def _begin_fetches(self) -> None:
        for fetch in self.plan.next_fetches(_now_us()):
            name = (fetch.host, fetch.shuffle_port)
            idle = self._idle.get(name)
            try:
                connection = idle.pop() if idle else self._connect(*name)
            except OSError as error:
                self._complain(fetch, UNREACHABLE, f"{fetch.host}:{fetch.shuffle_port}: {error}")
                continue
            connection.ask(fetch, SegmentRequest(self._job_id, fetch.attempt_id, fetch.partition))
            self._busy.add(connection)
            self._selector.modify(
                connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection
            )

    def _connect(self, host: str, port: int) -> _Connection:
        connection = _Connection(host, port)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _hear_news(self) -> None:
        while (message := self._channel.receive(wait=False)) is not None:
            if isinstance(message, msg.Locations):
                for location in message.locations:
                    self.plan.locate(location)

    def _advance(self, connection: _Connection, mask: int) -> None:
        fetch = connection.fetch
        try:
            if fetch is None:
                raise OSError(
                    "closed by the other side"
                )  # or it speaks unasked: either way it is of no more use
            if mask & selectors.EVENT_WRITE and connection.to_send:
                connection.to_send = connection.to_send[
                    connection.socket.send(connection.to_send) :
                ]
                if not connection.to_send:
                    self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            if mask & selectors.EVENT_READ and self._receive(connection):
                self._arrived(connection, fetch)
        except BlockingIOError:
            pass
        except (CorruptRecord, _Bad) as error:
            self._drop(connection)
            self._complain(fetch, CORRUPT, f"{error}")
        except OSError as error:
            self._drop(connection)
            self._complain(
                fetch, UNREACHABLE, f"{connection.name[0]}:{connection.name[1]}: {error}"
            )

    def _receive(self, connection: _Connection) -> bool:
        """Takes what is there. True when the whole reply is."""
        connection.heard_at = time.monotonic()
        if len(connection.head) < REPLY_HEAD.size:
            connection.head += _some(connection.socket.recv(REPLY_HEAD.size - len(connection.head)))
            if len(connection.head) < REPLY_HEAD.size:
                return False
            head = decode_reply(connection.head)
            connection.arriving = self._arriving(head, connection.fetch)
        arriving = connection.arriving
        assert arriving is not None
        while arriving.got < arriving.head.length:
            room = arriving.room()
            count = connection.socket.recv_into(room)
            if count == 0:
                raise OSError("the connection broke in the middle of a segment")
            arriving.took(room[:count])
        return True

    def _arriving(self, head: ReplyHead, fetch: Fetch | None) -> _Arriving:
        if head.status != OK or fetch is None:
            return _Arriving(head, None, self._spill_path)
        if head.codec == FRAMES:
            return _Arriving(head, self._place(head.length), self._spill_path)
        path = self._spill_path.with_name(f"fetched-{fetch.item}")
        return _Arriving(head, (self._own_file(path, fetch.item), 0), path)

    def _own_file(self, path: Path, item: int) -> int:
        """What is not the engine's frames is a file with a path, for whoever can read it."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _NoPlace(with_its_disk(error, path, HOLDS)) from error
        if item in self._own_files:
            os.close(self._own_files[item])
        self._own_files[item] = fd
        return fd

    def _place(self, length: int) -> tuple[int, int] | None:
        """Where a segment is put: None = in memory."""
        if length <= self._memory_left:
            self._memory_left -= length
            return None
        if self._spill_fd < 0:
            try:
                self._spill_fd = os.open(
                    self._spill_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
                )
            except OSError as error:
                raise _NoPlace(with_its_disk(error, self._spill_path, HOLDS)) from error
        offset = self._spill_end
        self._spill_end += length
        return self._spill_fd, offset

    def _arrived(self, connection: _Connection, fetch: Fetch) -> None:
        arriving = connection.arriving
        assert arriving is not None
        head = arriving.head
        if head.status != OK:
            self._release(connection)
            kind = MISSING if head.status == NOT_HERE else CORRUPT
            self._complain(fetch, kind, bytes(arriving.data).decode("utf-8", "replace"))
            return
        if arriving.crc != head.crc32c:
            raise _Bad(
                f"{fetch.attempt_id} partition {fetch.partition}: {head.length} bytes do not "
                "match their checksum"
            )
        self._release(connection)
        if self.plan.arrived(fetch.ticket) and head.length:
            self._segments[fetch.item] = arriving.segment(self.plan.wants[fetch.item])

    def _complain(self, fetch: Fetch | None, kind: str, reason: str) -> None:
        complaint = (
            self.plan.failed(fetch.ticket, kind, reason, _now_us()) if fetch is not None else None
        )
        if complaint is not None:
            self._channel.send(msg.FetchFailing(list(complaint.sources), complaint.reason))

    def _drop_the_stale(self) -> None:
        """Fetches that are not wanted any more, and those that nothing is heard of."""
        now = time.monotonic()
        for connection in list(self._busy):
            fetch = connection.fetch
            if fetch is None or not self.plan.under_way(fetch.ticket):
                self._drop(connection)
            elif now - connection.heard_at > SILENCE_S:
                self._drop(connection)
                self._complain(
                    fetch,
                    UNREACHABLE,
                    f"{connection.name[0]}:{connection.name[1]}: silent for {SILENCE_S:g} s",
                )

    def _release(self, connection: _Connection) -> None:
        """The whole reply was read: the connection may be asked again."""
        connection.fetch = connection.arriving = None
        self._busy.discard(connection)
        self._idle.setdefault(connection.name, []).append(connection)

    def _drop(self, connection: _Connection) -> None:
        arriving = connection.arriving
        if connection.fetch is not None and arriving is not None and arriving.in_memory:
            self._memory_left += arriving.head.length
        connection.fetch = connection.arriving = None
        self._busy.discard(connection)
        idle = self._idle.get(connection.name, [])
        if connection in idle:
            idle.remove(connection)
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _timeout_s(self) -> float:
        deadline = self.plan.next_deadline(_now_us())
        return (
            TELL_EVERY_S
            if deadline is None
            else max(0.001, min(TELL_EVERY_S, deadline / 1e6 - time.monotonic()))
        )

    def _close(self) -> None:
        self._selector.unregister(self._channel.socket)
        for connection in [*self._busy, *(one for idle in self._idle.values() for one in idle)]:
            connection.socket.close()
        self._selector.close()
        for fd in [*self._own_files.values(), *([self._spill_fd] if self._spill_fd >= 0 else [])]:
            os.close(fd)


def _some(data: bytes) -> bytes:
    if not data:
        raise OSError("closed by the other side")
    return data


def _now_us() -> int:
    return int(time.monotonic() * 1e6)
