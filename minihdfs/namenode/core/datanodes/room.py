"""Room on the datanodes' disks: what they have, less what was promised to writers and is not
written yet.

A heartbeat says what was free when it left. Between two of them many blocks are given out, so each
block's full size is taken off its datanodes' disks until they report its replica, or for a while: a
slow writer's bytes show in the heartbeats by then. Several datanodes may share a disk (or one have
several volumes on it): disks are told apart by the host and an id, and counted once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from clusterkit.effects import Instant
from minihdfs.model import DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core.options import Options

DiskKey = tuple[str, str]
TOLD_MAX = (1 << 63) - 1
"""Foreign clients read signed numbers of 64 bits."""


class Promise(NamedTuple):
    due_us: int
    disks: tuple[DiskKey, ...]
    bytes_each: int


def disks_of(address: DatanodeAddress, usage: DatanodeUsage) -> tuple[DiskKey, ...]:
    """A datanode that names no disk has one of its own."""
    return tuple((address.host, disk.id) for disk in usage.disks) or (("", address.uuid),)


def total(nodes: Iterable[tuple[DatanodeAddress, DatanodeUsage]]) -> tuple[int, int, int]:
    """(capacity, used, remaining) of all, every disk counted once: datanodes that share one may
    keep different reserves on it."""
    disks: dict[DiskKey, tuple[int, int]] = {}
    used = 0
    for address, usage in nodes:
        used += usage.used_bytes
        sizes = [(disk.capacity_bytes, disk.remaining_bytes) for disk in usage.disks] or [
            (usage.capacity_bytes, usage.remaining_bytes)
        ]
        for key, (capacity, remaining) in zip(disks_of(address, usage), sizes, strict=True):
            most, least = disks.get(key, (capacity, remaining))
            disks[key] = max(most, capacity), min(least, remaining)
    capacity, remaining = (
        sum(most for most, _ in disks.values()),
        sum(least for _, least in disks.values()),
    )
    return min(capacity, TOLD_MAX), min(used, TOLD_MAX), min(remaining, TOLD_MAX)


class Room:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._of_block: dict[int, dict[str, Promise]] = {}
        self._due: dict[tuple[int, str], int] = {}  # in the order of their deadlines
        self._promised: dict[DiskKey, int] = {}

    def promised(self, address: DatanodeAddress, usage: DatanodeUsage) -> int:
        return sum(self._promised.get(disk, 0) for disk in disks_of(address, usage))

    def promise(
        self, address: DatanodeAddress, usage: DatanodeUsage, block_id: int, size: int, now: Instant
    ) -> None:
        self.kept(address.uuid, block_id)
        disks = disks_of(address, usage)
        promise = Promise(now.mono_us + self._options.room_promised_us, disks, size // len(disks))
        self._of_block.setdefault(block_id, {})[address.uuid] = promise
        self._due[(block_id, address.uuid)] = promise.due_us
        for disk in disks:
            self._promised[disk] = self._promised.get(disk, 0) + promise.bytes_each

    def kept(self, uuid: str, block_id: int) -> None:
        """The replica is there, or will not come."""
        promises = self._of_block.get(block_id)
        promise = None if promises is None else promises.pop(uuid, None)
        if promises is None or promise is None:
            return
        if not promises:
            del self._of_block[block_id]
        del self._due[(block_id, uuid)]
        for disk in promise.disks:
            self._promised[disk] -= promise.bytes_each
            if not self._promised[disk]:
                del self._promised[disk]

    def block_gone(self, block_id: int) -> None:
        for uuid in list(self._of_block.get(block_id, ())):
            self.kept(uuid, block_id)

    def expire(self, now: Instant) -> None:
        for (block_id, uuid), due_us in list(self._due.items()):
            if due_us > now.mono_us:
                break
            self.kept(uuid, block_id)

    def check_invariants(self) -> None:
        promised: dict[DiskKey, int] = {}
        for promises in self._of_block.values():
            for promise in promises.values():
                for disk in promise.disks:
                    promised[disk] = promised.get(disk, 0) + promise.bytes_each
        assert {disk: size for disk, size in promised.items() if size} == self._promised, (
            "promised room is miscounted"
        )
        assert len(self._due) == sum(map(len, self._of_block.values())), (
            "promises and their deadlines differ"
        )
