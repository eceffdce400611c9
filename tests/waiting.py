"""Waiting for a condition with a deadline: the one place where tests poll."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, limit_s: float = 30.0, every_s: float = 0.02) -> T:
    """The first true value of `condition`; AssertionError naming what did not come true."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(every_s)
