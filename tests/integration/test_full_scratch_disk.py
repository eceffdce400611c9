"""Two workers, one of them with a scratch disk that is too small for any task: jobs end on the
other one, and who asks is told why."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.equipment.until import until
from tests.integration.whole_cluster import WholeCluster, whole_cluster

JOB = """import hashlib

from mapreduce import Job


class Large(Job):
    def map(self, line: str):
        for number in range(400_000):
            yield hashlib.sha256(f"{line} {number}".encode()).hexdigest(), 1

    def reduce(self, key, counts):
        if key.startswith("0000"):
            yield key, sum(counts)
"""
SIZE = "6m"


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """The directory of worker w1, on a disk of 6 MiB."""
    directory = tmp_path / "home" / "data" / "worker-w1"
    directory.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", directory],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no mount here: {mounted.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def submit(cluster: WholeCluster, output: str, rc: int = 0) -> str:
    cluster.write("large.py", JOB)
    return cluster.mrc("submit", "large.py", "/in", output, rc=rc).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs")
def test_a_full_worker_fails_no_job_that_a_healthy_one_can_finish(
    tmp_path: Path, scratch: Path
) -> None:
    with whole_cluster(tmp_path, 2) as cluster:
        cluster.mrc("fs", "mkdir", "/in")
        for number in range(3):
            cluster.mrc("fs", "put", "-", f"/in/{number}", text=b"%d\n" % number)
        status = cluster.mrc("status").stdout
        assert "problem: worker w1 is given no task while another has room: the disk at" in status
        assert f"try: df -h {scratch}" in status
        submit(cluster, "/spared")
        job = json.loads(cluster.mrc("job", "status", "@", "-o", "json").stdout)
        assert job["state"] == "SUCCEEDED" and job["maps"]["failed_attempts"] == 0
        (log,) = [line for line in worker_log(cluster).splitlines() if "no slots are" in line]
        assert f"no slots are offered: the disk at {scratch} is full" in log

        cluster.mrc("down")
        cluster.mrc("up", "--set", "worker.reserved_bytes=0")
        assert "given no task" not in cluster.mrc("status").stdout
        submit(cluster, "/tried")
        job = json.loads(cluster.mrc("job", "status", "@", "-o", "json").stdout)
        assert job["state"] == "SUCCEEDED" and job["maps"]["failed_attempts"] >= 1
        assert cluster.output("/tried") == cluster.output("/spared") != b""

        until(lambda: len(cluster.living("worker")) == 2, "both workers serve")
        cluster.kill("worker", [w.id for w in cluster.living("worker")].index("w2"))
        told = submit(cluster, "/full", rc=1)
        assert f"the disk at {scratch} is full" in told and "DiskFailed" not in told
        assert f"df -h {scratch}" in told


def worker_log(cluster: WholeCluster) -> str:
    return cluster.home.log("worker", "w1").read_text()
