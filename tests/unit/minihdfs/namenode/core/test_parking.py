"""Requests that wait go on where they stopped."""

from __future__ import annotations

from typing import Any

import pytest

from clusterkit.effects import Instant
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core import namesystem
from minihdfs.namenode.core.parking import SAFE_MODE_ENDS, Waits
from minihdfs.namenode.core.registry import Call
from minihdfs.namenode.core.tree import edits
from tests.unit.minihdfs.namenode.core.scene import Scene

ROOMY = DatanodeUsage(1 << 50, 0, 1 << 50)


def with_datanode() -> tuple[Scene, int]:
    scene = Scene()
    registered = scene.step(
        ev.RegisterDatanode(1, DatanodeAddress("d1", "h", "h", 1, 2), "c1", ROOMY)
    )
    number = registered.sends[0].message.registration_id
    scene.step(ev.FullBlockReport(1, "d1", number, 1, 0, 0, True, ()))
    scene.wait(5)
    return scene, number


def test_a_block_is_added_behind_an_empty_one_after_the_wait_for_the_one_before() -> None:
    scene, number = with_datanode()
    inode_id = scene.create("/f").inode_id

    def add(previous: BlockRef | None) -> Any:
        return scene.ask(ev.AddBlock(scene.caller(), "/f", "w", inode_id, previous))

    first = add(None).block
    written = BlockRef(first.id, first.stamp, 9)
    scene.step(ev.BlocksChanged(1, "d1", number, 1, (written,), ()))
    empty = add(written).block
    scene.step(ev.BlocksChanged(1, "d1", number, 2, (), (written,)))
    assert add(BlockRef(empty.id, empty.stamp, 0)) == "…", "the first block has no replica"
    sends = scene.step(ev.BlocksChanged(1, "d1", number, 3, (written,), ())).sends
    (added,) = [send.message for send in sends if send.to is None]
    assert added.value.block.id > empty.id
    held = scene.core.state.namespace.require(inode_id).blocks
    assert held == (first.id, added.value.block.id), "the empty one was dropped, once"


def test_a_handler_that_commits_and_then_parks_is_a_broken_invariant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hasty(state: Any, event: Any) -> None:
        state.commit(edits.DirectoryMade(16385, "a", state.last_inode_id + 1, 0o755, "u", "g"))
        raise Waits(SAFE_MODE_ENDS, None)

    monkeypatch.setitem(namesystem.REQUESTS, ev.GetFileInfo, Call(hasty))
    scene = Scene()
    with pytest.raises(AssertionError, match="GetFileInfo waits for 0 after it committed"):
        scene.core.step(ev.GetFileInfo(scene.caller(), "/"), Instant(9, 9))
