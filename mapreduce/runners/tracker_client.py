"""A client of the job tracker that outlives it: it asks anew where the tracker is, and asks again
what was not answered.

The first contact fails at once when nobody is there: a person at a prompt should hear it. After
that, the tracker's absence is waited through for `patience_s`, because a restarted tracker goes on
where it was. Submitting is repeated with the same token, so it happens once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from clusterkit.errors import Cancelled, ClusterError, TimedOut, TryAgain, Unavailable
from clusterkit.rpc import Channel, make_channel
from coordinator.connect import find_leaders
from mapreduce.model import JobPlan
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.wire.submission import submission_to_pb

T = TypeVar("T")
Status = dict[str, Any]
"""A job's status as the user contract gives it."""

FINISHED = frozenset({"SUCCEEDED", "FAILED", "KILLED"})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0
FOR_EVER_S = 10 * 365 * 86_400.0
LOG_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class AttemptLog:
    attempt_id: str
    worker_address: str  # "" when the worker that has it does not attend
    state: str


class TrackerClient:
    def __init__(
        self,
        find_tracker: Callable[[], str] | None = None,
        *,
        patience_s: float = 60.0,
        away: Callable[[str], None] = lambda _why: None,
    ) -> None:
        """`find_tracker` gives host:port or raises Unavailable; by default it finds the tracker of
        the cluster that MRC_CLUSTER, MRC_HOME or else the user's own home names. `away` hears, once
        per absence, that the tracker is being waited for."""
        self._find_tracker = find_tracker or find_leaders().tracker
        self._patience_s, self._away = patience_s, away
        self._channel: Channel | None = None
        self._answered = False

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def __enter__(self) -> TrackerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────

    def submit(self, plan: JobPlan, token: str = "") -> str:
        """The job's id. The same token always gets the same job."""
        request = submission_to_pb(plan, token or secrets.token_hex(16))
        reply: pb.SubmitReply = self._call(lambda stub: stub.Submit(request))
        return reply.job_id

    def status(self, ref: str) -> Status:
        return _status(self._call(lambda stub: stub.Job(pb.JobRequest(job_id=ref))))

    def kill(self, ref: str, reason: str) -> Status:
        return _status(
            self._call(lambda stub: stub.Kill(pb.KillRequest(job_id=ref, reason=reason)))
        )

    def jobs(self, *, finished_too: bool) -> list[Status]:
        """Newest first."""
        reply = self._call(lambda stub: stub.List(pb.ListRequest(finished_too=finished_too)))
        return [msgspec.json.decode(job) for job in reply.status_json]

    def cluster(self) -> pb.ClusterReply:
        reply: pb.ClusterReply = self._call(lambda stub: stub.Cluster(pb.ClusterRequest()))
        return reply

    def attempts(self, ref: str, task: str) -> list[AttemptLog]:
        reply = self._call(lambda stub: stub.Logs(pb.LogsRequest(job_id=ref, task=task)))
        return [AttemptLog(log.attempt_id, log.worker_address, log.state) for log in reply.logs]

    def watch(self, ref: str, interval_s: float) -> Iterator[Status]:
        """The job's status now and after every change, at most every `interval_s`; the last one is
        of the finished job."""
        since: float | None = None
        wait_s = FIRST_WAIT_S
        while True:
            try:
                request = pb.WatchRequest(job_id=ref, interval_ms=int(interval_s * 1000))
                for reply in self._stub().Watch(request, timeout=FOR_EVER_S):
                    self._answered, since, wait_s = True, None, FIRST_WAIT_S
                    status = _status(reply)
                    ref = status["id"]  # "@" means the job it was when the watch began
                    yield status
                    if status["state"] in FINISHED:
                        return
                raise Unavailable(
                    "the tracker ended the watch", next_command=f"mrc job status {ref}"
                )
            except (Unavailable, TryAgain, TimedOut, Cancelled) as error:
                since, wait_s = self._wait_or_raise(error, since, wait_s)

    def read_log(self, log: AttemptLog) -> Iterator[bytes]:
        """What the attempt's process printed, in pieces, from the worker that has it."""
        with make_channel(log.worker_address, wait_for_ready=False) as channel:
            stub = pb_grpc.WorkerLogsStub(channel)  # type: ignore[no-untyped-call]
            offset = 0
            while True:
                reply: pb.LogReply = stub.Read(
                    pb.LogRequest(attempt_id=log.attempt_id, offset=offset, limit=LOG_PIECE_BYTES)
                )
                if not reply.data:
                    return
                yield reply.data
                offset += len(reply.data)

    # ── staying in touch ──────────────────────────────────────────────────────────────────────────

    def _call(self, call: Callable[[Any], T]) -> T:
        since: float | None = None
        wait_s = FIRST_WAIT_S
        while True:
            try:
                answer = call(self._stub())
            except (Unavailable, TryAgain, TimedOut, Cancelled) as error:
                since, wait_s = self._wait_or_raise(error, since, wait_s)
            else:
                self._answered = True
                return answer

    def _stub(self) -> Any:
        address = self._find_tracker()
        if self._channel is None or self._channel.address != address:
            self.close()
            self._channel = make_channel(address, deadline_s=30.0, wait_for_ready=False)
        return pb_grpc.TrackerStub(self._channel)  # type: ignore[no-untyped-call]

    def _wait_or_raise(
        self, error: ClusterError, since: float | None, wait_s: float
    ) -> tuple[float, float]:
        """When to give up: at once before the first answer, unless the tracker said itself that it
        is about to lead."""
        if not self._answered and not isinstance(error, TryAgain):
            raise error
        now = time.monotonic()
        if since is None:
            since = now
            self._away(error.message)
        elif now - since > self._patience_s:
            raise error
        time.sleep(wait_s)
        return since, min(LONGEST_WAIT_S, wait_s * 2)


def _status(reply: pb.JobReply) -> Status:
    found: Status = msgspec.json.decode(reply.status_json)
    return found
