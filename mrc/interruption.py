"""Signals that come while something is half done: the first one unwinds, so that nothing half done
stays; later ones change nothing.

`interruptible` makes Ctrl-C, SIGTERM and SIGHUP raise in the main thread. Inside `held` they wait
until the step is over: between a request and knowing its answer nobody could tell what is to be
undone. A held step that does not end within HELD_S is broken off all the same, and an undoing that
does not end within its grace is given up: whoever sends signals is obeyed in bounded time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HELD_S, GRACE_S = 1.0, 5.0


class _Interruption:
    def __init__(self) -> None:
        self._depth = 0
        self._pending = 0  # the first signal that came
        self._leaving = False  # it has been raised
        self._grace_s = GRACE_S

    def install(self, grace_s: float) -> dict[int, object]:
        """What is ignored stays ignored (nohup, a background job of a shell without job
        control)."""
        self._depth, self._pending, self._leaving, self._grace_s = 0, 0, False, grace_s
        before: dict[int, object] = {}
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, self._heard)
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._late)
        return before

    def restore(self, before: dict[int, object]) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            again = (
                signal.SIG_IGN if self._leaving and number in ENDING else handler
            )  # on the way out a second one has nothing to say
            signal.signal(number, again)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._pending and not self._depth and not self._leaving:
                self._leave()

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self._pending:
            return
        self._pending = number
        if self._depth:
            signal.setitimer(signal.ITIMER_REAL, HELD_S)
        else:
            self._leave()

    def _late(self, _number: int, _frame: FrameType | None) -> None:
        if self._leaving:
            os._exit(128 + self._pending)
        self._leave()

    def _leave(self) -> None:
        self._leaving = True
        signal.setitimer(signal.ITIMER_REAL, self._grace_s)
        if self._pending == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + self._pending)


_THE_ONE = _Interruption()


@contextlib.contextmanager
def interruptible(grace_s: float = GRACE_S) -> Iterator[None]:
    """Around a verb, or as its decorator; `grace_s` is what its undoing may take. In another thread
    than the main one, where Python hears no signals, it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _THE_ONE.install(grace_s)
    try:
        yield
    finally:
        _THE_ONE.restore(before)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Around a step that must be known to have happened or not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _THE_ONE.held():
        yield
