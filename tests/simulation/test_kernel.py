"""The kernel's own promises: who dies loses memory and mail, who stands still gets everything
later, disks keep what was synced."""

from __future__ import annotations

from typing import Any

from clusterkit.journal import JournalRecord
from tests.simulation.faults import heal, plan, schedule
from tests.simulation.kernel import (
    MS,
    SECOND,
    CoreProcess,
    DiskJournal,
    Kernel,
    Process,
    ProcessDied,
)


class Echo(Process):
    def __init__(self, kernel: Kernel, name: str) -> None:
        super().__init__(kernel, name)
        self.heard: list[Any] = []
        self.boots = 0

    def boot(self) -> None:
        self.boots += 1

    def receive(self, source: str, message: Any) -> None:
        self.heard.append(message)

    def lose_memory(self) -> None:
        self.heard.append("†")


def two(seed: int = 1) -> tuple[Kernel, Echo, Echo]:
    kernel = Kernel(seed)
    one, other = Echo(kernel, "one"), Echo(kernel, "other")
    one.start()
    other.start()
    return kernel, one, other


def run(kernel: Kernel, us: int) -> None:
    kernel.run(kernel.now_us + us, lambda: None)


def test_messages_arrive_after_a_while() -> None:
    kernel, one, other = two()
    one.send("other", "hello")
    assert other.heard == []
    run(kernel, SECOND)
    assert other.heard == ["hello"]


def test_nothing_sent_to_a_dead_incarnation_reaches_the_next() -> None:
    kernel, one, other = two()
    one.send("other", "hello")
    other.later(SECOND, lambda: other.heard.append("timer"))
    other.crash()
    other.start()
    run(kernel, 2 * SECOND)
    assert other.heard == ["†"] and other.boots == 2


def test_a_paused_process_gets_everything_later_in_order() -> None:
    kernel, one, other = two()
    other.pause()
    for number in range(20):
        one.send("other", number)
        run(kernel, 5 * MS)
    assert other.heard == []
    other.resume()
    run(kernel, MS)
    assert other.heard == list(range(20))


def test_cut_links_are_cut_in_one_direction_and_heal() -> None:
    kernel, one, other = two()
    kernel.network.cuts.add(("one", "other"))
    one.send("other", "lost")
    other.send("one", "arrives")
    run(kernel, SECOND)
    heal(kernel)
    one.send("other", "arrives too")
    run(kernel, SECOND)
    assert (one.heard, other.heard) == (["arrives"], ["arrives too"])


def test_loss_and_duplication() -> None:
    kernel, one, other = two()
    kernel.network.loss, kernel.network.duplication = 0.3, 0.3
    for number in range(200):
        one.send("other", number)
    run(kernel, SECOND)
    assert 100 < len(set(other.heard)) < 180 < len(other.heard) + 40
    assert len(other.heard) > len(set(other.heard))
    assert other.heard != sorted(other.heard)


class Writer(CoreProcess):
    def boot(self) -> None:
        pass

    def receive(self, source: str, message: Any) -> None:
        raise AssertionError


def record(txid: int) -> JournalRecord:
    return JournalRecord(txid, 1, b"x")


def test_a_disk_keeps_what_was_synced_and_at_most_a_prefix_of_the_rest() -> None:
    kept = set()
    for seed in range(30):
        writer = Writer(Kernel(seed), "w")
        journal: DiskJournal = writer.journal
        journal.append([record(1), record(2)])
        journal.sync()
        journal.append([record(3), record(4)])
        journal.crash()
        txids = [r.txid for r in journal.read()]
        assert txids == [1, 2, 3, 4][: len(txids)] and len(txids) >= 2
        kept.add(len(txids))
    assert kept == {2, 3, 4}


def test_a_process_can_die_before_and_after_its_fsync() -> None:
    for point, durable in (("append", 0), ("fsync", 1)):
        writer = Writer(Kernel(3), "w")
        writer.start()
        writer.die_at(point)
        writer.journal.append([record(1)])
        try:
            writer.journal.sync()
        except ProcessDied:
            pass
        else:
            raise AssertionError("lives")
        assert len(writer.journal.durable) == durable


def test_equal_seeds_make_equal_plans_and_traces() -> None:
    def trace(seed: int) -> str:
        kernel, one, _other = two(seed)
        schedule(kernel, plan(kernel.stream("faults"), ["one", "other"], SECOND))
        for number in range(50):
            one.later(number * 20 * MS, lambda number=number: one.send("other", number))  # type: ignore[misc]
        run(kernel, 5 * SECOND)
        return kernel.trace()

    assert trace(4) == trace(4)
    assert len({trace(seed) for seed in range(10)}) == 10
