"""A server's threads, divided among its calls, and how long a call may hold one before it has said
what it wants.

gRPC's handlers run in threads. A stream that is open for a worker's life, or a call that was opened
and never sent, holds one all the time; where all calls share one pool, enough of those and nobody
is served. So calls that park get a lane of their own, each lane is bounded, what comes beyond it is
refused in words at once, and the request must arrive within `REQUEST_WITHIN_S`.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from clusterkit.errors import Overloaded

REQUEST_WITHIN_S, GRACE_S = 10.0, 1.0
"""From the call's beginning; but a call that had to wait for its thread has a moment there, for a
request that has come long since."""
_here = threading.local()


class Lane(NamedTuple):
    threads: int
    waiting: int = 64  # calls that may wait for one of the threads

    @property
    def most(self) -> int:
        return self.threads + self.waiting


class LanePool(ThreadPoolExecutor):
    """Runs what fits; what does not runs on `refusing`, where `refuse_if_full` raises."""

    def __init__(self, lane: Lane, name: str, refusing: ThreadPoolExecutor) -> None:
        super().__init__(lane.threads, thread_name_prefix=name)
        self._lane, self._refusing = lane, refusing
        self._under_way, self._counting = 0, threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._counting:
            full = self._under_way >= self._lane.most
            self._under_way += not full
        if full:
            return self._refusing.submit(_refused, self._lane.most, fn, *args, **kwargs)
        try:
            future = super().submit(fn, *args, **kwargs)
        except BaseException:
            self._over(None)
            raise
        future.add_done_callback(self._over)
        return future

    def _over(self, _future: object) -> None:
        with self._counting:
            self._under_way -= 1


def _refused(most: int, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    _here.full = most
    try:
        return fn(*args, **kwargs)
    finally:
        _here.full = 0


def refuse_if_full(method: str) -> None:
    """What every handler begins with. Raises Overloaded where its lane had no room for it."""
    most = getattr(_here, "full", 0)
    if most:
        raise Overloaded(
            f"{most} calls of {method} are under way, which is the most", next_command="mrc status"
        )


class Deadlines:
    """Calls `expire` of whatever is not forgotten in time; one thread, made when it is first
    needed."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int]] = []
        self._watched: dict[int, Callable[[], Any]] = {}
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def watch(self, at_s: float, expire: Callable[[], Any]) -> int:
        """`at_s` is on time.monotonic."""
        with self._changed:
            number = next(self._numbers)
            self._watched[number] = expire
            heapq.heappush(self._due, (at_s, number))
            if self._due[0][1] == number:
                self._changed.notify()
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="rpc-deadlines", daemon=True)
                self._thread.start()
        return number

    def forget(self, number: int) -> None:
        with self._changed:
            self._watched.pop(number, None)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopped:
                    return
                expire = self._watched.pop(heapq.heappop(self._due)[1], None)
            if expire is not None:
                expire()
