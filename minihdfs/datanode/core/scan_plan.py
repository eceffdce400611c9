"""Which replica the scrub reads next, and when: every replica within a period, never faster than a
rate.

A pass walks the block ids in order. Its pauses spread the replicas evenly over what is left of the
period, so a pass over few replicas is hardly noticed and one over many keeps up. The position and
the moment at which the pass began are the shell's to keep over a restart: otherwise a datanode that
restarts every day would only ever verify its first replicas.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScanOptions:
    period_us: int = 7 * 24 * 3600 * 1_000_000
    pause_max_us: int = 3600 * 1_000_000  # new replicas are looked for at least this often


@dataclass(frozen=True, slots=True)
class Position:
    """Where a pass is: the last block id verified, and when it began (wall clock, because it
    outlives the process)."""

    block_id: int = -1
    begun_wall_us: int = 0


class ScanPlan:
    def __init__(self, options: ScanOptions, position: Position) -> None:
        self._options, self.position = options, position

    def begins_anew(self, ids: list[int]) -> bool:
        """Have these ids been walked through: time to list what is held now?"""
        return not ids or self.position.block_id < ids[0] or self.position.block_id >= ids[-1]

    def next(self, ids: list[int], wall_us: int) -> int | None:
        """The replica to verify after the present position, of those held now in order of their
        ids; None when there is nothing to do."""
        begun, period = self.position.begun_wall_us, self._options.period_us
        if not begun or begun - wall_us > period:  # the first pass, or a clock that was set back
            self.position = Position(self.position.block_id, wall_us)
        elif wall_us < begun:
            return None
        at = bisect_right(ids, self.position.block_id)
        if at < len(ids):
            return ids[at]
        self.position = Position(-1, max(wall_us, self.position.begun_wall_us + period))
        return None

    def pause_us(self, ids: list[int], wall_us: int) -> int:
        """How long to wait before `next`."""
        if wall_us < self.position.begun_wall_us:  # this pass is done, the next one begins later
            return min(self._options.pause_max_us, self.position.begun_wall_us - wall_us)
        left = len(ids) - bisect_right(ids, self.position.block_id)
        remaining_us = self.position.begun_wall_us + self._options.period_us - wall_us
        return max(0, min(self._options.pause_max_us, remaining_us // (left + 1)))

    def verified(self, block_id: int) -> None:
        self.position = Position(block_id, self.position.begun_wall_us)
