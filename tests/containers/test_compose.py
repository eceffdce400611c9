"""deploy/compose.yaml, as a user starts it: health-gated, scaled, killed in the middle of a job,
taken down and up again."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mrc.demo.corpus import count_plainly, gather
from tests.containers.engine import ComposeCluster, docker, host_environment
from tests.equipment.until import until

SLOW_COUNT = """
import time

from mapreduce import Job


class SlowCount(Job):
    encoding_errors = "replace"
    lines = 0

    def map(self, line: str):
        self.lines += 1
        if self.lines % 20 == 0:
            time.sleep(0.001)  # so that there is a middle to kill something in, on any machine
        for word in line.split():
            yield word, 1

    def reduce(self, word, counts):
        yield word, sum(counts)

    combine = reduce
"""

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeCluster]:
    made = ComposeCluster(tmp_path_factory.mktemp("compose"))
    try:
        made.build()
        made.up(datanode=4, worker=3)
        yield made
    except AssertionError as failure:
        raise AssertionError(f"{failure}\n{made.logs()}") from None
    finally:
        made.down(volumes=True)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A third of the standard library's source, readable by the container's user."""
    directory = tmp_path_factory.mktemp("books")
    files = gather(directory, None)
    for path in files[2:]:
        path.unlink()
    job = directory / "slow_count.py"
    job.write_text(SLOW_COUNT)
    for path in [directory, job, *files[:2], *directory.parents[:3]]:
        path.chmod(path.stat().st_mode | 0o055)
    return directory


def live(status: dict[str, Any], role: str) -> list[str]:
    return sorted(
        row["id"]
        for row in status["services"]
        if row["role"] == role and row["state"] in ("live", "active")
    )


def wait_for_nodes(cluster: ComposeCluster, datanodes: int, workers: int) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        status: dict[str, Any] = cluster.mrc_json("status")
        right = (
            len(live(status, "datanode")) == datanodes and len(live(status, "worker")) == workers
        )
        return status if right else None

    found = until(look, f"{datanodes} datanodes and {workers} workers are live", 60)
    assert found is not None
    return found


def test_every_part_serves_and_the_coordinator_is_zookeeper(cluster: ComposeCluster) -> None:
    status = wait_for_nodes(cluster, 4, 3)
    assert status["coordinator"]["backend"] == "zookeeper"
    assert status["coordinator"]["leaders"]["namenode"]["epoch"] >= 1
    assert status["coordinator"]["leaders"]["tracker"]["epoch"] >= 1
    assert not status["filesystem"]["safe_mode"]


def test_containers_hold_no_privileges(cluster: ComposeCluster) -> None:
    for container in cluster.containers():
        facts = cluster.inspect(container)
        assert facts["HostConfig"]["ReadonlyRootfs"] and facts["HostConfig"]["CapDrop"] == ["ALL"]
        assert facts["Config"]["User"] == "mrc"


def test_a_job_survives_the_death_of_a_worker_and_a_datanode(
    cluster: ComposeCluster, books: Path
) -> None:
    files = sorted(path.name for path in books.glob("*.txt"))
    cluster.client("mrc", "fs", "mkdir", "/books")
    cluster.client(
        "mrc",
        "fs",
        "put",
        *(f"/here/{name}" for name in files),
        "/books",
        mount=books,
        timeout_s=180,
    )
    submit = ("mrc", "submit", "-d", "--split-bytes", str(1 << 20), "/here/slow_count.py")
    job = cluster.client(*submit, "/books", "/counts", mount=books).strip()

    def under_way() -> bool:
        maps = cluster.mrc_json("job", "status", job)["maps"]
        return bool(maps["total"] > maps["done"] >= 1)

    until(under_way, "some maps are done, others are not", 60)
    docker("kill", cluster.containers("worker")[0])
    docker("kill", cluster.containers("datanode")[0])
    until(lambda: cluster.mrc_json("job", "status", job)["state"] != "RUNNING", "the job ends", 240)
    status = cluster.mrc_json("job", "status", job)
    assert status["state"] == "SUCCEEDED", status
    lines = cluster.client("mrc", "fs", "cat", "/counts/part-r-*").splitlines()
    counted = Counter(
        {word: int(count) for word, _, count in (line.rpartition("\t") for line in lines)}
    )
    assert counted == count_plainly([books / name for name in files])

    def whole_again() -> bool:
        status = cluster.mrc_json("status")
        return (
            len(live(status, "datanode")) == 3
            and status["filesystem"]["under_replicated_blocks"] == 0
        )

    until(whole_again, "what the dead datanode held is replicated again", 120)


def test_the_hosts_own_mrc_reaches_the_cluster_by_the_coordinators_word(
    cluster: ComposeCluster,
) -> None:
    environment = host_environment(cluster.published("zookeeper", 2181))
    command = [sys.executable, "-m", "mrc.main", "fs", "cat", "/counts/_SUCCESS"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_down_and_up_again_finds_every_node_and_every_byte(cluster: ComposeCluster) -> None:
    """New containers have new host names; the nodes are those of the volumes."""
    cluster.up(datanode=4, worker=3)  # brings back what was killed
    before = wait_for_nodes(cluster, 4, 3)
    counts = cluster.client("mrc", "fs", "cat", "/counts/part-r-*")
    cluster.down(volumes=False)
    cluster.up(datanode=4, worker=3)
    after = wait_for_nodes(cluster, 4, 3)
    for role in ("namenode", "datanode", "tracker", "worker"):
        assert live(after, role) == live(before, role)
    for service in ("namenode", "tracker"):
        assert (
            after["coordinator"]["leaders"][service]["epoch"]
            > before["coordinator"]["leaders"][service]["epoch"]
        )
    assert cluster.client("mrc", "fs", "cat", "/counts/part-r-*") == counts
