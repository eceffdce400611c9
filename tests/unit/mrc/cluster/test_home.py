"""The home: who belongs to it, what only repeats a fact, and who it is of."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from clusterkit.errors import ClusterError, UsageError
from clusterkit.service import Announcement
from coordinator.home import Home
from mrc.cluster.members import gone, members, remember
from mrc.main import run


def made(home: Home, *who: tuple[str, str]) -> None:
    for role, node_id in who:
        home.data(role, node_id).mkdir(parents=True)


def test_announcements_that_are_cut_are_as_good_as_missing(tmp_path: Path) -> None:
    told = [
        Announcement(role="worker", id=f"w{i}", pid=i, address=f"127.0.0.1:{i}")
        for i in (1, 2, 3, 4)
    ]
    for one in told:
        one.publish(tmp_path)
        assert one.is_published(tmp_path)
    (tmp_path / "daemons/worker-w1.json").write_bytes(b"")
    (tmp_path / "daemons/worker-w2.json").write_bytes(b'{"role": "worker"}')
    (tmp_path / "daemons/worker-w3.json").unlink()
    assert [a.id for a in Home(tmp_path).announced()] == ["w4"]
    assert [one.is_published(tmp_path) for one in told] == [False, False, False, True]


def test_a_directory_that_is_gone_is_missed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = members(home, 2)
    several = [(role, f"{role[0]}{i}") for role in ("datanode", "worker") for i in (1, 2)]
    assert first == sorted([("namenode", "nn1"), ("tracker", "jt1"), *several])
    remember(home, first)
    made(home, *first)
    for lost in (("worker", "w1"), ("worker", "w2"), ("datanode", "d2")):
        home.data(*lost).rmdir()
        assert lost in gone(home)
        assert members(home, None) == first, "made again"
    home.data("namenode", "nn1").rmdir()
    with pytest.raises(ClusterError, match="held the names of all files"):
        gone(home)


def test_a_home_without_its_list_is_known_by_its_directories(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made(home, ("datanode", "d1"), ("datanode", "d2"), ("namenode", "nn1"))
    (tmp_path / "members.json").write_bytes(b"{")
    assert [who for who in members(home, None) if who[0] == "worker"] == [
        ("worker", "w1"),
        ("worker", "w2"),
    ]
    assert gone(home) == []


def test_a_home_whose_coordinator_was_a_daemon_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path)
    made(home, ("coordinator", "c1"), ("namenode", "nn1"))
    assert run(["--home", str(tmp_path), "up"]) == 1
    said = capsys.readouterr().err
    assert "a version whose coordinator was a daemon" in said and "export MRC_HOME=DIR" in said
    assert not (tmp_path / "members.json").exists()


@pytest.mark.parametrize("name", ["embedded://127.0.0.1:4711", "home:///x", "/x"])
def test_a_cluster_that_is_none_is_told_what_to_say(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--cluster", name, "status"]) == 2
    said = capsys.readouterr().err
    assert "names no cluster of several machines" in said and "MRC_HOME" in said


def test_a_user_without_name_and_home_is_told_what_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_uid: int) -> pwd.struct_passwd:
        raise KeyError(_uid)

    for variable in ("HOME", "XDG_STATE_HOME", "MRC_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(UsageError) as caught:
        Home.named(None)
    assert caught.value.next_command == "export MRC_HOME=DIR"
    assert Home.named("/x").path == Path("/x")
    from mrc.context import Context

    assert Context.of({"home": "/x"}).user == str(os.geteuid())


@pytest.mark.parametrize("node_id", ["../x", "a/b", "a b", "-x", "x\n", "x" * 101])
def test_a_nodes_id_is_a_name(
    tmp_path: Path, node_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(tmp_path / "home"), "daemon", "worker", "--id", node_id]) == 2
    assert "is no name of a node" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
