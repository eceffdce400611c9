"""Data directories are held by one process, belong to one node of one cluster, and never forget an
epoch."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from clusterkit.errors import ClusterError, CorruptRecord, Fenced
from clusterkit.service import Announcement, DataDirectory, announcements, is_held


def test_a_held_directory_is_refused_naming_its_holder(tmp_path: Path) -> None:
    held = DataDirectory.open(tmp_path / "d", "datanode", "d1")
    assert held.fresh and is_held(tmp_path / "d")
    with pytest.raises(ClusterError, match="in use by process"):
        DataDirectory.open(tmp_path / "d", "datanode", "d1")
    held.close()
    assert not is_held(tmp_path / "d")
    assert not DataDirectory.open(tmp_path / "d", "datanode", "d1").fresh


def test_another_node_or_cluster_is_refused(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "d", "datanode", "d1")
    directory.adopt("cluster-a")
    directory.adopt("cluster-a")
    with pytest.raises(ClusterError, match="belongs to cluster cluster-a"):
        directory.adopt("cluster-b")
    directory.close()
    with pytest.raises(ClusterError, match="belongs to datanode d1"):
        DataDirectory.open(tmp_path / "d", "datanode", "d2")
    assert DataDirectory.open(tmp_path / "d", "datanode", "d1").cluster_id == "cluster-a"


def test_a_strangers_directory_is_not_formatted(tmp_path: Path) -> None:
    (tmp_path / "photos").write_text("mine")
    with pytest.raises(ClusterError, match="holds photos but no identity"):
        DataDirectory.open(tmp_path, "datanode", "d1")
    assert (tmp_path / "photos").read_text() == "mine"


def test_epochs_only_grow_and_survive(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "d", "datanode", "d1")
    directory.saw_epoch("namenode", 7)
    directory.remember_ports({"xfer": 9866})
    directory.close()
    again = DataDirectory.open(tmp_path / "d", "datanode", "d1")
    assert again.ports == {"xfer": 9866}
    with pytest.raises(Fenced, match="epoch 6 is older than 7"):
        again.saw_epoch("namenode", 6)
    again.saw_epoch("namenode", 7)


def test_a_damaged_identity_is_named(tmp_path: Path) -> None:
    DataDirectory.open(tmp_path / "d", "datanode", "d1").close()
    (tmp_path / "d" / "identity.json").write_text("{")
    with pytest.raises(CorruptRecord, match=r"identity\.json"):
        DataDirectory.open(tmp_path / "d", "datanode", "d1")


def test_announcements_come_and_go(tmp_path: Path) -> None:
    said = Announcement(role="datanode", id="d1", pid=1, address="127.0.0.1:1", data_dirs=["/x"])
    said.publish(tmp_path)
    assert list(announcements(tmp_path)) == [said]
    said.withdraw(tmp_path)
    said.withdraw(tmp_path)
    assert list(announcements(tmp_path)) == []


def test_asking_whether_a_directory_is_held_keeps_no_daemon_from_it(tmp_path: Path) -> None:
    DataDirectory.open(tmp_path / "d", "datanode", "d1").close()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_held(tmp_path / "d")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            DataDirectory.open(tmp_path / "d", "datanode", "d1").close()
    finally:
        done.set()
        asking.join()


def test_a_swept_lock_file_lets_no_second_daemon_in(tmp_path: Path) -> None:
    held = DataDirectory.open(tmp_path / "d", "datanode", "d1")
    (tmp_path / "d" / "lock").unlink()
    for _ in range(2):
        with pytest.raises(ClusterError, match="in use by a process whose lock file was deleted"):
            DataDirectory.open(tmp_path / "d", "datanode", "d1")
    held.close()
    DataDirectory.open(tmp_path / "d", "datanode", "d1").close()


def test_a_directory_made_again_at_the_same_path_is_another_one(tmp_path: Path) -> None:
    held = DataDirectory.open(tmp_path / "d", "datanode", "d1")
    (tmp_path / "d").rename(tmp_path / "away")
    again = DataDirectory.open(tmp_path / "d", "datanode", "d1")
    assert again.fresh
    again.close()
    held.close()
