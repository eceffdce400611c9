"""When a disk has failed: two of its files within a minute. One bad sector is that replica's
business, not the disk's.

A file that fails over and over counts once, because readers, the scrub and repairs all come back to
it; the shell therefore probes the disk with a write of its own after a first failure, and tells of
that probe under a name of its own.
"""

from __future__ import annotations

WINDOW_US = 60_000_000


class VolumeHealth:
    def __init__(self, window_us: int = WINDOW_US) -> None:
        self._window_us = window_us
        self._failures: dict[str, int] = {}  # what failed -> mono_us of the last time

    def failed_at(self, what: str, mono_us: int) -> bool:
        """An operation on `what` met a failing disk; True when the disk must leave."""
        self._failures = {
            one: at for one, at in self._failures.items() if mono_us - at <= self._window_us
        }
        self._failures[what] = mono_us
        return len(self._failures) >= 2
