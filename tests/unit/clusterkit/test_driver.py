"""The loop: applied, durable, spoken, in that order."""

from __future__ import annotations

import pytest

from clusterkit.driver import MAX_BATCH, Driver, within_a_turn
from clusterkit.effects import Edit, Effects, Instant, Send, Tick
from clusterkit.errors import CorruptRecord, Fenced
from clusterkit.journal import JournalRecord
from clusterkit.journal_memory import MemoryJournal
from clusterkit.records import EditCodec, Record


class Added(Record, frozen=True, tag=1):
    amount: int


class Sum:
    """A core of one number: Added events change it, "read" asks for it, a Tick at 1 s doubles
    it."""

    def __init__(self) -> None:
        self.total, self.txid, self.deadline = 0, 0, None

    def step(self, event: object, now: Instant) -> Effects:
        effects = Effects()
        if isinstance(event, Added):
            edit = Edit(self.txid + 1, 1, now.wall_us, event)
            self.apply(edit)
            effects.journal.append(edit)
        elif isinstance(event, Tick):
            self.deadline = None
            effects.sends.append(Send("clock", "ticked"))
            return effects
        effects.sends.append(Send("caller", self.total))
        return effects

    def next_deadline(self) -> int | None:
        return self.deadline

    def apply(self, edit: Edit) -> None:
        self.total += edit.op.amount
        self.txid = edit.txid

    def check_invariants(self) -> None:
        assert self.total >= 0


class Clock:
    def __init__(self) -> None:
        self.mono_us = 0

    def now(self) -> Instant:
        return Instant(self.mono_us, 7)


class Watched(MemoryJournal):
    def __init__(self, story: list[str]) -> None:
        super().__init__()
        self.story = story

    def append(self, records: list[JournalRecord]) -> None:
        self.story.append(f"append {len(records)}")
        super().append(records)

    def sync(self) -> None:
        self.story.append("sync")
        super().sync()


CODEC = EditCodec([Added])


def test_one_fsync_for_a_batch_and_no_word_before_it() -> None:
    story: list[str] = []
    driver = Driver(
        Sum(), Watched(story), CODEC, lambda send: story.append(f"said {send.message}"), Clock()
    )
    driver.turn([Added(1), "read", Added(2)])
    assert story == ["append 2", "sync", "said 1", "said 1", "said 3"]


def test_reads_alone_do_not_touch_the_journal() -> None:
    story: list[str] = []
    Driver(Sum(), Watched(story), CODEC, lambda send: story.append("said"), Clock()).turn(["read"])
    assert story == ["said"]


def test_replay_gives_the_state_that_was_durable() -> None:
    journal = MemoryJournal()
    Driver(Sum(), journal, CODEC, lambda _: None, Clock()).turn([Added(5), Added(6)])
    again = Driver(Sum(), journal, CODEC, lambda _: None, Clock())
    assert again.replay() == 2
    assert again.core.total == 11  # type: ignore[attr-defined]


def test_a_failed_sync_lets_nothing_out() -> None:
    class Broken(MemoryJournal):
        def sync(self) -> None:
            raise OSError("disk gone")

    said: list[Send] = []
    driver = Driver(Sum(), Broken(), CODEC, said.append, Clock())
    with pytest.raises(OSError, match="disk gone"):
        driver.turn([Added(1)])
    assert said == []


def test_a_lease_that_ran_out_holds_the_answers_back() -> None:
    clock, said = Clock(), []
    driver = Driver(
        Sum(), MemoryJournal(), CODEC, said.append, clock, lease_deadline_us=lambda: 1000
    )
    clock.mono_us = 999
    driver.turn(["read"])
    clock.mono_us = 1000
    with pytest.raises(Fenced):
        driver.turn(["read"])
    assert len(said) == 1


def test_a_lease_that_ran_out_holds_edits_back_that_nobody_waits_for() -> None:
    """A deposed leader whose only work is its own (reclaiming, expiring leases) must not go on
    writing."""

    class Reclaiming(Sum):
        def step(self, event: object, now: Instant) -> Effects:
            return Effects(journal=super().step(Added(1), now).journal)

    clock, journal = Clock(), MemoryJournal()
    driver = Driver(
        Reclaiming(), journal, CODEC, lambda _: None, clock, lease_deadline_us=lambda: 1000
    )
    driver.turn(["reclaim"])
    clock.mono_us = 1000
    with pytest.raises(Fenced, match="edits were written"):
        driver.turn(["reclaim"])
    assert journal.last_txid() == 1


def test_a_turn_that_does_not_end_is_no_sign_of_life() -> None:
    """The thread that keeps the lease asks: a disk that hangs in fsync must not be led from for
    ever."""
    clock, seen = Clock(), []

    class Hanging(MemoryJournal):
        def sync(self) -> None:
            for hung_us in (0, 999_999, 1_000_000, 60_000_000):
                clock.mono_us = began_us + hung_us
                seen.append(driver.alive())
            super().sync()

    driver = Driver(Sum(), Hanging(), CODEC, lambda _: None, clock)
    began_us = clock.mono_us = 5_000_000
    assert driver.alive()
    driver.turn([Added(1)])
    assert seen == [True, True, False, False]
    assert driver.alive()  # it was only slow
    clock.mono_us += 3600_000_000
    assert driver.alive()  # waiting is no sign of death


def test_a_loop_that_raised_is_not_alive() -> None:
    class Broken(MemoryJournal):
        def sync(self) -> None:
            raise OSError("disk gone")

    clock = Clock()
    driver = Driver(Sum(), Broken(), CODEC, lambda _: None, clock)
    with pytest.raises(OSError, match="disk gone"):
        driver.turn([Added(1)])
    clock.mono_us += 1_000_000
    assert not driver.alive()


def test_answers_that_no_edit_holds_back_leave_as_they_are_made() -> None:
    story: list[str] = []
    driver = Driver(
        Sum(), Watched(story), CODEC, lambda send: story.append(f"said {send.message}"), Clock()
    )
    driver.turn(["read", "read", Added(1), "read"])
    assert story == ["said 0", "said 0", "append 1", "sync", "said 1", "said 1"]


def test_a_turn_takes_so_many_events_or_so_much_time() -> None:
    clock = Clock()
    taken = []
    for event in within_a_turn(lambda: "event", clock):
        taken.append(event)
        clock.mono_us += 6_000
    assert len(taken) == 4
    assert len(list(within_a_turn(lambda: "event", clock))) == MAX_BATCH


def test_a_deadline_becomes_a_tick() -> None:
    clock, said, core = Clock(), [], Sum()
    core.deadline = 1_000_000
    driver = Driver(core, MemoryJournal(), CODEC, said.append, clock)
    driver.turn([])
    assert said == []
    clock.mono_us = 1_000_000
    driver.turn([])
    assert said == [Send("clock", "ticked")]


def test_run_ends_when_stopped_and_takes_posts_of_other_threads() -> None:
    said: list[Send] = []
    driver = Driver(
        Sum(), MemoryJournal(), CODEC, lambda send: (said.append(send), driver.stop()), Clock()
    )
    driver.post(Added(4))
    driver.run()
    assert [s.message for s in said] == [4]


def test_a_journal_that_misses_edits_of_its_store_is_refused() -> None:
    journal = MemoryJournal()
    Driver(Sum(), journal, CODEC, lambda _: None, Clock()).turn([Added(5), Added(6), Added(7)])
    with pytest.raises(CorruptRecord, match="ends at txid 3"):
        Driver(Sum(), journal, CODEC, lambda _: None, Clock()).replay(after_txid=4)
    journal.forget(2)
    with pytest.raises(CorruptRecord, match="begins at txid 3"):
        Driver(Sum(), journal, CODEC, lambda _: None, Clock()).replay(after_txid=1)
    assert Driver(Sum(), journal, CODEC, lambda _: None, Clock()).replay(after_txid=2) == 1
