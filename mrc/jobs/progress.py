"""A running job on standard error: bars in a terminal, one line per ten percent elsewhere, nothing
that moves with NO_COLOR."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from mrc.printing import err

BAR_INTERVAL_S, LINE_INTERVAL_S = 0.1, 0.5
STEP_PERCENT = 10


class Progress(Protocol):
    interval_s: float

    def update(self, status: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


def open_progress() -> Progress:
    moving = (
        sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    )
    return BarProgress() if moving else LineProgress()


def percent(status: Mapping[str, Any]) -> int:
    """Of all tasks, maps and reduces alike."""
    total = status["maps"]["total"] + status["reduces"]["total"]
    if status["state"] == "SUCCEEDED" or not total:
        return 100
    done = sum(
        status[stage]["total"] * status[stage].get("fraction", 0.0) for stage in ("maps", "reduces")
    )
    return min(99, int(100 * done / total))


class LineProgress:
    interval_s = LINE_INTERVAL_S

    def __init__(self) -> None:
        self._next = STEP_PERCENT

    def update(self, status: Mapping[str, Any]) -> None:
        reached = percent(status)
        if reached < self._next or status["state"] not in ("RUNNING", "WAITING"):
            return
        self._next = (reached // STEP_PERCENT + 1) * STEP_PERCENT
        maps, reduces = status["maps"], status["reduces"]
        counts = (
            f"maps {maps['done']}/{maps['total']}, reduces {reduces['done']}/{reduces['total']}"
        )
        err(f"{status['id']} {reached // STEP_PERCENT * STEP_PERCENT} % ({counts})", lines=False)

    def close(self) -> None:
        pass


class BarProgress:
    """Imports rich only now: scripts never pay for it."""

    interval_s = BAR_INTERVAL_S

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description:8}"),
            BarColumn(40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bars = RichProgress(
            *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
        )
        self._tasks: dict[str, Any] = {}
        self._bars.start()

    def update(self, status: Mapping[str, Any]) -> None:
        for stage in ("maps", "reduces"):
            facts = status[stage]
            if not facts["total"]:
                continue
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=facts["total"], note="")
            trouble = [
                f"{facts[kind]} {word}"
                for kind, word in (("failed_attempts", "failed"), ("killed_attempts", "killed"))
                if facts[kind]
            ]
            completed = facts["total"] * facts.get("fraction", 0.0)
            self._bars.update(
                self._tasks[stage],
                completed=int(completed),
                note=", ".join([f"{facts['running']} running", *trouble]),
            )

    def close(self) -> None:
        self._bars.stop()
