"""addBlock that waits, and addBlock that comes again: the block that was meant, on datanodes that
live."""

from __future__ import annotations

from typing import Any

from clusterkit.effects import Instant, Tick
from minihdfs.model import BlockRef
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Answer
from tests.unit.minihdfs.namenode.core.test_hostile_requests import ROOMY, Scene


def _say(
    scene: Scene, *, received: tuple[BlockRef, ...] = (), deleted: tuple[BlockRef, ...] = ()
) -> Any:
    number, registration = next(scene.sequences), scene.registrations["d0"]
    return scene.step(ev.BlocksChanged(1, "d0", registration, number, received, deleted))


def _add(scene: Scene, previous: BlockRef | None) -> Any:
    return scene.step(ev.AddBlock(scene.caller(), "/g", "w", 0, previous))


def _two_blocks(scene: Scene) -> tuple[BlockRef, BlockRef]:
    """/g has a block whose replica is gone again, and an open one in which nothing was written."""
    scene.create("/g")
    first = _add(scene, None).value.block
    first = BlockRef(first.id, first.stamp, 100)
    _say(scene, received=(first,))
    second = _add(scene, first).value.block
    _say(scene, deleted=(first,))
    return first, second


def test_an_add_block_that_dropped_an_empty_block_and_waited_gets_its_block() -> None:
    scene = Scene()
    first, empty = _two_blocks(scene)
    assert _add(scene, empty) is None, "it waits for a replica of the block before"
    number, registration = next(scene.sequences), scene.registrations["d0"]
    event = ev.BlocksChanged(1, "d0", registration, number, (first,), ())
    sends = scene.core.step(event, Instant(scene.now_us, scene.now_us)).sends
    [woken] = [send.message for send in sends if isinstance(send.message, Answer)]
    assert woken.value.block.id > empty.id and woken.value.offset == 100


def test_its_repetition_gets_the_same_block() -> None:
    scene = Scene()
    first, empty = _two_blocks(scene)
    _say(scene, received=(first,))
    added = _add(scene, empty)
    assert isinstance(added, Answer) and _add(scene, empty) == added


def test_a_repeated_add_block_names_datanodes_that_live() -> None:
    scene = Scene(2)
    scene.create("/g")
    [dead] = _add(scene, None).value.locations
    other = "d1" if dead.uuid == "d0" else "d0"
    for _ in range(60):
        scene.now_us += 500_000
        scene.step(ev.Heartbeat(1, other, scene.registrations[other], ROOMY))
        scene.step(Tick())
    assert [node.uuid for node in _add(scene, None).value.locations] == [other]
