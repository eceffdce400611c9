"""The namespace store in LMDB: ordered, crash-safe, larger than memory, and readable while another
process writes.

Each table of `core.records` is a sub-database; keys are big-endian so that LMDB's order is ours,
records are MessagePack arrays. *meta* holds magic, format version, cluster id and the counters,
whose txid is written in the same transaction as the batch. Reads go through one read transaction
that `refresh` renews; the only writer is whoever calls `write` (in production the flusher's
process). A batch that is not newer than what the store holds is dropped: a dying predecessor's
flusher may still be at work.

No writemap (a full disk would be a SIGBUS), sync on commit. The map is address space, not disk: it
begins large and doubles before it fills.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec

from clusterkit.durable_file import make_directory
from clusterkit.errors import ClusterError, CorruptRecord
from minihdfs.errors import WrongCluster
from minihdfs.namenode.core.overlay import Batch
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
    Answered,
    Block,
    Counters,
    Inode,
    Retry,
)

MAGIC = b"mrc-namespace"
FORMAT_VERSION = 2
MAP_BYTES = 64 << 30
MAX_READERS = 126
_GROWTH_RESERVE_BYTES = 1 << 30

_ID = struct.Struct(">Q")
_CALL = struct.Struct(">q")
_encode = msgspec.msgpack.Encoder().encode
_decode_inode = msgspec.msgpack.Decoder(Inode).decode
_decode_block = msgspec.msgpack.Decoder(Block).decode
_decode_retry = msgspec.msgpack.Decoder(Retry).decode
_decode_answered = msgspec.msgpack.Decoder(Answered).decode
_decode_counters = msgspec.msgpack.Decoder(Counters).decode

Rows = dict[str, tuple[list[tuple[bytes, bytes]], list[bytes]]]
"""An encoded batch: table → (records to put, keys to remove), each in the order of the keys."""


class LmdbStore:
    """See `core.overlay.Store`."""

    def __init__(self, path: Path, cluster_id: str, *, map_bytes: int = MAP_BYTES) -> None:
        """Opens or formats. Raises WrongCluster, or CorruptRecord for something that is not a
        namespace store."""
        make_directory(path)
        self.path = path
        try:
            self._env = _open(path, map_bytes)
            self._env.reader_check()
            self._meta = self._env.open_db(b"meta")
            self._dbs = {table: self._env.open_db(table.encode()) for table in TABLES}
        except lmdb.Error as error:
            raise CorruptRecord(f"namespace store {path} cannot be opened: {error}") from error
        self._identify(cluster_id)
        self._read = self._env.begin()

    def _identify(self, cluster_id: str) -> None:
        want = {
            b"magic": MAGIC,
            b"version": str(FORMAT_VERSION).encode(),
            b"cluster_id": cluster_id.encode(),
        }
        with self._env.begin() as txn:
            have = {key: txn.get(key, db=self._meta) for key in want}
        if not any(have.values()):
            with self._env.begin(write=True) as txn:
                for key, value in want.items():
                    txn.put(key, value, db=self._meta)
            return
        if have[b"magic"] != MAGIC:
            raise CorruptRecord(f"{self.path} is not a namespace store")
        if have[b"version"] != want[b"version"]:
            raise ClusterError(
                f"{self.path} has format version {(have[b'version'] or b'?').decode()}, this "
                f"program knows {FORMAT_VERSION}"
            )
        if have[b"cluster_id"] != want[b"cluster_id"]:
            raise WrongCluster(
                f"{self.path} belongs to cluster {(have[b'cluster_id'] or b'?').decode()}, not "
                f"to {cluster_id}"
            )

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    def counters(self) -> Counters | None:
        return self._counters(self._read)

    def _counters(self, txn: Any) -> Counters | None:
        data = txn.get(b"counters", db=self._meta)
        return None if data is None else _decode_counters(data)

    def get(self, table: str, key: Any) -> Any:
        data = self._read.get(_key(table, key), db=self._dbs[table])
        return None if data is None else _record(table, data)

    def children(self, parent_id: int, after: str, limit: int) -> list[tuple[str, int]]:
        prefix = _ID.pack(parent_id)
        found: list[tuple[str, int]] = []
        with self._read.cursor(self._dbs[DENTRY]) as cursor:
            start = prefix + after.encode()
            more = cursor.set_range(start)
            if more and after and cursor.key() == start:
                more = cursor.next()
            while more and len(found) < limit:
                key, value = cursor.item()
                if not key.startswith(prefix):
                    break
                found.append((key[8:].decode(), _ID.unpack(value)[0]))
                more = cursor.next()
        return found

    def items(self, table: str) -> Iterator[tuple[Any, Any]]:
        with self._read.cursor(self._dbs[table]) as cursor:
            for key, value in cursor:
                yield _unkey(table, key), _record(table, value)

    def page(self, table: str, after: int, limit: int) -> list[tuple[int, Any]]:
        found: list[tuple[int, Any]] = []
        with self._read.cursor(self._dbs[table]) as cursor:
            more = cursor.set_range(_ID.pack(after + 1))
            while more and len(found) < limit:
                key, value = cursor.item()
                found.append((_ID.unpack(key)[0], _record(table, value)))
                more = cursor.next()
        return found

    def refresh(self) -> None:
        self._read.abort()
        try:
            self._read = self._env.begin()
        except lmdb.MapResizedError:  # the writer's process doubled the map
            self._env.set_mapsize(0)
            self._read = self._env.begin()

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    def write(self, batch: Batch) -> None:
        self.write_rows(batch.counters, encode_rows(batch))

    def write_rows(self, counters: Counters, rows: Rows) -> None:
        """One transaction, durable on return. Grows the map first when it might not fit.

        Readers that were killed are forgotten before and after: each would hold a slot, and keep
        old pages from being used again."""
        self._env.reader_check()
        self._write_rows(counters, rows)
        self._env.reader_check()

    def _write_rows(self, counters: Counters, rows: Rows) -> None:
        self._make_room(
            sum(
                len(key) + len(value) + 64
                for puts, _removed in rows.values()
                for key, value in puts
            )
        )
        with self._env.begin(write=True) as txn:
            have = self._counters(txn)
            if have is not None and have.txid >= counters.txid:
                return
            for table, (puts, removed) in rows.items():
                with txn.cursor(self._dbs[table]) as cursor:
                    cursor.putmulti(puts)
                for key in removed:
                    txn.delete(key, db=self._dbs[table])
            txn.put(b"counters", _encode(counters), db=self._meta)

    def _make_room(self, batch_bytes: int) -> None:
        """LMDB copies every page it touches, so a batch may need many times its own size."""
        info = self._env.info()
        page_bytes = self._env.stat()["psize"]
        need = (
            (info["last_pgno"] + 1) * page_bytes
            + 16 * batch_bytes
            + min(_GROWTH_RESERVE_BYTES, info["map_size"] // 4)
        )
        if need <= info["map_size"]:
            return
        size = info["map_size"]
        while size < need:
            size *= 2
        self._read.abort()  # the map may only move while nobody in this process reads through it
        self._env.set_mapsize(size)
        self._read = self._env.begin()

    def map_bytes(self) -> int:
        size: int = self._env.info()["map_size"]
        return size

    def close(self) -> None:
        self._read.abort()
        self._env.close()


def encode_rows(batch: Batch) -> Rows:
    rows: Rows = {}
    for table, changes in batch.changes.items():
        puts = [
            (_key(table, key), _value(table, record))
            for key, record in changes.items()
            if record is not None
        ]
        removed = [_key(table, key) for key, record in changes.items() if record is None]
        rows[table] = (sorted(puts), sorted(removed))
    return rows


def _open(path: Path, map_bytes: int) -> Any:
    """Where address space is limited (ulimit -v), a smaller map has to do; it grows."""
    while True:
        try:
            return lmdb.open(
                str(path),
                map_size=map_bytes,
                max_dbs=len(TABLES) + 1,
                max_readers=MAX_READERS,
                metasync=True,
                sync=True,
                writemap=False,
            )
        except (lmdb.MemoryError, MemoryError):
            if map_bytes <= 64 << 20:
                raise
            map_bytes //= 4


def _key(table: str, key: Any) -> bytes:
    if table == DENTRY:
        return _ID.pack(key[0]) + key[1].encode()  # type: ignore[no-any-return]
    if table == RETRY:
        return bytes(key[0]) + _CALL.pack(key[1])
    return key.encode() if table == DATANODE else _ID.pack(key)


def _unkey(table: str, data: bytes) -> Any:
    if table == DENTRY:
        return _ID.unpack(data[:8])[0], data[8:].decode()
    if table == RETRY:
        return data[:-8], _CALL.unpack(data[-8:])[0]
    return data.decode() if table == DATANODE else _ID.unpack(data)[0]


def _value(table: str, record: Any) -> bytes:
    if table == DENTRY:
        return _ID.pack(record)
    if table == LEASE:
        return record.encode()  # type: ignore[no-any-return]
    return b"" if table in (DETACHED, DATANODE) else _encode(record)


def _record(table: str, data: bytes) -> Any:
    if table == DENTRY:
        return _ID.unpack(data)[0]
    if table == INODE:
        return _decode_inode(data)
    if table == BLOCK:
        return _decode_block(data)
    if table == RETRY:
        return _decode_retry(data)
    if table == ANSWERED:
        return _decode_answered(data)
    return data.decode() if table == LEASE else True
