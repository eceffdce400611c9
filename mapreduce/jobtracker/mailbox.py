"""Where the core's answers go: a `Reply` for one caller that waits, a `Stream` for one that
listens. Both are `to`s of sends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from clusterkit.errors import ClusterError, TryAgain, UsageError
from mapreduce.errors import JobNotFound, JobRefused, OutputExists
from mapreduce.jobtracker.core.events import Refusal

STREAM_LIMIT = 10_000
"""Orders a worker may lag behind before its stream is closed; it then attends anew and its
inventory settles what it missed."""


def error_of(refusal: Refusal) -> ClusterError:
    kinds: dict[str, Callable[..., ClusterError]] = {
        "NOT_FOUND": JobNotFound,
        "ALREADY_EXISTS": OutputExists,
        "FAILED_PRECONDITION": JobRefused,
        "INVALID_ARGUMENT": UsageError,
        "TRY_AGAIN": TryAgain,
    }
    return kinds[refusal.code](refusal.message, next_command=refusal.next_command or None)


class Reply:
    """One answer, waited for by one thread."""

    def __init__(self) -> None:
        self._there = threading.Event()
        self._message: Any = None

    def put(self, message: Any) -> None:
        self._message = message
        self._there.set()

    def wait(self, timeout_s: float) -> Any:
        """Raises TryAgain when the core says nothing in time (it is stopping, or overloaded), and
        what a refusal says."""
        if not self._there.wait(timeout_s):
            raise TryAgain(
                f"the tracker did not answer within {timeout_s:g} s", next_command="mrc status"
            )
        if isinstance(self._message, Refusal):
            raise error_of(self._message)
        return self._message


class Stream:
    """Messages for one listener, in order, until closed from either side."""

    def __init__(self, limit: int = STREAM_LIMIT) -> None:
        self._changed = threading.Condition()
        self._messages: deque[Any] = deque()
        self._limit = limit
        self._closed = False

    def put(self, message: Any) -> None:
        with self._changed:
            if len(self._messages) >= self._limit:
                self._closed = True
                self._messages.clear()
            if not self._closed:
                self._messages.append(message)
            self._changed.notify()

    def close(self) -> None:
        """What was put before is still delivered."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def __iter__(self) -> Iterator[Any]:
        while True:
            with self._changed:
                while not self._messages and not self._closed:
                    self._changed.wait()
                if not self._messages:
                    return
                message = self._messages.popleft()
            yield message
