"""The coordinator as files of a home: what else than the contract can happen to files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit.errors import ClusterError, CorruptRecord, Unavailable, UsageError
from coordinator.api import Candidate, Coordinator, Leadership, Member, Setting
from coordinator.backends import home as home_backend
from coordinator.backends import home_state
from coordinator.backends.home_state import HomeFiles
from coordinator.connect import connect
from coordinator.errors import MAX_EPOCH
from tests.equipment.until import until

DEADLINE_S = 15.0
NN1, NN2 = Candidate("nn1", "nn1:8020", "here"), Candidate("nn2", "nn2:8020", "there")


class Sessions:
    def __init__(self, home: Path) -> None:
        self.home, self.opened = home, list[Coordinator]()

    def __call__(self, home: Path | None = None) -> Coordinator:
        self.opened.append(connect(f"home://{home or self.home}", f"m{len(self.opened)}", 2.0))
        return self.opened[-1]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Sessions]:
    (tmp_path / "home").mkdir()
    made = Sessions(tmp_path / "home")
    yield made
    for one in made.opened:
        one.close()


def elect(
    session: Coordinator, who: Candidate = NN1, on_lost: Callable[[], None] = lambda: None
) -> Leadership:
    return session.election.campaign("namenode", who, on_lost=on_lost)


# ── the file ──────────────────────────────────────────────────────────────────────────────────────

HEAD = '{"magic":"mrcluster state","version":1'


@pytest.mark.parametrize(
    "found",
    [
        b"",
        b"{}",
        b"[]",
        b"\x00" * 300,
        HEAD.encode(),
        b'{"magic":"another","version":1}',
        b'{"magic":"mrcluster state","version":2}',
        f'{HEAD},"of_a_later_version":1}}'.encode(),
        f'{HEAD},"epochs":{{"namenode":-1}}}}'.encode(),
        f'{HEAD},"epochs":{{"namenode":{MAX_EPOCH + 1}}}}}'.encode(),
        HEAD.encode() + b',"moved":"\xff\xfe"}',
    ],
)
def test_a_state_that_cannot_be_read_is_refused_and_never_taken_for_a_new_one(
    session: Sessions, found: bytes
) -> None:
    file = session.home / "state.json"
    file.write_bytes(found)
    one = session()
    for call in (
        lambda: elect(one),
        lambda: one.election.leader("namenode"),
        lambda: one.election.highest_epoch("namenode"),
        lambda: one.membership.join(Member("worker", "w1", "h:1")),
        lambda: one.config.get("cluster_id"),
        lambda: one.config.set("cluster_id", b"x"),
    ):
        with pytest.raises(CorruptRecord, match=r"state\.json is none that this version") as told:
            call()
        assert str(file) in str(told.value.next_command)
    assert file.read_bytes() == found


VERSION_1 = f"""{HEAD},"moved":"","epochs":{{"namenode":7,"tracker":274877906944}},
"leaders":{{"namenode":
{{"id":"nn1","address":"h:1,h:2","place":"m b 1:2","epoch":7,"session":"00"}}}},
"members":{{"tracker":{{"jt1":{{"address":"h:3","capabilities":{{"k":"v"}},"session":"00"}}}}}},
"settings":{{"cluster_id":{{"value":"YzBmZmVl","version":3}}}}}}"""


def test_a_state_of_version_1_is_read_for_ever(session: Sessions) -> None:
    (session.home / "state.json").write_text(VERSION_1)
    one = session()
    assert one.election.highest_epoch("tracker") == MAX_EPOCH
    assert one.config.get("cluster_id") == Setting(b"c0ffee", 3)
    assert one.election.leader("namenode") is None and one.membership.members("tracker") == []
    assert elect(one, NN2).epoch == 8
    assert one.config.set("cluster_id", b"c0ffee") == 4


def test_a_state_that_is_no_file_is_refused(session: Sessions) -> None:
    os.mkfifo(session.home / "state.json")
    with pytest.raises(CorruptRecord, match="it is no file"):
        session().election.leader("namenode")


def test_a_state_that_is_spoilt_while_somebody_leads_ends_no_leadership(session: Sessions) -> None:
    lost = threading.Event()
    one = session()
    led = elect(one, on_lost=lost.set)
    whole = (session.home / "state.json").read_bytes()
    (session.home / "state.json").write_bytes(whole[:100])
    with pytest.raises(CorruptRecord):
        one.election._session._look()  # type: ignore[attr-defined]
    assert led.deadline_us() is None and not lost.is_set()
    (session.home / "state.json").write_bytes(whole)
    found = session().election.leader("namenode")
    assert found is not None and found.epoch == led.epoch


def test_where_a_cluster_moved_from_nobody_is_elected(session: Sessions) -> None:
    led = elect(session())
    heard: list[ClusterError] = []

    def wait() -> None:
        try:
            elect(waiting, NN2)
        except ClusterError as error:
            heard.append(error)

    waiting = session()
    thread = threading.Thread(target=wait)
    thread.start()
    with HomeFiles(session.home).changing() as state:
        state.moved = "zk://ada:secret@zk1:2181/mrc"
    thread.join(DEADLINE_S)
    with pytest.raises(ClusterError, match="nobody is elected here") as told:
        elect(session())
    for error in (told.value, *heard):
        assert "has moved to zk://ada:…@zk1:2181/mrc" in str(error) and "secret" not in str(error)
    assert len(heard) == 1
    assert session().election.highest_epoch("namenode") == led.epoch


def test_the_epoch_after_the_last_one_is_refused_and_changes_nothing(session: Sessions) -> None:
    elect(session()).resign()
    with HomeFiles(session.home).changing() as state:
        state.epochs["namenode"] = MAX_EPOCH
    with pytest.raises(UsageError, match="no epoch"):
        elect(session())
    assert session().election.highest_epoch("namenode") == MAX_EPOCH
    assert session().election.leader("namenode") is None


def test_what_sessions_left_does_not_pile_up(session: Sessions) -> None:
    for number in range(5):
        one = session()
        one.membership.join(Member("worker", f"made-up-{number}", "h:1"))
        one.close()
    (session.home / "sessions" / "0123456789abcdef").write_text("of a process that was killed\n")
    (session.home / ".state.json.0011223344556677.tmp").write_text("cut")
    session().membership.join(Member("worker", "w1", "h:1"))
    kept = json.loads((session.home / "state.json").read_bytes())["members"]["worker"]
    assert list(kept) == ["w1"]
    assert len(list((session.home / "sessions").iterdir())) == 1
    assert list(session.home.glob(".state.json*")) == []


# ── who may, and what the disk says ───────────────────────────────────────────────────────────────


def test_who_only_reads_opens_nothing_for_writing(
    session: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    elect(session())
    session().config.set("k", b"v")
    before, flags, really = sorted(session.home.rglob("*")), list[int](), os.open

    def opened(path: Any, flag: int, *rest: Any, **named: Any) -> int:
        flags.append(flag)
        return really(path, flag, *rest, **named)

    reader = session()
    monkeypatch.setattr(os, "open", opened)
    assert reader.election.leader("namenode") is not None
    assert reader.election.highest_epoch("namenode") == 1
    assert reader.membership.members("worker") == []
    assert reader.config.get("k") is not None
    assert flags and not any(flag & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) for flag in flags)
    assert sorted(session.home.rglob("*")) == before


def test_a_full_disk_is_named_and_costs_no_epoch(
    session: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    elect(session()).resign()
    before = (session.home / "state.json").read_bytes()

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    one = session()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match=r"state\.json: No space left on device") as told:
            elect(one, NN2)
        assert told.value.next_command == f"df -h {session.home}"
        with pytest.raises(Unavailable, match="No space left on device"):
            one.config.set("k", b"v")
    assert (session.home / "state.json").read_bytes() == before
    assert elect(session()).epoch == 2


@pytest.mark.parametrize(
    ("number", "next_command"), [(errno.EROFS, "findmnt -T"), (errno.EACCES, "ls -ld")]
)
def test_a_home_that_may_not_be_written_is_read_and_nobody_is_elected(
    session: Sessions, monkeypatch: pytest.MonkeyPatch, number: int, next_command: str
) -> None:
    elect(session()).resign()
    really = os.open

    def opened(path: Any, flag: int, *rest: Any, **named: Any) -> int:
        if flag & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(number, os.strerror(number), str(path))
        return really(path, flag, *rest, **named)

    monkeypatch.setattr(os, "open", opened)
    one = session()
    assert one.election.highest_epoch("namenode") == 1
    with pytest.raises(Unavailable, match=os.strerror(number)) as told:
        elect(one)
    assert str(told.value.next_command).startswith(next_command)


def test_a_home_that_may_not_be_read_is_told_as_such(
    session: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(path: Any, *_rest: Any, **_named: Any) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    one = session()
    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(Unavailable, match=r"state\.json: Permission denied"):
        one.election.leader("namenode")


def test_a_home_that_is_not_there_is_read_as_nobodys_and_not_made(tmp_path: Path) -> None:
    one = connect(f"home://{tmp_path}/none", "m", 2.0)
    assert one.election.leader("namenode") is None
    with pytest.raises(Unavailable, match="No such file or directory") as told:
        elect(one)
    assert told.value.next_command == "mrc up"
    assert not (tmp_path / "none").exists()


def test_a_home_with_a_long_name_has_a_coordinator(session: Sessions, tmp_path: Path) -> None:
    """Nothing here is a socket, whose address has 108 bytes."""
    long = tmp_path / ("ä" * 100) / ("b" * 200)
    long.mkdir(parents=True)
    assert elect(session(long)).epoch == 1


def test_a_process_that_was_stopped_with_the_lock_is_named(
    session: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_state, "LOCK_PATIENCE_S", 0.05)
    with (
        HomeFiles(session.home).locked(),
        pytest.raises(Unavailable, match=r"state\.lock has been held"),
    ):
        elect(session())
    with HomeFiles(session.home).locked():
        (session.home / "state.lock").unlink()  # swept: the home itself is still locked
        with pytest.raises(Unavailable, match=r"state\.lock has been held"):
            elect(session())
    assert elect(session()).epoch == 1


# ── sessions ──────────────────────────────────────────────────────────────────────────────────────

LEADS = """
import sys, threading
from coordinator.api import Candidate, Member
from coordinator.connect import connect
session = connect(f"home://{sys.argv[1]}", "killed", 2.0)
session.membership.join(Member("worker", "w1", "h:1"))
led = session.election.campaign("namenode", Candidate("nn1", "a:1", "here"), on_lost=print)
print(led.epoch, flush=True)
threading.Event().wait()
"""


def test_a_killed_process_leads_nothing_and_is_nobodys_member(session: Sessions) -> None:
    with subprocess.Popen([sys.executable, "-c", LEADS, session.home], stdout=-1, text=True) as it:
        try:
            assert it.stdout is not None and it.stdout.readline() == "1\n"
            waiting, elected = session(), list[Leadership]()
            thread = threading.Thread(target=lambda: elected.append(elect(waiting, NN2)))
            thread.start()
            found = session().election.leader("namenode")
            assert found is not None and (found.id, found.epoch) == ("nn1", 1)
            assert [m.id for m in session().membership.members("worker")] == ["w1"]
            assert not elected
        finally:
            it.kill()
    thread.join(DEADLINE_S)
    assert [led.epoch for led in elected] == [2]
    assert session().membership.members("worker") == []


def test_a_session_whose_file_was_swept_away_goes_on(session: Sessions) -> None:
    lost = threading.Event()
    one = session()
    led = elect(one, on_lost=lost.set)
    one.membership.join(Member("worker", "w1", "h:1"))
    for file in (session.home / "sessions").iterdir():
        file.unlink()
    reader = session()
    until(lambda: reader.election.leader("namenode"), "it leads again")
    until(lambda: reader.membership.members("worker"), "it is a member again")
    assert not lost.is_set() and led.deadline_us() is None


def test_whoever_was_overtaken_while_its_file_was_gone_has_lost(
    session: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_backend, "KEEP_S", 60.0)
    lost = threading.Event()
    one = session()
    led = elect(one, on_lost=lost.set)
    for file in (session.home / "sessions").iterdir():
        file.unlink()
    assert elect(session(), NN2).epoch == led.epoch + 1
    one.election._session._look()  # type: ignore[attr-defined]
    assert lost.is_set() and led.deadline_us() == 0
    led.resign()  # too late: the newer leadership stays
    found = session().election.leader("namenode")
    assert found is not None and found.id == "nn2"


@pytest.mark.parametrize("moved", [False, True])
def test_a_home_that_is_deleted_or_moved_ends_what_was_led_from_it_and_is_not_made_again(
    session: Sessions, moved: bool
) -> None:
    lost = threading.Event()
    one = session()
    led = elect(one, on_lost=lost.set)
    if moved:
        session.home.rename(session.home.with_name("moved"))
    else:
        shutil.rmtree(session.home)
    assert lost.wait(DEADLINE_S)
    led.resign()
    one.close()
    assert not session.home.exists()


def test_nothing_new_appears_in_a_home_that_is_being_deleted(
    session: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rm -r` removes what a directory held, and fails where something came meanwhile."""
    monkeypatch.setattr(home_backend, "SWEPT_S", float("inf"))
    one = session()
    one.membership.join(Member("worker", "w1", "h:1"))
    led = elect(one)
    shutil.rmtree(session.home / "sessions")
    (session.home / "state.lock").unlink()
    led.resign()
    one.close()
    assert [path.name for path in session.home.iterdir()] == ["state.json"]


def test_a_copied_home_has_the_epochs_and_none_of_the_living(
    session: Sessions, tmp_path: Path
) -> None:
    one = session()
    led = elect(one)
    one.membership.join(Member("worker", "w1", "h:1"))
    shutil.copytree(session.home, tmp_path / "copy")
    copy = session(tmp_path / "copy")
    assert copy.election.leader("namenode") is None
    assert copy.membership.members("worker") == []
    assert elect(copy, NN2).epoch == led.epoch + 1
    found = one.election.leader("namenode")
    assert found is not None and found.epoch == led.epoch
