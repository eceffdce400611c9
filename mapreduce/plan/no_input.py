"""Without standard input: code that must not wait for somebody to type."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn


class _NoInput(io.TextIOBase):
    def readable(self) -> bool:
        return True

    def _refuse(self, *_: Any) -> NoReturn:
        raise OSError(
            "standard input is closed while a job's file is loaded: every process that runs the "
            "job loads it"
        )

    read = readline = readlines = fileno = __next__ = _refuse

    @property
    def buffer(self) -> Any:
        self._refuse()


@contextlib.contextmanager
def no_input() -> Iterator[None]:
    """Whoever reads sys.stdin inside is told; what reads the descriptor (a subprocess, too) finds
    its end at once."""
    stream, sys.stdin = sys.stdin, _NoInput()
    try:
        kept = os.dup(0)
    except OSError:  # there is none
        kept = -1
    try:
        if kept >= 0:
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(nothing, 0)
            os.close(nothing)
        yield
    finally:
        sys.stdin = stream
        if kept >= 0:
            os.dup2(kept, 0)
            os.close(kept)
