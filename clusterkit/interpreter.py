"""How a process of ours makes another one by exec: with the interpreter that runs, whatever became
of the path it was started by."""

from __future__ import annotations

import os
import sys

_RUNNING = "/proc/self/exe"


def interpreter() -> str:
    """What to hand to exec; `sys.executable` stays the command's first word, by which Python finds
    its environment. The path may not be open to this user (a link of the virtual environment into
    somebody's home), or be gone: the binary that runs is always there."""
    return sys.executable if os.access(sys.executable, os.X_OK) else _RUNNING
