"""CRC-32C, typed, and how threads that compute it share a process."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import cast

from crc32c import crc32c as _untyped_crc32c

crc32c = cast(Callable[..., int], functools.partial(_untyped_crc32c, gil_release_mode=0))
"""crc32c(data, value=0) of any bytes-like object, continued from `value`. Keeps the interpreter's
lock: a piece of 64 KiB takes 3 µs, and who lets go of the lock beside a busy thread gets it back a
whole switch interval later (bench/interpreter_lock.py)."""

DATA_PLANE_SWITCH_S = 0.0002


def share_process_fairly() -> None:
    """In processes that move bytes (datanodes, tasks): system calls let go of the lock, and must
    not wait 5 ms for it after each. Not for a process whose one busy thread is what everybody waits
    for (the namenode)."""
    sys.setswitchinterval(DATA_PLANE_SWITCH_S)
