"""The retry table: bounded by the log's time and by number, the same after every replay, whether it
lies in memory or in the store."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

from clusterkit.effects import Edit, Instant
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.overlay import Overlay
from minihdfs.namenode.core.records import Counters
from minihdfs.namenode.core.retries import Retries, asked_by
from minihdfs.namenode.store.memory import MemoryStore

OPTIONS = Options("c1", "root", retry_keep_us=100, retry_entries_max=3, retry_soft_max=4)
MINUTE_US = 60_000_000


def edit(txid: int, log_us: int, client: bytes = b"c", answer: object = True) -> Edit:
    return Edit(txid, 1, 0, None, client, txid, answer, log_us)


def table(overlay: Overlay | None = None, count: int = 0) -> Retries:
    return Retries(overlay or Overlay(MemoryStore(), 10), OPTIONS, count)


def known(retries: Retries) -> list[int]:
    return sorted(call for _client, call in retries.answers())


def flush(overlay: Overlay, txid: int) -> None:
    batch = overlay.freeze(Counters(txid=txid))
    assert batch is not None
    overlay.store.write(batch)
    overlay.flushed(txid)


def test_only_calls_with_a_client_and_an_answer_are_remembered() -> None:
    retries = table()
    retries.remember(edit(1, 0, client=b""))
    retries.remember(edit(2, 0, answer=None))
    retries.remember(edit(3, 0))
    assert known(retries) == [3]
    found = retries.find(Caller(None, "u", (), b"c", 3), 1)
    assert found is not None and found.answer is True
    assert retries.find(Caller(None, "u", (), b"d", 3), 1) is None
    assert retries.find(Caller(None, "u", (), b"", 3), 1) is None


def test_old_ones_are_forgotten_by_the_time_of_later_edits() -> None:
    retries = table()
    retries.remember(edit(1, 0))
    retries.remember(edit(2, 50))
    retries.remember(edit(3, 99, answer=None))
    assert known(retries) == [1, 2]
    retries.remember(edit(4, 100, answer=None))
    assert known(retries) == [2]


def test_the_number_is_bounded() -> None:
    retries = table()
    for txid in range(1, 10):
        retries.remember(edit(txid, 0))
    assert known(retries) == [7, 8, 9] and retries.count == 3


def test_the_store_gives_the_same_table_in_the_same_order() -> None:
    overlay = Overlay(MemoryStore(), 10)
    retries = table(overlay)
    for txid in range(1, 4):
        retries.remember(edit(txid, txid, client=bytes([9 - txid])))
    flush(overlay, 3)
    again = table(Overlay(overlay.store, 10), 3)
    assert again.answers() == retries.answers()
    for one in (retries, again):
        one.remember(edit(4, 5))
    assert again.answers() == retries.answers() and known(again) == [2, 3, 4]


def test_what_memory_has_forgotten_is_found_in_the_store_and_forgotten_there_in_its_turn() -> None:
    options = Options("c1", "root", retry_keep_us=10_000, retry_entries_max=3_000)
    overlay = Overlay(MemoryStore(), 100)
    retries = Retries(overlay, options, 0)
    for txid in range(1, 5_001):
        retries.remember(edit(txid, txid))
        if txid % 700 == 0:
            flush(overlay, txid)
    assert overlay.retry.cached() <= 102
    assert known(retries) == list(range(2_001, 5_001))
    assert retries.find(Caller(None, "u", (), b"c", 2_001), 1) is not None
    assert retries.find(Caller(None, "u", (), b"c", 2_000), 1) is None


def test_softly_remembered_are_the_latest() -> None:
    retries = table()
    for call in range(100):
        retries.remember_soft(Caller(None, "u", (), b"c", call), 1, Answer(False))
    assert [
        call for call in range(100) if retries.find_soft(Caller(None, "u", (), b"c", call), 1)
    ] == [96, 97, 98, 99]


# ── in the core ───────────────────────────────────────────────────────────────────────────────────


class Term:
    """One leader with a clock of its own."""

    def __init__(
        self,
        epoch: int,
        wall_us: int,
        store: MemoryStore | None = None,
        replay: tuple[Edit, ...] = (),
    ) -> None:
        self.core = Namesystem(Options("c1", "root"), store or MemoryStore(), random.Random(1))
        for one in replay:
            self.core.apply(one)
        self.mono_us, self.wall_us = 1, wall_us
        self.journal = list(replay)
        self.step(ev.LeadershipGained(epoch))

    def step(self, event: object, passed_us: int = 1000, jumped_us: int = 0) -> Answer | Refusal:
        self.mono_us += passed_us
        self.wall_us += passed_us + jumped_us
        effects = self.core.step(event, Instant(self.mono_us, self.wall_us))
        self.core.check_invariants()
        self.journal += effects.journal
        message: Answer | Refusal = effects.sends[0].message if effects.sends else Answer(None)
        return message


def call(number: int, client: bytes = b"client", user: str = "root") -> Caller:
    return Caller(None, user, (), client, number)


def renamed_once(term: Term) -> ev.Rename2:
    term.step(ev.Mkdirs(call(1), "/a", 0o755, True))
    rename = ev.Rename2(call(2), "/a", "/b", False)
    assert term.step(rename) == Answer(None)
    return rename


def test_a_new_leader_whose_clock_is_an_hour_ahead_forgets_nothing() -> None:
    first = Term(1, 1_000 * MINUTE_US)
    rename = renamed_once(first)
    second = Term(2, 1_060 * MINUTE_US, replay=tuple(first.journal))
    for number in range(10, 15):
        second.step(ev.Mkdirs(call(number), f"/d{number}", 0o755, True))
    assert second.step(rename) == Answer(None)


def test_a_clock_that_is_set_while_leading_forgets_nothing() -> None:
    term = Term(1, 1_000 * MINUTE_US)
    rename = renamed_once(term)
    for number, jump in enumerate((60 * MINUTE_US, -120 * MINUTE_US, 60 * MINUTE_US), 10):
        term.step(ev.Mkdirs(call(number), f"/d{number}", 0o755, True), jumped_us=jump)
    assert term.step(rename) == Answer(None)
    for number in range(20, 30):
        term.step(ev.Mkdirs(call(number), f"/d{number}", 0o755, True), passed_us=2 * MINUTE_US)
    refused = term.step(rename)
    assert isinstance(refused, Refusal), "ten minutes that did pass count"


def test_many_calls_do_not_push_out_the_last_ten_minutes() -> None:
    options = Options("c1", "root")
    assert options.retry_entries_max * MINUTE_US >= 2_000 * 600 * MINUTE_US, (
        "2,000 at-most-once calls a second"
    )


def test_one_of_several_threads_of_a_client_wins_a_create() -> None:
    term = Term(1, 1_000 * MINUTE_US)
    create = [
        ev.Create(call(number), "/f", "one-program", 0o644, False, True, 1, 0)
        for number in (1, 2, 3)
    ]
    told = [term.step(event) for event in create]
    assert isinstance(told[0], Answer)
    assert [one.error.code for one in told[1:] if isinstance(one, Refusal)] == ["BEING_CREATED"] * 2
    assert term.step(create[0]) == told[0], "the same call gets the first answer"
    assert term.step(create[1]) == told[1], "and the loser its own"


def test_a_late_first_transmission_of_a_call_that_changed_nothing_changes_nothing() -> None:
    term = Term(1, 1_000 * MINUTE_US)
    step, caller = term.step, call
    nothing = [
        ev.Delete(caller(1), "/f", True),
        ev.Rename(caller(2), "/f", "/g"),
        ev.Rename2(caller(3), "/f", "/g", False),
        ev.Mkdirs(caller(4), "/", 0o755, True),
        ev.SetReplication(caller(5), "/f", 2),
        ev.Publish(caller(6), "/f", "/g", 0, 0),
        ev.RenameMany(caller(7), (("/f", "/g"),)),
        ev.RecoverLease(caller(8), "/f", "thief"),
        ev.SetOwner(caller(9), "/f", "ann", ""),
        ev.SetTimes(caller(10), "/f", 1, 1),
        ev.SetPermission(caller(11), "/f", 0),
    ]
    told = [step(event) for event in nothing]
    assert isinstance(step(ev.Create(caller(50), "/f", "w", 0o644, False, True, 1, 0)), Answer)
    before = term.core.txid
    assert [step(event) for event in nothing] == told
    assert term.core.txid == before and step(ev.GetFileInfo(caller(60), "/f")) != Answer(None)


def test_come_back_later_is_no_answer_to_be_repeated() -> None:
    term = Term(1, 1_000 * MINUTE_US)
    term.step(ev.SetSafeMode(call(1), "enter"))
    mkdir = ev.Mkdirs(call(2), "/d", 0o755, True)
    assert isinstance(term.step(mkdir), Refusal)
    term.step(ev.SetSafeMode(call(3), "leave"))
    assert term.step(mkdir) == Answer(True)
    assert isinstance(term.step(ev.SetSafeMode(call(1), "enter")), Answer)
    assert term.step(ev.Mkdirs(call(4), "/e", 0o755, True)) == Answer(True), (
        "the late enter entered nothing"
    )


# ── another request under a number that was answered ──────────────────────────────────────────────


def _asked(core: Namesystem, request: Any, wall_us: int = 1) -> Any:
    return core.step(request, Instant(wall_us, wall_us)).sends[-1].message


def test_another_request_under_an_answered_number_is_done_and_not_told_the_answer() -> None:
    """A client that counts from the beginning on each connection was told that its delete
    succeeded, and nothing was deleted."""
    core = Namesystem(Options("c1", "root"), MemoryStore(), random.Random(1))
    core.step(ev.LeadershipGained(1), Instant(1, 1))
    call, soft = (Caller(None, "root", ("root",), b"c", number) for number in (5, 6))
    made = ev.Mkdirs(call, "/a", 0o755, True)
    assert _asked(core, made) == Answer(True)
    assert _asked(core, ev.Mkdirs(call, "/b", 0o755, True)) == Answer(True)
    assert _asked(core, ev.Delete(call, "/a", True)) == Answer(True)
    assert _asked(core, ev.Delete(soft, "/none", True)) == Answer(False)
    assert _asked(core, ev.Delete(soft, "/b", True)) == Answer(True)
    assert core.state.namespace.find(Caller(None, "root"), "/a") is None
    assert core.state.namespace.find(Caller(None, "root"), "/b") is None


def test_the_answer_of_the_request_that_came_later_is_kept_its_whole_time() -> None:
    retries = table()
    first, later = edit(1, 0), edit(2, 50)
    retries.remember(dataclasses.replace(first, call_id=9, asked=1))
    retries.remember(dataclasses.replace(later, call_id=9, asked=2, answer=False))
    caller = Caller(None, "u", (), b"c", 9)
    assert retries.find(caller, 1) is None
    retries.remember(edit(3, 100, answer=None))  # the first one is forgotten
    kept = retries.find(caller, 2)
    assert kept is not None and kept.answer is False
    retries.remember(edit(4, 150, answer=None))
    assert retries.find(caller, 2) is None and retries.count == 0


def test_an_answer_kept_by_an_older_version_counts_for_its_number_alone() -> None:
    retries = table()
    retries.remember(edit(1, 0))
    assert retries.find(Caller(None, "u", (), b"c", 1), 77) is not None


def test_what_a_request_asks_does_not_change_with_who_repeats_it() -> None:
    once = ev.Delete(Caller(1, "root", (), b"c", 5), "/a", True)
    again = ev.Delete(Caller(2, "root", (), b"c", 5, True, "host"), "/a", True)
    assert asked_by(once) == asked_by(again) != asked_by(ev.Delete(once.caller, "/b", True))
