"""The coordinator's contract, on every backend: memory, files of a home, and a real ZooKeeper."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit import errors
from coordinator.api import Candidate, Coordinator, Leadership, Member, Setting
from coordinator.backends.memory import MemoryCoordinator, MemoryHub
from coordinator.connect import connect
from coordinator.errors import MAX_EPOCH, MAX_VALUE_BYTES, Conflict
from tests.equipment.zookeeper import ZooKeeper

SESSION_S = 2.0
DEADLINE_S = 15.0


class Backend:
    """How a test gets sessions; all are closed after it. `restart` loses everything the backend
    does not keep on disk."""

    def __init__(
        self, open_session: Callable[[str], Coordinator], restart: Callable[[], None]
    ) -> None:
        self._open, self.restart, self.opened = open_session, restart, list[Coordinator]()

    def session(self, member_id: str = "") -> Coordinator:
        self.opened.append(self._open(member_id or f"member-{len(self.opened)}"))
        return self.opened[-1]


def memory(_request: pytest.FixtureRequest, _tmp_path: Path) -> Iterator[Backend]:
    hub = MemoryHub()
    yield Backend(lambda _id: MemoryCoordinator(hub), lambda: None)


def home(_request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    yield Backend(lambda id_: connect(f"home://{tmp_path}", id_, SESSION_S), lambda: None)


def on_zookeeper(request: pytest.FixtureRequest, _tmp_path: Path) -> Iterator[Backend]:
    server: ZooKeeper = request.getfixturevalue("zookeeper")
    root = f"/test-{uuid.uuid4().hex[:8]}/cluster"

    def restart() -> None:
        server.servers[0].stop()
        server.servers[0].start()
        server.servers[0].wait_until_serving()

    yield Backend(lambda id_: connect(f"zk://{server.hosts}{root}", id_, SESSION_S), restart)


@pytest.fixture(params=[memory, home, on_zookeeper], ids=["memory", "home", "zookeeper"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    for made in request.param(request, tmp_path):
        yield made
        for session in made.opened:
            session.close()


class Campaigning:
    """A campaign in a thread of its own."""

    def __init__(
        self,
        coordinator: Coordinator,
        service: str,
        id_: str,
        at_least_epoch: int = 0,
        place: str = "",
    ) -> None:
        self.lost = threading.Event()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._coordinator, self._service, self._id, self._at_least, self._place = (
            coordinator,
            service,
            id_,
            at_least_epoch,
            place,
        )
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        candidate = Candidate(self._id, f"{self._id}:8020", self._place)
        try:
            led = self._coordinator.election.campaign(
                self._service, candidate, at_least_epoch=self._at_least, on_lost=self.lost.set
            )
            self._results.put(led)
        except errors.ClusterError as error:
            self._results.put(error)

    def outcome(self, timeout_s: float = DEADLINE_S) -> Any:
        return self._results.get(timeout=timeout_s)

    def elected(self) -> Leadership:
        found = self.outcome()
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    def still_waiting(self) -> bool:
        return self._results.empty()


class Heard:
    """What a watch said, in order."""

    def __init__(self) -> None:
        self._values: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, value: Any) -> None:
        self._values.put(value)

    def until(self, wanted: Callable[[Any], bool]) -> Any:
        while True:
            value = self._values.get(timeout=DEADLINE_S)
            if wanted(value):
                return value


# ── election ──────────────────────────────────────────────────────────────────────────────────────


def test_the_first_candidate_leads_and_everybody_can_read_who_it_is(backend: Backend) -> None:
    one, other = backend.session(), backend.session()
    assert other.election.leader("namenode") is None
    led = Campaigning(one, "namenode", "nn1").elected()
    found = other.election.leader("namenode")
    assert found is not None
    assert (found.id, found.address, found.epoch) == ("nn1", "nn1:8020", led.epoch)
    assert led.epoch >= 1
    assert other.election.leader("tracker") is None


def test_the_next_candidate_waits_until_the_leader_resigns_and_gets_a_higher_epoch(
    backend: Backend,
) -> None:
    one, other = backend.session(), backend.session()
    first = Campaigning(one, "namenode", "nn1")
    led = first.elected()
    second = Campaigning(other, "namenode", "nn2")
    watching = backend.session()
    watching.config.set("round-trip", b"so that the second campaign has certainly arrived")
    assert second.still_waiting()
    led.resign()
    assert second.elected().epoch > led.epoch
    assert not first.lost.is_set()  # it gave up by itself


def test_services_are_led_independently(backend: Backend) -> None:
    one = backend.session()
    namenode, tracker = (
        Campaigning(one, "namenode", "a").elected(),
        Campaigning(one, "tracker", "a").elected(),
    )
    namenode.resign()
    assert one.election.leader("namenode") is None
    found = one.election.leader("tracker")
    assert found is not None and found.epoch == tracker.epoch


def test_closing_a_session_hands_leadership_on(backend: Backend) -> None:
    one, other = backend.session(), backend.session()
    led = Campaigning(one, "namenode", "nn1").elected()
    waiting = Campaigning(other, "namenode", "nn2")
    one.close()
    assert waiting.elected().epoch > led.epoch


def test_the_same_id_supersedes_its_older_self_at_once(backend: Backend) -> None:
    old, new = backend.session("nn1"), backend.session("nn1")
    older = Campaigning(old, "namenode", "nn1")
    first = older.elected()
    second = Campaigning(new, "namenode", "nn1").elected()
    assert second.epoch > first.epoch
    assert older.lost.wait(DEADLINE_S)
    found = new.election.leader("namenode")
    assert found is not None and found.epoch == second.epoch
    first.resign()  # too late: it must not take the newer leadership away
    found = new.election.leader("namenode")
    assert found is not None and found.epoch == second.epoch


def test_the_same_id_from_another_place_waits_like_anybody_else(backend: Backend) -> None:
    """A copied or restored data directory on another machine does not end a living leader."""
    one, other, watching = backend.session("nn1"), backend.session("nn1"), backend.session()
    original = Campaigning(one, "namenode", "nn1", place="machine-a boot-1 64:7")
    led = original.elected()
    copy = Campaigning(other, "namenode", "nn1", place="machine-b boot-9 64:7")
    watching.config.set("round-trip", b"so that the second campaign has certainly arrived")
    assert copy.still_waiting() and not original.lost.is_set()
    one.close()
    assert copy.elected().epoch > led.epoch


def test_the_highest_epoch_is_known_whoever_leads(backend: Backend) -> None:
    one, other = backend.session(), backend.session()
    assert other.election.highest_epoch("tracker") == 0
    led = Campaigning(one, "tracker", "jt1", at_least_epoch=6).elected()
    assert other.election.highest_epoch("tracker") == led.epoch == 7
    led.resign()
    assert other.election.highest_epoch("tracker") == 7
    assert other.election.highest_epoch("namenode") == 0


def test_an_epoch_after_which_there_is_none_is_refused(backend: Backend) -> None:
    with pytest.raises(errors.UsageError, match="no epoch"):
        Campaigning(backend.session(), "namenode", "nn1", at_least_epoch=MAX_EPOCH + 1).elected()
    assert (
        MAX_EPOCH << 24 < 1 << 63 and (MAX_EPOCH + 1) * 10**6 < 1 << 63
    )  # registrations and jobs are numbered with epochs


def test_an_epoch_is_above_what_was_found_on_disk(backend: Backend) -> None:
    led = Campaigning(backend.session(), "namenode", "nn1", at_least_epoch=41).elected()
    assert led.epoch == 42
    led.resign()
    assert Campaigning(backend.session(), "namenode", "nn2", at_least_epoch=7).elected().epoch == 43


def test_epochs_grow_over_a_restart_of_everything(backend: Backend) -> None:
    one = backend.session()
    epoch = Campaigning(one, "namenode", "nn1").elected().epoch
    one.close()
    backend.restart()
    assert Campaigning(backend.session(), "namenode", "nn2").elected().epoch > epoch


def test_many_candidates_get_each_epoch_once(backend: Backend) -> None:
    sessions = [backend.session() for _ in range(4)]
    campaigns = [Campaigning(session, "namenode", f"nn{n}") for n, session in enumerate(sessions)]
    epochs: list[int] = []
    for _ in campaigns:
        winners = [campaign for campaign in campaigns if not campaign.still_waiting()]
        while not winners:
            sessions[0].election.leader("namenode")
            winners = [campaign for campaign in campaigns if not campaign.still_waiting()]
        assert len(winners) == 1
        led = winners[0].elected()
        epochs.append(led.epoch)
        campaigns.remove(winners[0])
        led.resign()
    assert epochs == sorted(set(epochs))


def test_a_campaign_ends_when_its_session_is_closed(backend: Backend) -> None:
    Campaigning(backend.session(), "namenode", "nn1").elected()
    other = backend.session()
    waiting = Campaigning(other, "namenode", "nn2")
    other.close()
    assert isinstance(waiting.outcome(), errors.Cancelled)


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 201])
def test_a_service_name_that_cannot_be_kept_is_refused(backend: Backend, name: str) -> None:
    with pytest.raises(errors.UsageError, match="printable text"):
        backend.session().election.campaign(name, Candidate("a", "a:1"), on_lost=lambda: None)


# ── membership ────────────────────────────────────────────────────────────────────────────────────


def test_members_are_listed_by_id_with_what_they_said(backend: Backend) -> None:
    one, other = backend.session(), backend.session()
    second = Member("datanode", "d2", "10.0.0.2:9866", {"rack": "/a", "ünï": "çode"})
    first = Member("datanode", "d1", "10.0.0.1:9866")
    one.membership.join(second)
    other.membership.join(first)
    one.membership.join(Member("worker", "d1", "10.0.0.1:7000"))
    assert one.membership.members("datanode") == [first, second]
    assert [member.address for member in other.membership.members("worker")] == ["10.0.0.1:7000"]
    assert one.membership.members("tracker") == []


def test_the_same_member_replaces_its_older_row(backend: Backend) -> None:
    old, new = backend.session("d1"), backend.session("d1")
    old.membership.join(Member("datanode", "d1", "10.0.0.1:1"))
    new.membership.join(Member("datanode", "d1", "10.0.0.1:2"))
    assert [member.address for member in old.membership.members("datanode")] == ["10.0.0.1:2"]
    old.close()  # the older process's end must not take the newer row away
    assert [member.address for member in new.membership.members("datanode")] == ["10.0.0.1:2"]
    new.membership.join(Member("datanode", "d1", "10.0.0.1:3"))
    assert [member.address for member in new.membership.members("datanode")] == ["10.0.0.1:3"]


def test_a_watch_of_members_hears_the_list_now_and_after_every_change(backend: Backend) -> None:
    one, other, heard = backend.session(), backend.session(), Heard()
    other.membership.join(Member("datanode", "d1", "h:1"))
    one.membership.watch("datanode", heard)
    assert [member.id for member in heard.until(lambda _: True)] == ["d1"]
    later = backend.session()
    later.membership.join(Member("datanode", "d2", "h:2"))
    heard.until(lambda members: [member.id for member in members] == ["d1", "d2"])
    other.close()
    heard.until(lambda members: [member.id for member in members] == ["d2"])


def test_names_with_slashes_and_dots_are_names(backend: Backend) -> None:
    one = backend.session()
    for id_ in ("a/b", "..", ".", "ä ö"):
        one.membership.join(Member("odd", id_, "h:1"))
    assert [member.id for member in one.membership.members("odd")] == sorted(
        ["a/b", "..", ".", "ä ö"]
    )


def test_members_come_back_after_the_backend_was_restarted(backend: Backend) -> None:
    one, heard = backend.session(), Heard()
    one.membership.join(Member("datanode", "d1", "h:1"))
    backend.restart()
    backend.session().membership.watch("datanode", heard)
    heard.until(lambda members: [member.id for member in members] == ["d1"])


# ── settings ──────────────────────────────────────────────────────────────────────────────────────


def test_a_setting_is_replaced_only_at_its_version(backend: Backend) -> None:
    config = backend.session().config
    assert config.get("cluster/id") is None
    assert config.set("cluster/id", b"one", version=0) == 1
    with pytest.raises(Conflict, match="cluster/id is not at version 0: it is at version 1"):
        config.set("cluster/id", b"two", version=0)
    assert config.set("cluster/id", b"", version=1) == 2
    with pytest.raises(Conflict):
        config.set("cluster/id", b"three", version=1)
    assert config.get("cluster/id") == Setting(b"", 2)
    assert config.set("cluster/id", b"any") == 3
    with pytest.raises(Conflict, match="it does not exist"):
        config.set("other", b"x", version=4)
    assert config.set("other", b"x") == 1


def test_settings_outlive_a_restart_of_everything(backend: Backend) -> None:
    one = backend.session()
    one.config.set("key", b"v1")
    assert one.config.set("key", b"v2") == 2
    one.close()
    backend.restart()
    assert backend.session().config.get("key") == Setting(b"v2", 2)


def test_a_watch_of_a_setting_hears_that_it_is_missing_and_every_later_value_in_the_end(
    backend: Backend,
) -> None:
    one, other, heard = backend.session(), backend.session(), Heard()
    one.config.watch("key", heard)
    assert heard.until(lambda _: True) is None
    other.config.set("key", b"1")
    heard.until(lambda setting: setting == Setting(b"1", 1))
    for value in (b"2", b"3", b"4"):
        other.config.set("key", value)
    heard.until(lambda setting: setting == Setting(b"4", 4))


def test_of_concurrent_writers_each_version_has_one(backend: Backend) -> None:
    sessions = [backend.session() for _ in range(3)]
    wins: list[int] = []

    def write(session: Coordinator) -> None:
        for version in range(10):
            try:
                wins.append(session.config.set("raced", b"x", version=version))
            except Conflict:
                continue

    threads = [threading.Thread(target=write, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(wins) == len(set(wins))
    found = sessions[0].config.get("raced")
    assert found is not None and found.version == max(wins)


def test_a_value_that_not_every_backend_can_hold_is_refused(backend: Backend) -> None:
    config = backend.session().config
    assert config.set("big", bytes(MAX_VALUE_BYTES)) == 1
    with pytest.raises(errors.UsageError, match=f"{MAX_VALUE_BYTES} is the most"):
        config.set("big", bytes(MAX_VALUE_BYTES + 1))
