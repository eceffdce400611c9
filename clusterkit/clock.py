"""Where time comes from. Cores are handed an `Instant`; only shells and roots hold a Clock."""

from __future__ import annotations

import time
from typing import Protocol

from clusterkit.effects import Instant


class Clock(Protocol):
    def now(self) -> Instant: ...


class SystemClock:
    """CLOCK_BOOTTIME for durations, so that a suspended machine's sleep counts against leases; the
    wall clock for display."""

    def now(self) -> Instant:
        return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000, time.time_ns() // 1000)
