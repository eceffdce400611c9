"""Asks the coordinator for the core which epochs it has handed out, on a thread of its own: the
loop never waits for it.

One question is under way at a time (the core sees to that). While the coordinator does not answer
it is asked again; the core lets the requests that wait go meanwhile, with "come back later".
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from clusterkit.errors import ClusterError
from minihdfs.namenode.core.events import EpochCeiling

AGAIN_S = 0.5
LOG = logging.getLogger(__name__)


class EpochReader:
    def __init__(self, highest_epoch: Callable[[str], int], post: Callable[[Any], None]) -> None:
        self._highest_epoch, self._post = highest_epoch, post
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="epoch-reader", daemon=True)

    def ask(self, service: str) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._asked.put(service)

    def stop(self) -> None:
        """Does not wait for a coordinator that is asked at this moment."""
        self._stopping.set()
        self._asked.put(None)

    def _run(self) -> None:
        while (service := self._asked.get()) is not None:
            while not self._stopping.is_set():
                try:
                    number = self._highest_epoch(service)
                except ClusterError as error:
                    LOG.warning("the highest epoch of %s is not known: %s", service, error)
                    self._stopping.wait(AGAIN_S)
                    continue
                self._post(EpochCeiling(service, number))
                break
