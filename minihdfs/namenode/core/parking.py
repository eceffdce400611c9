"""Requests that wait for a block's first replica to be reported: answered when it is, or with "not yet" at their deadline.

A parked request is the event itself; being resumed means being stepped again. Why park: foreign clients that are told "not yet" sleep
400 ms.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

from clusterkit.effects import Event


class Waits(Exception):
    """Raised by a handler whose answer needs a replica of `block_id`; `late` is the answer when none is reported in time."""

    def __init__(self, block_id: int, late: Any) -> None:
        super().__init__(block_id)
        self.block_id, self.late = block_id, late


class Parked(NamedTuple):
    deadline_us: int
    number: int
    block_id: int
    event: Event
    late: Any


class Parking:
    def __init__(self) -> None:
        self._by_block: dict[int, list[Parked]] = {}
        self._deadlines: list[tuple[int, int, Parked]] = []
        self._number = 0

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._by_block.values())

    def add(self, event: Event, waits: Waits, deadline_us: int) -> None:
        self._number += 1
        parked = Parked(deadline_us, self._number, waits.block_id, event, waits.late)
        self._by_block.setdefault(waits.block_id, []).append(parked)
        heapq.heappush(self._deadlines, (deadline_us, self._number, parked))

    def take(self, block_id: int) -> list[Parked]:
        """Those that wait for this block, in the order they came; they no longer wait."""
        return self._by_block.pop(block_id, [])

    def overdue(self, now_us: int) -> list[Parked]:
        """Those whose deadline has passed; they no longer wait."""
        found = []
        while self._deadlines and self._deadlines[0][0] <= now_us:
            parked = heapq.heappop(self._deadlines)[2]
            waiting = self._by_block.get(parked.block_id, [])
            if parked in waiting:
                found.append(parked)
                waiting.remove(parked)
                if not waiting:
                    del self._by_block[parked.block_id]
        return found

    def next_deadline(self) -> int | None:
        return self._deadlines[0][0] if self._deadlines else None
