"""Leadership over a real ZooKeeper when things go wrong: silence, expiry, lost answers, lost
quorum, strangers and garbage."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from clusterkit import errors
from clusterkit.clock import SystemClock
from coordinator.api import Candidate, Member
from coordinator.backends.zookeeper import ZooKeeperCoordinator
from coordinator.backends.zookeeper_election import ZooKeeperElection
from coordinator.backends.zookeeper_session import Operation, ZooKeeperSession
from coordinator.connect import connect
from coordinator.errors import MAX_EPOCH
from tests.equipment.proxy import SilentProxy
from tests.equipment.zookeeper import ZooKeeper

SESSION_S = 2.0
DEADLINE_S = 20.0
NN1, NN2 = Candidate("nn1", "nn1:8020"), Candidate("nn2", "nn2:8020")


def now_us() -> int:
    return SystemClock().now().mono_us


class Sessions:
    """Coordinators below a path of this test's own; closed after it."""

    def __init__(self, hosts: str) -> None:
        self.hosts, self.root = hosts, f"/test-{uuid.uuid4().hex[:8]}"
        self.opened: list[ZooKeeperCoordinator] = []

    def open(self, hosts: str = "", session_s: float = SESSION_S) -> ZooKeeperCoordinator:
        self.opened.append(ZooKeeperCoordinator(hosts or self.hosts, self.root, session_s, 10.0))
        return self.opened[-1]


@pytest.fixture
def sessions(zookeeper: ZooKeeper) -> Iterator[Sessions]:
    made = Sessions(zookeeper.hosts)
    yield made
    for session in made.opened:
        session.close()


@pytest.fixture
def raw(zookeeper: ZooKeeper) -> Iterator[KazooClient]:
    """Somebody else at the same ZooKeeper."""
    client = KazooClient(zookeeper.hosts)
    client.start()
    yield client
    client.stop()
    client.close()


def wait_until(true: Callable[[], bool], what: str) -> None:
    """For what offers nothing to wait on: other sessions' nodes, moments of a clock."""
    pause = threading.Event()
    end_us = now_us() + int(DEADLINE_S * 1e6)
    while not true():
        assert now_us() < end_us, f"never: {what}"
        pause.wait(0.005)


def session_of(coordinator: ZooKeeperCoordinator) -> ZooKeeperSession:
    return coordinator.election._session


def test_a_server_that_falls_silent_ends_the_lease_without_telling(
    zookeeper: ZooKeeper,
    sessions: Sessions,
) -> None:
    lost = threading.Event()
    led = sessions.open().election.campaign("namenode", NN1, on_lost=lost.set)
    deadline = led.deadline_us()
    assert deadline is not None
    assert now_us() < deadline <= now_us() + int(SESSION_S * 1e6 * 2 / 3)
    wait_until(lambda: (led.deadline_us() or 0) > deadline, "the lease is renewed")
    server = zookeeper.servers[0]
    server.pause()
    try:
        silent_since = now_us()
        assert lost.wait(DEADLINE_S)
        assert now_us() - silent_since <= SESSION_S * 1e6
        assert (led.deadline_us() or 0) <= now_us()
    finally:
        server.resume()
    again = sessions.open().election.campaign("namenode", NN1, on_lost=lambda: None)
    assert again.epoch > led.epoch


def test_a_leader_cut_off_stops_before_its_rival_is_elected(
    zookeeper: ZooKeeper,
    sessions: Sessions,
) -> None:
    """The property that everything else stands on. The rival sees ZooKeeper all the time; the
    leader's path to it goes silent."""
    with SilentProxy(zookeeper.hosts) as proxy:
        lost = threading.Event()
        led = sessions.open(proxy.address).election.campaign("namenode", NN1, on_lost=lost.set)
        deadlines: list[int] = []
        watching = threading.Event()

        def sample() -> None:
            while not watching.wait(0.005):
                deadlines.append(led.deadline_us() or 0)

        sampler = threading.Thread(target=sample)
        sampler.start()
        rival = sessions.open()
        proxy.freeze()
        won = rival.election.campaign("namenode", NN2, on_lost=lambda: None)
        elected_at = now_us()
        watching.set()
        sampler.join()
        assert max(deadlines) < elected_at
        assert lost.is_set()
        assert won.epoch == led.epoch + 1
        proxy.thaw()
        led.resign()  # what a stale leader does later changes nothing
        found = rival.election.leader("namenode")
        assert found is not None and (found.id, found.epoch) == ("nn2", won.epoch)
        assert now_us() < (won.deadline_us() or 0)


def test_an_expired_session_ends_leadership_and_members_are_announced_again(
    sessions: Sessions,
) -> None:
    coordinator, other = sessions.open(), sessions.open()
    lost = threading.Event()
    led = coordinator.election.campaign("namenode", NN1, on_lost=lost.set)
    coordinator.membership.join(Member("namenode", "nn1", "nn1:8020"))
    session_id, password = session_of(coordinator)._client.client_id
    twin = KazooClient(
        sessions.hosts, client_id=(session_id, password)
    )  # a second connection to the session may end it for both
    twin.start()
    twin.stop()
    twin.close()
    assert lost.wait(DEADLINE_S)
    assert led.deadline_us() == 0
    wait_until(
        lambda: [member.id for member in other.membership.members("namenode")] == ["nn1"],
        "the member is back",
    )
    assert session_of(coordinator).session_id != session_id
    assert other.election.campaign("namenode", NN2, on_lost=lambda: None).epoch == led.epoch + 1


def test_the_granted_session_timeout_counts_not_the_one_asked_for(sessions: Sessions) -> None:
    coordinator = sessions.open(session_s=60.0)
    granted_us = session_of(coordinator).timeout_us
    assert granted_us == 15_000_000  # the most this server grants
    led = coordinator.election.campaign("namenode", NN1, on_lost=lambda: None)
    assert (led.deadline_us() or 0) <= now_us() + granted_us * 2 // 3


class Forgetful(ZooKeeperSession):
    """The first transaction's answer is lost after it succeeded: what a broken connection does."""

    transactions = 0

    def transact(self, operations: Sequence[Operation], timeout_s: float = 5.0) -> bool:
        done = super().transact(operations, timeout_s)
        self.transactions += 1
        if self.transactions == 1:
            raise errors.Unavailable("lost contact")
        return done


def test_a_lost_answer_does_not_cost_a_second_epoch(sessions: Sessions) -> None:
    session = Forgetful(sessions.hosts, SESSION_S, 10.0)
    election = ZooKeeperElection(session, sessions.root, SystemClock())
    led = election.campaign("namenode", NN1, on_lost=lambda: None)
    assert led.epoch == 1
    assert session.transactions >= 2  # the election's, and the first lease's
    led.resign()
    assert election.leader("namenode") is None
    session.stop()


def test_garbage_where_the_leader_stands_is_replaced_and_garbage_for_an_epoch_is_refused(
    sessions: Sessions, raw: KazooClient
) -> None:
    raw.create(f"{sessions.root}/leaders/namenode", b"\xff not a record", makepath=True)
    coordinator = sessions.open()
    assert coordinator.election.leader("namenode") is None
    assert coordinator.election.campaign("namenode", NN1, on_lost=lambda: None).epoch == 1
    raw.create(f"{sessions.root}/epochs/tracker", b"seven", makepath=True)
    with pytest.raises(
        errors.CorruptRecord, match=r"epochs/tracker in ZooKeeper holds b'seven', not an epoch"
    ):
        coordinator.election.campaign("tracker", NN1, on_lost=lambda: None)
    raw.create(f"{sessions.root}/members/worker/w1", b"{", makepath=True)
    coordinator.membership.join(Member("worker", "w2", "h:1"))
    assert [member.id for member in coordinator.membership.members("worker")] == ["w2"]


def test_a_zookeeper_that_lost_its_memory_does_not_hand_out_old_epochs(
    sessions: Sessions, raw: KazooClient
) -> None:
    first = sessions.open()
    assert (
        first.election.campaign("namenode", NN1, at_least_epoch=6, on_lost=lambda: None).epoch == 7
    )
    first.close()
    raw.delete(sessions.root, recursive=True)
    assert (
        sessions.open()
        .election.campaign("namenode", NN1, at_least_epoch=7, on_lost=lambda: None)
        .epoch
        == 8
    )


def test_with_credentials_strangers_can_neither_lead_nor_listen(
    zookeeper: ZooKeeper,
    sessions: Sessions,
) -> None:
    ours = connect(f"zk://mrc:s%3Acret@{zookeeper.hosts}{sessions.root}/private", "nn1", SESSION_S)
    try:
        led = ours.election.campaign("namenode", NN1, on_lost=lambda: None)
        sessions.root += "/private"
        stranger = sessions.open()
        with pytest.raises(errors.NotPermitted, match=r"ZooKeeper at .* refused") as refusal:
            stranger.election.leader("namenode")
        assert "zk://USER:PASSWORD@" in (refusal.value.next_command or "")
        with pytest.raises(errors.NotPermitted):
            stranger.election.campaign("namenode", NN2, on_lost=lambda: None)
        found = ours.election.leader("namenode")
        assert found is not None and found.epoch == led.epoch
    finally:
        ours.close()


def test_nobody_at_the_address_is_one_line_with_the_next_command() -> None:
    with pytest.raises(
        errors.Unavailable, match=r"no ZooKeeper answers at 127.0.0.1:1 \("
    ) as refusal:
        connect("zk://127.0.0.1:1/cluster", "nn1", SESSION_S, patience_s=0.3)
    assert "start ZooKeeper there" in (refusal.value.next_command or "")
    assert "\n" not in refusal.value.message


def test_an_ensemble_that_loses_its_leader_keeps_ours_and_one_that_loses_its_quorum_ends_it(
    zookeeper: ZooKeeper,
    tmp_path: Path,
) -> None:
    with ZooKeeper.ensemble(tmp_path) as ensemble:
        made = Sessions(ensemble.hosts)
        lost, kept = (
            threading.Event(),
            made.open(session_s=12.0),
        )  # longer than an election on a busy machine
        led = kept.election.campaign("namenode", NN1, on_lost=lost.set)
        first = ensemble.leader()
        first.kill()
        killed_at = now_us()
        wait_until(
            lambda: (led.deadline_us() or 0) > killed_at + 8_000_001,
            "the lease is renewed by the remaining two",
        )
        assert not lost.is_set()
        kept.close()
        second = ensemble.leader()
        short = made.open(second.address, session_s=3.0)
        led = short.election.campaign("namenode", NN1, on_lost=lost.set)
        next(server for server in ensemble.servers if server not in (first, second)).pause()
        paused_at = now_us()  # the one that is left still believes it leads, and answers reads
        assert lost.wait(DEADLINE_S)
        assert now_us() - paused_at < 3_000_000
        assert led.deadline_us() == 0
        short.close()


def test_a_leader_that_does_not_work_makes_way_although_its_session_lives(
    sessions: Sessions,
) -> None:
    """Its disk hangs or its loop is dead, while the thread that keeps the lease is well."""
    works, lost = threading.Event(), threading.Event()
    works.set()
    led = sessions.open().election.campaign("namenode", NN1, on_lost=lost.set, alive=works.is_set)
    first = led.deadline_us() or 0
    wait_until(lambda: (led.deadline_us() or 0) > first, "the lease is renewed")
    works.clear()
    last: list[int] = []
    wait_until(
        lambda: bool(last.append(led.deadline_us() or 0)) or last[-1] == 0, "the lease has run out"
    )
    rival = sessions.open().election.campaign("namenode", NN2, on_lost=lambda: None)
    assert rival.epoch == led.epoch + 1
    assert lost.is_set() and now_us() >= max(
        last
    )  # nobody was elected before the old lease had run out


def test_a_candidate_outlives_a_zookeeper_that_loses_its_data(
    sessions: Sessions, raw: KazooClient
) -> None:
    first = sessions.open().election.campaign("namenode", NN1, on_lost=lambda: None)
    won: list[int] = []
    waiting = sessions.open()
    candidate = threading.Thread(
        target=lambda: won.append(
            waiting.election.campaign(
                "namenode", NN2, at_least_epoch=first.epoch, on_lost=lambda: None
            ).epoch
        )
    )
    candidate.start()
    raw.delete(sessions.root, recursive=True)
    candidate.join(DEADLINE_S)
    assert won == [first.epoch + 1]


@pytest.mark.parametrize(
    "data", [b"-3", b"1_0", b" 7 ", b"", b"\xd9\xa3", b"%d" % (MAX_EPOCH + 1), b"9" * 5000]
)
def test_what_is_no_epoch_is_refused(sessions: Sessions, raw: KazooClient, data: bytes) -> None:
    raw.create(f"{sessions.root}/epochs/tracker", data, makepath=True)
    coordinator = sessions.open()
    with pytest.raises(errors.CorruptRecord, match="not an epoch"):
        coordinator.election.campaign("tracker", NN1, on_lost=lambda: None)
    with pytest.raises(errors.CorruptRecord, match="not an epoch"):
        coordinator.election.highest_epoch("tracker")
