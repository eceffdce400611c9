"""The namenode's only thread: one non-blocking loop that reads, parses, steps, makes durable, encodes and writes.

Each round takes what every readable connection has said, plus what gRPC's threads have posted, and hands all of it to `Driver.turn`
as one batch: one fsync covers every edit in it (group commit), and answers leave after it. Why one thread: handing calls between
threads cost three quarters of the calls per second (measured; docs/ARCHITECTURE.md, "Threads").
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
from collections.abc import Callable, Iterable

from clusterkit.clock import Clock
from clusterkit.driver import MAX_BATCH, Driver
from clusterkit.effects import Event, Send
from minihdfs.errors import Standby
from minihdfs.hadoop_rpc import MalformedRpc
from minihdfs.namenode.client_rpc import ClientConnection, Limits
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.lineages import Lineages
from minihdfs.namenode.wire import Facts
from minihdfs.namenode.wire_own import method_table

LOG = logging.getLogger(__name__)
_HOUSEKEEPING_US = 1_000_000
_READY_MAX = 128  # connections served in one round; the kernel hands out the others first in the next
_BROKEN = select.EPOLLHUP | select.EPOLLERR


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that `RpcLoop` can serve. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=1024)
    listener.setblocking(False)
    return listener


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
    ) -> None:
        self.facts = facts
        self._groups, self._clock, self._limits = groups, clock, limits or Limits()
        self._methods = method_table()
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._connections: dict[int, ClientConnection] = {}
        self._lineages: Lineages[ClientConnection] = Lineages()
        self._accepted = 0
        self._changed: list[ClientConnection] = []
        self._inbox: deque[Event] = deque()
        self._stopping = self._closed = False
        self._open = threading.Lock()  # held around every use of the wakeup descriptor, so that a late post cannot write to another's
        self._accepting = True
        self._housekeeping_at_us = 0
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        for fd in (self._wakeup, *self._listeners):
            self._epoll.register(fd, select.EPOLLIN)

    def post(self, event: Event) -> None:
        """Queues an event from any thread; its reply token needs a method `take(message)`. Raises Standby once the loop has ended."""
        with self._open:
            if self._closed:
                raise Standby("this namenode is stopping")
            self._inbox.append(event)
            os.eventfd_write(self._wakeup, 1)

    def stop(self) -> None:
        """Ends `run` after the round it is in. Any thread or signal handler may call it, and more than once."""
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
        """Serves until `stop`. Raises what the driver raises: a journal that fails or a lease that ran out ends the process."""
        try:
            while not self._stopping:
                self._round(driver)
        finally:
            self._close()

    def _round(self, driver: Driver) -> None:
        ready = self._epoll.poll(self._timeout_s(driver), _READY_MAX)
        now_us = self._clock.now().mono_us
        events: list[Event] = []
        for fd, mask in ready:
            connection = self._connections.get(fd)
            if connection is not None:
                if mask & (select.EPOLLIN | _BROKEN):
                    self._read(connection, events, now_us)
                if mask & select.EPOLLOUT:
                    self._changed.append(connection)
            elif fd in self._listeners:
                self._accept(self._listeners[fd], now_us)
            elif fd == self._wakeup:
                os.eventfd_read(self._wakeup)
        self._take_inbox(events)
        driver.turn(events)
        self._flush(now_us)
        if now_us >= self._housekeeping_at_us:
            self._housekeeping_at_us = now_us + _HOUSEKEEPING_US
            self._keep_house(now_us)

    def _timeout_s(self, driver: Driver) -> float:
        if self._inbox:
            return 0
        deadline = driver.core.next_deadline()
        if self._connections or not self._accepting:
            deadline = self._housekeeping_at_us if deadline is None else min(deadline, self._housekeeping_at_us)
        if deadline is None:
            return -1
        return max(0.0, (deadline - self._clock.now().mono_us) / 1e6)

    def _take_inbox(self, events: list[Event]) -> None:
        for _ in range(MAX_BATCH):
            try:
                events.append(self._inbox.popleft())
            except IndexError:
                return

    # ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

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
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._accepted += 1
            connection = ClientConnection(
                sock,
                peer[0],
                now_us,
                methods=self._methods,
                facts=self.facts,
                groups=self._groups,
                limits=self._limits,
                changed=self._changed.append,
                lineages=self._lineages,
                number=self._accepted,
            )
            connection.mask = select.EPOLLIN
            self._connections[sock.fileno()] = connection
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _accept_again(self, accepting: bool) -> None:
        if accepting != self._accepting:
            self._accepting = accepting
            for fd in self._listeners:
                self._epoll.modify(fd, select.EPOLLIN if accepting else 0)

    def _read(self, connection: ClientConnection, events: list[Event], now_us: int) -> None:
        try:
            data = connection.sock.recv(self._limits.receive_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        try:
            came = connection.received(data)
            if connection.repeated:
                connection.repeated = False
                for older in self._lineages.repeats(connection):
                    self._drop(self._connections[older.sock.fileno()])
            if connection.given_up:
                self._drop(connection)
            events += came
            if connection.opened:  # an opening that trickles in does not prolong itself
                connection.heard_us = now_us
            if not connection.wants_more:
                self._changed.append(connection)
        except MalformedRpc as error:
            LOG.info("client %s is not understood: %s", connection.host, error.message)
            with contextlib.suppress(OSError):
                connection.flush(now_us)
            self._drop(connection)

    def _flush(self, now_us: int) -> None:
        """Writes to every connection that has something new to say or can be written again, and waits for what is left to do there."""
        while self._changed:
            connection = self._changed.pop()
            if connection.closed:
                continue
            try:
                left = connection.flush(now_us)
            except OSError:
                self._drop(connection)
                continue
            self._wait_for(connection, left)

    def _wait_for(self, connection: ClientConnection, left: bool) -> None:
        mask = (select.EPOLLOUT if left else 0) | (select.EPOLLIN if connection.wants_more else 0)
        if mask != connection.mask:
            connection.mask = mask
            self._epoll.modify(connection.sock.fileno(), mask)

    def _drop(self, connection: ClientConnection) -> None:
        if connection.closed:
            return
        connection.closed = True
        self._lineages.left(connection)
        fd = connection.sock.fileno()
        del self._connections[fd]
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        connection.sock.close()

    def _keep_house(self, now_us: int) -> None:
        self._accept_again(True)
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
        with self._open:
            self._closed = True
            os.close(self._wakeup)
        for event in self._inbox:  # nobody will step these: their threads need not wait for the deadline
            if (waiter := getattr(event, "reply_to", None)) is not None:
                waiter.take(Refusal(Standby, "this namenode is stopping"))
