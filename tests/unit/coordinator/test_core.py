"""The embedded coordinator's core, driven by hand: time is an argument, replies are looked at,
every step keeps the invariants."""

from __future__ import annotations

import random
from typing import Any

from clusterkit.effects import Edit, Event, Instant, Tick
from coordinator.core import events as ev
from coordinator.core.coordinator import CoordinatorCore, Options
from coordinator.core.edits import LeaderElected, LeaderLeft
from coordinator.core.replies import (
    Done,
    Elected,
    LeaderIs,
    MembersAre,
    NotElected,
    Refused,
    SessionOpened,
    SessionRenewed,
    SettingIs,
    Stored,
)
from coordinator.service import edit_codec

SECOND = 1_000_000


class Bench:
    """A core, its journal and its clock. `ask` returns the reply, or None when the request
    parked."""

    def __init__(self) -> None:
        self.now_us, self.journal = 1000 * SECOND, list[Edit]()
        self.answers: dict[int, list[Any]] = {}
        self._asked = 0
        self.restart()

    def restart(self) -> None:
        """Through the codec, as a journal would give the edits back."""
        codec = edit_codec()
        self.core = CoordinatorCore(Options(), self.instant())
        for edit in self.journal:
            self.core.apply(codec.decode(codec.encode(edit)))

    def instant(self) -> Instant:
        return Instant(self.now_us, self.now_us + 10**15)

    def step(self, event: Event) -> None:
        effects = self.core.step(event, self.instant())
        self.core.check_invariants()
        assert [edit.txid for edit in effects.journal] == list(
            range(len(self.journal) + 1, len(self.journal) + 1 + len(effects.journal))
        )
        self.journal += effects.journal
        for send in effects.sends:
            self.answers.setdefault(send.to, []).append(send.message)

    def post(self, kind: type, *arguments: Any, **named: Any) -> int:
        self._asked += 1
        self.step(kind(self._asked, *arguments, **named))
        return self._asked

    def answer(self, token: int) -> Any:
        messages = self.answers.get(token, [])
        assert len(messages) <= 1, "a request is answered once"
        return messages[0] if messages else None

    def ask(self, kind: type, *arguments: Any, **named: Any) -> Any:
        return self.answer(self.post(kind, *arguments, **named))

    def session(self, name: str, timeout_s: float = 4.0) -> None:
        assert self.ask(
            ev.OpenSession, name, f"member of {name}", int(timeout_s * SECOND)
        ) == SessionOpened(name, int(timeout_s * SECOND))

    def lead(self, session: str, id_: str, **named: int) -> Any:
        return self.ask(ev.Campaign, session, "namenode", id_, f"{id_}:1", **named)

    def advance(self, seconds: float) -> None:
        """To every deadline on the way, as a driver would."""
        end = self.now_us + int(seconds * SECOND)
        while (deadline := self.core.next_deadline()) is not None and deadline <= end:
            self.now_us = max(self.now_us, deadline)
            self.step(Tick())
        self.now_us = end


def test_sessions_end_when_they_are_not_renewed() -> None:
    bench = Bench()
    bench.session("s1")
    bench.session("s2")
    bench.ask(ev.Join, "s1", "worker", "w1", "h:1")
    bench.advance(3)
    assert bench.ask(ev.RenewSession, "s2") == SessionRenewed(())
    bench.advance(1.5)
    assert bench.ask(ev.AskMembers, "worker").members == ()
    assert bench.ask(ev.RenewSession, "s1").code == "SESSION_LOST"
    assert bench.ask(ev.RenewSession, "s2") == SessionRenewed(())


def test_a_pause_of_the_coordinator_itself_ends_no_session() -> None:
    bench = Bench()
    bench.session("s1")
    bench.advance(1)
    bench.now_us += 60 * SECOND  # nobody called it meanwhile: it did not run
    bench.step(Tick())
    assert bench.ask(ev.RenewSession, "s1") == SessionRenewed(())


def test_a_session_timeout_is_kept_within_bounds() -> None:
    bench = Bench()
    assert bench.ask(ev.OpenSession, "s1", "m", 1).timeout_us == 500_000
    assert bench.ask(ev.OpenSession, "s2", "m", 10**12).timeout_us == 60 * SECOND


def test_opening_the_next_session_ends_the_previous_of_the_same_member_only() -> None:
    bench = Bench()
    bench.ask(ev.OpenSession, "s1", "m", 4 * SECOND)
    bench.ask(ev.OpenSession, "s2", "stranger", 4 * SECOND, "s1")
    assert bench.ask(ev.RenewSession, "s1") == SessionRenewed(())
    bench.ask(ev.OpenSession, "s3", "m", 4 * SECOND, "s1")
    assert bench.ask(ev.RenewSession, "s1").code == "SESSION_LOST"


def test_a_campaign_behind_a_leader_parks_and_wins_when_the_leaders_session_ends() -> None:
    bench = Bench()
    bench.session("s1")
    bench.session("s2", 30)
    assert bench.lead("s1", "nn1") == Elected(1)
    waiting = bench.post(ev.Campaign, "s2", "namenode", "nn2", "nn2:1")
    assert bench.answer(waiting) is None
    bench.advance(3.9)
    assert bench.answer(waiting) is None
    bench.advance(0.2)
    assert bench.answer(waiting) in (Elected(2), NotElected("nn1", "nn1:1"))
    if bench.answer(waiting) != Elected(2):
        assert bench.lead("s2", "nn2") == Elected(2)
    assert bench.ask(ev.AskLeader, "namenode") == LeaderIs(True, "nn2", "nn2:1", 2)


def test_a_parked_campaign_is_told_to_ask_again_after_a_while() -> None:
    bench = Bench()
    bench.session("s1", 60)
    bench.session("s2", 60)
    bench.lead("s1", "nn1")
    waiting = bench.post(ev.Campaign, "s2", "namenode", "nn2", "nn2:1")
    bench.advance(4.1)
    assert bench.answer(waiting) == NotElected("nn1", "nn1:1")


def test_asking_again_replaces_the_older_campaign_of_the_session() -> None:
    bench = Bench()
    bench.session("s1", 60)
    bench.session("s2", 60)
    bench.lead("s1", "nn1")
    first = bench.post(ev.Campaign, "s2", "namenode", "nn2", "nn2:1")
    second = bench.post(ev.Campaign, "s2", "namenode", "nn2", "nn2:1")
    assert bench.answer(first) == NotElected("nn1", "nn1:1")
    bench.ask(ev.Resign, "s1", "namenode")
    assert bench.answer(second) == Elected(2)


def test_a_repeated_campaign_whose_reply_was_lost_keeps_its_epoch() -> None:
    bench = Bench()
    bench.session("s1")
    assert bench.lead("s1", "nn1", at_least_epoch=4) == Elected(5)
    assert bench.lead("s1", "nn1", at_least_epoch=4) == Elected(5)
    assert len(bench.journal) == 1


def test_the_same_id_in_another_session_supersedes() -> None:
    bench = Bench()
    bench.session("s1")
    bench.session("s2")
    assert bench.lead("s1", "nn1") == Elected(1)
    assert bench.lead("s2", "nn1") == Elected(2)
    assert bench.ask(ev.RenewSession, "s1") == SessionRenewed(())
    assert bench.ask(ev.RenewSession, "s2") == SessionRenewed((("namenode", 2),))
    assert bench.ask(ev.Resign, "s1", "namenode") == Done()
    assert bench.ask(ev.AskLeader, "namenode").epoch == 2


def test_after_a_restart_the_leader_claims_its_place_with_the_same_epoch() -> None:
    bench = Bench()
    bench.session("s1")
    bench.lead("s1", "nn1")
    bench.restart()
    assert bench.ask(ev.AskLeader, "namenode") == LeaderIs(True, "nn1", "nn1:1", 1)
    bench.session("rival", 60)
    rival = bench.post(ev.Campaign, "rival", "namenode", "nn2", "nn2:1")
    assert bench.answer(rival) is None
    bench.session("s2")
    assert bench.lead("s2", "nn1", held_epoch=1) == Elected(1)
    bench.advance(3.9)
    assert bench.answer(rival) is None or isinstance(bench.answer(rival), NotElected)


def test_after_a_restart_a_leader_that_does_not_come_is_succeeded_after_the_grace() -> None:
    bench = Bench()
    bench.session("s1")
    bench.lead("s1", "nn1")
    bench.restart()
    bench.session("s2", 60)
    rival = bench.post(ev.Campaign, "s2", "namenode", "nn2", "nn2:1")
    bench.advance(4.1)
    assert bench.answer(rival) == Elected(2)
    bench.session("late")
    assert bench.lead("late", "nn1", held_epoch=1) == NotElected("nn2", "nn2:1")


def test_after_a_restart_a_new_process_of_the_same_id_need_not_wait() -> None:
    bench = Bench()
    bench.session("s1")
    bench.lead("s1", "nn1")
    bench.restart()
    bench.session("s2")
    assert bench.lead("s2", "nn1") == Elected(2)


def test_a_leader_whose_session_expired_unnoticed_keeps_its_epoch_if_nobody_led_since() -> None:
    bench = Bench()
    bench.session("s1")
    bench.lead("s1", "nn1")
    bench.advance(5)
    assert bench.ask(ev.AskLeader, "namenode") == LeaderIs(False, epoch=1)
    bench.session("s2")
    assert bench.lead("s2", "nn1", held_epoch=1) == Elected(1)
    assert isinstance(bench.journal[-1].op, LeaderElected)


def test_a_leader_whose_epoch_was_passed_is_told_so_even_when_nobody_leads_now() -> None:
    bench = Bench()
    bench.session("s1")
    bench.lead("s1", "nn1")
    bench.advance(5)
    bench.session("s2")
    assert bench.lead("s2", "nn2") == Elected(2)
    bench.ask(ev.Resign, "s2", "namenode")
    bench.session("s3")
    assert bench.lead("s3", "nn1", held_epoch=1) == NotElected("", "")


def test_a_coordinator_that_lost_its_disk_believes_the_leader() -> None:
    bench = Bench()
    bench.session("s1")
    assert bench.lead("s1", "nn1", held_epoch=9) == Elected(9)
    bench.ask(ev.Resign, "s1", "namenode")
    assert bench.lead("s1", "nn2") == Elected(10)


def test_closing_a_session_lets_go_of_everything_durably() -> None:
    bench = Bench()
    bench.session("s1")
    bench.lead("s1", "nn1")
    bench.ask(ev.Join, "s1", "namenode", "nn1", "h:1")
    assert bench.ask(ev.CloseSession, "s1") == Done()
    assert isinstance(bench.journal[-1].op, LeaderLeft)
    assert bench.ask(ev.AskMembers, "namenode").members == ()
    bench.restart()
    bench.session("s2")
    assert bench.lead("s2", "nn2") == Elected(2)  # nobody is presumed to live


def test_a_watch_parks_until_something_changes_or_a_while_has_passed() -> None:
    bench = Bench()
    bench.session("s1", 60)
    version = bench.ask(ev.AskMembers, "worker").version
    watch = bench.post(ev.AskMembers, "worker", version)
    bench.ask(ev.Join, "s1", "datanode", "d1", "h:1")
    assert bench.answer(watch) is None
    bench.ask(ev.Join, "s1", "worker", "w1", "h:1")
    found = bench.answer(watch)
    assert isinstance(found, MembersAre) and [row.id for row in found.members] == ["w1"]
    bench.ask(ev.Join, "s1", "worker", "w1", "h:1")  # nothing new
    watch = bench.post(ev.AskMembers, "worker", found.version)
    assert bench.answer(watch) is None
    bench.advance(4.1)
    assert bench.answer(watch) == found


def test_versions_of_members_grow_over_a_restart() -> None:
    bench = Bench()
    bench.session("s1")
    bench.ask(ev.Join, "s1", "worker", "w1", "h:1")
    seen = bench.ask(ev.AskMembers, "worker").version
    bench.now_us += SECOND
    bench.restart()
    assert bench.ask(ev.AskMembers, "worker", seen).version > seen


def test_settings_are_replaced_at_their_version_and_watched_even_while_missing() -> None:
    bench = Bench()
    watch = bench.post(ev.AskSetting, "k", 1)
    assert bench.answer(watch) is None
    assert bench.ask(ev.StoreSetting, "k", b"1", 0) == Stored(1)
    assert bench.answer(watch) == SettingIs(b"1", 1)
    assert bench.ask(ev.StoreSetting, "k", b"2", 0) == Refused(
        "CONFLICT", "setting k is not at version 0: it is at version 1"
    )
    bench.restart()
    assert bench.ask(ev.AskSetting, "k") == SettingIs(b"1", 1)
    assert bench.ask(ev.StoreSetting, "k", b"2") == Stored(2)


def test_random_lives_keep_the_rules() -> None:
    """Epochs are handed out once and grow; a session is told what it leads; everything asked is
    answered in the end."""
    for seed in range(150):
        rng, bench = random.Random(seed), Bench()
        handed: dict[tuple[str, int], str] = {}
        sessions, waiting, count = ["s0"], dict[int, tuple[str, str]](), 0
        bench.session("s0")
        for _ in range(120):
            act = rng.choice(
                [
                    "open",
                    "renew",
                    "renew",
                    "campaign",
                    "campaign",
                    "resign",
                    "join",
                    "close",
                    "advance",
                    "restart",
                    "watch",
                ]
            )
            session = rng.choice(sessions)
            if act == "open":
                count += 1
                sessions.append(f"s{count}")
                bench.session(f"s{count}", rng.choice([1, 4]))
            elif act == "renew":
                bench.ask(ev.RenewSession, session)
            elif act == "campaign":
                service, id_ = rng.choice(["namenode", "tracker"]), rng.choice(["a", "b", "c"])
                waiting[
                    bench.post(ev.Campaign, session, service, id_, "h:1", rng.choice([0, 0, 3]))
                ] = (service, session)
            elif act == "resign":
                bench.ask(ev.Resign, session, "namenode")
            elif act == "join":
                bench.ask(ev.Join, session, "worker", rng.choice("xyz"), "h:1")
            elif act == "close":
                bench.ask(ev.CloseSession, session)
            elif act == "advance":
                bench.advance(rng.choice([0.1, 1, 5]))
            elif act == "watch":
                bench.post(
                    ev.AskMembers,
                    "worker",
                    rng.choice([0, bench.ask(ev.AskMembers, "worker").version]),
                )
            elif rng.random() < 0.2:
                bench.restart()
                waiting = {}
            for token, (service, session) in list(waiting.items()):
                if isinstance(reply := bench.answer(token), Elected):
                    assert handed.setdefault((service, reply.epoch), session) == session, (
                        f"seed {seed}: epoch handed out twice"
                    )
                if reply is not None:
                    del waiting[token]
        bench.advance(10)
        assert all(bench.answer(token) is not None for token in waiting), (
            f"seed {seed}: a campaign was never answered"
        )
        for service in ("namenode", "tracker"):
            epochs = [
                edit.op.epoch
                for edit in bench.journal
                if isinstance(edit.op, LeaderElected) and edit.op.service == service
            ]
            assert epochs == sorted(epochs), f"seed {seed}: an epoch went backwards"


def test_the_same_id_from_another_place_waits_until_the_session_ends() -> None:
    """A copied data directory, or another machine with the same default id: its lock proves nothing
    about the leader."""
    bench = Bench()
    bench.session("s1")
    bench.session("s2", 30)
    assert bench.ask(ev.Campaign, "s1", "namenode", "nn1", "nn1:1", place="here") == Elected(1)
    copy = bench.post(ev.Campaign, "s2", "namenode", "nn1", "copy:1", place="there")
    assert bench.answer(copy) is None
    assert bench.ask(ev.AskLeader, "namenode") == LeaderIs(True, "nn1", "nn1:1", 1)
    bench.advance(4.1)
    if bench.answer(copy) != Elected(2):  # told to ask again meanwhile
        assert bench.ask(ev.Campaign, "s2", "namenode", "nn1", "copy:1", place="there") == Elected(
            2
        )
    bench.session("s3")
    assert bench.ask(ev.Campaign, "s3", "namenode", "nn1", "copy:2", place="there") == Elected(
        3
    )  # at once: the lock proves it


def test_after_a_restart_another_place_cannot_claim_what_was_led() -> None:
    bench = Bench()
    bench.session("s1")
    assert bench.ask(ev.Campaign, "s1", "namenode", "nn1", "nn1:1", place="here") == Elected(1)
    bench.restart()
    bench.session("s2")
    assert bench.ask(
        ev.Campaign, "s2", "namenode", "nn1", "copy:1", held_epoch=1, place="there"
    ) == NotElected("nn1", "nn1:1")
