"""The tracker's face to clients (protos/mapreduce/pb/tracker.proto, service Tracker). Each call is
one event and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import clusterkit.rpc  # noqa: F401  before the stubs: gRPC reads its switches at its first import
from mapreduce.jobtracker.core import events
from mapreduce.jobtracker.core.records import FINISHED
from mapreduce.jobtracker.mailbox import Reply, Stream, error_of
from mapreduce.jobtracker.status_json import status_json
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.wire.bounds import check_words
from mapreduce.wire.submission import plan

ANSWER_LIMIT_S = 20.0


class ClientCalls(pb_grpc.TrackerServicer):
    def __init__(self, post: Callable[[Any], None], output_uri: Callable[[str], str]) -> None:
        """`post` gives an event to the core, or raises TryAgain while this tracker does not
        lead."""
        self._post, self._output_uri = post, output_uri

    def Submit(self, request: pb.SubmitRequest, context: Any) -> pb.SubmitReply:
        submitted = plan(request)
        accepted: events.Accepted = self._ask(
            lambda to: events.SubmitJob(to, request.token, submitted)
        )
        return pb.SubmitReply(job_id=accepted.job_id)

    def Job(self, request: pb.JobRequest, context: Any) -> pb.JobReply:
        check_words(job_id=request.job_id)
        return self._status(self._ask(lambda to: events.GetJob(to, request.job_id)))

    def Kill(self, request: pb.KillRequest, context: Any) -> pb.JobReply:
        check_words(job_id=request.job_id, reason=request.reason)
        return self._status(
            self._ask(lambda to: events.KillJob(to, request.job_id, request.reason or "killed"))
        )

    def List(self, request: pb.ListRequest, context: Any) -> pb.ListReply:
        found: events.JobList = self._ask(lambda to: events.ListJobs(to, request.finished_too))
        return pb.ListReply(status_json=[status_json(job, self._output_uri) for job in found.jobs])

    def Logs(self, request: pb.LogsRequest, context: Any) -> pb.LogsReply:
        check_words(job_id=request.job_id, task=request.task)
        found: events.AttemptList = self._ask(
            lambda to: events.FindLogs(to, request.job_id, request.task)
        )
        rows = [
            pb.AttemptLog(
                attempt_id=a.attempt.attempt_id,
                worker_address=a.worker_address,
                state=a.attempt.state,
            )
            for a in found.attempts
        ]
        return pb.LogsReply(logs=rows)

    def Cluster(self, request: pb.ClusterRequest, context: Any) -> pb.ClusterReply:
        seen: events.ClusterStatus = self._ask(events.GetCluster)
        rows = [
            pb.WorkerRow(
                worker_id=w.worker_id,
                address=w.address,
                state=w.state,
                slots=w.slots,
                busy=w.busy,
                no_room=w.no_room,
            )
            for w in seen.workers
        ]
        return pb.ClusterReply(
            workers=rows, running=seen.running, waiting=seen.waiting, epoch=seen.epoch
        )

    def Watch(self, request: pb.WatchRequest, context: Any) -> Iterator[pb.JobReply]:
        check_words(job_id=request.job_id)
        stream = Stream()
        context.add_callback(stream.close)
        self._post(events.WatchJob(stream, request.job_id, request.interval_ms * 1000))
        try:
            for message in stream:
                if isinstance(message, events.Refusal):
                    raise error_of(message)
                yield self._status(message)
                if message.state in FINISHED:
                    return
        finally:
            self._post(events.WatchEnded(stream))

    def _ask(self, event: Callable[[Reply], Any]) -> Any:
        reply = Reply()
        self._post(event(reply))
        return reply.wait(ANSWER_LIMIT_S)

    def _status(self, status: events.JobStatus) -> pb.JobReply:
        return pb.JobReply(status_json=status_json(status, self._output_uri))
