"""The embedded coordinator as daemons live with it: it goes away and comes back, and what led
before leads after."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from clusterkit import errors
from clusterkit.errors import PortInUse, UsageError
from clusterkit.journal import JournalRecord
from clusterkit.journal_local import LocalJournal
from clusterkit.journal_memory import MemoryJournal
from clusterkit.rpc import make_channel
from coordinator.api import Candidate, Coordinator, Member
from coordinator.connect import connect
from coordinator.core.coordinator import Options
from coordinator.pb import coordinator_pb2 as pb
from coordinator.pb import coordinator_pb2_grpc
from coordinator.service import CoordinatorService, ServiceOptions

DEADLINE_S = 15.0
SESSION_S = 0.6
NN1, NN2 = Candidate("nn1", "nn1:8020"), Candidate("nn2", "nn2:8020")


class Home:
    """One coordinator's directory, and whatever runs on it."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port, self.sessions = directory, 0, list[Coordinator]()
        self.start()

    def start(self) -> None:
        options = ServiceOptions(
            port=self.port, core=Options(presume_leader_us=1_500_000, park_us=500_000)
        )
        self.service = CoordinatorService(LocalJournal(self.directory / "journal"), options)
        self.service.start()
        self.port = self.service.ports["rpc"]

    def session(self) -> Coordinator:
        self.sessions.append(
            connect(f"embedded://127.0.0.1:{self.port}", f"m{len(self.sessions)}", SESSION_S)
        )
        return self.sessions[-1]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    for session in made.sessions:
        session.close()
    made.service.stop()


def wait_until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.02)):
        if true():
            return
        pause.wait(0.02)
    raise AssertionError("never")


def test_a_leader_keeps_its_place_over_a_restart_of_the_coordinator(home: Home) -> None:
    lost = threading.Event()
    leader = home.session()
    led = leader.election.campaign("namenode", NN1, on_lost=lost.set)
    leader.membership.join(Member("namenode", "nn1", "h:1"))
    home.service.stop()
    assert led.deadline_us() is None  # its absence stops nobody
    home.start()
    watching = home.session()
    wait_until(lambda: [member.id for member in watching.membership.members("namenode")] == ["nn1"])
    found = watching.election.leader("namenode")
    assert found is not None and (found.id, found.epoch) == ("nn1", led.epoch)
    assert not lost.is_set()
    led.resign()
    assert (
        home.session().election.campaign("namenode", NN2, on_lost=lambda: None).epoch
        == led.epoch + 1
    )


def test_a_leader_that_was_away_too_long_hears_that_it_lost(home: Home) -> None:
    lost = threading.Event()
    leader = home.session()
    led = leader.election.campaign("namenode", NN1, on_lost=lost.set)
    renewals = leader.election._session  # type: ignore[attr-defined]
    with renewals._lock:  # its renewing thread stands still: a paused process
        won = home.session().election.campaign("namenode", NN2, on_lost=lambda: None)
        assert won.epoch == led.epoch + 1
    assert lost.wait(DEADLINE_S)


def test_a_port_that_is_taken_is_named(home: Home) -> None:
    second = CoordinatorService(MemoryJournal(), ServiceOptions(port=home.port))
    with pytest.raises(PortInUse, match=str(home.port)):
        second.start()


def test_a_journal_that_fails_ends_the_service_and_is_raised_by_wait() -> None:
    class Full(MemoryJournal):
        def append(self, records: Sequence[JournalRecord]) -> None:
            raise OSError(28, "No space left on device")

    service = CoordinatorService(Full())
    service.start()
    with contextlib.closing(connect(f"embedded://{service.address}", "m", SESSION_S)) as session:
        with pytest.raises(errors.Unavailable, match="stopping"):
            session.config.set("k", b"v")
        with pytest.raises(OSError, match="No space left"):
            service.wait()
    service.stop()


def test_stopping_releases_what_is_parked(home: Home) -> None:
    home.session().election.campaign("namenode", NN1, on_lost=lambda: None)
    heard: list[object] = []
    other = home.session()
    other.membership.watch("worker", heard.append)
    wait_until(lambda: heard == [[]])
    waited = threading.Thread(target=home.service.wait)
    waited.start()
    home.service.stop()
    waited.join(DEADLINE_S)
    assert not waited.is_alive()
    home.start()


def test_an_epoch_that_no_leader_had_ends_nothing(home: Home) -> None:
    """The one after the largest could not be written down, and epochs never go back."""
    stub = coordinator_pb2_grpc.CoordinatorStub(make_channel(home.service.address))  # type: ignore[no-untyped-call]
    session = stub.OpenSession(pb.OpenSessionRequest(member_id="m", timeout_ms=5_000)).session
    wish = pb.Candidate(id="nn1", address="a:1")
    for epochs in ({"at_least_epoch": (1 << 64) - 1}, {"held_epoch": (1 << 64) - 1}):
        with pytest.raises(UsageError, match="is no epoch"):
            stub.Campaign(
                pb.CampaignRequest(session=session, service="namenode", candidate=wish, **epochs)
            )
    assert (
        stub.Campaign(pb.CampaignRequest(session=session, service="namenode", candidate=wish)).epoch
        == 1
    )
