"""A tracker service under test with its surroundings: a coordinator of one process, storage in
memory, workers that do no work."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusterkit.rpc import make_channel
from coordinator.api import Candidate, Leader, Member
from coordinator.backends.memory import MemoryCoordinator, MemoryHub
from mapreduce.jobtracker.service import TrackerOptions, TrackerService
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.plan.spec import CodeRef, JobSpec, Split
from mapreduce.plan.stages import job_plan
from mapreduce.storage.manifest import staging_directory
from mapreduce.storage.memory import MemoryStorage
from mapreduce.wire.submission import submission_to_pb

SPEC = JobSpec(
    name="wc",
    code=CodeRef("/.mrc/code/x.zip", "x", "wc.py", "WordCount", "/home/ann"),
    inputs=["/in"],
    output="/a/out",
    splits=[Split("/in", 0, 10), Split("/in", 10, 10)],
)


class FakeLeadership:
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def deadline_us(self) -> int | None:
        return None

    def resign(self) -> None:
        pass


class FakeCoordinator:
    """Elects whoever asks, at once."""

    def __init__(self) -> None:
        self.epoch = 0
        self.on_lost: Callable[[], None] = lambda: None
        self.election: Any = self
        self.membership: Any = self
        self.config: Any = MemoryCoordinator(MemoryHub()).config
        self.members_joined: list[Member] = []

    def campaign(
        self,
        service: str,
        candidate: Candidate,
        *,
        at_least_epoch: int = 0,
        on_lost: Callable[[], None] = lambda: None,
        alive: Callable[[], bool] = lambda: True,
    ) -> FakeLeadership:
        self.epoch = max(self.epoch, at_least_epoch) + 1
        self.on_lost = on_lost
        return FakeLeadership(self.epoch)

    def leader(self, service: str) -> Leader | None:
        return None

    def highest_epoch(self, service: str) -> int:
        return self.epoch

    def join(self, member: Member) -> None:
        self.members_joined.append(member)

    def close(self) -> None:
        pass


class FakeWorker:
    """Attends over real gRPC; maps succeed at once, part files are written and committed."""

    def __init__(
        self, address: str, storage: MemoryStorage, worker_id: str = "w1", slots: int = 2
    ) -> None:
        self.storage, self.worker_id, self.sequence = storage, worker_id, 0
        self.orders: list[str] = []
        self.mute = False  # takes orders and does nothing
        self.held: list[pb.AttemptInventory] = []
        self.channel = make_channel(address)
        self.stub = pb_grpc.TrackerForWorkersStub(self.channel)  # type: ignore[no-untyped-call]
        self.slots = slots
        self.seated = threading.Event()
        self.thread = threading.Thread(target=self._attend, daemon=True)
        self.thread.start()
        assert self.seated.wait(10)

    def close(self) -> None:
        self.channel.close()
        self.thread.join(10)

    def _attend(self) -> None:
        hello = pb.WorkerHello(
            worker_id=self.worker_id,
            incarnation="1",
            host="127.0.0.1",
            rpc_port=1,
            shuffle_port=2,
            slots=self.slots,
        )
        try:
            for order in self.stub.Attend(hello, timeout=60):
                self.seated.set()
                self.orders.append(order.WhichOneof("order"))
                if order.WhichOneof("order") == "launch" and not self.mute:
                    self._run(order.launch)
        except Exception:  # the test ended, or the tracker did
            self.seated.set()

    def _run(self, launch: pb.Launch) -> None:
        kind = "reduce" if launch.stage else "map"
        counters = pb.Counters(
            counters=[pb.Counter(group="job", name=f"{kind}_input_records", value=3)]
        )
        if not launch.targets:
            done = pb.TaskDone(counters=counters)
            self.report(pb.AttemptReport(attempt_id=launch.attempt_id, done=done))
            return
        directory = staging_directory(launch.targets[0].path, launch.job_id)
        name = f"{launch.targets[0].name}.{launch.attempt_id}"
        info = self.storage.put(f"{directory}/attempts/{name}", b"k\t1\n")
        file = pb.FileResult(path=info.path, file_id=info.file_id, length=info.length, crc32c=1)
        self.stub.Commit(
            pb.CommitRequest(
                attempt_id=launch.attempt_id,
                files=[file],
                counters=counters,
                worker_id=self.worker_id,
            )
        )

    def report(self, *attempts: pb.AttemptReport) -> pb.ReportReply:
        self.sequence += 1
        request = pb.WorkerReport(
            worker_id=self.worker_id, incarnation="1", sequence=self.sequence, attempts=attempts
        )
        reply: pb.ReportReply = self.stub.Report(request)
        return reply


class House:
    """A tracker that can be killed and started again, and its surroundings."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.coordinator, self.storage = (
            directory,
            FakeCoordinator(),
            MemoryStorage(),
        )
        self.workers: list[FakeWorker] = []
        self.start()

    def start(self) -> None:
        options = TrackerOptions("t1", self.directory)
        self.service = TrackerService(options, self.coordinator, lambda _user: self.storage)
        self.service.start()
        self.channel = make_channel(self.service.address)
        self.stub = pb_grpc.TrackerStub(self.channel)  # type: ignore[no-untyped-call]

    def worker(self, slots: int = 2) -> FakeWorker:
        self.workers.append(
            FakeWorker(self.service.address, self.storage, f"w{len(self.workers) + 1}", slots)
        )
        return self.workers[-1]

    def submit(self, spec: JobSpec = SPEC, token: str = "t") -> str:
        reply: pb.SubmitReply = self.stub.Submit(submission_to_pb(job_plan(spec, "ann"), token))
        return reply.job_id

    def finished(self, job_id: str) -> dict[str, object]:
        *_, last = self.stub.Watch(pb.WatchRequest(job_id=job_id, interval_ms=50), timeout=20)
        found: dict[str, object] = json.loads(last.status_json)
        return found

    def stop(self) -> None:
        for worker in self.workers:
            worker.close()
        self.channel.close()
        self.service.stop()
