"""Looking for silent writers costs what there are of silent ones, not of writers."""

from __future__ import annotations

from collections.abc import Iterator

from minihdfs.namenode.core.files.leases import Leases
from minihdfs.namenode.core.overlay import Overlay
from minihdfs.namenode.store.memory import MemoryStore

LIMIT = 100


class Counted(dict[str, int]):
    """Counts how many of its items were looked at."""

    looked = 0

    def items(self) -> Iterator[tuple[str, int]]:  # type: ignore[override]
        for item in super().items():
            self.looked += 1
            yield item


def test_only_the_silent_ones_are_looked_at() -> None:
    leases = Leases(Overlay(MemoryStore(), 10))
    leases.start(0)
    for number in range(1000):
        leases.begin(number, f"w{number}")
    for number in range(10, 1000):
        leases.renew(f"w{number}", 50)
    leases._renewed_us = counted = Counted(leases._renewed_us)
    leases.take_over_silent(LIMIT, 120, 100)
    assert sorted(leases.next_taken_over(100)) == list(range(10))
    assert counted.looked <= 10 + 1
    leases.take_over_silent(LIMIT, 149, 100)
    assert sorted(leases.next_taken_over(100)) == list(range(10)), "nobody else is overdue"
