"""What a coordinator's URL may look like, and what a wrong one is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusterkit.errors import Unavailable, UsageError
from clusterkit.service import Announcement, DataDirectory
from coordinator.connect import connect, find_leaders
from coordinator.leaders import CoordinatorLeaders
from mapreduce.runners.tracker_client import TrackerClient
from minihdfs.client import filesystem


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("", "neither home:"),
        ("http://h:1", "neither home:"),
        ("home://not/absolute", "neither home:"),
        ("zk://h:0/x", "is not HOST:PORT"),
        ("zk://h:65536/x", "is not HOST:PORT"),
        ("zk://h/x", "is not HOST:PORT"),
        ("zk://h:1,h/x", "is not HOST:PORT"),
        ("zk://user@h:1/x", "before @ stands USER:PASSWORD"),
        ("zk://h:1/a//b", "its path"),
        ("zk://h:1/a/../b", "its path"),
    ],
)
def test_a_url_that_is_none_is_refused(url: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        connect(url, "m", 2.0)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(UsageError) as refusal:
        connect("zk://user:swordfish@h/x", "m", 2.0)
    assert "swordfish" not in str(refusal.value)


@pytest.mark.parametrize("url", ["embedded", "embedded://127.0.0.1:4711"])
def test_the_address_that_the_coordinator_of_one_machine_had_is_told_what_to_say_instead(
    url: str,
) -> None:
    with pytest.raises(UsageError, match="files of its home and listens nowhere") as refusal:
        connect(url, "m", 2.0)
    assert "MRC_HOME" in str(refusal.value.next_command)


@pytest.mark.parametrize("name", ["embedded://127.0.0.1:4711", "home:///x", "/x", "hdfs://h:1"])
def test_what_names_no_cluster_of_several_machines_is_told_what_to_say(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRC_CLUSTER", name)
    with pytest.raises(UsageError, match="names no cluster of several machines") as refusal:
        find_leaders()
    assert "MRC_HOME" in str(refusal.value.next_command)


def test_a_program_finds_the_cluster_of_a_home_as_mrc_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MRC_CLUSTER", raising=False)
    monkeypatch.setenv("MRC_HOME", str(tmp_path))
    with pytest.raises(Unavailable, match=f"no namenode is running in {tmp_path}"):
        filesystem.connect()
    with TrackerClient(patience_s=0) as client, pytest.raises(Unavailable, match="no tracker"):
        client.status("job_20261126_1000001")
    held = DataDirectory.open(tmp_path / "data/namenode-nn1", "namenode", "nn1")
    Announcement(role="namenode", id="nn1", pid=os.getpid(), address="127.0.0.1:8020").publish(
        tmp_path
    )
    try:
        with filesystem.connect() as found:
            assert found.uri == "hdfs://127.0.0.1:8020"
        monkeypatch.setenv("MRC_CLUSTER", "zk://127.0.0.1:1/mrc")
        assert find_leaders(tmp_path).namenode() == "127.0.0.1:8020"  # said in words: this home
        assert isinstance(find_leaders(), CoordinatorLeaders)
    finally:
        held.close()


def test_a_machine_without_zookeeper_never_imports_kazoo() -> None:
    program = (
        "import sys\nfrom coordinator.connect import connect\n"
        "connect('home:///nowhere', 'm', 2.0).election.leader('namenode')\n"
        "print([name for name in sys.modules if name.startswith('kazoo')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "url",
    [
        "zk://10.0.0.9:2181/mrc",
        "zk://127.0.0.1:1,zk.example:2181/mrc",
        "zk://[2001:db8::1]:2181/mrc",
    ],
)
def test_a_zookeeper_beyond_this_machine_needs_a_password(url: str) -> None:
    """What is made there without one may be changed by anybody: who leads, and which epoch is
    next."""
    with pytest.raises(UsageError, match="without USER:PASSWORD") as refusal:
        connect(url, "m", 2.0)
    assert "security.mode" in str(refusal.value.next_command)


def test_a_private_network_is_said_in_words() -> None:
    for url, mode in (
        ("zk://127.0.0.1:1,localhost:1/mrc", "loopback"),
        ("zk://127.0.0.1:1,nowhere.invalid:1/mrc", "private-network"),
    ):
        with pytest.raises(Unavailable, match="no ZooKeeper answers"):  # and not: refused
            connect(url, "m", 2.0, patience_s=0.1, security_mode=mode)
