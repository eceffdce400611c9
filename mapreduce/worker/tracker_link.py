"""The worker's line to the tracker: one channel, one stream of orders, reports and commits as calls
that do not wait.

It decides nothing: `deliver` does what the agent says, and what comes back, or does not, becomes an
event. A new Attend ends the older stream and asks anew where the tracker is, because it may have
moved. Every call has a deadline; a call that fails says so at once.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable

from clusterkit.effects import Event
from clusterkit.errors import ClusterError
from clusterkit.rpc import Channel, PendingReply, ReplyStream, make_channel
from mapreduce.exchange import AskCommit, Hello, Report
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.wire import exchange as wire
from mapreduce.worker.core import events as ev
from mapreduce.worker.core.commands import Attend

REPORT_TIMEOUT_S = 4.0
COMMIT_TIMEOUT_S = 8.0
FOR_LIFE_S = 10 * 365 * 86_400.0
_log = logging.getLogger(__name__)


class TrackerLink:
    def __init__(
        self,
        identity: Hello,
        find_tracker: Callable[[], str],
        post: Callable[[Event], None],
    ) -> None:
        """`identity` is the hello without what changes. `post` may be called from any thread."""
        self._identity, self._find_tracker, self._post = identity, find_tracker, post
        self._lock = threading.Lock()
        self._session = 0
        self._channel: Channel | None = None
        self._stream: ReplyStream | None = None
        self._waiting: list[Report | AskCommit] = []  # for the channel that is being opened
        self._connecting = False
        self._stopped = False
        self._complaint = ""  # what was logged last: it is tried again every second

    def deliver(self, message: Attend | Report | AskCommit) -> None:
        if isinstance(message, Attend):
            self._attend(message)
            return
        with self._lock:
            channel = self._channel
            if channel is None and self._connecting:
                self._waiting.append(message)
                return
        self._call(channel, message)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            stream, channel, self._stream, self._channel = self._stream, self._channel, None, None
        if stream is not None:
            stream.cancel()
        if channel is not None:
            channel.close()

    # ── the stream of orders ──

    def _attend(self, attend: Attend) -> None:
        with self._lock:
            if self._stopped:
                return
            self._session, self._connecting = attend.session, True
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()
        threading.Thread(
            target=self._listen, args=(attend,), name=f"orders-{attend.session}", daemon=True
        ).start()

    def _listen(self, attend: Attend) -> None:
        reason = "the tracker ended it"
        try:
            stream = self._open(attend)
            if stream is None:
                return
            for order in stream:
                self._post(ev.OrderReceived(attend.session, order.epoch, wire.order(order)))
        except ClusterError as error:
            reason = error.message
            if reason != self._complaint:
                self._complaint = reason
                _log.warning(
                    "the tracker is not attended: %s%s",
                    reason,
                    f"; try: {error.next_command}" if error.next_command else "",
                )
        except (
            Exception
        ) as error:  # find_tracker is the root's: whatever fails there, the agent tries again
            reason = f"{type(error).__name__}: {error}"
            _log.exception("attending failed")
        waiting = self._end_connecting(attend.session)
        for message in waiting:
            self._lost(message, reason)
        self._post(ev.AttendEnded(attend.session, reason))

    def _open(self, attend: Attend) -> ReplyStream | None:
        """None when a newer session has begun meanwhile."""
        address = self._find_tracker()
        with self._lock:
            if self._stopped or self._session != attend.session:
                return None
            old = self._channel
            if old is None or old.address != address:
                self._channel = make_channel(
                    address, deadline_s=REPORT_TIMEOUT_S, wait_for_ready=False
                )
            else:
                old = None
            channel = self._channel
            assert channel is not None
            stub = pb_grpc.TrackerForWorkersStub(channel)  # type: ignore[no-untyped-call]
            stream: ReplyStream = stub.Attend(
                wire.hello_to_pb(self._hello(attend)), timeout=FOR_LIFE_S
            )
            self._stream = stream
        if old is not None:
            old.close()
        for message in self._end_connecting(attend.session):
            self._call(channel, message)
        return stream

    def _end_connecting(self, session: int) -> list[Report | AskCommit]:
        with self._lock:
            if self._session != session:
                return []
            self._connecting = False
            waiting, self._waiting = self._waiting, []
            return waiting

    def _hello(self, attend: Attend) -> Hello:
        return dataclasses.replace(
            self._identity,
            highest_epoch=attend.highest_epoch,
            inventory=attend.inventory,
            no_room=attend.no_room,
        )

    # ── calls ──

    def _call(self, channel: Channel | None, message: Report | AskCommit) -> None:
        if channel is None:
            self._lost(message, "no tracker is known")
            return
        stub = pb_grpc.TrackerForWorkersStub(channel)  # type: ignore[no-untyped-call]
        try:
            if isinstance(message, Report):
                request = wire.report_to_pb(
                    message, self._identity.worker_id, self._identity.incarnation
                )
                pending: PendingReply = stub.Report.future(request, timeout=REPORT_TIMEOUT_S)
            else:
                pending = stub.Commit.future(
                    wire.commit_to_pb(message, self._identity.worker_id), timeout=COMMIT_TIMEOUT_S
                )
        except ClusterError as error:  # the channel was closed under us
            self._lost(message, error.message)
            return
        pending.when_done(lambda: self._answered(message, pending))

    def _answered(self, message: Report | AskCommit, pending: PendingReply) -> None:
        try:
            reply = pending.result()
        except ClusterError as error:
            self._lost(message, error.message)
            return
        if isinstance(message, Report):
            self._post(ev.ReportTaken(message.sequence, reply.epoch, reply.hello_again))
        else:
            self._post(ev.CommitAnswered(message.attempt_id, reply.epoch, wire.answer(reply)))

    def _lost(self, message: Report | AskCommit, reason: str) -> None:
        if isinstance(message, Report):
            self._post(ev.ReportLost(message.sequence, reason))
        else:
            self._post(ev.CommitLost(message.attempt_id, reason))
