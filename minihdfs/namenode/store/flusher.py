"""Brings the core's changed records to the store on disk, behind the journal: nothing ever waits
for it.

The writer is a process of its own, fed through a pipe. (A thread would release and re-take the
interpreter lock at every record: beside a busy core that was measured at 2,600–10,000 records/s; a
process is not slowed.) `durable` is the driver's hook, `turned` the loop's, about once a second;
both are called on the core's thread when all applied edits are durable, and from time to time
freeze what changed. A thread encodes it and waits for the writer; the end is posted to the core as
StoreFlushed.

When the writer lags until `dirty_max` records wait in memory, the core is told by StoreLags and
holds edits back; reads, heartbeats and the lease go on. When the writer died, the next hook raises:
the process exits, and its journal has everything. A disk below its reserve is posted as
StoreSpaceChanged. One writer at a time: it holds a lock beside the store, and ends when its
namenode does.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import queue
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import msgspec

from clusterkit.effects import Edit, Event
from clusterkit.errors import ClusterError
from clusterkit.interpreter import interpreter
from clusterkit.journal import Journal
from minihdfs.namenode.core.events import StoreFlushed, StoreLags, StoreSpaceChanged
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.overlay import Batch
from minihdfs.namenode.core.records import Counters
from minihdfs.namenode.store.lmdb import LmdbStore, Rows, encode_rows

LOG = logging.getLogger(__name__)
FLUSH_RECORDS = 20_000
FLUSH_INTERVAL_S = 2.0
DIRTY_MAX = 500_000
RESERVE_BYTES = 64 << 20
SPACE_CHECK_S = 5.0
STALL_S = 120.0
_LENGTH = struct.Struct(">Q")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Counters, Rows]).decode


class StoreFlusher:
    def __init__(
        self,
        core: Namesystem,
        journal: Journal,
        path: Path,
        cluster_id: str,
        post: Callable[[Event], None],
        *,
        flush_records: int = FLUSH_RECORDS,
        dirty_max: int = DIRTY_MAX,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        """`path` is the LmdbStore the core reads; `post` queues an event to the core from any
        thread."""
        self._core, self._journal, self._path, self._cluster_id, self._post = (
            core,
            journal,
            path,
            cluster_id,
            post,
        )
        self._flush_records, self._dirty_max, self._reserve_bytes = (
            flush_records,
            dirty_max,
            reserve_bytes,
        )
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._flushed_txid = self._forgotten_txid = core.txid
        self._flushed_at = time.monotonic()
        self._failure: str | None = None
        self._short = ""
        self._lags = False
        self._thread = threading.Thread(target=self._run, name="store-flusher", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Before any gRPC server or channel is made: it starts a process."""
        command = [
            sys.executable,
            "-m",
            "minihdfs.namenode.store.flusher",
            str(self._path),
            self._cluster_id,
        ]
        self._process = subprocess.Popen(
            command, executable=interpreter(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._thread.start()

    def durable(self, _edits: Sequence[Edit]) -> None:
        """The driver's hook, on the core's thread: every edit applied so far is durable."""
        self.turned()

    def turned(self) -> None:
        """Between two turns, also when nothing happens: what the last edits changed must not wait
        for the next one. Never blocks."""
        self._check()
        if self._flushed_txid > self._forgotten_txid:
            self._forgotten_txid = self._flushed_txid
            self._journal.forget(self._forgotten_txid)
        dirty = self._core.dirty_records()
        self._tell_lag(dirty)
        due = (
            dirty >= self._flush_records or time.monotonic() - self._flushed_at >= FLUSH_INTERVAL_S
        )
        if due and dirty and self._idle.is_set():
            self._begin()

    def _tell_lag(self, dirty: int) -> None:
        lags = dirty >= (self._dirty_max // 2 if self._lags else self._dirty_max)
        if lags != self._lags:
            self._lags = lags
            reason = (
                f"The namespace store {self._path} is {dirty} records behind; changes wait until "
                "it has caught up."
                if lags
                else ""
            )
            LOG.warning(reason or "the namespace store has caught up")
            self._post(StoreLags(reason))

    def stop(self) -> None:
        """Orderly: what is durable goes to the store, then the writer ends. Only after the core's
        last step."""
        if self._process is None:
            return
        for _ in range(2):  # what is being written, and what changed since
            if self._failure is None and self._idle.wait(STALL_S):
                self._core.flushed(self._flushed_txid)
                self._begin()
        self._batches.put(None)
        self._thread.join(STALL_S)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # a writer that died took the pipe with it
            self._process.stdin.close()
        self._process.wait(STALL_S)

    def abandon(self) -> None:
        """After a failure: what the core holds is not to be trusted, so nothing more of it is
        written."""
        self._batches.put(None)
        if self._process is not None:
            self._process.kill()
            self._process.wait(STALL_S)
            self._thread.join(STALL_S)

    def _begin(self) -> None:
        batch = self._core.freeze()
        if batch is not None:
            self._idle.clear()
            self._batches.put(batch)

    def _check(self) -> None:
        if self._failure is not None:
            raise ClusterError(
                f"the namespace store {self._path} cannot be written: {self._failure}"
            )

    # ── the flusher's thread ──────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while self._failure is None:
            try:
                self._look_at_space()
                batch = self._batches.get(timeout=SPACE_CHECK_S)
                if batch is None:
                    return
                self._hand_over(batch)
            except queue.Empty:
                continue
            except Exception as error:
                # whatever it is: a flusher that ended in silence would let the journal and memory
                # grow
                self._failure = str(error) or type(error).__name__
                LOG.error("the namespace store's writer failed: %r", error)
            self._idle.set()

    def _hand_over(self, batch: Batch) -> None:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        data = _encode((batch.counters, encode_rows(batch)))
        process.stdin.write(_LENGTH.pack(len(data)))
        process.stdin.write(data)
        process.stdin.flush()
        reply = _exactly(process.stdout, _LENGTH.size)
        if reply is None or _LENGTH.unpack(reply)[0] != batch.counters.txid:
            raise EOFError(f"the writer ended (exit {process.poll()})")
        self._flushed_txid = batch.counters.txid
        self._flushed_at = time.monotonic()
        self._post(StoreFlushed(batch.counters.txid))

    def _look_at_space(self) -> None:
        free = shutil.disk_usage(self._path).free
        short = (
            f"The disk under {self._path} has {free >> 20} MiB left, its reserve is "
            f"{self._reserve_bytes >> 20} MiB."
        )
        short = short if free < self._reserve_bytes else ""
        if bool(short) != bool(self._short):
            self._short = short
            self._post(StoreSpaceChanged(short))


def _exactly(stream: IO[bytes], size: int) -> bytes | None:
    """`size` bytes, or None when the other side ended before."""
    data = stream.read(size)
    return data if len(data) == size else None


def write_batches(store: LmdbStore, source: IO[bytes], replies: IO[bytes]) -> None:
    """The writer's process: one batch, one transaction, one reply, until the namenode ends."""
    while (head := _exactly(source, _LENGTH.size)) is not None:
        data = _exactly(source, _LENGTH.unpack(head)[0])
        if data is None:
            return  # the namenode died in the middle: its journal has the batch
        counters, rows = _decode(data)
        store.write_rows(counters, rows)
        replies.write(_LENGTH.pack(counters.txid))
        replies.flush()


def main() -> None:
    path, cluster_id = sys.argv[1:]
    lock = (Path(path) / "writer.lock").open("wb")
    fcntl.flock(
        lock, fcntl.LOCK_EX
    )  # a predecessor's writer ends with its last batch; this namenode's edits are in its journal
    store = LmdbStore(Path(path), cluster_id)
    try:
        write_batches(store, sys.stdin.buffer, sys.stdout.buffer)
    finally:
        store.close()


if __name__ == "__main__":
    main()
