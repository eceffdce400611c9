"""When a daemon collects cyclic garbage: never all of it, often a little.

A daemon with millions of long-lived records pays for a full collection with a pause of a tenth of a
second and more, in the middle of somebody's call. So what is there after the start is frozen,
automatic collections are off, and a thread collects what is young a few times a second: a pause of
a few milliseconds, in proportion to what was made since. Cycles that live longer than that are not
collected; a process that grows far beyond what it was says so in its log.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from pathlib import Path

LOG = logging.getLogger(__name__)
LOOK_S = 0.1
YOUNG_MAX = 20_000  # objects made since the last collection: more are looked at at once
YOUNG_MIN = 2_000  # fewer are not worth it
QUIET_LOOKS = 20
ALARM_GROWTH = 2.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class GarbagePolicy:
    def __init__(self, alarm_bytes: int = 1 << 30) -> None:
        """`alarm_bytes`: no alarm below this."""
        self._alarm_bytes = alarm_bytes
        self._looks = 0
        self.collections = 0

    def start(self) -> None:
        """Once, when the daemon serves: what it has now it keeps."""
        gc.collect()
        gc.freeze()
        gc.disable()
        threading.Thread(target=self._run, name="garbage", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Collects what is young when it is much, or some and has waited long enough."""
        young = gc.get_count()[0]
        self._looks += 1
        if young >= YOUNG_MAX or (young >= YOUNG_MIN and self._looks >= QUIET_LOOKS):
            self._looks = 0
            self.collections += 1
            gc.collect(1)
        self._look_at_size(resident_bytes())

    def _look_at_size(self, resident: int) -> None:
        if resident >= self._alarm_bytes:
            LOG.warning("this process holds %d MiB; next said at twice that", resident >> 20)
            self._alarm_bytes = int(resident * ALARM_GROWTH)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
