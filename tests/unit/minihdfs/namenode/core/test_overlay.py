"""The overlay: memory over store, whatever has been frozen, flushed or dropped."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from minihdfs.namenode.core.overlay import Batch, Overlay
from minihdfs.namenode.core.records import Counters
from minihdfs.namenode.store.memory import MemoryStore


def flush(overlay: Overlay, txid: int) -> None:
    batch = overlay.freeze(Counters(txid=txid))
    if batch is not None:
        overlay.store.write(batch)
        overlay.flushed(txid)


def test_reads_see_changes_through_every_stage() -> None:
    overlay = Overlay(MemoryStore(), 0)
    overlay.lease.put(1, "a")
    assert overlay.lease.get(1) == "a"
    batch = overlay.freeze(Counters(txid=1))
    assert isinstance(batch, Batch) and len(batch) == 1
    overlay.lease.put(1, "b")
    assert overlay.freeze(Counters(txid=2)) is None, "one batch at a time"
    overlay.store.write(batch)
    overlay.flushed(1)
    assert overlay.lease.get(1) == "b" and overlay.store.get("lease", 1) == "a"
    flush(overlay, 2)
    assert overlay.store.get("lease", 1) == "b" and overlay.dirty_records() == 0
    overlay.lease.remove(1)
    assert overlay.lease.get(1) is None and list(overlay.lease.items()) == []
    flush(overlay, 3)
    assert overlay.lease.get(1) is None and list(overlay.store.items("lease")) == []


def test_nothing_is_forgotten_before_it_was_flushed() -> None:
    overlay = Overlay(MemoryStore(), 0)
    overlay.lease.put(1, "a")
    overlay.freeze(Counters(txid=5))
    overlay.flushed(4)
    assert overlay.lease.get(1) == "a" and overlay.dirty_records() == 1


def test_what_is_met_is_kept_up_to_a_bound_by_readers_as_well_as_by_writers() -> None:
    overlay = Overlay(MemoryStore(), 10)
    for number in range(100):
        overlay.inode.put(number, number)
    flush(overlay, 1)
    assert overlay.inode.cached() <= 12
    for number in range(1000):
        assert overlay.inode.get(number) == (number if number < 100 else None), (
            "what is not there is remembered no longer than what is"
        )
        assert overlay.inode.cached() <= 12
    overlay.inode.put(200, 5)
    for number in range(1000, 1100):
        overlay.inode.get(number)
    assert overlay.inode.get(200) == 5, (
        "a change that the store lacks is known, however much was read since"
    )


class CountingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def get(self, table: str, key: object) -> object:
        self.asked += 1
        return super().get(table, key)


def test_a_scan_pushes_nothing_out() -> None:
    store = CountingStore()
    overlay = Overlay(store, 10)
    assert [overlay.inode.get(number) for number in (1, 2)] == [None, None]
    for number in range(500):
        assert overlay.inode.peek(number) is None
    assert overlay.inode.cached() == 2
    asked = store.asked
    assert [overlay.inode.get(number) for number in (1, 2)] == [None, None] and store.asked == asked


NAMES = st.text(st.sampled_from("aé日"), min_size=1, max_size=3)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "freeze", "flush"]), NAMES), max_size=40
)


@given(changes=CHANGES, after=st.one_of(st.just(""), NAMES), limit=st.integers(1, 5))
@settings(max_examples=300, deadline=None)
def test_children_are_those_of_a_dict_in_byte_order(
    changes: list[tuple[str, str]], after: str, limit: int
) -> None:
    overlay, model, frozen = Overlay(MemoryStore(), 0), {}, None
    for txid, (kind, name) in enumerate(changes, 1):
        if kind == "put":
            overlay.dentry.put((7, name), txid)
            model[name] = txid
        elif kind == "remove":
            overlay.dentry.remove((7, name))
            model.pop(name, None)
        elif kind == "freeze" and frozen is None:
            frozen = overlay.freeze(Counters(txid=txid))
        elif kind == "flush" and frozen is not None:
            overlay.store.write(frozen)
            overlay.flushed(frozen.counters.txid)
            frozen = None
    expected = [
        (name, model[name])
        for name in sorted(model, key=str.encode)
        if name.encode() > after.encode()
    ]
    assert overlay.dentry.children(7, after, limit) == expected[:limit]
    assert overlay.dentry.children(8, "", 9) == []
    assert dict(overlay.dentry.items()) == {(7, name): value for name, value in model.items()}
