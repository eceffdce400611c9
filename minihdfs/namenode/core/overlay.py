"""The core's view of its durable records: what changed since the last flush, over what the store on
disk holds.

Reads look in memory first, then in the store. Writes only ever go to memory; `freeze` hands the
changes since the last freeze to a flusher, which writes them with their txid in one transaction;
`flushed` then lets them be forgotten here. Records are immutable, so a frozen batch may be encoded
by another thread while the core goes on.

What was read or written lately is kept in two generations: when the young one is full it becomes
the old one, and what was in the old one is forgotten. That happens wherever a record is met, so a
namenode that is only asked stays as small as one that changes. Whoever reads much and once (a
listing, a summary) reads past the generations, by `peek`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from minihdfs.namenode.core.records import (
    ANSWERED,
    BLOCK,
    DATANODE,
    DENTRY,
    DETACHED,
    INODE,
    LEASE,
    RETRY,
    TABLES,
    Block,
    Counters,
    Inode,
)

_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that changed up to and including `counters.txid`: table → key → record, or None
    for a removed one."""

    counters: Counters
    changes: dict[str, dict[Any, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(changed) for changed in self.changes.values())


class Store(Protocol):
    """An ordered key–value store of the tables in `records`. Backends: `store/lmdb`,
    `store/memory`; one contract suite."""

    def counters(self) -> Counters | None:
        """As of the last written batch; None for a fresh store."""
        ...

    def get(self, table: str, key: Any) -> Any:
        """The record, or None."""
        ...

    def children(self, parent_id: int, after: str, limit: int) -> list[tuple[str, int]]:
        """At most `limit` (name, inode id) of a directory with name > `after`, in byte order."""
        ...

    def items(self, table: str) -> Iterator[tuple[Any, Any]]:
        """Every (key, record) of a table, in the order of the keys."""
        ...

    def page(self, table: str, after: int, limit: int) -> list[tuple[int, Any]]:
        """At most `limit` (key, record) with key > `after`, in order, of a table whose keys are
        numbers."""
        ...

    def write(self, batch: Batch) -> None:
        """Makes a batch and its counters durable in one transaction."""
        ...

    def refresh(self) -> None:
        """Reads see everything written before this call. Only the reading thread calls it."""
        ...

    def close(self) -> None: ...


class Table:
    """One table. `dirty` and `frozen` are what the store lacks; `young` and `old` are what was met
    lately, None for what is not there."""

    __slots__ = ("_generation", "dirty", "frozen", "name", "old", "store", "young")

    def __init__(self, name: str, store: Store, cached_max: int) -> None:
        self.name, self.store = name, store
        self._generation = cached_max // 2
        self.young: dict[Any, Any] = {}
        self.old: dict[Any, Any] = {}
        self.dirty: dict[Any, Any] = {}
        self.frozen: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        value = self.young.get(key, _MISSING)
        if value is _MISSING:
            value = self.peek(key)
            if len(self.young) > self._generation:
                self.old, self.young = self.young, {}
            self.young[key] = value
        return value

    def peek(self, key: Any) -> Any:
        """As `get`, but nothing is kept for the next time."""
        for known in (self.young, self.old, self.dirty, self.frozen):
            value = known.get(key, _MISSING)
            if value is not _MISSING:
                return value
        return self.store.get(self.name, key)

    def put(self, key: Any, value: Any) -> None:
        self.dirty[key] = value
        if len(self.young) > self._generation:
            self.old, self.young = self.young, {}
        self.young[key] = value

    def remove(self, key: Any) -> None:
        """Not `put(key, None)`: subclasses mean more by it."""
        self.dirty[key] = None
        self.young[key] = None

    def cached(self) -> int:
        """Records in memory beside the changed ones."""
        return len(self.young) + len(self.old)

    def freeze(self) -> dict[Any, Any]:
        self.frozen, self.dirty = self.dirty, {}
        return self.frozen

    def flushed(self) -> None:
        """Only now may memory forget: what was frozen is in the store."""
        self.frozen = {}

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Every record, store and memory together, in the order of the keys."""
        merged = dict(self.store.items(self.name)) | self.frozen | self.dirty
        return iter(sorted(item for item in merged.items() if item[1] is not None))


class Queue(Table):
    """A table whose keys are numbers that only rise, taken away at the front: the changed ones lie
    in memory in their order."""

    __slots__ = ()

    def page(self, after: int, limit: int) -> list[tuple[int, Any]]:
        """At most `limit` (key, record) with key > `after`, in order; the caller has removed
        nothing behind `after`."""
        found = self.store.page(self.name, after, limit)
        for changed in (self.frozen, self.dirty):
            last = found[-1][0] if found else after
            more = (
                (key, record)
                for key, record in changed.items()
                if key > last and record is not None
            )
            found += itertools.islice(more, limit - len(found))
        return found


class Dentries(Table):
    """(parent id, name) → inode id, listed in byte order. Changes are also kept by parent, for
    listings."""

    __slots__ = ("dirty_names", "frozen_names")

    def __init__(self, store: Store, cached_max: int) -> None:
        super().__init__(DENTRY, store, cached_max)
        self.dirty_names: dict[int, dict[str, int | None]] = {}
        self.frozen_names: dict[int, dict[str, int | None]] = {}

    def put(self, key: tuple[int, str], value: int) -> None:
        super().put(key, value)
        self.dirty_names.setdefault(key[0], {})[key[1]] = value

    def remove(self, key: tuple[int, str]) -> None:
        super().remove(key)
        self.dirty_names.setdefault(key[0], {})[key[1]] = None

    def freeze(self) -> dict[Any, Any]:
        self.frozen_names, self.dirty_names = self.dirty_names, {}
        return super().freeze()

    def flushed(self) -> None:
        self.frozen_names = {}
        super().flushed()

    def children(self, parent_id: int, after: str, limit: int) -> list[tuple[str, int]]:
        """At most `limit` (name, inode id) with name > `after`, in byte order (which for UTF-8 is
        the order of Python's str)."""
        changed = self.frozen_names.get(parent_id, {}) | self.dirty_names.get(parent_id, {})
        if not changed:
            return self.store.children(parent_id, after, limit)
        new = sorted(
            name for name, inode_id in changed.items() if inode_id is not None and name > after
        )
        found: list[tuple[str, int]] = []
        taken, cursor, more = 0, after, True
        while len(found) < limit and more:
            page = self.store.children(parent_id, cursor, limit)
            more = len(page) == limit
            kept = [item for item in page if item[0] not in changed]
            upper = len(new)
            if more:
                cursor = page[-1][0]
                upper = next((i for i in range(taken, len(new)) if new[i] > cursor), len(new))
            kept += [(name, changed[name]) for name in new[taken:upper]]  # type: ignore[misc]
            taken = upper
            found += sorted(kept)
        return found[:limit]


class Overlay:
    """All tables. `counters` lives with the namesystem and joins at `freeze`."""

    __slots__ = (
        "_in_flight",
        "answered",
        "block",
        "datanode",
        "dentry",
        "detached",
        "inode",
        "lease",
        "retry",
        "store",
        "tables",
    )

    def __init__(self, store: Store, cached_max: int) -> None:
        self.store = store
        self.dentry = Dentries(store, cached_max)
        self.inode, self.block = Table(INODE, store, cached_max), Table(BLOCK, store, cached_max)
        self.retry, self.answered = Table(RETRY, store, cached_max), Queue(ANSWERED, store, 0)
        self.lease, self.detached = Table(LEASE, store, 0), Table(DETACHED, store, 0)
        self.datanode = Table(DATANODE, store, 0)
        self.tables: tuple[Table, ...] = (
            self.dentry,
            self.inode,
            self.block,
            self.retry,
            self.answered,
            self.lease,
            self.detached,
            self.datanode,
        )
        assert tuple(table.name for table in self.tables) == TABLES
        self._in_flight: int | None = None

    def get_inode(self, inode_id: int) -> Inode | None:
        found: Inode | None = self.inode.get(inode_id)
        return found

    def get_block(self, block_id: int) -> Block | None:
        found: Block | None = self.block.get(block_id)
        return found

    def dirty_records(self) -> int:
        return sum(len(table.dirty) + len(table.frozen) for table in self.tables)

    def freeze(self, counters: Counters) -> Batch | None:
        """The changes up to `counters.txid`, or None while the last batch is still being written or
        when nothing changed."""
        if self._in_flight is not None or not any(table.dirty for table in self.tables):
            return None
        self._in_flight = counters.txid
        return Batch(counters, {table.name: table.freeze() for table in self.tables})

    def flushed(self, txid: int) -> None:
        if self._in_flight is None or txid < self._in_flight:
            return
        self._in_flight = None
        self.store.refresh()
        for table in self.tables:
            table.flushed()
