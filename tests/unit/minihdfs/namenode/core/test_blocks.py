"""Replicas: what a report makes of them, and counts that always equal a recount."""

from __future__ import annotations

import random

import pytest

from minihdfs.model import BlockRef
from minihdfs.namenode.core.blocks.blocks import BAD, IS_BUILDING, SOUND, UNKNOWN, Blocks
from minihdfs.namenode.core.overlay import Overlay
from minihdfs.namenode.core.records import BUILDING, COMPLETE, Block
from minihdfs.namenode.store.memory import MemoryStore


@pytest.fixture
def blocks() -> Blocks:
    made = Blocks(Overlay(MemoryStore(), 1000))
    made.add(Block(1, 10, 1000, 0, BUILDING, 2))
    return made


def ref(length: int, stamp: int = 1000) -> BlockRef:
    return BlockRef(1, stamp, length)


def test_a_block_nobody_knows(blocks: Blocks) -> None:
    assert blocks.received("d1", BlockRef(9, 1, 1)) == UNKNOWN
    assert blocks.found_bad("d1", BlockRef(9, 1, 1)) is False
    assert blocks.held_bad("d1", BlockRef(9, 1, 1)) == UNKNOWN


def test_replicas_of_a_building_block_are_judged_when_its_length_is_known(blocks: Blocks) -> None:
    assert blocks.received("d1", ref(5)) == IS_BUILDING
    assert blocks.received("d2", ref(4)) == IS_BUILDING
    assert blocks.received("d3", ref(5, stamp=999)) == IS_BUILDING
    assert blocks.holders(1) == ()
    blocks.commit(1, 1000, 5)
    assert blocks.holders(1) == ("d1",)
    assert sorted(blocks.bad[1]) == ["d2", "d3"]


def test_counts_follow(blocks: Blocks) -> None:
    blocks.commit(1, 1000, 5)
    assert (blocks.missing, blocks.under_total, blocks.reported) == (0, 0, 0), (
        "not complete yet: nobody misses it"
    )
    blocks.complete(1)
    assert (blocks.missing, blocks.under_total, blocks.reported) == (1, 0, 0)
    assert blocks.received("d1", ref(5)) == SOUND
    assert (blocks.missing, blocks.under_total, blocks.under[1]) == (0, 1, {1: None})
    blocks.received("d2", ref(5))
    assert (blocks.under_total, list(blocks.over)) == (0, [])
    blocks.received("d3", ref(5))
    assert list(blocks.over) == [1]
    blocks.set_replication(1, 3)
    assert list(blocks.over) == []
    blocks.lost("d1", 1)
    assert blocks.under_total == 1
    assert not blocks.found_bad("d2", ref(5, stamp=999)), "another replica was meant"
    assert blocks.found_bad("d2", ref(5))
    assert blocks.holders(1) == ("d3",) and list(blocks.bad[1]) == ["d2"]
    assert blocks.everywhere(1) == {"d2", "d3"}


def test_a_replica_mends(blocks: Blocks) -> None:
    blocks.commit(1, 1000, 5)
    assert blocks.received("d1", ref(4)) == BAD
    assert not blocks.is_said_bad("d1", ref(5))
    assert blocks.received("d1", ref(5)) == SOUND
    assert blocks.bad == {}
    blocks.found_bad("d1", ref(5))
    assert blocks.is_said_bad("d1", ref(5))


def test_what_its_holder_knows_to_be_bad_never_counts(blocks: Blocks) -> None:
    assert blocks.held_bad("d1", ref(5)) == IS_BUILDING
    blocks.commit(1, 1000, 5)
    assert blocks.holders(1) == ()
    assert blocks.held_bad("d1", ref(5)) == BAD
    assert blocks.holders(1) == () and list(blocks.bad[1]) == ["d1"]


def test_removing_names_every_replica_once(blocks: Blocks) -> None:
    blocks.commit(1, 1000, 5)
    blocks.complete(1)
    for uuid, length in (("d1", 5), ("d2", 4), ("d3", 5)):
        blocks.received(uuid, ref(length))
    assert sorted(uuid for uuid, _ref in blocks.remove(1)) == ["d1", "d2", "d3"]
    assert (blocks.total, blocks.complete_total, blocks.reported, blocks.under_total) == (
        0,
        0,
        0,
        0,
    )
    assert all(not held for held in blocks.held.values())


def test_random_reports_never_miscount() -> None:
    rng = random.Random(5)
    blocks = Blocks(Overlay(MemoryStore(), 1000))
    for number in range(1, 6):
        blocks.add(Block(number, 10, 1000, 0, BUILDING, rng.randrange(1, 4)))
    for _ in range(3_000):
        number, uuid = rng.randrange(1, 6), f"d{rng.randrange(4)}"
        block = blocks.get(number)
        action = rng.randrange(8)
        if action < 4:
            blocks.received(
                uuid,
                BlockRef(number, rng.choice((999, 1000, 1000, 1000)), rng.choice((5, 5, 5, 4))),
            )
        elif action == 4:
            if block is not None:
                blocks.lost(uuid, number)
        elif action == 5:
            blocks.found_bad(uuid, BlockRef(number, 1000, 5))
        elif action == 6 and block is not None:
            blocks.set_replication(number, rng.randrange(1, 4))
        elif block is not None and block.state == BUILDING:
            blocks.commit(number, 1000, 5)
            blocks.complete(number)
        complete = [
            one
            for number in range(1, 6)
            if (one := blocks.get(number)) is not None and one.state == COMPLETE
        ]
        sound = {one.id: len(blocks.holders(one.id)) for one in complete}
        assert blocks.reported == sum(1 for count in sound.values() if count)
        assert blocks.under_total == sum(
            1 for one in complete if 0 < sound[one.id] < one.replication
        )
        assert sorted(blocks.over) == [
            one.id for one in complete if sound[one.id] > one.replication
        ]
