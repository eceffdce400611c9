"""A real tracker and real workers in this process, on local files. Every process of a task is
real."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coordinator.backends.memory import MemoryCoordinator, MemoryHub
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.service import TrackerOptions, TrackerService
from mapreduce.model import JobPlan
from mapreduce.plan.packaging import package_code
from mapreduce.plan.spec import CodeRef, JobSpec, Split
from mapreduce.plan.stages import job_plan
from mapreduce.runners.tracker_client import TrackerClient
from mapreduce.storage.opening import open_storage
from mapreduce.worker.service import WorkerOptions, WorkerService
from tests.integration.scripted_tracker import wait_until


class LocalCluster:
    def __init__(self, root: Path, workers: int, core: Options | None = None) -> None:
        self.root = root
        self._hub, self._core = MemoryHub(), core or Options()
        self.tracker = self._make_tracker()
        self.workers = [
            self._make_worker(number, root / f"worker-{number}") for number in range(workers)
        ]
        self.client = TrackerClient(lambda: self.tracker.address)
        self._jobs = 0
        self._processes: list[subprocess.Popen[bytes]] = []

    def _make_tracker(self) -> TrackerService:
        options = TrackerOptions("t1", self.root / "tracker", core=self._core)
        tracker = TrackerService(
            options, MemoryCoordinator(self._hub), lambda _user: open_storage("file:///")
        )
        tracker.start()
        return tracker

    def _make_worker(self, number: int, directory: Path) -> WorkerService:
        worker = WorkerService(
            WorkerOptions(f"w{number}", directory, 1),
            lambda: self.tracker.address,
            lambda: "file:///",
        )
        worker.start()
        return worker

    def process_worker(self, name: str) -> subprocess.Popen[bytes]:
        """A worker in a process of its own, to be killed; it attends when this returns."""
        code = (
            "import sys; from pathlib import Path; from mapreduce.worker.service import "
            "WorkerOptions, WorkerService\n"
            "address = Path(sys.argv[3])\n"
            "s = WorkerService(WorkerOptions(sys.argv[1], Path(sys.argv[2]), 1), "
            "address.read_text, lambda: 'file:///')\n"
            "s.start(); s.wait()"
        )
        (self.root / "tracker-address").write_text(self.tracker.address)
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                name,
                str(self.root / name),
                str(self.root / "tracker-address"),
            ]
        )
        self._processes.append(process)
        wait_until(
            lambda: any(
                row.worker_id == name and row.state == "live"
                for row in self.client.cluster().workers
            )
        )
        return process

    def restart_tracker(self) -> None:
        self.tracker.stop()
        self.tracker = self._make_tracker()
        (self.root / "tracker-address").write_text(self.tracker.address)

    def submit(
        self,
        source: str,
        text: bytes,
        *,
        split_bytes: int = 0,
        class_name: str = "Words",
        plan: Callable[[JobSpec, str], JobPlan] = job_plan,
        **fields: Any,
    ) -> str:
        """The job's id; its output is ROOT/out-N."""
        self._jobs += 1
        folder = self.root / f"job-{self._jobs}"
        folder.mkdir()
        (folder / "words.py").write_text(source)
        archive, digest = package_code(folder / "words.py")
        (folder / "job.zip").write_bytes(archive)
        (folder / "in.txt").write_bytes(text)
        path, step = str(folder / "in.txt"), split_bytes or max(1, len(text))
        splits = [Split(path, at, min(step, len(text) - at)) for at in range(0, len(text), step)]
        code = CodeRef(str(folder / "job.zip"), digest, "words.py", class_name, str(folder))
        spec = JobSpec(
            name="words",
            code=code,
            inputs=[path],
            output=str(self.root / f"out-{self._jobs}"),
            splits=splits,
            **fields,
        )
        return self.client.submit(plan(spec, "me"))

    def finish(self, job_id: str) -> dict[str, Any]:
        """Waits for the end; the job's status."""
        *_, status = self.client.watch(job_id, 0.05)
        return dict(status)

    def until(self, job_id: str, what: Callable[[dict[str, Any]], Any]) -> None:
        wait_until(lambda: what(self.client.status(job_id)))

    def output(self, number: int = 0) -> bytes:
        folder = self.root / f"out-{number or self._jobs}"
        assert (folder / "_SUCCESS").exists()
        return b"".join(path.read_bytes() for path in sorted(folder.glob("part-*")))

    def close(self) -> None:
        self.client.close()
        for process in self._processes:
            process.kill()
            process.wait()
        for worker in self.workers:
            worker.stop()
        self.tracker.stop()


@contextlib.contextmanager
def local_cluster(
    root: Path, workers: int = 2, core: Options | None = None
) -> Iterator[LocalCluster]:
    made = LocalCluster(root, workers, core)
    try:
        yield made
    finally:
        made.close()
