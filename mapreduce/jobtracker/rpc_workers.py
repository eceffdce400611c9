"""The tracker's face to workers (service TrackerForWorkers): a stream of orders to each, reports
and commits from them."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from clusterkit.errors import Overloaded
from clusterkit.rpc import peer_host
from mapreduce.exchange import CommitAnswer, Ping, ReportReceived
from mapreduce.jobtracker.core import events
from mapreduce.jobtracker.mailbox import Reply, Stream, error_of
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.wire import exchange as wire

ANSWER_LIMIT_S = 20.0
STREAMS_OF_A_HOST = 256
"""Attending workers at one address: half of all that can attend, so that one machine does not keep
all others out."""


class StreamsByHost:
    def __init__(self, most: int) -> None:
        self._most, self._open, self._lock = most, Counter[str](), threading.Lock()

    @contextlib.contextmanager
    def one_more(self, host: str) -> Iterator[None]:
        """Raises Overloaded where the host has its share."""
        with self._lock:
            if self._open[host] >= self._most:
                raise Overloaded(
                    f"{self._open[host]} workers attend from {host} already, which is the most",
                    next_command="mrc status",
                )
            self._open[host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[host] -= 1
                if not self._open[host]:
                    del self._open[host]


class WorkerCalls(pb_grpc.TrackerForWorkersServicer):
    def __init__(
        self,
        post: Callable[[Any], None],
        epoch: Callable[[], int],
        highest_epoch: Callable[[], int],
    ) -> None:
        """`highest_epoch` asks the coordinator which epoch it has handed out last."""
        self._post, self._epoch, self._highest_epoch = post, epoch, highest_epoch
        self._streams = StreamsByHost(STREAMS_OF_A_HOST)

    def Attend(self, request: pb.WorkerHello, context: Any) -> Iterator[pb.WorkerOrder]:
        if not request.host:
            request.host = peer_host(context)
        if (
            request.highest_epoch > self._epoch() > 0
        ):  # a newer tracker's, or nobody's: the core must know before it hears it
            self._post(events.EpochCeiling("tracker", self._highest_epoch()))
        with self._streams.one_more(peer_host(context)):
            yield from self._orders(request, context)

    def _orders(self, request: pb.WorkerHello, context: Any) -> Iterator[pb.WorkerOrder]:
        stream = Stream()
        context.add_callback(stream.close)
        self._post(events.WorkerAttended(stream, wire.hello(request)))
        try:
            # The first message tells the worker the epoch and that it is seated, before there is
            # anything to do.
            yield wire.order_to_pb(Ping(), self._epoch())
            for message in stream:
                if isinstance(message, events.EndStream):
                    return
                if isinstance(message, events.Refusal):
                    raise error_of(message)
                yield wire.order_to_pb(message, self._epoch())
        finally:
            self._post(events.StreamEnded(request.worker_id, stream))

    def Report(self, request: pb.WorkerReport, context: Any) -> pb.ReportReply:
        told, reply = wire.report(request), Reply()
        self._post(
            events.WorkerReported(
                reply_to=reply,
                worker_id=request.worker_id,
                incarnation=request.incarnation,
                report=told,
            )
        )
        answer: ReportReceived = reply.wait(ANSWER_LIMIT_S)
        return pb.ReportReply(epoch=self._epoch(), hello_again=answer.hello_again)

    def Commit(self, request: pb.CommitRequest, context: Any) -> pb.CommitReply:
        asked, reply = wire.commit(request), Reply()
        self._post(events.CommitRequested(reply, request.worker_id, asked))
        answer: CommitAnswer = reply.wait(ANSWER_LIMIT_S)
        return wire.answer_to_pb(answer, self._epoch())
