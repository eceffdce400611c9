"""A one-machine cluster and its home: what `mrc up` leaves when one daemon fails, and what becomes
of processes whose home is deleted."""

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


def test_a_daemon_whose_lock_was_swept_ends_and_says_why(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, 1) as cluster:
        (datanode,) = cluster.living("datanode")
        process = psutil.Process(datanode.pid)
        (Path(datanode.data_dirs[0]) / "lock").unlink()
        until(lambda: not _runs(process), "the datanode has ended", 30)
        assert "/lock was removed or replaced" in Path(datanode.log).read_text()
        cluster.mrc("up")
        assert cluster.living("datanode")[0].pid != datanode.pid


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_up_mends_what_is_gone_and_says_what_is_not_in_force(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, 2) as cluster:
        home = cluster.home
        cluster.mrc("fs", "put", "--replication", 2, "-", "/x", text=b"x")
        for number, file in enumerate((home.path / "daemons").iterdir()):
            file.write_bytes(b"") if number % 2 else file.unlink()
        cluster.mrc("up")
        assert cluster.mrc("fs", "cat", "/x").stdout == "x"
        home.config_file.write_text(
            home.config_file.read_text() + "\n[datanode]\nreserved_bytes = 12345\n"
        )
        late = cluster.mrc("up").stderr
        assert (
            "datanode.reserved_bytes = 12345 is not in force: datanode d1, datanode d2 began with"
            in late
        )
        assert "  try: mrc down && mrc up\n" in late
        cluster.mrc("down")
        for lost in ("worker-w1", "worker-w2", "datanode-d2"):
            shutil.rmtree(home.path / "data" / lost)
        again = cluster.mrc("up").stderr
        assert "datanode d2 begins anew; what it held is copied again" in again
        assert "not in force" not in again
        assert (
            sum(
                row["state"] == "live"
                for row in cluster.status()["services"]
                if row["role"] == "worker"
            )
            == 2
        )
        assert cluster.mrc("fs", "cat", "/x").stdout == "x"


def test_a_lost_block_is_named_by_up_and_a_full_disk_too(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, 1) as cluster:
        cluster.mrc("fs", "put", "-", "/x", text=b"x")
        cluster.mrc("down")
        for file in (cluster.home.path / "data" / "datanode-d1").rglob("blk_*"):
            file.unlink()
        assert "problem: 1 of 1 blocks are on no datanode that is here" in cluster.mrc("up").stderr
        cluster.mrc("down")
        full = cluster.mrc("up", "--set", f"datanode.reserved_bytes={1 << 60}", rc=1).stderr
        assert "no block fits on its disks: datanode d1: " in full
        assert "bytes free beyond datanode.reserved_bytes" in full
        assert not cluster.status()["ready"]
        refused = cluster.mrc("fs", "put", "-", "/y", text=b"y", rc=1).stderr
        assert "error: no datanode can take a block of /y: " in refused
        assert "problem: datanode d1: " in refused


def test_a_daemon_that_cannot_start_takes_nobody_with_it(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, 1) as cluster, socket.socket() as taken:
        cluster.mrc("down")
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cluster.mrc("up", "--set", f"namenode.port={taken.getsockname()[1]}", rc=1)
        until(
            lambda: all(cluster.living(role) for role in ("datanode", "tracker", "worker")),
            "the others serve",
            10,
        )
        cluster.mrc("up")
        assert cluster.status()["ready"]
