"""One line per happening: `time level role-id message`, to stderr (which the root points at the daemon's log file). Nothing that a message
holds acts on the terminal of who reads it, and further lines of one (a traceback) are indented: no text of a stranger begins a line."""

from __future__ import annotations

import logging
import sys

from clusterkit.readable import clean


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record).rstrip(), "\n\t").replace("\n", "\n    ")


def start_logging(name: str, level: str = "INFO") -> None:
    """Configures the root logger of a daemon once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(f"%(asctime)s.%(msecs)03d %(levelname).1s {name} %(message)s", "%Y-%m-%dT%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
