"""Which namenode to ask, and asking again: a call keeps its identity (client id, call id) through
every retry, so it is done once.

An address that refuses, hangs up or answers Standby makes way for the next one, with a growing
pause; one that is starting up is asked again. One that is silent for a second is asked, with all
others, who leads: it may be frozen while another does. How long to go on depends on what is known:
where nobody has ever answered, one round of all addresses is enough (unless `first_patience_s` says
that a cluster exists); after that, `patience_s` covers a restart or failover.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from clusterkit.errors import ClusterError, TimedOut, Unavailable
from minihdfs.client.namenode_channel import Channel, ConnectionLost
from minihdfs.client.namenode_lookout import look_around
from minihdfs.errors import BY_CODE, BY_JAVA_CLASS, FsError, Standby, StartingUp
from minihdfs.wire import hadoop_rpc
from minihdfs.wire.hadoop_rpc import Reply

R = TypeVar("R", bound=Message)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0


@dataclass(frozen=True, slots=True)
class CallOptions:
    connect_timeout_s: float = 1.0
    call_timeout_s: float = 60.0  # for one answer; a parked addBlock or complete takes 3 s
    patience_s: float = 30.0  # how long a namenode that answered before may be gone
    first_patience_s: float = 0.0  # how long to wait for a namenode that never answered


class Caller:
    """Shared by all threads. A forked child gets a connection and a client id of its own at its
    next call."""

    def __init__(
        self,
        addresses: Sequence[str],
        user: str,
        client_id: bytes,
        options: CallOptions,
        waiting: Callable[[str], None] | None = None,
    ) -> None:
        """`waiting` hears why a call waits, at least every second, and "" when it goes on; on the
        thread that makes the call."""
        if not addresses:
            raise ValueError("no namenode address is given")
        self.addresses, self.user, self._options = tuple(addresses), user, options
        self._waiting = waiting or (lambda _why: None)
        self._client_id = client_id or os.urandom(16)
        self._lock, self._looker = threading.Lock(), threading.Lock()
        self._channel: Channel | None = None
        self._preferred = 0  # index of the address to connect to next
        self._answered_s: float | None = None  # when anybody last answered, on time.monotonic
        self._call_ids = itertools.count()
        _CALLERS.add(self)

    def call(self, protocol: str, method: str, request: Message, response: type[R]) -> R:
        """Raises the namenode's refusal, Unavailable when nobody answers, Standby when nobody
        leads, TimedOut."""
        call_id = next(self._call_ids) & 0x7FFFFFFF
        began_s, pause_s, last, waited = time.monotonic(), _FIRST_PAUSE_S, "", False
        for retry in itertools.count():
            channel: Channel | None = None
            refused: FsError | None = None
            try:
                channel = self._connected()
                frame = hadoop_rpc.encode_call(
                    call_id, self._client_id, retry, protocol, method, request
                )
                reply = channel.call(
                    call_id,
                    frame,
                    time.monotonic() + self._options.call_timeout_s,
                    self._looking(channel),
                )
                self._answered_s = time.monotonic()
                value = _value(reply, response)
                if waited:
                    self._waiting("")
                return value
            except (Standby, StartingUp) as error:
                refused, last = error, error.message
            except (ConnectionLost, TimedOut, OSError) as error:
                last = _reason(error)
                if (
                    isinstance(error, TimedOut)
                    and channel is not None
                    and not self._somebody_else(channel)
                ):
                    raise TimedOut(
                        f"{method}: {error.message}", next_command="mrc status"
                    ) from None
            if not isinstance(refused, StartingUp):
                self._give_up_on(channel)
            if retry + 1 >= len(self.addresses) and not self._worth_waiting(
                began_s, refused is not None
            ):
                raise refused or self._unavailable(last)
            if (retry + 1) % len(self.addresses) == 0 or channel is not None:
                waited = True
                self._waiting(last)
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        raise AssertionError("unreachable")

    def _looking(self, channel: Channel) -> Callable[[], None]:
        """What a call does that has waited for a second: see whether another one leads, on a thread
        of its own, one look at a time. When somebody does, the connection is given up, and with it
        everybody who waits for a process that may be frozen."""

        def look() -> None:
            if len(self.addresses) > 1 and self._looker.acquire(blocking=False):
                threading.Thread(
                    target=self._look_for_better, args=(channel,), name="who-leads", daemon=True
                ).start()

        return look

    def _look_for_better(self, channel: Channel) -> None:
        try:
            better = look_around(self.addresses, self.user).better_than(channel.address)
            if better:
                with self._lock:
                    if self._channel is channel:
                        self._channel, self._preferred = None, self.addresses.index(better)
                channel.abandon_for(f"{channel.address} does not answer; {better} does")
        finally:
            self._looker.release()

    def _somebody_else(self, channel: Channel) -> bool:
        """At the end of a call's time: is there another one to go to? An address that is alive is
        believed to be at work."""
        return len(self.addresses) > 1 and bool(
            look_around(self.addresses, self.user).better_than(channel.address)
        )

    def close(self) -> None:
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _connected(self) -> Channel:
        channel = self._channel
        if channel is not None and channel.usable:
            return channel
        with self._lock:
            if self._channel is None or not self._channel.usable:
                address = self.addresses[self._preferred % len(self.addresses)]
                try:
                    self._channel = Channel(
                        address,
                        self.user,
                        self._client_id,
                        connect_timeout_s=self._options.connect_timeout_s,
                    )
                except OSError:
                    self._preferred += 1
                    raise
            return self._channel

    def _give_up_on(self, channel: Channel | None) -> None:
        """The next attempt goes to the next address, unless another thread has moved on already."""
        if channel is None:
            return
        with self._lock:
            if self._channel is channel:
                self._channel = None
                if len(self.addresses) > 1:
                    self._preferred += 1
        channel.close()

    def _worth_waiting(self, began_s: float, someone_answers: bool) -> bool:
        known = someone_answers or self._answered_s is not None
        return time.monotonic() - began_s < (
            self._options.patience_s if known else self._options.first_patience_s
        )

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(
            f"no namenode answers at {', '.join(self.addresses)}: {reason}", next_command="mrc up"
        )

    def after_fork(self) -> None:
        """In a child: other threads are gone, perhaps with our locks, and the connection is still
        the parent's."""
        if self._channel is not None:
            self._channel.abandon()
        self._channel = None
        self._lock, self._looker = threading.Lock(), threading.Lock()
        self._client_id = os.urandom(16)


def _value(reply: Reply, response: type[R]) -> R:
    if reply.status != hadoop_rpc.SUCCESS:
        raise rebuilt(reply)
    try:
        return response.FromString(reply.payload)
    except DecodeError as error:
        raise FsError(
            f"the namenode's {response.DESCRIPTOR.name} does not decode: {error}"
        ) from None


def rebuilt(reply: Reply) -> FsError:
    """The refusal as our exception: by our own code when it came with one, else by the Java class.
    Java adds a trace: first line only."""
    kind = BY_CODE.get(reply.code) or BY_JAVA_CLASS.get(reply.java_class, FsError)
    lines = reply.message.splitlines()
    return kind(lines[0] if lines else reply.java_class)


def _reason(error: Exception) -> str:
    if isinstance(error, ClusterError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


_CALLERS: weakref.WeakSet[Caller] = weakref.WeakSet()


def _after_fork() -> None:
    for caller in list(_CALLERS):
        caller.after_fork()


os.register_at_fork(after_in_child=_after_fork)
