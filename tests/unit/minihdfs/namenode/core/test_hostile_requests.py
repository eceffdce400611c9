"""Requests that no honest client sends are refused: they end no namenode, harm no closed file, and
delete no last replica."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from clusterkit.effects import Instant
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Answer, HeartbeatReply, Invalidate, Refusal, Registered
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.edit_codec import CODEC
from minihdfs.namenode.store.lmdb import encode_rows
from minihdfs.namenode.store.memory import MemoryStore

LARGEST = (1 << 64) - 1
ROOMY = DatanodeUsage(1 << 40, 0, 1 << 40)


class Scene:
    """A core whose every edit and record is encoded, as the journal and the store would; one closed
    file /f of one block."""

    def __init__(self, datanodes: int = 1) -> None:
        self.core = Namesystem(Options("c1", "root"), MemoryStore(), random.Random(1))
        self.now_us = 0
        self.sequences = itertools.count(1)
        self.registrations: dict[str, int] = {}
        self.step(ev.LeadershipGained(1))
        for index in range(datanodes):
            self.register(f"d{index}")
        self.create("/f")
        self.block = self.step(ev.AddBlock(self.caller(), "/f", "w", 0, None)).value.block
        self.block = BlockRef(self.block.id, self.block.stamp, 7)
        for uuid in self.registrations:
            self.step(
                ev.BlocksChanged(
                    1, uuid, self.registrations[uuid], next(self.sequences), (self.block,), ()
                )
            )
        assert self.step(ev.Complete(self.caller(), "/f", "w", 0, self.block)) == Answer(True)

    def caller(self) -> ev.Caller:
        return ev.Caller(1, "root")

    def step(self, event: Any) -> Any:
        self.now_us += 1_000
        effects = self.core.step(event, Instant(self.now_us, self.now_us))
        for edit in effects.journal:
            assert CODEC.decode(CODEC.encode(edit)) == edit
        batch = self.core.freeze()
        if batch is not None:
            encode_rows(batch)
            self.core.state.overlay.store.write(batch)
            self.core.flushed(batch.counters.txid)
        self.core.check_invariants()
        return effects.sends[0].message if effects.sends else None

    def register(self, uuid: str) -> None:
        address = DatanodeAddress(uuid, "127.0.0.1", uuid, 9000 + int(uuid[1:]), 9100)
        answer = self.step(ev.RegisterDatanode(1, address, "c1", ROOMY))
        assert isinstance(answer, Registered)
        self.registrations[uuid] = answer.registration_id

    def report(
        self,
        uuid: str,
        *,
        replicas: tuple[BlockRef, ...] = (),
        unfinished: tuple[BlockRef, ...] = (),
    ) -> list[BlockRef]:
        """A full report, and what the datanode is then told to delete."""
        number = next(self.sequences)
        self.step(
            ev.FullBlockReport(
                1, uuid, self.registrations[uuid], number, 0, 0, True, replicas, unfinished
            )
        )
        beat = self.step(ev.Heartbeat(1, uuid, self.registrations[uuid], ROOMY))
        assert isinstance(beat, HeartbeatReply)
        return [
            ref for order in beat.orders if isinstance(order, Invalidate) for ref in order.blocks
        ]

    def create(self, path: str) -> None:
        assert isinstance(
            self.step(ev.Create(self.caller(), path, "w", 0o644, False, True, 1, 0)), Answer
        )


def test_a_client_without_a_name_writes_to_no_closed_file() -> None:
    scene = Scene()
    for request in (
        ev.AddBlock(scene.caller(), "/f", "", 0, scene.block),
        ev.AddBlock(scene.caller(), "/f", "", 0, None),
        ev.AbandonBlock(scene.caller(), "/f", "", 0, scene.block),
        ev.Fsync(scene.caller(), "/f", "", 0, 9),
    ):
        assert isinstance(scene.step(request), Refusal)


@pytest.mark.parametrize("length", [LARGEST, 1 << 63, (128 << 20) + 1])
def test_a_block_longer_than_blocks_are_is_refused(length: int) -> None:
    scene = Scene()
    scene.create("/g")
    block = scene.step(ev.AddBlock(scene.caller(), "/g", "w", 0, None)).value.block
    long = BlockRef(block.id, block.stamp, length)
    fresh = scene.step(ev.UpdateBlockForPipeline(scene.caller(), "w", block)).value.block
    for request in (
        ev.Fsync(scene.caller(), "/g", "w", 0, length),
        ev.UpdatePipeline(
            scene.caller(), "w", block, BlockRef(block.id, fresh.stamp, length), ("d0",)
        ),
        ev.AddBlock(scene.caller(), "/g", "w", 0, long),
        ev.Complete(scene.caller(), "/g", "w", 0, long),
    ):
        assert isinstance(scene.step(request), Refusal)


def test_a_pipeline_goes_on_with_no_stamp_that_was_skipped_over() -> None:
    """Its replicas would count as from the future: never deleted, and never good enough to close
    the file with."""
    scene = Scene()
    scene.create("/g")
    block = scene.step(ev.AddBlock(scene.caller(), "/g", "w", 0, None)).value.block
    assert (
        scene.report("d0", replicas=(scene.block, BlockRef(block.id + 1, block.stamp + 10, 5)))
        == []
    )
    fresh = scene.step(ev.UpdateBlockForPipeline(scene.caller(), "w", block)).value.block
    assert fresh.stamp == block.stamp + 11
    skipped, given = (BlockRef(block.id, stamp, 5) for stamp in (block.stamp + 10, fresh.stamp))
    refused = scene.step(ev.UpdatePipeline(scene.caller(), "w", block, skipped, ("d0",)))
    assert isinstance(refused, Refusal) and "never given" in refused.message
    assert isinstance(
        scene.step(ev.UpdatePipeline(scene.caller(), "w", block, given, ("d0",))), Answer
    )


def test_what_a_datanode_says_of_an_open_block_is_weighed_before_it_closes_the_file() -> None:
    scene = Scene()
    scene.create("/g")
    block = scene.step(ev.AddBlock(scene.caller(), "/g", "w", 0, None)).value.block
    scene.report("d0", replicas=(scene.block, BlockRef(block.id, LARGEST, LARGEST)))
    assert scene.step(ev.RecoverLease(scene.caller(), "/g", "other")) == Answer(False), (
        "others may still report it"
    )


def test_numbers_that_no_record_holds_are_refused() -> None:
    scene = Scene()
    scene.create("/empty")
    assert isinstance(
        scene.step(ev.AddBlock(scene.caller(), "/empty", "w", 0, BlockRef(0, 0, 0))),
        Refusal | Answer,
    )
    for request in (
        ev.SetTimes(scene.caller(), "/f", 1 << 64, None),
        ev.SetTimes(scene.caller(), "/f", None, -(1 << 64)),
        ev.Create(scene.caller(), "/huge", "w", 0o644, False, True, 1, LARGEST),
        ev.Complete(scene.caller(), "/empty", "w", 0, BlockRef(0, 0, 5)),
    ):
        assert isinstance(scene.step(request), Refusal | Answer)


def test_a_replica_that_a_power_cut_unfinished_is_kept_while_nobody_surely_has_another() -> None:
    """All datanodes lost power after a close that was not to be durable; the namenode still
    remembers their replicas as finished."""
    scene = Scene(datanodes=3)
    for uuid in ("d0", "d1", "d2"):
        scene.register(uuid)
    assert scene.report("d0", unfinished=(scene.block,)) == []
    assert scene.report("d1", unfinished=(scene.block,)) == []
    assert "d0" not in scene.core.state.blocks.holders(scene.block.id)
    assert scene.report("d2", replicas=(scene.block,)) == []
    assert scene.report("d0", unfinished=(scene.block,)) == [scene.block], "d2 surely has it now"
