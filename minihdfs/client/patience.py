"""Waiting out a namenode that is there but cannot answer yet: it starts, is in safe mode, or hands
over to another."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from clusterkit.errors import TryAgain

T = TypeVar("T")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5


def patiently(ask: Callable[[], T], limit_s: float) -> T:
    """The answer of `ask`, asked again while it raises TryAgain, for at most `limit_s`; then that
    error."""
    deadline, pause_s = time.monotonic() + limit_s, _FIRST_PAUSE_S
    while True:
        try:
            return ask()
        except TryAgain:
            if time.monotonic() > deadline:
                raise
        time.sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
