"""`self.context`: where a running task is and how it speaks to its surroundings. The engine fills
it in; a job only reads it."""

from __future__ import annotations

import logging
from collections.abc import Callable

MAX_STATUS_CHARACTERS = 500


class Context:
    """Facts of one task attempt.

    `input_path` and `offset` (byte offset of the current record in that file) hold in a map; in a
    reduce they are "" and -1. `partition` is the task's index: the number in its part file's name.
    """

    def __init__(self, *, attempt_id: str, partition: int, input_path: str = "") -> None:
        self.attempt_id = attempt_id
        self.partition = partition
        self.input_path = input_path
        self.log = logging.getLogger(f"mapreduce.task.{attempt_id or 'local'}")
        self.status_text = ""
        self._offset: Callable[[], int] = lambda: -1
        self._on_status: Callable[[str], None] = lambda _text: None

    @property
    def offset(self) -> int:
        """Byte offset of the current record's first byte; found when asked for, so asking for it in
        every record costs time."""
        return self._offset()

    def status(self, text: str) -> None:
        """One line that `mrc job status` shows beside the task. It also counts as progress."""
        self.status_text = " ".join(str(text).split())[:MAX_STATUS_CHARACTERS]
        self._on_status(self.status_text)

    def attach(self, *, offset: Callable[[], int], on_status: Callable[[str], None]) -> None:
        """For the engine."""
        self._offset, self._on_status = offset, on_status
