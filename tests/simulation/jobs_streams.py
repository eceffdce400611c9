"""Streams of orders as TCP gives them: in order, nothing lost in the middle, until they break; then
the rest is gone and both ends hear of it sooner or later, or never. Only single calls go over the
kernel's unreliable network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.kernel import MS, SECOND, Kernel, Process


class OrderStream:
    def __init__(
        self,
        kernel: Kernel,
        tracker: Process,
        worker: Process,
        session: int,
        arrived: Callable[[Any], None],
        ended: Callable[[], None],
    ) -> None:
        """From the tracker to a worker. `arrived` and `ended` are called in the worker, in its
        present incarnation only."""
        self._kernel, self._tracker, self._worker, self.session = kernel, tracker, worker, session
        self._arrived, self._ended = arrived, ended
        self._incarnations = (tracker.incarnation, worker.incarnation)
        self._rng = kernel.stream(f"stream/{worker.name}/{worker.incarnation}/{session}")
        self._last_us = 0
        self.broken = False
        self.tell_tracker: Callable[[], None] = lambda: None
        kernel.after(self._rng.randrange(SECOND), self._look)

    def send(self, message: Any) -> None:
        if self.broken:
            return
        delay = self._rng.randrange(100, 2 * MS)
        if self._rng.random() < self._kernel.network.slow:
            delay = self._rng.randrange(20 * MS, SECOND)
        self._last_us = max(self._last_us, self._kernel.now_us + delay)
        self._kernel.after(self._last_us - self._kernel.now_us, lambda: self._arrive(message))

    def close(self) -> None:
        """By the tracker: what was sent before still arrives."""
        if not self.broken:
            self._last_us = max(self._last_us, self._kernel.now_us)
            self._kernel.after(self._last_us - self._kernel.now_us + MS, self.break_off)

    def break_off(self) -> None:
        """Both ends hear of it after a while, if they are still who they were."""
        if self.broken:
            return
        self.broken = True
        tracker, worker = self._incarnations
        if self._tracker.up and self._tracker.incarnation == tracker:
            self._tracker.later(self._rng.randrange(10 * MS, 2 * SECOND), self.tell_tracker)
        if self._worker.up and self._worker.incarnation == worker:
            self._worker.later(self._rng.randrange(10 * MS, 2 * SECOND), self._ended)

    def _arrive(self, message: Any) -> None:
        if self.broken:
            return
        if not self._is_whole() or self._rng.random() < self._kernel.network.loss / 4:
            self.break_off()
            return
        self._kernel.note(f"order → {self._worker.name} {type(message).__name__}")
        self._worker._act(self._incarnations[1], lambda: self._arrived(message))

    def _is_whole(self) -> bool:
        tracker, worker, cuts = self._tracker, self._worker, self._kernel.network.cuts
        same = (
            tracker.up
            and worker.up
            and (tracker.incarnation, worker.incarnation) == self._incarnations
        )
        return (
            same
            and (tracker.name, worker.name) not in cuts
            and (worker.name, tracker.name) not in cuts
        )

    def _look(self) -> None:
        """Keepalive: a dead peer is found even when nothing is sent."""
        if not self.broken:
            if self._is_whole():
                self._kernel.after(SECOND, self._look)
            else:
                self.break_off()
