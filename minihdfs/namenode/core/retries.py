"""The retry table: what each recent at-most-once call was told, so that its repetition is told the same and does nothing again.

It is durable state, rebuilt from the journal alone: entries come from edits, and what is forgotten (older than `retry_keep_us`, or
the oldest beyond `retry_entries_max`) is decided by the edits' own times. A call without a client id is never remembered.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from clusterkit.effects import Edit
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.overlay import Overlay
from minihdfs.namenode.core.records import Retry


class Retries:
    def __init__(self, overlay: Overlay, options: Options) -> None:
        self._table = overlay.retry
        self._keep_us, self._max = options.retry_keep_us, options.retry_entries_max
        entries = sorted((record for _key, record in self._table.items()), key=lambda record: record.txid)
        self._known: dict[tuple[bytes, int], Retry] = {(r.client_id, r.call_id): r for r in entries}
        self._order: deque[Retry] = deque(entries)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, caller: Caller) -> Retry | None:
        return self._known.get((caller.client_id, caller.call_id)) if caller.client_id else None

    def remember(self, edit: Edit) -> None:
        """Called by `apply` for every edit, so that forgetting happens at the same place in every replay."""
        if edit.client_id and edit.answer is not None:
            self._add(Retry(edit.client_id, edit.call_id, edit.txid, edit.wall_us, edit.answer))
        for _ in range(2):  # at most one was added, so two a time catches up with any backlog
            if not self._order:
                return
            oldest = self._order[0]
            if oldest.wall_us + self._keep_us > edit.wall_us and len(self._known) <= self._max:
                return
            self._order.popleft()
            self._forget(oldest)

    def _add(self, record: Retry) -> None:
        key = (record.client_id, record.call_id)
        self._known[key] = record
        self._order.append(record)
        self._table.put(key, record)

    def _forget(self, record: Retry) -> None:
        key = (record.client_id, record.call_id)
        if self._known.get(key) is record:
            del self._known[key]
            self._table.remove(key)

    def answers(self) -> dict[tuple[bytes, int], Any]:
        """For comparisons under test."""
        return {key: record.answer for key, record in self._known.items()}
