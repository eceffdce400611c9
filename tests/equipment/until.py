"""Waiting for something to become true, with a deadline and a name for what was waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(predicate: Callable[[], T], what: str, limit_s: float = 20.0) -> T:
    """The first true value of `predicate`. Raises AssertionError naming `what`."""
    end, pause = time.monotonic() + limit_s, threading.Event()
    while True:
        value = predicate()
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        pause.wait(0.02)
