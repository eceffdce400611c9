"""The namespace store's interface, for shells and roots. It is defined beside the core, which may
not import from here.

Backends: `lmdb.LmdbStore` (production), `memory.MemoryStore` (simulator). One contract
suite: tests/contract/test_namespace_store.py.
"""

from __future__ import annotations

from minihdfs.namenode.core.overlay import Batch, Store
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
    Counters,
)

__all__ = [
    "ANSWERED",
    "BLOCK",
    "DATANODE",
    "DENTRY",
    "DETACHED",
    "INODE",
    "LEASE",
    "RETRY",
    "TABLES",
    "Batch",
    "Counters",
    "Store",
]
