"""Requests that wait for what datanodes report: a block's first replica, the end of safe mode, a
datanode at all; or for the store on disk to catch up. Answered when it comes, or with "not yet" at
their deadline.

A parked request is the event and the handler that goes on with it, from its first line. Why park:
foreign clients that are told "not yet" sleep 400 ms, and those that are told of safe mode or of a
block without replicas fail. So nobody need notice that a namenode was restarted.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, NamedTuple

from clusterkit.effects import Event

SAFE_MODE_ENDS, DATANODE_COMES, EPOCH_ASKED, EPOCH_NEXT, STORE_CATCHES_UP, ROOM_COMES = (
    0,
    -1,
    -2,
    -3,
    -4,
    -5,
)
"""What may be awaited beside the first replica of a block, which goes by the block's id."""


class Waits(Exception):
    """Raised by a handler whose answer needs a replica of a block, or another thing `awaited`.
    `late` is the answer when it does not come in time; None: step the request once more, and answer
    with what is known then."""

    def __init__(self, awaited: int, late: Any) -> None:
        super().__init__(awaited)
        self.awaited, self.late = awaited, late


class Then(NamedTuple):
    """Given back by a handler that has committed something and may have to wait: this handler goes
    on with the request, now and after every wait."""

    handler: Callable[..., Any]


class Parked(NamedTuple):
    deadline_us: int
    number: int
    awaited: int
    event: Event
    late: Any
    handler: Callable[..., Any]


class Parking:
    def __init__(self) -> None:
        self._waiting: dict[int, list[Parked]] = {}
        self._deadlines: list[tuple[int, int, Parked]] = []
        self._number = 0
        self._credited_us = 0
        """What this process slept through: deadlines are kept without it."""

    def credit(self, pause_us: int) -> None:
        """This process was paused: what is waited for could not come meanwhile."""
        self._credited_us += pause_us

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())

    def add(
        self, event: Event, waits: Waits, deadline_us: int, handler: Callable[..., Any]
    ) -> None:
        """`handler` is called with it again, from its first line."""
        self._number += 1
        deadline_us -= self._credited_us
        parked = Parked(deadline_us, self._number, waits.awaited, event, waits.late, handler)
        self._waiting.setdefault(waits.awaited, []).append(parked)
        heapq.heappush(self._deadlines, (deadline_us, self._number, parked))

    def is_awaited(self, awaited: int) -> bool:
        return awaited in self._waiting

    def take(self, awaited: int) -> list[Parked]:
        """Those that wait for this, in the order they came; they no longer wait."""
        return [
            parked._replace(deadline_us=parked.deadline_us + self._credited_us)
            for parked in self._waiting.pop(awaited, ())
        ]

    def overdue(self, now_us: int) -> list[Parked]:
        """Those whose deadline has passed; they no longer wait."""
        found = []
        while self._deadlines and self._deadlines[0][0] + self._credited_us <= now_us:
            parked = heapq.heappop(self._deadlines)[2]
            waiting = self._waiting.get(parked.awaited, [])
            if parked in waiting:
                found.append(parked)
                waiting.remove(parked)
                if not waiting:
                    del self._waiting[parked.awaited]
        return found

    def next_deadline(self) -> int | None:
        return self._deadlines[0][0] + self._credited_us if self._deadlines else None
