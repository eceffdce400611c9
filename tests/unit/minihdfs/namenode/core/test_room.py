"""A disk is counted once, whoever lies on it; what is promised is taken off until it is kept,
dropped or too old."""

from __future__ import annotations

from clusterkit.effects import Instant
from minihdfs.model import DatanodeAddress, DatanodeUsage, Disk
from minihdfs.namenode.core.datanodes.room import Room, total
from minihdfs.namenode.core.options import Options

NOW = Instant(1_000_000, 0)


def node(uuid: str, host: str = "h", *disks: Disk) -> tuple[DatanodeAddress, DatanodeUsage]:
    sizes = (
        sum(disk.capacity_bytes for disk in disks),
        5,
        sum(disk.remaining_bytes for disk in disks),
    )
    return DatanodeAddress(uuid, host, host, 1, 2), DatanodeUsage(
        *(sizes if disks else (100, 5, 80)), disks=disks
    )


def test_a_disk_that_several_share_is_counted_once() -> None:
    shared = [
        node("a", "h", Disk("sda", 1000, 400)),
        node("b", "h", Disk("sda", 990, 390)),
        node("c", "h", Disk("sdb", 10, 3)),
    ]
    assert total(shared) == (1010, 15, 393)
    assert total([*shared, node("d", "other", Disk("sda", 1000, 400))]) == (2010, 20, 793), (
        "another host has a disk of that name"
    )
    assert total([node("a"), node("b")]) == (200, 10, 160), "who names no disk has one of its own"


def test_promises_on_a_shared_disk_count_for_all_and_end() -> None:
    room = Room(Options("c1", "root", room_promised_us=1000))
    one, two, alone = (
        node("a", "h", Disk("sda", 1000, 400)),
        node("b", "h", Disk("sda", 1000, 400)),
        node("c"),
    )
    for block_id, holder in enumerate((one, two, alone), 1):
        room.promise(*holder, block_id, 100, NOW)
    room.promise(*one, 1, 100, NOW)
    assert [room.promised(*holder) for holder in (one, two, alone)] == [200, 200, 100]
    room.kept("b", 2)
    room.kept("b", 2)
    room.check_invariants()
    assert [room.promised(*holder) for holder in (one, two, alone)] == [100, 100, 100]
    room.block_gone(3)
    room.expire(Instant(NOW.mono_us + 1000, 0))
    room.check_invariants()
    assert [room.promised(*holder) for holder in (one, two, alone)] == [0, 0, 0]
