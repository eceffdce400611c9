"""A one-machine cluster and its home: what `mrc up` leaves when one daemon fails, and what becomes of processes whose home is deleted."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import psutil

from tests.equipment.until import until
from tests.integration.whole_cluster import whole_cluster


def test_a_deleted_home_ends_its_processes(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, 1) as cluster:
        daemons = [psutil.Process(int(service["pid"])) for service in cluster.status()["services"]]
        shutil.rmtree(cluster.home.path)
        until(lambda: not any(map(_runs, daemons)), "every daemon has ended", 30)


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_daemon_that_cannot_start_takes_nobody_with_it(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, 1) as cluster, socket.socket() as taken:
        cluster.mrc("down")
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cluster.mrc("up", "--set", f"namenode.port={taken.getsockname()[1]}", rc=1)
        until(lambda: all(cluster.living(role) for role in ("datanode", "tracker", "worker")), "the others serve", 10)
        cluster.mrc("up")
        assert cluster.status()["ready"]
