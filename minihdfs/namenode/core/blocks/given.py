"""Which block ids and stamps this namespace has given, and which it only heard of.

A datanode that reports an id or stamp above our counters holds something from a later time than
this namespace knows: the namespace was restored from a backup, or lost the end of its journal. Such
a replica is never deleted, and the counters skip over it (edit IdsSkipped), so that no number is
ever given twice: a leftover replica with the id and stamp of a new block and other bytes would
count as sound.

Numbers come from whoever says it is a datanode. So they are skipped over only in the lower half of
what there is; the upper half is given one by one and cannot be used up by what anybody reports.
"""

from __future__ import annotations

from bisect import bisect_right

from minihdfs.model import BlockRef
from minihdfs.namenode.core.records import Counters, Ranges

SKIP_MAX = 1 << 60
"""Inodes' own block ids and anything else above 2^61 stay out of reach."""

RANGES_MAX = 64
"""Skipped ranges that are remembered; beyond it the two nearest become one, and what was given
between them is never deleted either."""


class Given:
    def __init__(self, counters: Counters) -> None:
        self.last_block_id, self.last_stamp = counters.last_block_id, counters.last_stamp
        self.skipped_ids, self.skipped_stamps = counters.skipped_ids, counters.skipped_stamps
        self._seen_id = self._seen_stamp = 0

    # ── durable: called by `appliers` only ────────────────────────────────────────────────────────

    def gave(self, block_id: int, stamp: int) -> None:
        self.last_block_id, self.last_stamp = (
            max(self.last_block_id, block_id),
            max(self.last_stamp, stamp),
        )

    def skip(self, block_id: int, stamp: int) -> None:
        """Up to these, nothing was given that is not known already."""
        if block_id > self.last_block_id:
            self.skipped_ids = joined(self.skipped_ids, self.last_block_id + 1, block_id)
        if stamp > self.last_stamp:
            self.skipped_stamps = joined(self.skipped_stamps, self.last_stamp + 1, stamp)
        self.gave(block_id, stamp)

    # ── soft ──────────────────────────────────────────────────────────────────────────────────────

    def never(self, ref: BlockRef) -> bool:
        """Did this namespace never give this id, or never this stamp?"""
        if ref.id > self.last_block_id or ref.stamp > self.last_stamp:
            return True
        return is_within(self.skipped_ids, ref.id) or self.is_skipped_stamp(ref.stamp)

    def is_skipped_stamp(self, stamp: int) -> bool:
        return is_within(self.skipped_stamps, stamp)

    def saw(self, ref: BlockRef) -> None:
        self._seen_id = max(self._seen_id, ref.id if ref.id <= SKIP_MAX else 0)
        self._seen_stamp = max(self._seen_stamp, ref.stamp if ref.stamp <= SKIP_MAX else 0)

    def to_skip(self) -> tuple[int, int] | None:
        """(block id, stamp) that the counters have to go to, because of what was seen."""
        if self._seen_id <= self.last_block_id and self._seen_stamp <= self.last_stamp:
            return None
        return max(self._seen_id, self.last_block_id), max(self._seen_stamp, self.last_stamp)


def joined(ranges: Ranges, low: int, high: int) -> Ranges:
    """With one more range, above all others."""
    if ranges and ranges[-1][1] + 1 >= low:
        return (*ranges[:-1], (ranges[-1][0], high))
    ranges = (*ranges, (low, high))
    if len(ranges) <= RANGES_MAX:
        return ranges
    at = min(range(len(ranges) - 1), key=lambda i: ranges[i + 1][0] - ranges[i][1])
    return (*ranges[:at], (ranges[at][0], ranges[at + 1][1]), *ranges[at + 2 :])


def is_within(ranges: Ranges, number: int) -> bool:
    at = bisect_right(ranges, (number, 1 << 64))
    return at > 0 and ranges[at - 1][1] >= number
