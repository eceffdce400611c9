"""The state of the namenode's core: the nouns of all its state, the durable ones over one overlay,
the soft ones beside them, and the step in progress.

Handlers are functions of this state; none of them mutates what is durable but through `commit`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from clusterkit.effects import Edit, Effects, Instant, Send
from minihdfs.model import ROOT_INODE_ID
from minihdfs.namenode.core.blocks.blocks import Blocks
from minihdfs.namenode.core.blocks.deletions import Deletions
from minihdfs.namenode.core.blocks.given import Given
from minihdfs.namenode.core.blocks.placement import Placement
from minihdfs.namenode.core.blocks.replication import Replication
from minihdfs.namenode.core.blocks.safemode import Safemode
from minihdfs.namenode.core.datanodes.datanodes import Datanodes
from minihdfs.namenode.core.files.leases import Leases
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.overlay import Overlay, Store
from minihdfs.namenode.core.parking import Parking
from minihdfs.namenode.core.records import Counters
from minihdfs.namenode.core.registry import Applier
from minihdfs.namenode.core.request import Caller
from minihdfs.namenode.core.retries import Retries
from minihdfs.namenode.core.tree.elected import Elected
from minihdfs.namenode.core.tree.namespace import Namespace
from minihdfs.namenode.core.tree.permissions import Permissions

LEAP_US_MAX = 1_000_000
"""How much further than the time that has really passed one edit may move the log's time, when a
wall clock was set."""

CLIENT_ID_BYTES_MAX = 64
"""Hadoop's have 16. A longer one is nobody's: its calls are not remembered, because it could not be
a key of the store."""

Slice = Callable[[], bool]
"""A bounded piece of longer work: called again behind other events until it says True (done)."""


class State:
    def __init__(
        self,
        options: Options,
        store: Store,
        rng: random.Random,
        appliers: Mapping[type, Applier],
    ) -> None:
        self.options, self.rng = options, rng
        self._appliers = appliers
        counters = store.counters() or Counters()
        self.overlay = Overlay(store, options.cached_records_max)
        self.permissions = Permissions(options)
        self.namespace = Namespace(self.overlay, self.permissions)
        self.blocks = Blocks(self.overlay)
        self.leases = Leases(self.overlay)
        self.retries = Retries(self.overlay, options, counters.answers)
        self.given = Given(counters)
        self.datanodes = Datanodes(
            options, rng, (uuid for uuid, _true in self.overlay.datanode.items())
        )
        self.placement = Placement(self.datanodes, rng)
        self.deletions = Deletions(options, self.given, self.blocks, self.datanodes)
        self.replication = Replication(
            options, self.blocks, self.datanodes, self.deletions, self.placement, rng
        )
        self.safemode = Safemode(options, self.blocks, self.datanodes)
        self.parking = Parking()
        self.elected = Elected()
        self.work: deque[Slice] = deque()

        self.txid, self.epoch, self.tracker_epoch = (
            counters.txid,
            counters.epoch,
            counters.tracker_epoch,
        )
        self.last_inode_id = counters.last_inode_id
        self.namespace.files, self.namespace.directories = counters.files, counters.directories
        self.blocks.total, self.blocks.complete_total = counters.blocks, counters.complete_blocks

        self.log_us = counters.log_us
        """How much time the log has seen: only while somebody led, whatever their clocks said. What
        is forgotten by age goes by it."""
        self._committed: Instant | None = None  # when this term's last edit was made

        self.leading = False
        self.asked = 0  # of the request in progress, for its repetitions
        self.now = Instant(0, 0)
        self.effects = Effects()
        self.reclaiming = False
        self.led_us = 0
        self.came: deque[int] = deque()
        """What requests may be parked for and has come in this step."""

    def counters(self) -> Counters:
        return Counters(
            self.txid,
            self.epoch,
            self.tracker_epoch,
            self.last_inode_id,
            self.last_block_id,
            self.last_stamp,
            self.namespace.files,
            self.namespace.directories,
            self.blocks.total,
            self.blocks.complete_total,
            self.log_us,
            self.retries.count,
            self.given.skipped_ids,
            self.given.skipped_stamps,
        )

    @property
    def last_block_id(self) -> int:
        return self.given.last_block_id

    @property
    def last_stamp(self) -> int:
        return self.given.last_stamp

    def has_root(self) -> bool:
        return self.namespace.inode(ROOT_INODE_ID) is not None

    def commit(
        self, op: Any, caller: Caller | None = None, answer: bool | int | None = None
    ) -> None:
        """Applies one durable change and queues it for the journal. With a caller, `answer` is what
        its retries will be told."""
        known = caller is not None and 0 < len(caller.client_id) <= CLIENT_ID_BYTES_MAX
        identity = (caller.client_id, caller.call_id, answer) if known else (b"", 0, None)  # type: ignore[union-attr]
        asked = self.asked if known else 0
        log_us = self._log_time()
        edit = Edit(self.txid + 1, self.epoch, self.now.wall_us, op, *identity, log_us, asked)
        self.apply(edit)
        self.effects.journal.append(edit)

    def apply(self, edit: Edit) -> None:
        assert edit.txid == self.txid + 1, f"edit {edit.txid} follows {self.txid}"
        self._appliers[type(edit.op)](self, edit.op, edit.wall_us // 1000)
        self.txid, self.log_us = edit.txid, edit.log_us
        self.retries.remember(edit)

    def wake(self, awaited: int) -> None:
        """It came: behind this event, those who are parked for it go on."""
        if self.parking.is_awaited(awaited):
            self.came.append(awaited)

    def begin_term(self, epoch: int) -> None:
        self.leading, self.epoch = True, epoch
        self._committed = None

    def _log_time(self) -> int:
        """The log's time goes on by what the wall clock did since the term's edit before: never
        back, never by a leap, and not at all with a term's first edit (whoever led before had
        another clock)."""
        before, self._committed = self._committed, self.now
        if before is None:
            return self.log_us
        passed_us = self.now.wall_us - before.wall_us
        return self.log_us + min(max(0, passed_us), LEAP_US_MAX + self.now.mono_us - before.mono_us)

    def settling(self) -> bool:
        """A datanode that lives may still not have said what it holds: the term is young, or a full
        report is under way."""
        young = self.now.mono_us - self.led_us < self.options.dead_after_us
        return young or any(not node.reported for node in self.datanodes.live())

    def send(self, to: Any, message: Any) -> None:
        self.effects.sends.append(Send(to, message))
