"""What cannot work is refused when it is read, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit.errors import UsageError
from clusterkit.service import Announcement
from coordinator.home import Home
from mrc.cluster.in_force import began_with, not_in_force
from mrc.settings import Settings, read_settings


@pytest.mark.parametrize(
    "flag",
    [
        "namenode.block_bytes=0",
        "namenode.block_bytes=-1",
        "namenode.block_bytes=1000",
        "namenode.replication=-1",
        "namenode.replication=513",
        "namenode.port=65536",
        "namenode.dead_after_s=nan",
        "namenode.dead_after_s=inf",
        "namenode.heartbeat_interval_s=0",
        "namenode.supergroup=",
        "namenode.supergroup=a b",
        "datanode.port=-1",
        "datanode.reserved_bytes=-1",
        "datanode.full_report_interval_s=0",
        "datanode.rack=rack",
        "datanode.rack=",
        "tracker.worker_dead_after_s=-5",
        "worker.slots=-1",
        "worker.heartbeat_interval_s=0",
        "cluster.session_timeout_s=0",
        "cluster.coordinator=",
        "network.listen_host=",
        "network.listen_host=::1::",
        "network.listen_host=127.0.0.1 ",
        "network.listen_host=127.0.0.1:8020",
        "network.listen_host=10.255.255.1",
        "network.advertised_host=a b",
        "security.mode=open",
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(tmp_path: Path, flag: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings(Home(tmp_path), [flag])
    section, _, key = flag.partition("=")[0].partition(".")
    assert key in caught.value.message or "listen on" in caught.value.message, caught.value.message
    assert section


def test_defaults_and_sensible_values_are_taken(tmp_path: Path) -> None:
    assert read_settings(Home(tmp_path))[0] == Settings()
    flags = [
        "namenode.block_bytes=1024",
        "datanode.rack=/a/b",
        "network.listen_host=localhost",
        "worker.slots=64",
        "datanode.reserved_bytes=0",
    ]
    assert read_settings(Home(tmp_path), flags)[0].worker.slots == 64


def test_two_daemons_cannot_have_one_port(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"namenode.port and tracker.port are both 9000"):
        read_settings(Home(tmp_path), ["namenode.port=9000", "tracker.port=9000"])


def test_the_mark_that_editors_leave_is_no_part_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_bytes(b"\xef\xbb\xbf[worker]\nslots = 3\n")
    assert read_settings(Home(tmp_path))[0].worker.slots == 3


def test_an_empty_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRC_NETWORK__ADVERTISED_HOST", "")
    with pytest.raises(UsageError, match="set and empty"):
        read_settings(Home(tmp_path))


def test_what_is_not_in_force_is_named_with_who_began_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    then, _ = read_settings(home, ["worker.slots=2"])
    daemons = [("datanode", "d1"), ("datanode", "d2"), ("worker", "w1")]
    announced = [
        Announcement(role=r, id=i, pid=1, address="", facts=began_with(r, then)) for r, i in daemons
    ]
    monkeypatch.setattr(Home, "living", lambda self, role=None: announced)
    assert not_in_force(home, then) == []
    assert not_in_force(home, Settings()) == [], "`mrc up` shares the cores: nobody has set slots"
    now, _ = read_settings(home, ["datanode.reserved_bytes=5", "worker.slots=3"])
    assert not_in_force(home, now) == [
        "datanode.reserved_bytes = 5 is not in force: datanode d1, datanode d2 began with "
        "268435456",
        "worker.slots = 3 is not in force: worker w1 began with 2",
    ]
