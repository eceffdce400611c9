"""One client's connection to the namenode: bytes to events, answers to bytes. Owned by the loop in
`rpc`; holds the socket, never waits.

What a client may make the namenode keep is bounded: answers it does not read, calls it has not been
answered, and half-said openings.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clusterkit.effects import Event
from minihdfs.errors import FsError, InvalidArgument, NoSuchMethod
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.lineages import Lineage, Lineages
from minihdfs.namenode.methods import limits as wire_limits
from minihdfs.namenode.methods.table import (
    Facts,
    Method,
    MethodTable,
    NoSuchProtocol,
    decode_request,
)
from minihdfs.pb import hadoop_rpc_pb2 as pb
from minihdfs.wire import hadoop_rpc
from minihdfs.wire.hadoop_rpc import Call, MalformedRpc, ServerConnection

LOG = logging.getLogger(__name__)
_DETAILS = {
    NoSuchMethod: pb.RpcResponseHeader.ERROR_NO_SUCH_METHOD,
    NoSuchProtocol: pb.RpcResponseHeader.ERROR_NO_SUCH_PROTOCOL,
}


@dataclass(frozen=True, slots=True)
class Limits:
    frame_bytes: int = (
        hadoop_rpc.MAX_FRAME_BYTES
    )  # longer ends the connection; what is longer than its method may be is not kept
    receive_bytes: int = 16 << 10  # taken from one connection in one turn
    paused_answer_bytes: int = (
        256 << 10
    )  # unread answers above this: no more is read from the client, and nothing done for it
    dropped_answer_bytes: int = 64 << 20  # above this the client is dropped
    pending_calls: int = 4096  # unanswered calls above this: no more is read from the client
    crowded_calls: int = 50_000  # of all clients together: above this each may have FEW_CALLS
    stall_s: float = 60.0  # a client that reads nothing for so long is dropped
    opening_s: float = 10.0
    # what a client still sends is thrown away so long, that it may read why it is not understood
    leaving_s: float = 2.0
    frame_s: float = 30.0  # from the first byte of a frame to its last
    idle_s: float = 600.0
    connections: int = 8192  # at most; as many as the process's descriptors allow
    held_bytes: int = 256 << 20  # of all connections together, in and out


FEW_CALLS = 8


@dataclass(slots=True)
class Load:
    """Calls of all connections that are stepped and not answered: parked, most of them."""

    pending: int = 0


class Asked:
    """The reply token of one call: gathers the answers to its events and encodes the response."""

    __slots__ = ("call", "connection", "method", "request", "values")

    def __init__(
        self, connection: ClientConnection, call: Call, method: Method, request: Any
    ) -> None:
        self.connection, self.call, self.method, self.request = connection, call, method, request
        self.values: list[Any] = []

    def take(self, message: Any) -> None:
        """An Answer or Refusal of the core, in the order of the method's events."""
        self.values.append(message if isinstance(message, Refusal) else message.value)
        if len(self.values) < len(self.method.events):
            return
        refused = next((value for value in self.values if isinstance(value, Refusal)), None)
        if refused is not None and not self.method.lenient:
            self.connection.answer(
                hadoop_rpc.encode_error(
                    self.call, refused.error.java_class, refused.message, refused.error.code
                )
            )
            return
        self.connection.answer(self._encoded())

    def _encoded(self) -> bytes:
        try:
            value = self.values[0] if len(self.values) == 1 else self.values
            return hadoop_rpc.encode_success(
                self.call, self.method.respond(value, self.request, self.connection.facts)
            )
        except FsError as error:
            return encode_failure(self.call, error)
        except (
            ValueError,
            TypeError,
            AttributeError,
        ) as error:  # a row's defect costs its call, not the namenode
            LOG.error("%s: the answer does not encode: %r", self.call.method, error)
            return hadoop_rpc.encode_error(
                self.call,
                FsError.java_class,
                f"{self.call.method}: the answer does not encode: {error}",
            )


def encode_failure(call: Call, error: FsError) -> bytes:
    detail = _DETAILS.get(type(error), pb.RpcResponseHeader.ERROR_APPLICATION)
    return hadoop_rpc.encode_error(call, error.java_class, error.message, error.code, detail)


class ClientConnection:
    # fmt: off
    __slots__ = (
        "_changed", "_frame_number", "_frame_us", "_groups", "_limits", "_lineages", "_methods",
        "_wire", "closed", "counted", "facts", "given_up", "hangs_up", "heard_all",
        "heard_us", "host", "leaving_us", "lineage", "load", "mask", "number", "out", "party",
        "pending", "queued", "repeated", "sent_us", "sock",
    )
    # fmt: on

    def __init__(
        self,
        sock: socket.socket,
        host: str,
        now_us: int,
        *,
        party: str,
        methods: MethodTable,
        facts: Facts,
        groups: Callable[[str], tuple[str, ...]],
        limits: Limits,
        changed: Callable[[ClientConnection], None],
        lineages: Lineages[ClientConnection],
        number: int,
        load: Load,
    ) -> None:
        """`party`: whom the connection is counted for. `changed` hears that there is something to
        send. `number` rises with every connection."""
        self.sock, self.host, self.party, self.facts = sock, host, party, facts
        self._methods, self._groups, self._limits, self._changed = methods, groups, limits, changed
        self._lineages, self.number, self.load = lineages, number, load
        self.lineage: Lineage | None = None
        self.given_up = False  # its client repeats its calls over a later connection
        self.repeated = (
            False  # calls came that have come before: older connections of this client are given up
        )
        self._wire = ServerConnection(
            limit_bytes=limits.frame_bytes, method_bytes=wire_limits.frame_bytes
        )
        self._frame_number, self._frame_us = (
            -1,
            now_us,
        )  # the frame that is still coming, and since when
        self.out = bytearray()
        self.queued = False  # waits for its turn
        self.hangs_up = False  # the peer has sent all it will, and may be gone altogether
        self.heard_all = False  # and all of that has been read
        self.counted = 0  # bytes the loop has counted for it
        self.pending = 0
        self.closed = False
        self.leaving_us = 0  # it has been told why it is not served, at this moment
        self.mask = 0  # what the loop's epoll waits for here
        self.heard_us = self.sent_us = now_us

    @property
    def opened(self) -> bool:
        return self._wire.user is not None

    @property
    def peer(self) -> tuple[str, str | None]:
        """Who is served, as far as it is known."""
        return self.party, self._wire.user

    @property
    def place(self) -> tuple[str, bool, str, int]:
        """Where it waits for its turn (`fair_queue`). Names and connections are free to invent, so
        a party's time is first divided in two: for those that ask one call after the other, and for
        those that ask faster than they are answered."""
        return self.party, self._wire.backlogged, self._wire.user or "", self.number

    @property
    def spare(self) -> bool:
        """Nothing is being done for it."""
        return not self.pending and not self._wire.waiting

    @property
    def over(self) -> bool:
        """The peer has asked everything and was answered."""
        return self.heard_all and self.spare and not self.out

    @property
    def held(self) -> int:
        """Bytes kept for the client: what it has said and what it has not read."""
        return self._wire.held + len(self.out)

    def received(self, data: bytes, now_us: int) -> None:
        """Keeps what came. Raises MalformedRpc when the connection must end (its farewell is in
        `out`)."""
        try:
            self._wire.receive(data)
        except MalformedRpc as error:
            self.out += error.farewell
            raise
        if self._wire.to_send:
            self.out += self._wire.to_send
            self._wire.to_send = b""
            self._changed(self)
        self._look_at_frame(now_us)

    @property
    def ready(self) -> bool:
        """A call is here, and the client is owed neither too many answers nor too many bytes."""
        return not self.closed and not self.leaving_us and self._wire.waiting and self._has_room

    def take(self, now_us: int) -> list[Event]:
        """The events of one call (none of what is for the connection itself, or refused at once).
        Raises as `received`."""
        events: list[Event] = []
        try:
            call = self._wire.next_call()
        except MalformedRpc as error:
            self.out += error.farewell
            raise
        self._look_at_frame(now_us)
        if call is None:
            return events
        if self.lineage is None or call.retry_count > 0:
            self.given_up = not self._lineages.carries(
                self, (call.client_id, self._wire.user or "", call.protocol)
            )
            self.repeated |= call.retry_count > 0
        if not self.given_up:
            self._begin(call, events)
        return events

    def leave(self, now_us: int) -> None:
        """Says nothing more and hears nothing more. Raises OSError when the peer is gone."""
        self.flush(now_us)
        self.sock.shutdown(socket.SHUT_WR)
        self.leaving_us, self._frame_number = now_us, -1
        self.out.clear()
        self._wire = ServerConnection()

    def _look_at_frame(self, now_us: int) -> None:
        if not self._wire.partial:
            self._frame_number = -1
        elif self._frame_number != self._wire.frames:
            self._frame_number, self._frame_us = self._wire.frames, now_us

    def _begin(self, call: Call, events: list[Event]) -> None:
        self.pending += 1
        self.load.pending += 1
        try:
            method = self._methods.find(call.protocol, call.method)
            if call.refused:
                limit = wire_limits.frame_bytes(call.protocol, call.method)
                raise InvalidArgument(
                    f"{call.method}: a request of {call.refused} bytes is over the limit of "
                    f"{limit}: ask in parts"
                )
            request = decode_request(method, call.payload, call.method)
            asked = Asked(self, call, method, request)
            user = self._wire.user or ""
            identity = (
                (call.client_id, call.call_id, call.retry_count > 0)
                if method.changes
                else (b"", 0, False)
            )
            caller = Caller(asked, user, self._groups(user), *identity, self.host)
            made = [event(caller, request) for event in method.events]
        except FsError as error:
            self.answer(encode_failure(call, error))
            return
        except (
            ValueError,
            KeyError,
        ) as error:  # a value of the request that no field of an event can hold
            self.answer(encode_failure(call, FsError(f"{call.method}: {error}")))
            return
        if made:
            events += made
        else:
            self.answer(hadoop_rpc.encode_success(call, method.respond(None, request, self.facts)))

    def answer(self, frame: bytes) -> None:
        self.pending -= 1
        self.load.pending -= 1
        if not self.closed:
            self.out += frame
            self._changed(self)

    @property
    def _has_room(self) -> bool:
        most = (
            self._limits.pending_calls
            if self.load.pending < self._limits.crowded_calls
            else FEW_CALLS
        )
        if self.hangs_up:  # whether anybody still reads shows when an answer leaves
            return not self.out and self.pending < min(most, FEW_CALLS)
        return len(self.out) <= self._limits.paused_answer_bytes and self.pending < most

    @property
    def wants_more(self) -> bool:
        """False while calls wait here, the client leaves its answers unread or has too many calls
        open."""
        if self.heard_all:
            return False
        return bool(self.leaving_us) or (not self._wire.waiting and self._has_room)

    def flush(self, now_us: int) -> bool:
        """Sends what the socket takes; True when some is left. Raises OSError when the peer is
        gone."""
        try:
            while self.out:
                sent = self.sock.send(self.out)
                self.sent_us = now_us
                if sent == len(self.out):
                    self.out.clear()
                else:
                    del self.out[:sent]
        except (BlockingIOError, InterruptedError):
            return True
        return False

    def overdue(self, now_us: int) -> str:
        """Why this connection should end now, or ""."""
        limits = self._limits
        if self.leaving_us:
            return (
                "it was not understood" if now_us - self.leaving_us > limits.leaving_s * 1e6 else ""
            )
        if len(self.out) > limits.dropped_answer_bytes:
            return f"{len(self.out)} bytes of answers are not read"
        if self.out and now_us - self.sent_us > limits.stall_s * 1e6:
            return f"answers are not read for {limits.stall_s:g} s"
        quiet_us = now_us - self.heard_us
        if self._frame_number >= 0 and now_us - self._frame_us > limits.frame_s * 1e6:
            return f"the rest of a frame did not come within {limits.frame_s:g} s"
        if not self.opened and quiet_us > limits.opening_s * 1e6:
            return f"it did not open within {limits.opening_s:g} s"
        if not self.pending and not self.out and quiet_us > limits.idle_s * 1e6:
            return f"it was idle for {limits.idle_s:g} s"
        return ""
