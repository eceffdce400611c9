"""One connection to a namenode, shared by every thread of the process: calls are pipelined, and no
thread of its own reads.

Whoever waits for an answer reads for everybody: the first waiter takes the reader's role, hands out
what arrives by call id, and passes the role on when its own answer has come. A process with one
thread never pays for a lock it does not need, and a fork leaves no dead thread behind. A connection
that failed fails every waiting call once; `namenode_failover` decides what to do about it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable

from clusterkit.errors import TimedOut
from minihdfs.wire import hadoop_rpc
from minihdfs.wire.hadoop_rpc import ClientConnection, MalformedRpc, Reply

_RECEIVE_BYTES = 256 << 10
LOOK_S = 1.0
"""How long an answer may be outstanding before the caller looks whether somebody else leads."""


class ConnectionLost(Exception):
    """The peer is gone or unintelligible: calls without an answer may or may not have been done."""


class _Waiter:
    __slots__ = ("failure", "look_s", "reads", "reply", "still_waiting", "woken")

    def __init__(self, still_waiting: Callable[[], None]) -> None:
        self.still_waiting, self.look_s = still_waiting, time.monotonic() + LOOK_S
        self.reply: Reply | None = None
        self.failure: Exception | None = None
        self.reads = False  # this waiter holds the reader's role
        self.woken = threading.Event()


class Channel:
    def __init__(
        self, address: str, user: str, client_id: bytes, *, connect_timeout_s: float
    ) -> None:
        """Connects. Raises OSError."""
        host, _, port = address.rpartition(":")
        self.address = address
        self._sock = socket.create_connection(
            (host.strip("[]"), int(port)), timeout=connect_timeout_s
        )
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setblocking(False)
        self._wire = ClientConnection()
        self._lock = threading.Lock()  # guards everything below
        self._send_lock = threading.Lock()
        self._waiters: dict[int, _Waiter] = {}
        self._reading = False
        self._failure: Exception | None = None
        self._greeting = hadoop_rpc.encode_opening(user, client_id)

    @property
    def usable(self) -> bool:
        return self._failure is None

    def call(
        self,
        call_id: int,
        frame: bytes,
        deadline_s: float,
        still_waiting: Callable[[], None] = lambda: None,
    ) -> Reply:
        """Sends one encoded call and waits for its answer. Raises ConnectionLost, TimedOut
        (`deadline_s` is on time.monotonic). `still_waiting` is called about once a second until the
        answer comes, and must not block."""
        waiter = _Waiter(still_waiting)
        with self._lock:
            if self._failure is not None:
                raise ConnectionLost(str(self._failure))
            self._waiters[call_id] = waiter
        try:
            self._send(frame, deadline_s, waiter)
            return self._wait(waiter, deadline_s)
        finally:
            self._leave(call_id, waiter)

    def close(self) -> None:
        self._fail(ConnectionLost("the connection was closed"))

    def abandon(self) -> None:
        """Closes the descriptor alone: in a forked child the connection is still the parent's."""
        self._sock.close()

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    def abandon_for(self, reason: str) -> None:
        """Whoever waits here is told that the connection is lost; from any thread."""
        self._fail(ConnectionLost(reason))

    def _send(self, frame: bytes, deadline_s: float, waiter: _Waiter) -> None:
        with self._send_lock:
            data = memoryview(self._greeting + frame if self._greeting else frame)
            self._greeting = b""
            try:
                while data:
                    try:
                        data = data[self._sock.send(data) :]
                    except (BlockingIOError, InterruptedError):
                        while not self._ready(select.POLLOUT, min(deadline_s, waiter.look_s)):
                            self._look(waiter, deadline_s, "does not read")
            except OSError as error:
                self._fail(error)
                raise ConnectionLost(str(error)) from error
            except BaseException as error:
                # also an interrupt: half a frame may have left, so nothing more can be said here
                self._fail(ConnectionLost(f"a call was cut off: {error!r}"))
                raise

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    def _wait(self, waiter: _Waiter, deadline_s: float) -> Reply:
        while True:
            with self._lock:
                if waiter.reply is not None:
                    return waiter.reply
                if waiter.failure is not None:
                    raise ConnectionLost(str(waiter.failure))
                if not self._reading:
                    self._reading = waiter.reads = True
                waiter.woken.clear()
            if waiter.reads:
                self._read(waiter, deadline_s)
            elif not waiter.woken.wait(max(0.0, min(deadline_s, waiter.look_s) - time.monotonic())):
                with self._lock:
                    answered = waiter.reply is not None or waiter.failure is not None
                if not answered:
                    self._look(waiter, deadline_s, "did not answer in time")

    def _look(self, waiter: _Waiter, deadline_s: float, why: str) -> None:
        now_s = time.monotonic()
        if now_s >= deadline_s:
            raise TimedOut(f"{self.address} {why}")
        if now_s >= waiter.look_s:
            waiter.look_s = now_s + LOOK_S
            waiter.still_waiting()

    def _read(self, waiter: _Waiter, deadline_s: float) -> None:
        """Reads for everybody until this waiter's call is over."""
        while waiter.reply is None and waiter.failure is None:
            try:
                data = self._sock.recv(_RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                if not self._ready(select.POLLIN, min(deadline_s, waiter.look_s)):
                    self._look(waiter, deadline_s, "did not answer in time")
                continue
            except OSError as error:
                self._fail(error)
                return
            if not data:
                self._fail(ConnectionLost(f"{self.address} closed the connection"))
                return
            try:
                self._hand_out(self._wire.feed(data))
            except MalformedRpc as error:
                self._fail(error)

    def _hand_out(self, replies: list[Reply]) -> None:
        with self._lock:
            for reply in replies:
                if reply.status == hadoop_rpc.FATAL:
                    raise MalformedRpc(f"{self.address}: {reply.message}")
                waiter = self._waiters.get(reply.call_id)
                if waiter is not None:  # None: its caller gave up
                    waiter.reply = reply
                    waiter.woken.set()

    def _leave(self, call_id: int, waiter: _Waiter) -> None:
        """Ends a call; the reader's role goes to another waiter, if there is one."""
        with self._lock:
            self._waiters.pop(call_id, None)
            if waiter.reads:
                waiter.reads = self._reading = False
                heir = next(
                    (w for w in self._waiters.values() if w.reply is None and w.failure is None),
                    None,
                )
                if heir is not None:
                    heir.reads = self._reading = True
                    heir.woken.set()

    def _fail(self, error: Exception) -> None:
        with self._lock:
            if self._failure is None:
                self._failure = error
                with contextlib.suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)
                self._sock.close()
            for waiter in self._waiters.values():
                if waiter.reply is None:
                    waiter.failure = error
                    waiter.woken.set()

    def _ready(self, event: int, deadline_s: float) -> bool:
        """Raises OSError when the socket was closed meanwhile."""
        fd = self._sock.fileno()
        if fd < 0:
            raise OSError("the connection was closed")
        poll = select.poll()
        poll.register(fd, event)
        return bool(poll.poll(max(0.0, (deadline_s - time.monotonic()) * 1000)))
