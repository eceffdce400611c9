"""A tracker that does only what a test tells it, over real gRPC, and workers in this process that
believe it. Storage: local files."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from clusterkit.rpc import make_channel, make_server
from mapreduce.exchange import Input, Launch, OutputLocation, Target, TellOutputs
from mapreduce.failures import FailureReport
from mapreduce.model import PART, Limits, part_name
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.plan.packaging import package_code
from mapreduce.plan.spec import CodeRef, JobSpec, Split
from mapreduce.wire.exchange import order_to_pb
from mapreduce.worker.service import WorkerOptions, WorkerService

LIMIT_S = 30.0

WORDS = """
from mapreduce import Job

class Words(Job):
    def map(self, line: str):
        for word in line.split():
            yield word, 1

    def reduce(self, word, counts):
        yield word, sum(counts)

    combine = reduce
"""


class Attendance:
    """One worker's stream of orders."""

    def __init__(self, hello: pb.WorkerHello) -> None:
        self.hello = hello
        self.orders: queue.SimpleQueue[pb.WorkerOrder | None] = queue.SimpleQueue()


class ScriptedTracker(pb_grpc.TrackerForWorkersServicer):
    """Keeps everything it hears. Grants every commit unless `may_commit` says otherwise."""

    def __init__(self, port: int = 0, epoch: int = 1) -> None:
        self.epoch = epoch
        self.heard = threading.Condition()
        self.attending: dict[str, Attendance] = {}
        self.hellos: list[pb.WorkerHello] = []
        self.reports: list[tuple[str, pb.AttemptReport]] = []
        self.report_count = 0
        self.sequences: dict[str, int] = {}
        self.commits: list[pb.CommitRequest] = []
        self.may_commit: Callable[[pb.CommitRequest], pb.CommitReply] = lambda _request: (
            pb.CommitReply(epoch=self.epoch, granted=True)
        )
        self._server = make_server("127.0.0.1", port, threads=16)
        self._server.add(pb_grpc.add_TrackerForWorkersServicer_to_server, self)
        self.port = self._server.start()
        self.address = f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        for attendance in list(self.attending.values()):
            attendance.orders.put(None)
        self._server.stop(0.1)

    # ── what workers call ──

    def Attend(self, hello: pb.WorkerHello, context: Any) -> Iterator[pb.WorkerOrder]:
        attendance = Attendance(hello)
        with self.heard:
            self.attending[hello.worker_id] = attendance
            self.hellos.append(hello)
            self.heard.notify_all()
        context.add_callback(lambda: attendance.orders.put(None))
        yield pb.WorkerOrder(epoch=self.epoch, ping=pb.Ping())
        while (order := attendance.orders.get()) is not None:
            order.epoch = order.epoch or self.epoch
            yield order

    def Report(self, report: pb.WorkerReport, context: Any) -> pb.ReportReply:
        attendance = self.attending.get(report.worker_id)
        if attendance is None or attendance.hello.incarnation != report.incarnation:
            return pb.ReportReply(epoch=self.epoch, hello_again=True)
        with self.heard:
            self.report_count += 1
            if report.sequence > self.sequences.get(report.incarnation, 0):
                self.sequences[report.incarnation] = report.sequence
                self.reports += [(report.worker_id, item) for item in report.attempts]
            self.heard.notify_all()
        return pb.ReportReply(epoch=self.epoch)

    def Commit(self, request: pb.CommitRequest, context: Any) -> pb.CommitReply:
        reply = self.may_commit(request)
        with self.heard:
            self.commits.append(request)
            self.heard.notify_all()
        return reply

    # ── what tests say and see ──

    def order(self, worker_id: str, **order: Any) -> None:
        self.attending[worker_id].orders.put(pb.WorkerOrder(**order))

    def until(self, what: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
        """Waits for news until `what` is true; returns it."""
        end = time.monotonic() + limit_s
        with self.heard:
            while not (found := what()):
                left = end - time.monotonic()
                assert left > 0, (
                    f"not within {limit_s} s; heard "
                    f"{[(w, r.attempt_id, r.WhichOneof('what')) for w, r in self.reports]}"
                )
                self.heard.wait(left)
            return found

    def news(self, attempt_id: str, kind: str) -> list[Any]:
        return [
            getattr(row, kind)
            for _worker, row in self.reports
            if row.attempt_id == attempt_id and row.WhichOneof("what") == kind
        ]

    def failure(self, attempt_id: str, limit_s: float = LIMIT_S) -> FailureReport:
        return FailureReport.from_json(
            self.until(lambda: self.news(attempt_id, "failed"), limit_s)[0].failure_json
        )


class World:
    """A scripted tracker, workers, and one job at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tracker = ScriptedTracker()
        self.workers: dict[str, WorkerService] = {}
        self.job_id = "job_20261122_1000001"
        self.spec: JobSpec
        self.splits: list[Split] = []
        self.find_filesystem: Callable[[], str] = lambda: "file:///"

    def worker(self, worker_id: str = "w1", slots: int = 2) -> WorkerService:
        options = WorkerOptions(
            worker_id, self.root / f"worker-{worker_id}", slots, heartbeat_s=0.1
        )
        service = WorkerService(options, lambda: self.tracker.address, self.find_filesystem)
        service.start()
        self.workers[worker_id] = service
        self.tracker.until(lambda: worker_id in self.tracker.attending)
        return service

    def close(self) -> None:
        for service in self.workers.values():
            service.stop()
        self.tracker.stop()

    def job(
        self,
        source: str,
        text: bytes = b"a b a\n",
        *,
        split_bytes: int = 0,
        name: str = "words.py",
        **fields: Any,
    ) -> None:
        folder = self.root / "source"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(source)
        archive, digest = package_code(folder / name)
        (self.root / "job.zip").write_bytes(archive)
        (self.root / "in.txt").write_bytes(text)
        path, step = str(self.root / "in.txt"), split_bytes or max(1, len(text))
        self.splits = [
            Split(path, at, min(step, len(text) - at)) for at in range(0, len(text), step)
        ]
        code = CodeRef(
            str(self.root / "job.zip"), digest, name, fields.pop("class_name", "Words"), str(folder)
        )
        self.spec = JobSpec(
            name="test", code=code, inputs=[path], output=str(self.root / "out"), **fields
        )

    def map_id(self, index: int, number: int = 0) -> str:
        return f"attempt_20261122_1000001_s0_{index:06d}_{number}"

    def reduce_id(self, index: int, number: int = 0) -> str:
        return f"attempt_20261122_1000001_s1_{index:06d}_{number}"

    def launch(self, attempt_id: str, stage: int, index: int, worker_id: str, **fields: Any) -> str:
        spec = self.spec
        limits = Limits(spec.memory_limit_bytes, int(spec.no_progress_limit_s * 1e6))
        order = Launch(
            attempt_id=attempt_id,
            job_id=self.job_id,
            stage=stage,
            index=index,
            spec=spec.to_json(),
            limits=limits,
            **fields,
        )
        message = order_to_pb(order, 0)
        self.tracker.attending[worker_id].orders.put(message)
        return attempt_id

    def launch_map(self, index: int = 0, number: int = 0, worker_id: str = "w1") -> str:
        reducers = self.spec.reducers
        return self.launch(
            self.map_id(index, number),
            0,
            index,
            worker_id,
            split=msgspec.json.encode(self.splits[index]),
            partitions=reducers,
            targets=() if reducers else (Target(0, self.spec.output, part_name("m", index)),),
        )

    def launch_reduce(
        self,
        index: int = 0,
        number: int = 0,
        worker_id: str = "w1",
        known: list[OutputLocation] | None = None,
    ) -> str:
        maps, cuts = len(self.splits), self.spec.reducers
        reads = Input(edge=0, tag=0, stage=0, kind=PART, first=0, tasks=maps, partitions=cuts)
        return self.launch(
            self.reduce_id(index, number),
            1,
            index,
            worker_id,
            inputs=(reads,),
            targets=(Target(0, self.spec.output, part_name("r", index)),),
            known=tuple(known or ()),
        )

    def location(
        self, index: int, worker_id: str = "w1", number: int = 0, lost: bool = False
    ) -> OutputLocation:
        return OutputLocation(
            stage=0,
            task=index,
            attempt_id=self.map_id(index, number),
            host="127.0.0.1",
            shuffle_port=self.workers[worker_id].ports["shuffle"],
            bytes=0,
            worker_id=worker_id,
            lost=lost,
        )

    def tell(self, worker_id: str, *locations: OutputLocation) -> None:
        message = order_to_pb(TellOutputs(self.job_id, locations), 0)
        self.tracker.attending[worker_id].orders.put(message)

    def map_done(self, attempt_id: str) -> pb.TaskDone:
        found = self.tracker.until(
            lambda: self.tracker.news(attempt_id, "done") or self.tracker.news(attempt_id, "failed")
        )[0]
        assert isinstance(found, pb.TaskDone), found
        return found

    def run_maps(self, worker_id: str = "w1") -> None:
        for attempt_id in [
            self.launch_map(index, worker_id=worker_id) for index in range(len(self.splits))
        ]:
            self.map_done(attempt_id)

    def committed(self, attempt_id: str) -> pb.CommitRequest:
        def found() -> list[Any]:
            return [
                c for c in self.tracker.commits if c.attempt_id == attempt_id
            ] or self.tracker.news(attempt_id, "failed")

        commit = self.tracker.until(found)[0]
        assert isinstance(commit, pb.CommitRequest), commit
        return commit

    def log(self, attempt_id: str, worker_id: str = "w1") -> bytes:
        with make_channel(self.workers[worker_id].address) as channel:
            stub = pb_grpc.WorkerLogsStub(channel)
            return bytes(stub.Read(pb.LogRequest(attempt_id=attempt_id)).data)


@contextlib.contextmanager
def world(root: Path) -> Iterator[World]:
    made = World(root)
    try:
        yield made
    finally:
        made.close()


def wait_until(what: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """For facts of the operating system that nobody announces."""
    end = time.monotonic() + limit_s
    while not (found := what()):
        assert time.monotonic() < end, f"not within {limit_s} s"
        threading.Event().wait(0.02)
    return found
