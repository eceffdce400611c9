"""The namespace store in memory: the simulator's and the tests' twin of `lmdb`. What was
written survives as long as the object."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from heapq import nsmallest
from typing import Any

from minihdfs.namenode.core.overlay import Batch
from minihdfs.namenode.core.records import DENTRY, TABLES, Counters


class MemoryStore:
    def __init__(self) -> None:
        self._counters: Counters | None = None
        self._tables: dict[str, dict[Any, Any]] = {table: {} for table in TABLES}
        self._names: dict[int, list[str]] = {}

    def counters(self) -> Counters | None:
        return self._counters

    def get(self, table: str, key: Any) -> Any:
        return self._tables[table].get(key)

    def children(self, parent_id: int, after: str, limit: int) -> list[tuple[str, int]]:
        names = self._names.get(parent_id, [])
        start = bisect_right(names, after)
        return [
            (name, self._tables[DENTRY][(parent_id, name)]) for name in names[start : start + limit]
        ]

    def items(self, table: str) -> Iterator[tuple[Any, Any]]:
        return iter(sorted(self._tables[table].items()))

    def page(self, table: str, after: int, limit: int) -> list[tuple[int, Any]]:
        records = self._tables[table]
        return [
            (key, records[key]) for key in nsmallest(limit, (key for key in records if key > after))
        ]

    def write(self, batch: Batch) -> None:
        if self._counters is not None and self._counters.txid >= batch.counters.txid:
            return  # of a predecessor whose flusher was slow to die
        for table, changes in batch.changes.items():
            records = self._tables[table]
            for key, record in changes.items():
                if table == DENTRY:
                    self._name(key, record is not None)
                if record is None:
                    records.pop(key, None)
                else:
                    records[key] = record
        self._counters = batch.counters

    def _name(self, key: tuple[int, str], present: bool) -> None:
        parent_id, name = key
        if present and key not in self._tables[DENTRY]:
            insort(self._names.setdefault(parent_id, []), name)
        elif not present and key in self._tables[DENTRY]:
            self._names[parent_id].remove(name)

    def refresh(self) -> None:
        pass

    def close(self) -> None:
        pass
