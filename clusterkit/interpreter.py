"""How a process of ours makes another one by exec: with the interpreter that runs, whatever became
of the path it was started by."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_RUNNING = "/proc/self/exe"


def interpreter() -> str:
    """What to hand to exec; `sys.executable` stays the command's first word, by which Python finds
    its environment. The path may not be open to this user (a link of the virtual environment into
    somebody's home), or be gone: the binary that runs is always there."""
    return sys.executable if os.access(sys.executable, os.X_OK) else _RUNNING


_NO_RANDOMIZE, _ASK = 0x0040000, 0xFFFFFFFF  # ADDR_NO_RANDOMIZE of sys/personality.h


def fix_addresses() -> bool:
    """What this thread makes by exec from now on has its code and constants at the same addresses
    as every other such process; True when that was not so before.

    Before Python 3.12 `hash(None)` is an address, and with it the hash of every tuple that holds
    None: PYTHONHASHSEED alone does not make it the same in two processes. Where the kernel does not
    permit it (a container's rules), nothing changes."""
    if sys.version_info >= (3, 12):
        return False
    try:
        personality = ctypes.CDLL(None).personality
    except (OSError, AttributeError):
        return False
    before = personality(_ASK)
    if before == -1 or before & _NO_RANDOMIZE:
        return False
    return bool(personality(before | _NO_RANDOMIZE) != -1)


@contextmanager
def fixed_addresses() -> Iterator[None]:
    """`fix_addresses` for what is made inside."""
    fixed = fix_addresses()
    try:
        yield
    finally:
        if fixed:
            personality = ctypes.CDLL(None).personality
            personality(personality(_ASK) & ~_NO_RANDOMIZE)
