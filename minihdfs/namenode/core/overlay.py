"""The core's view of its durable records: what changed since the last flush, over what the store on disk holds.

Reads look in memory first, then in the store. Writes only ever go to memory; `freeze` hands the changes since the last freeze to a
flusher, which writes them with their txid in one transaction; `flushed` then lets them be forgotten here. Records are immutable, so a
frozen batch may be encoded by another thread while the core goes on. Clean records read from the store are kept up to a bound and
dropped together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from minihdfs.namenode.core.records import BLOCK, DENTRY, DETACHED, INODE, LEASE, RETRY, TABLES, Block, Counters, Inode

_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that changed up to and including `counters.txid`: table → key → record, or None for a removed one."""

    counters: Counters
    changes: dict[str, dict[Any, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(changed) for changed in self.changes.values())


class Store(Protocol):
    """An ordered key–value store of the tables in `records`. Backends: `store_lmdb`, `store_memory`; one contract suite."""

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

    def write(self, batch: Batch) -> None:
        """Makes a batch and its counters durable in one transaction."""
        ...

    def refresh(self) -> None:
        """Reads see everything written before this call. Only the reading thread calls it."""
        ...

    def close(self) -> None: ...


class Table:
    """One table. `live` is the truth of every key it holds; `dirty` and `frozen` are what the store lacks."""

    __slots__ = ("dirty", "frozen", "live", "name", "store")

    def __init__(self, name: str, store: Store) -> None:
        self.name, self.store = name, store
        self.live: dict[Any, Any] = {}
        self.dirty: dict[Any, Any] = {}
        self.frozen: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        value = self.live.get(key, _MISSING)
        if value is _MISSING:
            value = self.live[key] = self.store.get(self.name, key)
        return value

    def put(self, key: Any, value: Any) -> None:
        self.live[key] = value
        self.dirty[key] = value

    def remove(self, key: Any) -> None:
        self.live[key] = None
        self.dirty[key] = None

    def freeze(self) -> dict[Any, Any]:
        self.frozen, self.dirty = self.dirty, {}
        return self.frozen

    def flushed(self, cached_max: int) -> None:
        """Only now may memory forget: what was frozen is in the store."""
        self.frozen = {}
        if len(self.live) > cached_max + len(self.dirty):
            self.live = dict(self.dirty)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Every record, store and memory together, in the order of the keys."""
        merged = dict(self.store.items(self.name)) | self.frozen | self.dirty
        return iter(sorted(item for item in merged.items() if item[1] is not None))


class Dentries(Table):
    """(parent id, name) → inode id, listed in byte order. Changes are also kept by parent, for listings."""

    __slots__ = ("dirty_names", "frozen_names")

    def __init__(self, store: Store) -> None:
        super().__init__(DENTRY, store)
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

    def flushed(self, cached_max: int) -> None:
        self.frozen_names = {}
        super().flushed(cached_max)

    def children(self, parent_id: int, after: str, limit: int) -> list[tuple[str, int]]:
        """At most `limit` (name, inode id) with name > `after`, in byte order (which for UTF-8 is the order of Python's str)."""
        changed = self.frozen_names.get(parent_id, {}) | self.dirty_names.get(parent_id, {})
        if not changed:
            return self.store.children(parent_id, after, limit)
        new = sorted(name for name, inode_id in changed.items() if inode_id is not None and name > after)
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

    __slots__ = ("_cached_max", "_in_flight", "block", "dentry", "detached", "inode", "lease", "retry", "store", "tables")

    def __init__(self, store: Store, cached_max: int) -> None:
        self.store, self._cached_max = store, cached_max
        self.dentry = Dentries(store)
        self.inode, self.block = Table(INODE, store), Table(BLOCK, store)
        self.retry, self.lease, self.detached = Table(RETRY, store), Table(LEASE, store), Table(DETACHED, store)
        self.tables: tuple[Table, ...] = (self.dentry, self.inode, self.block, self.retry, self.lease, self.detached)
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
        """The changes up to `counters.txid`, or None while the last batch is still being written or when nothing changed."""
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
            table.flushed(self._cached_max)
