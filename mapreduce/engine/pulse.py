"""Whether a task moves, seen from beside it: a thread looks a few times a second, so no loop of the
engine need look at the clock for every record, pair or value, and the user's code counts as
progress wherever it is: in the tail of a map after a hundred thousand cheap records, in a combine,
in the values of one heavy key. Only what takes longer than the limit for one record or value is
silent.

`Moves.through` counts in C: `compress` takes a True for each item it passes on from a `repeat` that
says how many it has left.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import compress, repeat
from types import TracebackType
from typing import Any

LOOK_EVERY_S = 0.1


class Moves:
    """Counts items as they pass."""

    def __init__(self) -> None:
        self._left: Any = repeat(True, sys.maxsize)

    def through(self, items: Iterable[Any]) -> Iterator[Any]:
        return compress(items, self._left)

    @property
    def count(self) -> int:
        return sys.maxsize - int(self._left.__length_hint__())


class Pulse:
    """While it is entered, calls `report` from a thread of its own whenever `sample` gives
    something else than at the last report. It says whether it has reported."""

    def __init__(self, sample: Callable[[], object], report: Callable[[], bool]) -> None:
        self._sample, self._report = sample, report
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="task-pulse", daemon=True)

    def _watch(self) -> None:
        last = None
        while not self._ended.wait(LOOK_EVERY_S):
            with contextlib.suppress(
                Exception
            ):  # whoever listened is gone: the task's own thread finds out
                now = self._sample()
                if now != last and self._report():
                    last = now

    def __enter__(self) -> None:
        with contextlib.suppress(
            RuntimeError
        ):  # no threads to be had: the task still reports between batches
            self._thread.start()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
