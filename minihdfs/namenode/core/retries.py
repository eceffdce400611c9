"""The retry table: what each recent at-most-once call was told, so that its repetition is told the
same and does nothing again.

What changed something is durable: entries come from edits, are kept for `retry_keep_us` of the
*log's* time (see `State.commit`) and at most `retry_entries_max` of them, and what is forgotten is
decided by the edits alone. They live in the overlay like any record: the latest in memory, the
older ones in the store. A call without a client id is never remembered.

What changed nothing (a delete of what was not there, a refusal) is remembered too, softly: as many
as `retry_soft_max`, until this process ends. That suffices: such a call can only do harm when its
first transmission arrives after its repetition was answered, and the connection that carries it
ends with the process that would listen to it.

Only the same request is a repetition. Clients that count their calls from the beginning on each
connection, under one client id, make other requests under numbers that were answered before: those
are done, and told what came of them.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections import deque
from typing import Any

from clusterkit.effects import Edit
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.overlay import Overlay
from minihdfs.namenode.core.records import Answered, Retry
from minihdfs.namenode.core.request import Caller

_PAGE = 1_000
"""Of the oldest entries, read from the store at a time."""

Key = tuple[bytes, int]


def asked_by(event: Any) -> int:
    """A checksum of what a request asks for, never 0. A field that has its default does not count:
    one that is appended later changes nothing of a request that was made before."""
    told = [
        (field.name, value)
        for field in dataclasses.fields(event)
        if field.name != "caller" and (value := getattr(event, field.name)) != field.default
    ]
    return zlib.crc32(repr((type(event).__name__, told)).encode()) or 1


class Retries:
    def __init__(self, overlay: Overlay, options: Options, count: int) -> None:
        """`count`: how many entries the store holds."""
        self._table, self._order = overlay.retry, overlay.answered
        self._keep_us, self._max = options.retry_keep_us, options.retry_entries_max
        self.count = count
        self._oldest: deque[tuple[int, Answered]] = deque()
        self._looked_at = 0  # the txid up to which the order has been read
        self._soft: dict[Key, tuple[int, Any]] = {}
        self._soft_before: dict[Key, tuple[int, Any]] = {}
        self._soft_max = options.retry_soft_max // 2

    def find(self, caller: Caller, asked: int) -> Retry | None:
        found: Retry | None = (
            self._table.get((caller.client_id, caller.call_id)) if caller.client_id else None
        )
        return found if found is not None and found.asked in (asked, 0) else None

    def remember(self, edit: Edit) -> None:
        """Called by `apply` for every edit, so that forgetting happens at the same place in every
        replay."""
        if edit.client_id and edit.answer is not None:
            self._table.put(
                (edit.client_id, edit.call_id), Retry(edit.txid, edit.answer, edit.asked)
            )
            self._order.put(edit.txid, Answered(edit.log_us, edit.client_id, edit.call_id))
            self.count += 1
        for _ in range(2):  # at most one was added, so two a time catches up with any backlog
            oldest = self._peek_oldest()
            if oldest is None:
                return
            txid, made = oldest
            if made.log_us + self._keep_us > edit.log_us and self.count <= self._max:
                return
            self._oldest.popleft()
            self._order.remove(txid)
            key = (made.client_id, made.call_id)
            entry = self._table.peek(key)
            if entry is not None and entry.txid == txid:  # else another request's, made later
                self._table.remove(key)
            self.count -= 1

    def _peek_oldest(self) -> tuple[int, Answered] | None:
        if not self._oldest:
            if not self.count:
                return None
            self._oldest.extend(self._order.page(self._looked_at, _PAGE))
            self._looked_at = self._oldest[-1][0]
        return self._oldest[0]

    # ── what changed nothing ──────────────────────────────────────────────────────────────────────

    def find_soft(self, caller: Caller, asked: int) -> Any:
        """The message that this very call was answered with, or None."""
        key = (caller.client_id, caller.call_id)
        found = self._soft.get(key) or self._soft_before.get(key)
        return found[1] if found is not None and found[0] == asked else None

    def remember_soft(self, caller: Caller, asked: int, message: Any) -> None:
        if caller.client_id:
            if len(self._soft) >= self._soft_max:
                self._soft_before, self._soft = self._soft, {}
            self._soft[caller.client_id, caller.call_id] = asked, message

    def answers(self) -> dict[Key, bool | int]:
        """For comparisons under test."""
        return {key: record.answer for key, record in self._table.items()}
