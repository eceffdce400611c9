"""Keeps the leases of open files alive: one light thread per file system, only while files are open
for writing.

A child of a fork inherits no thread: the first file that it opens starts one of its own. Writers
are held weakly, so that one that was forgotten unclosed loses its lease instead of keeping it for
ever.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable

from clusterkit.errors import ClusterError
from minihdfs.client.writer import FileWriter

TICK_S = 5.0


class LeaseKeeper:
    def __init__(
        self, renew: Callable[[], None], interval_s: float, *, tick_s: float = TICK_S
    ) -> None:
        self._renew, self._interval_s, self._tick_s = renew, interval_s, min(tick_s, interval_s)
        self._thread: threading.Thread | None = None
        self._begin()

    def opened(self, writer: FileWriter) -> None:
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            self._writers.add(writer)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()

    def closed(self, writer: FileWriter) -> None:
        if self._pid == os.getpid():
            with self._changed:
                self._writers.discard(writer)
                self._changed.notify()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._writers: weakref.WeakSet[FileWriter] = weakref.WeakSet()
        self._thread = None

    def _run(self) -> None:
        renewed = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait(self._tick_s)
                writers = list(self._writers)
                if not writers:
                    self._thread = None
                    return
            for writer in writers:
                writer.keep_alive()
            del writers
            if time.monotonic() - renewed >= self._interval_s:
                renewed = time.monotonic()
                with contextlib.suppress(
                    ClusterError, OSError
                ):  # the next round tries again; the writer itself hears of a lost lease
                    self._renew()
