"""The retry table: bounded by time and number, the same after every replay."""

from __future__ import annotations

from clusterkit.effects import Edit
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.overlay import Overlay
from minihdfs.namenode.core.records import Counters
from minihdfs.namenode.core.retries import Retries
from minihdfs.namenode.store_memory import MemoryStore

OPTIONS = Options("c1", "root", retry_keep_us=100, retry_entries_max=3)


def edit(txid: int, wall_us: int, client: bytes = b"c", answer: object = True) -> Edit:
    return Edit(txid, 1, wall_us, None, client, txid, answer)


def known(retries: Retries) -> list[int]:
    return sorted(call for _client, call in retries.answers())


def test_only_calls_with_a_client_and_an_answer_are_remembered() -> None:
    retries = Retries(Overlay(MemoryStore(), 10), OPTIONS)
    retries.remember(edit(1, 0, client=b""))
    retries.remember(edit(2, 0, answer=None))
    retries.remember(edit(3, 0))
    assert known(retries) == [3]
    found = retries.find(Caller(None, "u", (), b"c", 3))
    assert found is not None and found.answer is True
    assert retries.find(Caller(None, "u", (), b"d", 3)) is None
    assert retries.find(Caller(None, "u", (), b"", 3)) is None


def test_old_ones_are_forgotten_by_the_time_of_later_edits() -> None:
    retries = Retries(Overlay(MemoryStore(), 10), OPTIONS)
    retries.remember(edit(1, 0))
    retries.remember(edit(2, 50))
    retries.remember(edit(3, 99, answer=None))
    assert known(retries) == [1, 2]
    retries.remember(edit(4, 100, answer=None))
    assert known(retries) == [2]


def test_the_number_is_bounded() -> None:
    retries = Retries(Overlay(MemoryStore(), 10), OPTIONS)
    for txid in range(1, 10):
        retries.remember(edit(txid, 0))
    assert known(retries) == [7, 8, 9]


def test_the_store_gives_the_same_table_in_the_same_order() -> None:
    overlay = Overlay(MemoryStore(), 10)
    retries = Retries(overlay, OPTIONS)
    for txid in range(1, 4):
        retries.remember(edit(txid, txid, client=bytes([9 - txid])))
    batch = overlay.freeze(Counters(txid=3))
    assert batch is not None
    overlay.store.write(batch)
    again = Retries(Overlay(overlay.store, 10), OPTIONS)
    assert again.answers() == retries.answers()
    for table in (retries, again):
        table.remember(edit(4, 5))
    assert again.answers() == retries.answers() and known(again) == [2, 3, 4]
