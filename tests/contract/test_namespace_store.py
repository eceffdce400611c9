"""One suite for every backend of the namespace store: what `core.overlay.Store` promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minihdfs.namenode.core.records import COMPLETE, Answered, Block, Inode, Retry
from minihdfs.namenode.store.api import (
    ANSWERED,
    BLOCK,
    DATANODE,
    DENTRY,
    DETACHED,
    INODE,
    LEASE,
    RETRY,
    TABLES,
    Batch,
    Counters,
    Store,
)
from minihdfs.namenode.store.lmdb import LmdbStore
from minihdfs.namenode.store.memory import MemoryStore


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = (
        MemoryStore()
        if request.param == "memory"
        else LmdbStore(tmp_path / "store", "c1", map_bytes=1 << 20)
    )
    yield made
    made.close()


def batch(txid: int, **changes: dict) -> Batch:
    return Batch(Counters(txid=txid, epoch=3), changes)


def write(store: Store, txid: int, **changes: dict) -> None:
    store.write(batch(txid, **changes))
    store.refresh()


FILE = Inode(
    20,
    10,
    "naïve-日本",
    False,
    0o644,
    "ann",
    "staff",
    5,
    6,
    0,
    3,
    1 << 20,
    77,
    (1 << 30, (1 << 30) + 1),
    "writer",
    "",
)


def test_a_fresh_store_is_empty(store: Store) -> None:
    assert store.counters() is None
    assert store.get(INODE, 1) is None
    assert store.children(1, "", 10) == []
    assert all(list(store.items(table)) == [] for table in TABLES)


RECORDS = [
    (DENTRY, (10, "a:b\nc"), 20),
    (INODE, 20, FILE),
    (BLOCK, 1 << 30, Block(1 << 30, 20, 1000, 77, COMPLETE, 3)),
    (RETRY, (b"\x00\xffclient", -3), Retry(7, True)),
    (RETRY, (b"c", 2**31 - 1), Retry(2**63, 2**62)),
    (ANSWERED, 7, Answered(8, b"\x00\xffclient", -3)),
    (LEASE, 20, "DFSClient_é"),
    (DETACHED, 2**63, True),
    (DATANODE, "u-é", True),
]


@pytest.mark.parametrize(
    ("table", "key", "record"),
    RECORDS,
    ids=[f"{table}-{i}" for i, (table, _k, _r) in enumerate(RECORDS)],
)
def test_records_come_back_equal_until_removed(
    store: Store, table: str, key: object, record: object
) -> None:
    write(store, 1, **{table: {key: record}})
    assert store.get(table, key) == record
    assert list(store.items(table)) == [(key, record)]
    write(store, 2, **{table: {key: None}})
    assert store.get(table, key) is None
    assert list(store.items(table)) == []


def test_counters_are_those_of_the_last_batch(store: Store) -> None:
    write(store, 1)
    counters = Counters(5, 4, 3, 2, 1, 9, 8, 7, 6, 5, skipped_ids=((1, 2), (7, 1 << 60)))
    store.write(Batch(counters))
    store.refresh()
    assert store.counters() == counters


def test_children_are_listed_in_byte_order_page_by_page(store: Store) -> None:
    names = ["", "a", "a b", "aa", "b", "é", "日", "\U0001f600", "\uffff", "z" * 255][1:]
    write(
        store,
        1,
        dentry={(7, name): number for number, name in enumerate(names)}
        | {(6, "x"): 1, (8, "x"): 1},
    )
    expected = sorted(names, key=str.encode)
    assert [name for name, _ in store.children(7, "", 100)] == expected
    assert dict(store.children(7, "", 100)) == {name: number for number, name in enumerate(names)}
    paged, after = [], ""
    while page := store.children(7, after, 2):
        assert len(page) <= 2
        paged += [name for name, _ in page]
        after = page[-1][0]
    assert paged == expected
    assert store.children(7, "ab", 1) == [("b", names.index("b"))]
    assert store.children(7, expected[-1], 5) == []


def test_numbered_records_come_in_pages(store: Store) -> None:
    numbers = [1, 2, 300, 2**40, 2**63]
    write(store, 1, answered={number: Answered(number, b"c", 5) for number in numbers})
    found, after = [], 0
    while page := store.page(ANSWERED, after, 2):
        assert len(page) <= 2
        found += [key for key, record in page if record.log_us == key]
        after = page[-1][0]
    assert found == numbers
    assert store.page(ANSWERED, 2**63, 2) == []


def test_writing_again_replaces(store: Store) -> None:
    write(store, 1, dentry={(1, "a"): 5}, inode={5: FILE})
    write(store, 2, dentry={(1, "a"): 6}, inode={5: FILE._replace(length=1)})
    assert store.children(1, "", 9) == [("a", 6)]
    assert store.get(INODE, 5).length == 1


def test_removing_what_is_not_there_is_fine(store: Store) -> None:
    write(store, 1, dentry={(1, "a"): None}, inode={5: None})
    assert store.children(1, "", 9) == []


@pytest.mark.parametrize("count", [20_000])
def test_a_store_grows(store: Store, count: int) -> None:
    for start in range(0, count, 5_000):
        write(store, start + 1, inode={i: FILE._replace(id=i) for i in range(start, start + 5_000)})
    assert store.get(INODE, count - 1).id == count - 1
    assert sum(1 for _ in store.items(INODE)) == count


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    opened: Callable[[], LmdbStore] = lambda: LmdbStore(tmp_path / "store", "c1")  # noqa: E731
    first = opened()
    first.write(batch(1, inode={20: FILE}))
    first.close()
    again = opened()
    assert again.get(INODE, 20) == FILE
    assert again.counters() == Counters(txid=1, epoch=3)
    again.close()
