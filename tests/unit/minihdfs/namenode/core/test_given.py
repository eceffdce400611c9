"""Numbers that were skipped over stay unknown, in bounded memory, and cannot be used up."""

from __future__ import annotations

from minihdfs.model import BlockRef
from minihdfs.namenode.core.blocks.given import RANGES_MAX, SKIP_MAX, Given, is_within, joined
from minihdfs.namenode.core.records import Counters, Ranges


def given(block_id: int = 100, stamp: int = 50) -> Given:
    return Given(Counters(last_block_id=block_id, last_stamp=stamp))


def test_what_lies_above_the_counters_was_never_given() -> None:
    ids = given()
    assert ids.never(BlockRef(101, 1, 0)) and ids.never(BlockRef(1, 51, 0))
    assert not ids.never(BlockRef(100, 50, 0))


def test_what_was_skipped_over_was_never_given_either() -> None:
    ids = given()
    ids.saw(BlockRef(200, 60, 0))
    assert ids.to_skip() == (200, 60)
    ids.skip(200, 60)
    ids.gave(201, 61)
    assert (
        ids.never(BlockRef(101, 1, 0))
        and ids.never(BlockRef(200, 61, 0))
        and ids.never(BlockRef(201, 60, 0))
    )
    assert not ids.never(BlockRef(201, 61, 0)) and not ids.never(BlockRef(100, 50, 0))
    assert ids.to_skip() is None


def test_no_report_can_use_the_numbers_up() -> None:
    ids = given()
    for number in (SKIP_MAX + 1, 1 << 63, (1 << 64) - 1):
        ids.saw(BlockRef(number, number, 0))
    assert ids.to_skip() is None
    ids.saw(BlockRef(SKIP_MAX, SKIP_MAX, 0))
    assert ids.to_skip() == (SKIP_MAX, SKIP_MAX)
    ids.skip(SKIP_MAX, SKIP_MAX)
    ids.gave(SKIP_MAX + 1, SKIP_MAX + 1)
    assert not ids.never(BlockRef(SKIP_MAX + 1, SKIP_MAX + 1, 0))


def test_ranges_are_bounded_and_never_lose_a_number() -> None:
    ranges: Ranges = ()
    for number in range(1, 1000):
        ranges = joined(ranges, 10 * number, 10 * number + 3)
    assert len(ranges) <= RANGES_MAX
    assert all(is_within(ranges, 10 * number + i) for number in range(1, 1000) for i in range(4))
    assert joined(((1, 5),), 6, 9) == ((1, 9),)
    assert not is_within(((3, 5), (8, 9)), 7) and not is_within((), 1)
