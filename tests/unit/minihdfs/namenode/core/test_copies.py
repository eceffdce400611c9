"""The budget of copies: small ones by number, large ones by bytes, and never none."""

from __future__ import annotations

from clusterkit.effects import Instant
from minihdfs.namenode.core.blocks.copies import Copies, Copy
from minihdfs.namenode.core.options import Options

NOW = Instant(1_000_000, 0)


def planned(copies: Copies, count: int, length: int, target: str = "") -> list[Copy]:
    made = []
    for number in range(count):
        copy = Copy(len(copies) + 1, 1, length, "s", target or f"t{number}")
        if copies.may_plan("s") and copies.may_receive(copy.target):
            copies.plan(copy, NOW)
            made.append(copy)
        copies.check_invariants()
    return made


def ordered(copies: Copies) -> list[Copy]:
    made = []
    while (copy := copies.next("s")) is not None:
        copies.ordered(copy, NOW)
        made.append(copy)
    copies.check_invariants()
    return made


def test_small_ones_are_bounded_by_their_number_and_large_ones_by_their_bytes() -> None:
    small = Copies(Options("c1", "root", copies_max=10))
    assert (
        len(planned(small, 30, 1)) == 10
        and len(ordered(small)) == 10
        and len(planned(small, 30, 1)) == 10
    )
    assert ordered(small) == []
    large = Copies(Options("c1", "root", copies_bytes_max=64 << 20))
    assert (
        len(planned(large, 30, 128 << 20)) == 1
        and len(ordered(large)) == 1
        and len(planned(large, 30, 128 << 20)) == 1
    )
    assert ordered(large) == []


def test_a_target_receives_twice_as_much() -> None:
    copies = Copies(Options("c1", "root", copies_max=4))
    assert len(planned(copies, 30, 1, "t")) == 4 and len(ordered(copies)) == 4
    assert len(planned(copies, 30, 1, "t")) == 4 and not copies.may_receive("t")


def test_what_is_sent_makes_room_before_its_target_reports_it() -> None:
    copies = Copies(Options("c1", "root", copies_max=1))
    (first,) = planned(copies, 1, 1)
    ordered(copies)
    (second,) = planned(copies, 1, 1)
    assert ordered(copies) == []
    copies.sent("somebody else", first.block_id, first.target)
    assert ordered(copies) == []
    copies.sent("s", first.block_id, first.target)
    assert ordered(copies) == [second]
    assert first.target in copies.of_block(first.block_id)
    copies.gone("s", as_target=True)
    copies.check_invariants()
    assert len(copies) == 0


def test_a_failure_counts_only_from_its_source_and_for_a_while() -> None:
    copies = Copies(Options("c1", "root"))
    (copy,) = planned(copies, 1, 1)
    assert not copies.failed("s", copy.block_id, copy.target, NOW), "it has not left"
    ordered(copies)
    assert not copies.failed("x", copy.block_id, copy.target, NOW)
    assert copies.failed("s", copy.block_id, copy.target, NOW) and copies.has_failed(
        copy.block_id, copy.target
    )
    copies.expire(Instant(NOW.mono_us + 60_000_000, 0))
    assert not copies.has_failed(copy.block_id, copy.target)


def test_a_pause_is_credited() -> None:
    copies = Copies(Options("c1", "root", replication_timeout_us=1_000_000))
    planned(copies, 1, 1)
    copies.credit(50_000_000)
    copies.expire(Instant(NOW.mono_us + 50_500_000, 0))
    assert len(copies) == 1
    copies.expire(Instant(NOW.mono_us + 51_000_000, 0))
    assert len(copies) == 0
