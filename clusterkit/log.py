"""One line per happening: `time level role-id message`, to stderr (which the root points at the daemon's log file)."""

from __future__ import annotations

import logging
import sys


def start_logging(name: str, level: str = "INFO") -> None:
    """Configures the root logger of a daemon once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s.%(msecs)03d %(levelname).1s {name} %(message)s", "%Y-%m-%dT%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
