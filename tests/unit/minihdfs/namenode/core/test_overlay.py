"""The overlay: memory over store, whatever has been frozen, flushed or dropped."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from minihdfs.namenode.core.overlay import Batch, Overlay
from minihdfs.namenode.core.records import Counters
from minihdfs.namenode.store_memory import MemoryStore


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


def test_clean_records_are_kept_up_to_a_bound() -> None:
    overlay = Overlay(MemoryStore(), 10)
    for number in range(100):
        overlay.lease.put(number, "x")
    flush(overlay, 1)
    assert len(overlay.lease.live) == 0
    for number in range(5):
        assert overlay.lease.get(number) == "x"
    overlay.lease.put(200, "y")
    flush(overlay, 2)
    assert len(overlay.lease.live) == 6


NAMES = st.text(st.sampled_from("aé日"), min_size=1, max_size=3)
CHANGES = st.lists(st.tuples(st.sampled_from(["put", "remove", "freeze", "flush"]), NAMES), max_size=40)


@given(changes=CHANGES, after=st.one_of(st.just(""), NAMES), limit=st.integers(1, 5))
@settings(max_examples=300, deadline=None)
def test_children_are_those_of_a_dict_in_byte_order(changes: list[tuple[str, str]], after: str, limit: int) -> None:
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
    expected = [(name, model[name]) for name in sorted(model, key=str.encode) if name.encode() > after.encode()]
    assert overlay.dentry.children(7, after, limit) == expected[:limit]
    assert overlay.dentry.children(8, "", 9) == []
    assert dict(overlay.dentry.items()) == {(7, name): value for name, value in model.items()}
