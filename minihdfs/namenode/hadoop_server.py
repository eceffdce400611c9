"""The namenode's only thread: one non-blocking loop that reads, parses, steps, makes durable,
encodes and writes.

Each round keeps what readable connections have said, and hands `Driver.turn` as many calls as one
turn may take, in the order of `fair_queue`. Datanodes' calls, which gRPC's threads post, wait there
too, each datanode for itself. One fsync covers every edit of a turn (group commit). A call is cut
out of its connection's bytes, decoded and stepped when its turn comes: what waits costs nobody
anything but its bytes, which are bounded. Why one thread: handing calls between threads cost three
quarters of the calls per second.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from clusterkit.clock import Clock
from clusterkit.driver import MAX_BATCH, TURN_US, Driver
from clusterkit.effects import Event, Send
from minihdfs.errors import Standby
from minihdfs.namenode.admission import Admission
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.fair_queue import FairQueue
from minihdfs.namenode.hadoop_connection import ClientConnection, Limits, Load
from minihdfs.namenode.lineages import Lineages
from minihdfs.namenode.methods.own import method_table
from minihdfs.namenode.methods.table import Facts
from minihdfs.namenode.parties import Parties
from minihdfs.wire.hadoop_rpc import MalformedRpc

LOG = logging.getLogger(__name__)
_HOUSEKEEPING_US = 1_000_000
_READY_MAX = 128  # connections of one round; the kernel hands out the others first in the next
_ROOM_LOOKS = 30_000  # at connections, for one newcomer
_READS_TURN_US = 5_000
"""A turn without edits: there is no fsync that a longer one would spread over more of them, and
others wait to be read."""
_FLUSH_US = 2_000  # pipelined answers that no edit holds back leave so often within a turn
_OWN = "this process"  # in place of a host: datanodes' events
_BROKEN = select.EPOLLHUP | select.EPOLLERR


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that `RpcLoop` can serve. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=1024)
    listener.setblocking(False)
    return listener


def _datanode(event: Event) -> str:
    return getattr(event, "uuid", "")  # those that register are one


class RpcLoop:
    """Runs in one thread; only `post` and `stop` may be called from others."""

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        *,
        facts: Facts,
        groups: Callable[[str], tuple[str, ...]],
        clock: Clock,
        limits: Limits | None = None,
        each_second: Callable[[], None] = lambda: None,
    ) -> None:
        """`each_second` is called between two turns, about as often."""
        self.facts = facts
        self._groups, self._clock, self._limits = groups, clock, limits or Limits()
        self.each_second = each_second
        self._admission, self._parties = Admission(self._limits), Parties()
        self._queue: FairQueue[ClientConnection | deque[Event]] = FairQueue()
        self._posted: dict[str, deque[Event]] = {}  # of datanodes that wait in the queue
        self._load = Load()
        self._held = 0  # bytes of all connections
        self._methods = method_table()
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._connections: dict[int, ClientConnection] = {}
        self._lineages: Lineages[ClientConnection] = Lineages()
        self._accepted = 0
        self._changed: list[ClientConnection] = []
        self._inbox: deque[Event] = deque()
        self._stopping = self._closed = False
        # held around every use of the wakeup descriptor, so that a late post cannot write to
        # another's
        self._open = threading.Lock()
        self._accepting = True
        self._housekeeping_at_us = 0
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        for fd in (self._wakeup, *self._listeners):
            self._epoll.register(fd, select.EPOLLIN)

    def post(self, event: Event) -> None:
        """Queues an event from any thread; its reply token needs a method `take(message)`. Raises
        Standby once the loop has ended."""
        with self._open:
            if self._closed:
                raise Standby("this namenode is stopping")
            self._inbox.append(event)
            os.eventfd_write(self._wakeup, 1)

    def stop(self) -> None:
        """Ends `run` after the round it is in. Any thread or signal handler may call it, and more
        than once."""
        self._stopping = True
        with self._open:
            if not self._closed:
                os.eventfd_write(self._wakeup, 1)

    def connected(self) -> list[str]:
        """The hosts of the clients connected now."""
        return [connection.host for connection in list(self._connections.values())]

    def deliver(self, send: Send) -> None:
        """Where the driver puts what a step says, once it is durable. Called from within `run`."""
        send.to.take(send.message)

    def close(self) -> None:
        """Gives sockets and descriptors back when `run` was never called."""
        if not self._closed:
            self._close()

    def run(self, driver: Driver) -> None:
        """Serves until `stop`. Raises what the driver raises: a journal that fails or a lease that
        ran out ends the process."""
        try:
            while not self._stopping:
                self._round(driver)
        finally:
            self._close()

    def _round(self, driver: Driver) -> None:
        ready = self._epoll.poll(self._timeout_s(driver), _READY_MAX)
        now_us = self._clock.now().mono_us
        for fd, mask in ready:
            connection = self._connections.get(fd)
            if connection is not None:
                # Broken: nobody is there to read an answer, what it asked for is not done any more.
                if mask & _BROKEN:
                    self._drop(connection)
                elif mask & select.EPOLLIN:
                    self._read(connection, now_us)
                if mask & select.EPOLLRDHUP:
                    connection.hangs_up = True
                if mask & (select.EPOLLOUT | select.EPOLLRDHUP):
                    self._changed.append(connection)
            elif fd in self._listeners:
                self._accept(self._listeners[fd], now_us)
            elif fd == self._wakeup:
                os.eventfd_read(self._wakeup)
        driver.turn(self._due(driver))
        self._flush(now_us)
        self._relieve()
        if now_us >= self._housekeeping_at_us:
            self._housekeeping_at_us = now_us + _HOUSEKEEPING_US
            self._keep_house(now_us)

    def _timeout_s(self, driver: Driver) -> float:
        if self._inbox or self._queue:
            return 0
        deadline_us = self._housekeeping_at_us
        if (of_core_us := driver.core.next_deadline()) is not None:
            deadline_us = min(deadline_us, of_core_us)
        return max(0.0, (deadline_us - self._clock.now().mono_us) / 1e6)

    # ── whose turn it is ──────────────────────────────────────────────────────────────────────────

    def _due(self, driver: Driver) -> Iterator[Event]:
        """What this turn steps. The driver asks for the next event when it has stepped the last
        one: that is how each call's cost is known (its decoding and, where no edit holds it back,
        its answer are in it)."""
        own = self._sort_inbox()
        began_us = flushed_us = at_us = self._clock.now().mono_us
        for _ in range(MAX_BATCH):
            if not self._queue:
                break
            waiting = self._queue.pop()
            if isinstance(waiting, deque):
                event = waiting.popleft()
                yield event
                more = bool(waiting)
                if not more:
                    del self._posted[_datanode(event)]
            else:
                yield from self._take(waiting, at_us)
                more = waiting.queued = waiting.ready
            now_us = self._clock.now().mono_us
            self._queue.done(now_us - at_us, more)
            at_us = now_us
            if at_us - began_us >= (TURN_US if driver.holds else _READS_TURN_US):
                break
            # Nobody waits for others' calls to be done with an answer that is ready, and what
            # others' answers took is no cost of the next.
            if not more or at_us - flushed_us >= _FLUSH_US:
                self._flush(at_us)
                flushed_us = at_us = self._clock.now().mono_us
        yield from own

    def _sort_inbox(self) -> list[Event]:
        """Datanodes' events wait in the queue, each datanode's in its order; those of this process
        itself are few, and part of each turn."""
        own: list[Event] = []
        for _ in range(len(self._inbox)):
            event = self._inbox.popleft()
            if getattr(event, "reply_to", None) is None:
                own.append(event)
                continue
            uuid = _datanode(event)
            if uuid in self._posted:
                self._posted[uuid].append(event)
            else:
                self._posted[uuid] = deque((event,))
                self._queue.add((_OWN, uuid, 0), self._posted[uuid])
        return own

    def _take(self, connection: ClientConnection, now_us: int) -> list[Event]:
        if connection.closed:
            return []
        try:
            events = connection.take(now_us)
        except MalformedRpc as error:
            self._end_malformed(connection, error, now_us)
            return []
        if connection.repeated:
            connection.repeated = False
            for older in self._lineages.repeats(connection):
                self._drop(self._connections[older.sock.fileno()])
        if connection.given_up:
            self._drop(connection)
        self._count(connection)
        if not connection.queued or not connection.ready:
            self._changed.append(connection)
        return events

    def _wait_for_turn(self, connection: ClientConnection) -> None:
        if not connection.queued and connection.ready:
            connection.queued = True
            self._queue.add(connection.place, connection)

    # ── connections ───────────────────────────────────────────────────────────────────────────────

    def _accept(self, listener: socket.socket, now_us: int) -> None:
        for _ in range(64):
            try:
                sock, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    LOG.warning("no more connections can be accepted for now: %s", error)
                    self._accept_again(False)
                    return
                continue  # that client is gone already
            party = self._parties.of(sock, peer[0])
            if not self._make_room(party, now_us):
                sock.close()
                continue
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._accepted += 1
            connection = ClientConnection(
                sock,
                peer[0],
                now_us,
                party=party,
                methods=self._methods,
                facts=self.facts,
                groups=self._groups,
                limits=self._limits,
                changed=self._changed.append,
                lineages=self._lineages,
                number=self._accepted,
                load=self._load,
            )
            connection.mask = select.EPOLLIN | select.EPOLLRDHUP
            self._connections[sock.fileno()] = connection
            self._epoll.register(sock.fileno(), connection.mask)
            self._admission.came(connection)

    def _make_room(self, party: str, now_us: int, user: str | None = None) -> bool:
        """False when nobody can end for one more of `party`, or of its `user`. What lies unread in
        the kernel is looked at before anybody ends."""
        for _ in range(1 + _ROOM_LOOKS // (len(self._connections) + 1)):
            ending = self._admission.to_end(party, now_us, user)
            if not ending:
                return ending is not None
            before = [(connection, connection.opened) for connection in ending]
            for connection in ending:
                self._read(connection, now_us)
            if all(
                connection.closed or (connection.spare and connection.opened == opened)
                for connection, opened in before
            ):
                self._admission.made_room += len(ending)
                for connection in ending:
                    self._drop(connection)
                return True
        self._admission.in_vain(party, now_us, user)
        return False

    def _accept_again(self, accepting: bool) -> None:
        if accepting != self._accepting:
            self._accepting = accepting
            for fd in self._listeners:
                self._epoll.modify(fd, select.EPOLLIN if accepting else 0)

    def _read(self, connection: ClientConnection, now_us: int) -> None:
        try:
            data = connection.sock.recv(self._limits.receive_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._drop(connection)
            return
        if not data:  # it may wait for answers all the same
            connection.hangs_up = connection.heard_all = True
            self._changed.append(connection)
            return
        if connection.leaving_us:
            return
        try:
            connection.received(data, now_us)
        except MalformedRpc as error:
            self._end_malformed(connection, error, now_us)
            return
        if connection.opened:
            connection.heard_us = now_us  # an opening that trickles in does not prolong itself
            if not self._admit(connection, now_us):
                return
        self._count(connection)
        self._wait_for_turn(connection)
        if not connection.wants_more:
            self._changed.append(connection)

    def _admit(self, connection: ClientConnection, now_us: int) -> bool:
        """It has said who it is. False when its user has as many as one may, and it ended."""
        if not self._admission.is_stranger(connection):
            return True
        if self._make_room(connection.party, now_us, connection.peer[1]):
            self._admission.opened(connection)
            return True
        self._drop(connection)
        return False

    def _end_malformed(
        self, connection: ClientConnection, error: MalformedRpc, now_us: int
    ) -> None:
        LOG.info("client %s is not understood: %s", connection.host, error.message)
        try:
            connection.leave(now_us)
            self._count(connection)
            self._wait_for(connection, left=False)
        except OSError:
            self._drop(connection)

    def _count(self, connection: ClientConnection) -> None:
        held = 0 if connection.closed else connection.held
        self._held += held - connection.counted
        connection.counted = held

    def _relieve(self) -> None:
        """All connections together hold too much: those that hold most end."""
        if self._held <= self._limits.held_bytes:
            return
        told = "client %s is dropped: it holds %d of %d bytes in flight"
        for connection in sorted(self._connections.values(), key=lambda one: -one.counted):
            LOG.warning(told, connection.host, connection.counted, self._held)
            self._drop(connection)
            if self._held <= self._limits.held_bytes * 3 // 4:
                return

    def _flush(self, now_us: int) -> None:
        """Writes to every connection that has something new to say or can be written again, and
        waits for what is left to do there."""
        while self._changed:
            connection = self._changed.pop()
            if connection.closed:
                continue
            try:
                left = connection.flush(now_us)
            except OSError:
                self._drop(connection)
                continue
            if connection.over or (connection.heard_all and connection.leaving_us):
                self._drop(connection)
                continue
            self._count(connection)
            self._wait_for_turn(connection)
            self._wait_for(connection, left)

    def _wait_for(self, connection: ClientConnection, left: bool) -> None:
        mask = (select.EPOLLOUT if left else 0) | (select.EPOLLIN if connection.wants_more else 0)
        if not connection.hangs_up:
            mask |= select.EPOLLRDHUP
        if mask != connection.mask:
            connection.mask = mask
            self._epoll.modify(connection.sock.fileno(), mask)

    def _drop(self, connection: ClientConnection) -> None:
        if connection.closed:
            return
        connection.closed = True
        self._count(connection)
        self._admission.left(connection)
        self._lineages.left(connection)
        fd = connection.sock.fileno()
        del self._connections[fd]
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        connection.sock.close()

    def _keep_house(self, now_us: int) -> None:
        self._accept_again(True)
        self.each_second()
        self._admission.tell()
        for connection in list(self._connections.values()):
            reason = connection.overdue(now_us)
            if reason:
                LOG.info("client %s is dropped: %s", connection.host, reason)
                self._drop(connection)

    def _close(self) -> None:
        for connection in list(self._connections.values()):
            self._drop(connection)
        for listener in self._listeners.values():
            listener.close()
        self._epoll.close()
        self._parties.close()
        with self._open:
            self._closed = True
            os.close(self._wakeup)
        unstepped = [*self._inbox, *(event for events in self._posted.values() for event in events)]
        for event in unstepped:  # nobody will: their threads need not wait for the deadline
            if (waiter := getattr(event, "reply_to", None)) is not None:
                waiter.take(Refusal(Standby, "this namenode is stopping"))
