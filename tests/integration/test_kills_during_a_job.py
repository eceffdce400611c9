"""During a 100 MB word count any one process dies by SIGKILL, and the output stays byte-identical;
what was acknowledged is never lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.whole_cluster import WholeCluster, whole_cluster

SIZE = 100_000_000
FILES = 4
JOB = """from mapreduce import Job


class Words(Job):
    def map(self, line: str):
        for word in line.split():
            yield word, 1

    def reduce(self, word, counts):
        yield word, sum(counts)

    combine = reduce
"""


class Stage:
    """A cluster with 100 MB of text in it and the output of an undisturbed job to compare with."""

    def __init__(self, cluster: WholeCluster) -> None:
        self.cluster = cluster
        rng = random.Random(20261122)
        words = [f"w{rng.randrange(1 << 30):x}é" for _ in range(20_000)]
        lines = [
            " ".join(words[min(int(rng.paretovariate(0.7)), len(words)) - 1] for _ in range(12))
            for _ in range(8_000)
        ]
        block = ("\n".join(lines) + "\n").encode()
        copies = SIZE // FILES // len(block) + 1
        cluster.mrc("fs", "mkdir", "/text")
        for index in range(FILES):
            cluster.mrc("fs", "put", "-", f"/text/{index}", text=block * copies)
        cluster.write("words.py", JOB)
        counts = Counter(word for line in lines for word in line.split())
        self.expected = {word: count * copies * FILES for word, count in counts.items()}
        self.undisturbed = self.run("/undisturbed", lambda _status: False)
        assert {
            line.split("\t")[0]: int(line.split("\t")[1])
            for line in self.undisturbed.decode().splitlines()
        } == self.expected

    def run(self, output: str, disturb: Callable[[dict[str, Any]], bool]) -> bytes:
        """Submits, calls `disturb` with each status once a quarter of the maps is done until it
        says True, and returns the output."""
        job_id = self.cluster.mrc(
            "submit", "-d", "--split-bytes", 4 << 20, "words.py", "/text", output
        ).stdout.split()[-1]
        disturbed = False
        with self.cluster.tracker() as tracker:
            for status in tracker.watch(job_id, 0.05):
                maps = status["maps"]
                if not disturbed and maps["total"] // 4 <= maps["done"] < maps["total"]:
                    disturbed = disturb(status)
            assert status["state"] == "SUCCEEDED", status
        self.status = status
        return self.cluster.output(output)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with whole_cluster(tmp_path_factory.mktemp("kills")) as cluster:
        yield Stage(cluster)


@pytest.fixture(autouse=True)
def whole_again(stage: Stage) -> Iterator[None]:
    yield
    stage.cluster.up()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["worker", "datanode"])
def test_a_daemon_dies(stage: Stage, role: str) -> None:
    def kill(_status: dict[str, Any]) -> bool:
        stage.cluster.kill(role)
        return True

    assert stage.run(f"/after-{role}", kill) == stage.undisturbed


@pytest.mark.timeout(300)
def test_a_task_process_dies(stage: Stage) -> None:
    def kill(_status: dict[str, Any]) -> bool:
        workers = [psutil.Process(a.pid) for a in stage.cluster.living("worker")]
        warm = [child for worker in workers for child in worker.children()]
        for task in (task for server in warm for task in server.children()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(task.pid, signal.SIGKILL)
                return True
        return False

    assert stage.run("/after-task", kill) == stage.undisturbed
    assert stage.status["maps"]["failed_attempts"] + stage.status["maps"]["killed_attempts"] >= 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["tracker", "namenode"])
def test_a_leader_dies_and_is_started_again(stage: Stage, role: str) -> None:
    kept: dict[str, bytes] = {}

    def kill(_status: dict[str, Any]) -> bool:
        with contextlib.closing(stage.cluster.filesystem()) as filesystem:
            for index in range(5):
                with filesystem.create(f"/kept-{role}-{index}") as file:
                    file.write(f"acknowledged {index}".encode())
                kept[f"/kept-{role}-{index}"] = f"acknowledged {index}".encode()
        stage.cluster.kill(role)
        stage.cluster.up()
        return True

    assert stage.run(f"/after-{role}", kill) == stage.undisturbed
    for part in (stage.status["maps"], stage.status["reduces"]):
        assert (part["failed_attempts"], part["killed_attempts"]) == (0, 0)
    with contextlib.closing(stage.cluster.filesystem()) as filesystem:
        for path, data in kept.items():
            with filesystem.open(path) as file:
                assert file.read() == data


def test_nothing_is_left_beside_the_outputs(stage: Stage) -> None:
    """Work in progress lives in hidden siblings of the outputs, and goes when the job is over."""
    with contextlib.closing(stage.cluster.filesystem()) as filesystem:
        hidden = [
            entry.name
            for entry in filesystem.list("/")
            if entry.name.startswith(".") and entry.name != ".mrc"
        ]
    assert hidden == []
    assert not list(Path(stage.cluster.directory).glob("core*"))
