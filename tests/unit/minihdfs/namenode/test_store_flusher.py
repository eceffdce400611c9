"""The flusher and its writer's process: what the core changed reaches the store, and a failure is
never silent."""

from __future__ import annotations

import fcntl
import io
import os
import queue
import random
import struct
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import psutil
import pytest

from clusterkit.effects import Effects, Event, Instant, Send
from clusterkit.errors import ClusterError, CorruptRecord
from clusterkit.journal import JournalRecord
from clusterkit.journal_memory import MemoryJournal
from minihdfs.errors import WrongCluster
from minihdfs.namenode.core import events
from minihdfs.namenode.core.events import StoreFlushed, StoreLags, StoreSpaceChanged
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.overlay import Batch
from minihdfs.namenode.core.records import Counters
from minihdfs.namenode.edit_codec import CODEC
from minihdfs.namenode.store import flusher as store_flusher
from minihdfs.namenode.store.flusher import StoreFlusher, write_batches
from minihdfs.namenode.store.lmdb import LmdbStore, encode_rows
from tests.equipment.until import until

ROOT = Path(__file__).parents[4]

OPTIONS = Options("c1", "root")


class Node:
    """A core on a real store, driven by hand."""

    def __init__(self, path: Path, **options: int) -> None:
        self.path = path
        self.store = LmdbStore(path, "c1")
        self.core = Namesystem(OPTIONS, self.store, random.Random(1))
        self.journal = MemoryJournal()
        self.posted: queue.Queue[Event] = queue.Queue()
        self.flusher = StoreFlusher(self.core, self.journal, path, "c1", self.posted.put, **options)
        self.flusher.start()

    def step(self, event: Event) -> Effects:
        effects = self.core.step(event, Instant(1_000_000, 2_000_000))
        self.journal.append(
            [JournalRecord(edit.txid, edit.epoch, CODEC.encode(edit)) for edit in effects.journal]
        )
        self.journal.sync()
        self.flusher.durable(effects.journal)
        return effects

    def take_posted(self) -> Event:
        event = self.posted.get(timeout=30)
        self.step(event)
        return event

    def mkdirs(self, path: str) -> None:
        self.step(events.Mkdirs(events.Caller(1, "root"), path, 0o755, True))


def test_changes_reach_the_store_and_the_journal_forgets_them(tmp_path: Path) -> None:
    node = Node(tmp_path / "store", flush_records=1)
    node.step(events.LeadershipGained(1))
    assert isinstance(node.take_posted(), StoreFlushed)
    for number in range(50):
        node.mkdirs(f"/a/{number}")
    while node.core.dirty_records():
        node.take_posted()
    node.mkdirs("/last")
    node.flusher.stop()
    node.store.close()
    reopened = Namesystem(OPTIONS, LmdbStore(node.path, "c1"), random.Random(1))
    assert reopened.txid == node.core.txid
    assert reopened.state.counters() == node.core.state.counters()
    assert [name for name, _ in reopened.state.namespace.children(16385, "", 9)] == [
        ".system",
        "a",
        "last",
    ]
    reopened.check_invariants()
    assert [record.txid for record in node.journal.read()] == list(
        range(node.journal._forgotten + 1, node.core.txid + 1)
    )
    assert node.journal._forgotten > 0


def test_a_dead_writer_stops_the_namenode(tmp_path: Path) -> None:
    node = Node(tmp_path / "store", flush_records=1)
    assert node.flusher._process is not None
    node.flusher._process.kill()
    node.flusher._process.wait(30)
    node.step(events.LeadershipGained(1))
    node.flusher._thread.join(30)
    with pytest.raises(ClusterError, match="cannot be written"):
        node.mkdirs("/a")
    node.flusher.stop()


def test_whatever_ends_the_flusher_is_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path / "store", flush_records=1)

    def breaks(_batch: Batch) -> None:
        raise OverflowError("a number that no record holds")

    monkeypatch.setattr(store_flusher, "encode_rows", breaks)
    node.step(events.LeadershipGained(1))
    node.flusher._thread.join(30)
    with pytest.raises(ClusterError, match="a number that no record holds"):
        node.mkdirs("/a")
    node.flusher.abandon()


def test_a_full_disk_is_posted_and_refuses_changes(tmp_path: Path) -> None:
    node = Node(tmp_path / "store", reserve_bytes=1 << 62)
    event = node.posted.get(timeout=30)
    assert isinstance(event, StoreSpaceChanged) and "MiB left" in event.reason
    node.step(events.LeadershipGained(1))
    node.step(event)
    effects = node.step(events.Mkdirs(events.Caller(1, "root"), "/a", 0o755, True))
    assert "MiB left" in effects.sends[0].message.message
    node.step(StoreSpaceChanged(""))
    node.mkdirs("/a")
    node.flusher.stop()


def test_a_lagging_writer_holds_changes_back_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop never waits for it: reads are answered, changes wait with a reason, and go on when
    it has caught up."""
    node = Node(tmp_path / "store", flush_records=1, dirty_max=30)
    node.step(events.LeadershipGained(1))
    goes_on = threading.Event()
    hand_over = node.flusher._hand_over
    monkeypatch.setattr(
        node.flusher, "_hand_over", lambda batch: (goes_on.wait(30), hand_over(batch))
    )
    told: list[Event] = []
    for number in range(100):
        node.mkdirs(f"/a/{number}")
        while not node.posted.empty():
            told.append(node.posted.get())
            node.step(told[-1])
        if any(isinstance(event, StoreLags) for event in told):
            break
    lag = next(event for event in told if isinstance(event, StoreLags))
    assert "records behind" in lag.reason
    caller = events.Caller("waits", "root")
    assert node.step(events.Mkdirs(caller, "/late", 0o755, True)).sends == []
    assert (
        node.step(events.GetFileInfo(events.Caller("reads", "root"), "/a/0")).sends[0].message.value
        is not None
    )
    goes_on.set()
    answers: list[Send] = []
    while not answers:
        event = node.posted.get(timeout=30)
        node.flusher.turned()
        answers = [send for send in node.step(event).sends if send.to == "waits"]
    assert answers[0].message.value is True
    node.flusher.stop()


def test_what_the_last_edits_changed_reaches_the_store_although_no_edit_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path / "store")
    node.step(events.LeadershipGained(1))
    node.mkdirs("/a")
    assert node.posted.empty() or isinstance(node.posted.get(), StoreFlushed)
    monkeypatch.setattr(store_flusher, "FLUSH_INTERVAL_S", 0.0)
    node.flusher.turned()
    until(
        lambda: node.flusher._flushed_txid == node.core.txid or node.flusher.turned(),
        "the store has everything",
    )
    node.flusher.stop()


def test_a_killed_namenodes_writer_ends_and_the_next_waits_for_it(tmp_path: Path) -> None:
    """Its slots in the store's table of readers are given back, however many namenodes die so."""
    LmdbStore(tmp_path, "c1").close()
    code = (
        "import sys, random, time; from pathlib import Path\n"
        "from tests.unit.minihdfs.namenode.test_store_flusher import Node\n"
        "node = Node(Path(sys.argv[1])); print(node.flusher._process.pid, flush=True); "
        "sys.stdin.read()"
    )
    for _ in range(3):
        namenode = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert namenode.stdout is not None
        writer = int(namenode.stdout.readline())
        namenode.kill()
        namenode.wait(30)
        namenode.communicate()
        until(
            lambda: not psutil.pid_exists(writer) or psutil.Process(writer).status() == "zombie",  # noqa: B023
            "the writer has ended",
        )
    store = LmdbStore(tmp_path, "c1")
    assert str(store._env.readers()).count(":") <= 2 and store._env.reader_check() == 0
    store.close()


def test_readers_that_were_killed_do_not_fill_the_store(tmp_path: Path) -> None:
    LmdbStore(tmp_path, "c1").close()
    alive = LmdbStore(tmp_path, "c1")  # while somebody lives, nobody else resets the table
    code = (
        "import os, sys; from pathlib import Path; from minihdfs.namenode.store.lmdb import "
        "LmdbStore\n"
        "child = os.fork(); store = LmdbStore(Path(sys.argv[1]), 'c1'); child or os._exit(0)\n"
        "os.waitpid(child, 0); os.kill(os.getpid(), 9)"  # one that lives keeps its slot by right
    )
    for _ in range(4):
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    alive.write(Batch(Counters(txid=1), {"lease": {1: "x"}}))
    rows = [
        line
        for line in alive._env.readers().splitlines()
        if line.strip() and not line.strip().startswith("pid")
    ]
    assert all(int(row.split()[0]) == os.getpid() for row in rows), rows
    alive.close()


def test_two_writers_never_work_on_one_store(tmp_path: Path) -> None:
    """A predecessor's writer may still be at its last batch: the next one waits for its lock."""
    path = tmp_path / "store"
    path.mkdir()
    with (path / "writer.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        node = Node(path, flush_records=1)
        node.step(events.LeadershipGained(1))
        with pytest.raises(queue.Empty):
            node.posted.get(timeout=0.3)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert isinstance(node.posted.get(timeout=30), StoreFlushed)
    node.flusher.stop()


def test_a_batch_cut_short_is_not_written(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", "c1")
    data = msgspec.msgpack.encode(
        (Counters(txid=4), encode_rows(Batch(Counters(txid=4), {"inode": {}})))
    )
    replies = io.BytesIO()
    write_batches(store, io.BytesIO(struct.pack(">Q", len(data)) + data[:-1]), replies)
    store.refresh()
    assert store.counters() is None and replies.getvalue() == b""
    write_batches(store, io.BytesIO(struct.pack(">Q", len(data)) + data), replies)
    store.refresh()
    assert store.counters() == Counters(txid=4) and replies.getvalue() == struct.pack(">Q", 4)


def test_an_old_batch_of_a_dying_predecessor_is_dropped(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", "c1")
    store.write(Batch(Counters(txid=9), {"lease": {1: "new"}}))
    store.write(Batch(Counters(txid=8), {"lease": {1: "old"}}))
    store.refresh()
    assert store.get("lease", 1) == "new"


def test_a_store_of_another_cluster_is_refused(tmp_path: Path) -> None:
    LmdbStore(tmp_path / "store", "c1").close()
    with pytest.raises(WrongCluster, match="belongs to cluster c1"):
        LmdbStore(tmp_path / "store", "c2")


def test_something_else_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(CorruptRecord, match="cannot be opened"):
        LmdbStore(tmp_path / "store", "c1")
