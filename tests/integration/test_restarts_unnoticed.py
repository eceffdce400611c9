"""A namenode or tracker that dies and is started again: whoever was at work notices nothing but the
time it took."""

from __future__ import annotations

import contextlib
import hashlib
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.equipment.until import until
from tests.integration.whole_cluster import MRC, WholeCluster, whole_cluster

MIB = 1 << 20
LINES = 40
SILENCE_S = 3.0
JOB = """import time
from mapreduce import Job


class Slow(Job):
    no_progress_limit_s = SILENCE

    def map(self, line: str):
        time.sleep(0.2)
        yield line[:1], 1

    def reduce(self, letter, counts):
        time.sleep(0.2)
        yield letter, sum(counts)
""".replace("SILENCE", str(SILENCE_S))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeCluster]:
    with whole_cluster(tmp_path_factory.mktemp("restarts"), size=2) as running:
        running.mrc("fs", "mkdir", "/in")
        for index in range(LINES // 4):  # a map for each file
            running.mrc(
                "fs",
                "put",
                "-",
                f"/in/{index}",
                text="".join(f"{letter} {index}\n" for letter in "abcd").encode(),
            )
        running.write("slow.py", JOB)
        yield running


@pytest.fixture(autouse=True)
def whole_again(cluster: WholeCluster) -> Iterator[None]:
    yield
    cluster.up(2)


class SubmittedJob:
    """`mrc submit` that waits, as a user has it, beside a look at the job's status."""

    def __init__(self, cluster: WholeCluster, output: str) -> None:
        self.cluster, self.output = cluster, output
        known = {job["id"] for job in self._jobs()}
        command = [str(MRC), "submit", "slow.py", "/in", output]
        self._submit = subprocess.Popen(
            command,
            cwd=cluster.directory,
            env=cluster.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.id = until(
            lambda: next((job["id"] for job in self._jobs() if job["id"] not in known), ""),
            "the job is there",
        )

    def _jobs(self) -> list[dict[str, Any]]:
        with self.cluster.tracker() as tracker:
            return tracker.jobs(finished_too=True)

    def status(self) -> dict[str, Any]:
        with self.cluster.tracker() as tracker:
            return tracker.status(self.id)

    def await_maps(self, done: int) -> None:
        until(lambda: self.status()["maps"]["done"] >= done, f"{done} maps are done", limit_s=60)

    def attempts(self) -> list[str]:
        with self.cluster.tracker() as tracker:
            return [log.attempt_id for log in tracker.attempts(self.id, "")]

    def logs(self) -> str:
        return self.cluster.mrc("job", "logs", self.id, rc=None).stdout

    def conclude(self) -> dict[str, Any]:
        """What `mrc submit` ended with must be right, and no attempt lost."""
        _out, told = self._submit.communicate(timeout=120)
        status = self.status()
        assert (self._submit.returncode, status["state"]) == (0, "SUCCEEDED"), told
        assert self.cluster.output(self.output).decode().split() == [
            word for letter in "abcd" for word in (letter, str(LINES // 4))
        ]
        for stage in ("maps", "reduces"):
            assert (status[stage]["failed_attempts"], status[stage]["killed_attempts"]) == (0, 0), (
                stage,
                status,
                self.logs(),
            )
        return status


@pytest.mark.timeout(200)
def test_a_job_waits_for_an_absent_namenode_and_loses_no_attempt(cluster: WholeCluster) -> None:
    """Also attempts that begin while it is away, for longer than silence is allowed to a task of
    this job."""
    job = SubmittedJob(cluster, "/out-namenode")
    job.await_maps(2)
    cluster.kill("namenode")
    gone = time.monotonic()
    until(lambda: "waiting for the namenode" in job.logs(), "an attempt says what it waits for")
    until(
        lambda: time.monotonic() - gone > SILENCE_S + 1,
        "the absence is longer than the silence that is allowed",
    )
    cluster.up(2)
    job.conclude()
    assert len(job.attempts()) == LINES // 4 + 2


@pytest.mark.timeout(200)
def test_a_tracker_restart_repeats_nothing_and_submit_goes_on_waiting(
    cluster: WholeCluster,
) -> None:
    job = SubmittedJob(cluster, "/out-tracker")
    job.await_maps(2)
    cluster.kill("tracker")
    cluster.up(2)
    job.conclude()
    assert len(job.attempts()) == LINES // 4 + 2


class Restarts:
    """Kills the namenode and starts it again, each time somebody `worked` so much more."""

    def __init__(self, cluster: WholeCluster, at: list[int]) -> None:
        self._cluster, self._at, self._progress, self._kills, self._changed = (
            cluster,
            at,
            0,
            0,
            threading.Condition(),
        )
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Restarts:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._at, "the namenode was not restarted as often as meant"

    def worked(self, amount: int = 1) -> None:
        with self._changed:
            self._progress += amount
            self._changed.notify_all()

    def _run(self) -> None:
        while self._at:
            with self._changed:
                assert self._changed.wait_for(lambda: self._progress >= self._at[0], 60)
            self._cluster.kill("namenode")
            with self._changed:
                self._kills += 1
                self._changed.notify_all()
            self._cluster.up(2)
            self._at.pop(0)

    def await_kill(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._kills >= number, 60)


@pytest.mark.timeout(200)
def test_a_large_put_goes_on_through_two_namenode_restarts(cluster: WholeCluster) -> None:
    piece = random.Random(7).randbytes(MIB)
    whole = hashlib.sha256()
    with (
        contextlib.closing(cluster.filesystem()) as filesystem,
        Restarts(cluster, [50, 180]) as restarts,
    ):
        with filesystem.create("/large", block_bytes=16 * MIB) as file:
            for index in range(300):
                data = index.to_bytes(8, "big") + piece[8:]
                file.write(data)
                whole.update(data)
                restarts.worked()
                if index in (60, 200):  # a write of this size would be over before the second one
                    restarts.await_kill(1 if index == 60 else 2)
        with filesystem.open("/large") as read:
            again = hashlib.sha256()
            while data := read.read(8 * MIB):
                again.update(data)
    assert again.hexdigest() == whole.hexdigest()


@pytest.mark.timeout(200)
def test_parallel_small_puts_all_succeed_across_a_restart(cluster: WholeCluster) -> None:
    writers, files = 20, 6
    wrong: list[str] = []

    def put(writer: int, restarts: Restarts) -> None:
        with contextlib.closing(cluster.filesystem()) as filesystem:
            assert not filesystem.exists(f"/small-{writer}")  # now it is at work
            started.wait()
            for number in range(files):
                try:
                    with filesystem.create(f"/small-{writer}/{number}") as file:
                        file.write(f"{writer} wrote {number}".encode())
                except Exception as error:  # none of them may fail, whatever the reason
                    wrong.append(f"/small-{writer}/{number}: {error!r}")
                restarts.worked()

    started = threading.Barrier(writers)
    with Restarts(cluster, [writers]) as restarts:
        threads = [
            threading.Thread(target=put, args=(writer, restarts)) for writer in range(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert wrong == []
    with contextlib.closing(cluster.filesystem()) as filesystem:
        for writer in range(writers):
            for number in range(files):
                with filesystem.open(f"/small-{writer}/{number}") as file:
                    assert file.read() == f"{writer} wrote {number}".encode()


@pytest.mark.timeout(200)
def test_an_open_reader_and_a_new_one_read_through_a_restart(cluster: WholeCluster) -> None:
    """Also in the moments in which no datanode has said yet what it holds."""
    data = random.Random(9).randbytes(3 * MIB)
    with contextlib.closing(cluster.filesystem()) as filesystem:
        with filesystem.create("/read", block_bytes=MIB) as file:
            file.write(data)
        reader = filesystem.open("/read")
        assert reader.read(MIB) == data[:MIB]
        cluster.kill("namenode")
        asking: list[bytes] = []
        thread = threading.Thread(target=lambda: asking.append(filesystem.open("/read").read()))
        thread.start()
        cluster.up(2)
        thread.join(60)
        assert asking == [data]
        assert reader.read() == data[MIB:]
        reader.close()
