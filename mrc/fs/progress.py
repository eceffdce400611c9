"""One moving line on standard error while bytes are copied, in a terminal only."""

from __future__ import annotations

import os
import sys
import time

from clusterkit.readable import clean
from mrc.fs.text import size_text

EVERY_S = 0.2


class Progress:
    def __init__(self, verb: str) -> None:
        self._verb, self._name, self._total, self._done = verb, "", 0, 0
        self._moving = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        self._began = self._drawn = time.monotonic()
        self._on_screen = False

    def file(self, name: str, total: int) -> None:
        """`total` 0 = not known."""
        self._name, self._total, self._done, self._began = name, total, 0, time.monotonic()

    def add(self, count: int) -> None:
        self._done += count
        if self._moving and time.monotonic() - self._drawn >= EVERY_S:
            self._drawn = time.monotonic()
            rate = self._done / max(1e-3, self._drawn - self._began)
            of = f" of {size_text(self._total, human=True)}" if self._total else ""
            line = (
                f"{self._verb} {clean(self._name[-40:])}: "
                f"{size_text(self._done, human=True)}{of}, {size_text(int(rate), human=True)}/s"
            )
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            self._on_screen = True

    def end(self) -> None:
        """Wipes the line."""
        if self._on_screen:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._on_screen = False
