"""One line per happening: `time level role-id message`, to stderr (which the root points at the
daemon's log file). Nothing that a message holds acts on the terminal of who reads it, and further
lines of one (a traceback) are indented: no text of a stranger begins a line. Nor can anybody fill a
disk with them: one place in the code says so much at once and so much a second, and how often it
did not."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from clusterkit.readable import clean


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record).rstrip(), "\n\t").replace("\n", "\n    ")


AT_ONCE, A_SECOND = 100, 2.0


class Rarely(logging.Filter):
    """What a stranger can cause as often as they like (a connection refused, a request not
    understood) is not said as often."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._places: dict[
            tuple[str, int], list[float]
        ] = {}  # what may be said at once, as of when, how much was not said

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = self._now_s()
        place = self._places.setdefault((record.pathname, record.lineno), [AT_ONCE, now_s, 0])
        place[:2] = min(AT_ONCE, place[0] + (now_s - place[1]) * A_SECOND), now_s
        if place[0] < 1:
            place[2] += 1
            return False
        place[0] -= 1
        if place[2]:
            record.msg, record.args = (
                f"{record.getMessage()} (and {place[2]:.0f} like it that are not shown)",
                (),
            )
            place[2] = 0
        return True


def start_logging(name: str, level: str = "INFO") -> None:
    """Configures the root logger of a daemon once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Lines(f"%(asctime)s.%(msecs)03d %(levelname).1s {name} %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    handler.addFilter(Rarely())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
