"""Copies of replicas from one datanode to another, planned and under way, within a budget of bytes
and of copies per datanode.

    planned ──▶ ordered ──▶ the target reports the replica, or the source says that it failed
       │           │  the source says it is sent: the next may leave
       └───────────┴──▶ forgotten: too late, one of both is dead, or it makes no sense any more

Few large blocks or many small ones fill the budget of what a datanode may send at once. As much
again is planned ahead, so that whatever ends lets the next one leave on the reply to the message
that said so, without waiting for a heartbeat.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from clusterkit.effects import Instant
from minihdfs.namenode.core.options import Options

Key = tuple[int, str]
"""Block id, target."""


@dataclass(slots=True)
class Copy:
    block_id: int
    stamp: int
    length: int
    source: str
    target: str
    deadline_us: int = 0

    @property
    def key(self) -> Key:
        return self.block_id, self.target


@dataclass(slots=True)
class Load:
    copies: dict[Key, Copy] = field(default_factory=dict)
    bytes: int = 0

    def add(self, copy: Copy) -> None:
        self.copies[copy.key] = copy
        self.bytes += copy.length

    def remove(self, copy: Copy) -> None:
        if self.copies.pop(copy.key, None) is not None:
            self.bytes -= copy.length


class Copies:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._of_block: dict[int, dict[str, Copy]] = {}
        self._due: dict[Key, Copy] = {}  # in the order of their deadlines
        self.planned: dict[str, Load] = {}
        self.sending: dict[str, Load] = {}
        self.sent_off: dict[str, Load] = {}
        self.receiving: dict[str, Load] = {}
        """By datanode. What it receives counts from when it is planned."""
        self._failed: dict[Key, int] = {}
        self._credited_us = 0
        """What this process slept through: deadlines are kept without it."""

    def __len__(self) -> int:
        return len(self._due)

    def credit(self, pause_us: int) -> None:
        self._credited_us += pause_us

    def of_block(self, block_id: int) -> dict[str, Copy]:
        """Target → copy."""
        return self._of_block.get(block_id, {})

    def load(self, source: str) -> int:
        """Bytes that it is to send, planned ones too."""
        return sum(side[source].bytes for side in (self.planned, self.sending) if source in side)

    def may_plan(self, source: str) -> bool:
        return self._has_room(self.planned.get(source), 1)

    def may_receive(self, target: str) -> bool:
        return self._has_room(self.receiving.get(target), 2)

    def _has_room(self, load: Load | None, times: int) -> bool:
        """The last one may exceed the bytes, else a block larger than them would never be
        copied."""
        if load is None:
            return True
        return (
            len(load.copies) < times * self._options.copies_max
            and load.bytes < times * self._options.copies_bytes_max
        )

    def plan(self, copy: Copy, now: Instant) -> None:
        self._set_due(copy, now)
        self._of_block.setdefault(copy.block_id, {})[copy.target] = copy
        self.planned.setdefault(copy.source, Load()).add(copy)
        self.receiving.setdefault(copy.target, Load()).add(copy)

    def next(self, source: str) -> Copy | None:
        """The copy that may leave now."""
        planned = self.planned.get(source)
        if planned is None or not planned.copies or not self._has_room(self.sending.get(source), 1):
            return None
        return next(iter(planned.copies.values()))

    def ordered(self, copy: Copy, now: Instant) -> None:
        self.planned[copy.source].remove(copy)
        self.sending.setdefault(copy.source, Load()).add(copy)
        self._set_due(copy, now)

    def _set_due(self, copy: Copy, now: Instant) -> None:
        copy.deadline_us = now.mono_us - self._credited_us + self._options.replication_timeout_us
        self._due.pop(copy.key, None)
        self._due[copy.key] = copy

    def sent(self, source: str, block_id: int, target: str) -> None:
        """The source says so: it may send the next, whether or not the target has reported this one
        already."""
        copy = self.of_block(block_id).get(target)
        if copy is not None and copy.source == source:
            self.sending.get(source, Load()).remove(copy)
            self.sent_off.setdefault(source, Load()).add(copy)

    def failed(self, source: str, block_id: int, target: str, now: Instant) -> bool:
        """The source says so. True when it was under way: it may be planned again at once, to
        another target."""
        copy = self.of_block(block_id).get(target)
        if (
            copy is None
            or copy.source != source
            or copy.key in self.planned.get(source, Load()).copies
        ):
            return False
        self.end(block_id, target)
        self._failed.pop(copy.key, None)
        self._failed[copy.key] = now.mono_us + self._options.order_resend_us
        return True

    def has_failed(self, block_id: int, target: str) -> bool:
        """Lately."""
        return (block_id, target) in self._failed

    def end(self, block_id: int, target: str) -> None:
        """It arrived, or is given up."""
        targets = self._of_block.get(block_id)
        copy = None if targets is None else targets.pop(target, None)
        if targets is None or copy is None:
            return
        if not targets:
            del self._of_block[block_id]
        del self._due[copy.key]
        for side in self._sides():
            uuid = target if side is self.receiving else copy.source
            load = side.get(uuid)
            if load is not None:
                load.remove(copy)
                if not load.copies:
                    del side[uuid]

    def gone(self, uuid: str, *, as_target: bool) -> None:
        """A datanode is dead or began anew: nothing that it was to send is under way, and when it
        is dead nothing comes to it."""
        for side in self._sides():
            if uuid in side and (as_target or side is not self.receiving):
                for block_id, target in list(side[uuid].copies):
                    self.end(block_id, target)

    def _sides(self) -> tuple[dict[str, Load], ...]:
        return self.planned, self.sending, self.sent_off, self.receiving

    def expire(self, now: Instant) -> None:
        awake_us = now.mono_us - self._credited_us
        for (block_id, target), copy in list(self._due.items()):
            if copy.deadline_us > awake_us:
                break
            self.end(block_id, target)
        for key, until in list(self._failed.items()):
            if until > now.mono_us:
                break
            del self._failed[key]

    def check_invariants(self) -> None:
        copies = [copy for targets in self._of_block.values() for copy in targets.values()]
        assert {copy.key for copy in copies} == set(self._due), "copies and their deadlines differ"
        for side in self._sides():
            for uuid, load in side.items():
                assert load.bytes == sum(copy.length for copy in load.copies.values()), (
                    f"bytes of {uuid}'s copies are miscounted"
                )
                assert set(load.copies) <= set(self._due), f"{uuid} has a copy that nobody knows"
        for uuid, load in self.receiving.items():
            assert len(load.copies) <= 2 * self._options.copies_max, (
                f"{uuid} receives {len(load.copies)} copies"
            )
