"""No step frees more than its budget of records, whatever shape what was deleted has; and no file
grows without end."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from clusterkit.effects import Instant, Tick
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.files import edits as file_edits
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.records import BLOCKS_AT_ONCE, COMPLETE, Block
from minihdfs.namenode.core.tree import edits
from minihdfs.namenode.store.memory import MemoryStore

ROOMY = DatanodeUsage(1 << 50, 0, 1 << 50)


class Scene:
    def __init__(self, **options: Any) -> None:
        self.core = Namesystem(Options("c1", "root", **options), MemoryStore(), random.Random(1))
        self.now_us = 1_000_000
        self.step(ev.LeadershipGained(1))
        self.step(ev.RegisterDatanode(1, DatanodeAddress("d1", "h", "h", 1, 2), "c1", ROOMY))

    def step(self, event: Any) -> Any:
        self.now_us += 1000
        effects = self.core.step(event, Instant(self.now_us, self.now_us))
        self.edits = [edit.op for edit in effects.journal]
        return effects.sends[0].message if effects.sends else None

    def caller(self) -> ev.Caller:
        return ev.Caller(1, "root")

    def file(self, path: str, blocks: int, *, closed: bool = True) -> int:
        """Its blocks are put into the records directly: ten thousand of them written one by one
        take a while."""
        inode_id: int = self.step(
            ev.Create(self.caller(), path, f"w{path}", 0o644, False, True, 1, 1024)
        ).value.inode_id
        rooms = self.core.state
        first = rooms.last_block_id + 1
        rooms.given.gave(first + blocks, rooms.last_stamp + 1)
        for number in range(blocks):
            rooms.blocks.add(Block(first + number, inode_id, rooms.last_stamp, 1, COMPLETE, 1))
            rooms.blocks.complete_total += 1
        rooms.namespace.put(
            rooms.namespace.require(inode_id)._replace(
                blocks=tuple(range(first, first + blocks)), length=blocks
            )
        )
        if closed:
            self.step(ev.Complete(self.caller(), path, f"w{path}", inode_id, None))
            rooms.commit(file_edits.FileClosed(inode_id))
        rooms.safemode.leave(rooms.now)
        self.core.check_invariants()
        return inode_id

    def reclaim(self) -> list[edits.Reclaimed]:
        """Ticks until nothing is detached; the edits that did it."""
        done: list[edits.Reclaimed] = []
        for _ in range(500):
            self.now_us += 1_000_000
            self.step(Tick())
            done += [op for op in self.edits if isinstance(op, edits.Reclaimed)]
            if not self.core.state.namespace.detached:
                break
        self.core.check_invariants()
        return done


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_a_large_file_is_reclaimed_bit_by_bit(closed: bool) -> None:
    scene = Scene(reclaim_records=700)
    scene.file("/big", 3 * BLOCKS_AT_ONCE, closed=closed)
    assert scene.step(ev.Delete(scene.caller(), "/big", False)) == Answer(True)
    assert scene.core.state.blocks.total == 3 * BLOCKS_AT_ONCE, "only its name went at once"
    assert scene.step(ev.GetFileInfo(scene.caller(), "/big")) == Answer(None)
    scene.core.check_invariants()
    assert [op.blocks for op in scene.reclaim()] == [700] * 4 + [200]
    assert (scene.core.state.blocks.total, scene.core.state.namespace.files) == (0, 0)


def test_a_file_that_replaces_a_large_one_does_not_wait_for_it() -> None:
    scene = Scene()
    old = scene.file("/big", BLOCKS_AT_ONCE + 1)
    created = scene.step(ev.Create(scene.caller(), "/big", "w", 0o644, True, True, 1, 1024))
    assert created.value.inode_id != old and scene.core.state.namespace.detached == {old: None}
    scene.reclaim()
    assert scene.core.state.blocks.total == 0


def test_files_of_a_deleted_tree_count_with_their_blocks() -> None:
    scene = Scene(reclaim_records=1000)
    for number in range(10):
        scene.file(f"/t/f{number}", 300)
    scene.file("/t/x", BLOCKS_AT_ONCE + 500)
    scene.step(ev.Delete(scene.caller(), "/t", True))
    done = scene.reclaim()
    assert (
        max(len(op.children) * 301 for op in done) <= 1000 and max(op.blocks for op in done) <= 1000
    )
    assert (
        scene.core.state.blocks.total,
        scene.core.state.namespace.files,
        scene.core.state.namespace.directories,
    ) == (0, 0, 2), "the root and /.system stay"


def test_a_file_has_so_many_blocks_and_no_more() -> None:
    scene = Scene(blocks_per_file_max=3)
    inode_id = scene.file("/f", 3, closed=False)
    rooms = scene.core.state
    last = rooms.namespace.require(inode_id).blocks[-1]
    rooms.blocks.received("d1", BlockRef(last, rooms.last_stamp, 1))
    refused = scene.step(
        ev.AddBlock(scene.caller(), "/f", "w/f", inode_id, BlockRef(last, rooms.last_stamp, 1))
    )
    assert (
        isinstance(refused, Refusal)
        and "/f has 3 blocks" in refused.message
        and "larger block size" in refused.message
    )


def test_a_page_of_locations_is_bounded_by_its_blocks() -> None:
    scene = Scene(step_records=700)
    for number in range(5):
        scene.file(f"/d/f{number}", 300)
    seen: list[bytes] = []
    while True:
        caller = replace(scene.caller(), patient=False)
        event = ev.GetListing(caller, "/d", seen[-1] if seen else b"", True)
        page = scene.step(event).value
        assert len(page.entries) <= 2
        seen += [entry.name for entry in page.entries]
        if not page.remaining:
            break
    assert seen == [b"f0", b"f1", b"f2", b"f3", b"f4"]
