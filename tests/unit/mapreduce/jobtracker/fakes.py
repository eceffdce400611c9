"""A coordinator of one process, and a worker that does no work: parts of a tracker service under test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from clusterkit.rpc import make_channel
from coordinator.api import Candidate, Leader, Member
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.storage.memory import MemoryStorage


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
        self.config: Any = None
        self.members_joined: list[Member] = []

    def campaign(
        self, service: str, candidate: Candidate, *, at_least_epoch: int = 0, on_lost: Callable[[], None] = lambda: None
    ) -> FakeLeadership:
        self.epoch = max(self.epoch, at_least_epoch) + 1
        self.on_lost = on_lost
        return FakeLeadership(self.epoch)

    def leader(self, service: str) -> Leader | None:
        return None

    def join(self, member: Member) -> None:
        self.members_joined.append(member)

    def close(self) -> None:
        pass


class FakeWorker:
    """Attends over real gRPC; maps succeed at once, part files are written and committed."""

    def __init__(self, address: str, storage: MemoryStorage, worker_id: str = "w1", slots: int = 2) -> None:
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
        hello = pb.WorkerHello(worker_id=self.worker_id, incarnation="1", host="127.0.0.1", rpc_port=1, shuffle_port=2, slots=self.slots)
        try:
            for order in self.stub.Attend(hello, timeout=60):
                self.seated.set()
                self.orders.append(order.WhichOneof("order"))
                if order.WhichOneof("order") == "launch" and not self.mute:
                    self._run(order.launch)
        except Exception:  # the test ended, or the tracker did
            self.seated.set()

    def _run(self, launch: pb.Launch) -> None:
        counters = pb.Counters(counters=[pb.Counter(group="job", name=f"{launch.kind}_input_records", value=3)])
        if launch.kind == "map" and b'"reducers":0' not in launch.spec_json:
            self.report(pb.AttemptReport(attempt_id=launch.attempt_id, map_succeeded=pb.MapSucceeded(counters=counters)))
            return
        letter = launch.kind[0]
        info = self.storage.put(f"/a/.out.{launch.job_id}/attempts/part-{letter}-{launch.index:05d}.{launch.attempt_id}", b"k\t1\n")
        file = pb.FileResult(path=info.path, file_id=info.file_id, length=info.length, crc32c=1)
        self.stub.Commit(pb.CommitRequest(attempt_id=launch.attempt_id, file=file, counters=counters, worker_id=self.worker_id))

    def report(self, *attempts: pb.AttemptReport) -> pb.ReportReply:
        self.sequence += 1
        request = pb.WorkerReport(worker_id=self.worker_id, incarnation="1", sequence=self.sequence, attempts=attempts)
        reply: pb.ReportReply = self.stub.Report(request)
        return reply
