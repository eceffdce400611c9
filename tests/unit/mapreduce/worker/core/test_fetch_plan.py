from __future__ import annotations

import random

from mapreduce.exchange import Input, OutputLocation
from mapreduce.model import ALL, PART, SAME
from mapreduce.worker.core.fetch_plan import (
    CORRUPT,
    MISSING,
    UNREACHABLE,
    Fetch,
    FetchOptions,
    FetchPlan,
    Want,
    wants,
)


def location(index: int, attempt: int = 0, host: str = "h1", lost: bool = False) -> OutputLocation:
    name, worker = f"m{index}_{attempt}", f"worker at {host}"
    return OutputLocation(0, index, name, host, 1, 10, worker, lost)


def plan(
    maps: int, *known: OutputLocation, partition: int = 0, per_host: int = 2, total: int = 8
) -> FetchPlan:
    reads = [Want(0, 0, index, partition) for index in range(maps)]
    made = FetchPlan(reads, partition, FetchOptions(per_host=per_host, total=total))
    for one in known:
        made.locate(one)
    return made


def names(fetches: list[Fetch]) -> list[str]:
    return [fetch.attempt_id for fetch in fetches]


def test_at_most_so_many_from_one_host_and_in_all() -> None:
    made = plan(9, *(location(i, host=f"h{i % 3}") for i in range(9)), per_host=2, total=5)
    begun = made.next_fetches(0)
    assert len(begun) == 5
    assert max(sum(f.host == host for f in begun) for host in ("h0", "h1", "h2")) == 2
    assert made.next_fetches(0) == []


def test_partitions_begin_with_different_hosts() -> None:
    first = [
        plan(4, *(location(i, host=f"h{i}") for i in range(4)), partition=p, total=1)
        .next_fetches(0)[0]
        .host
        for p in range(4)
    ]
    assert first == ["h0", "h1", "h2", "h3"]


def test_done_when_every_map_has_arrived_once() -> None:
    made = plan(2, location(0), location(1))
    for fetch in made.next_fetches(0):
        assert not made.is_done()
        assert made.arrived(fetch.ticket)
        assert not made.arrived(fetch.ticket)
    assert made.is_done()
    assert made.sources() == {0: "m0_0", 1: "m1_0"}


def test_a_new_attempt_replaces_one_that_is_under_way_and_its_bytes_are_refused() -> None:
    made = plan(1, location(0))
    old = made.next_fetches(0)[0]
    made.locate(location(0, attempt=1, host="h2"))
    assert not made.under_way(old.ticket)
    assert not made.arrived(old.ticket)
    new = made.next_fetches(0)[0]
    assert (new.attempt_id, new.host) == ("m0_1", "h2")
    assert made.arrived(new.ticket)
    assert made.sources() == {0: "m0_1"}


def test_what_has_arrived_stays_whatever_comes_later() -> None:
    made = plan(1, location(0))
    made.arrived(made.next_fetches(0)[0].ticket)
    made.locate(location(0, lost=True))
    made.locate(location(0, attempt=1))
    assert made.is_done() and made.next_fetches(0) == []


def test_a_lost_output_is_not_fetched_until_there_is_another() -> None:
    made = plan(1, location(0), location(0, lost=True))
    assert made.next_fetches(0) == []
    assert made.next_deadline(0) is None
    made.locate(location(0, attempt=1))
    assert names(made.next_fetches(0)) == ["m0_1"]


def test_losing_an_older_attempt_does_not_take_back_the_newer() -> None:
    made = plan(1, location(0, attempt=1), location(0, attempt=0, lost=True))
    assert names(made.next_fetches(0)) == ["m0_1"]


def test_hearing_the_same_place_again_does_not_disturb_a_fetch() -> None:
    made = plan(1, location(0))
    fetch = made.next_fetches(0)[0]
    made.locate(location(0))
    assert made.arrived(fetch.ticket)


def test_missing_is_complained_about_at_once() -> None:
    made = plan(1, location(0))
    complaint = made.failed(made.next_fetches(0)[0].ticket, MISSING, "h1 holds no m0_0", 0)
    assert complaint is not None and complaint.sources == ("m0_0",)
    assert complaint.reason.startswith("missing: ")


def test_corrupt_bytes_are_fetched_once_more_first() -> None:
    made = plan(1, location(0))
    assert made.failed(made.next_fetches(0)[0].ticket, CORRUPT, "crc", 0) is None
    again = made.next_fetches(0)
    assert names(again) == ["m0_0"]
    complaint = made.failed(again[0].ticket, CORRUPT, "crc", 0)
    assert complaint is not None and complaint.reason.startswith("corrupt: ")


def test_an_unreachable_host_is_left_alone_as_a_whole_then_complained_about() -> None:
    made = plan(3, *(location(i) for i in range(3)), per_host=1)
    assert made.failed(made.next_fetches(0)[0].ticket, UNREACHABLE, "refused", 0) is None
    assert made.next_fetches(0) == []
    retry_us = made.next_deadline(0)
    assert retry_us == 100_000
    complaint = made.failed(made.next_fetches(retry_us)[0].ticket, UNREACHABLE, "refused", retry_us)
    assert complaint is not None and sorted(complaint.sources) == ["m0_0", "m1_0", "m2_0"]
    assert made.next_deadline(retry_us) == retry_us + 200_000


def test_a_host_that_answers_again_is_forgiven() -> None:
    made = plan(2, location(0), location(1), per_host=1)
    made.failed(made.next_fetches(0)[0].ticket, UNREACHABLE, "refused", 0)
    fetch = made.next_fetches(100_000)[0]
    assert made.arrived(fetch.ticket)
    assert len(made.next_fetches(100_000)) == 1


def test_nonsense_locations_are_ignored() -> None:
    made = plan(1, location(5), location(-1))
    assert made.next_fetches(0) == []


def test_any_order_of_news_failures_and_arrivals_ends_with_one_whole_attempt_of_each_map() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        made, now, attempts = plan(6, partition=seed % 3), 0, dict.fromkeys(range(6), 0)
        under_way: list[Fetch] = []
        for _ in range(400):
            choice = rng.random()
            index = rng.randrange(6)
            if choice < 0.2:
                made.locate(location(index, attempts[index], f"h{rng.randrange(3)}"))
            elif choice < 0.3:
                made.locate(location(index, attempts[index], lost=True))
                attempts[index] += 1
            elif choice < 0.6:
                under_way += made.next_fetches(now)
            elif under_way:
                fetch = under_way.pop(rng.randrange(len(under_way)))
                if rng.random() < 0.5:
                    made.failed(
                        fetch.ticket, rng.choice([MISSING, CORRUPT, UNREACHABLE]), "why", now
                    )
                elif made.arrived(fetch.ticket):
                    assert made.sources()[fetch.item] == fetch.attempt_id
            made.check_invariants()
            now += rng.randrange(300_000)
        for index in range(6):
            made.locate(location(index, attempts[index], "h9"))
        while not made.is_done():
            for fetch in [*under_way, *made.next_fetches(now)]:
                made.arrived(fetch.ticket)
            under_way = []
            now += 1_000_000
        assert len(made.sources()) == 6


def edge(kind: str, stage: int = 0, *, first: int = 0, position: int = 0) -> Input:
    return Input(edge=position, tag=0, stage=stage, kind=kind, first=first, tasks=3, partitions=2)


def test_what_each_kind_of_edge_reads_in_the_order_of_merging() -> None:
    assert list(wants([edge(PART, first=4)], 1)) == [Want(0, 0, task, 5) for task in range(3)]
    assert list(wants([edge(SAME)], 1)) == [Want(0, 0, 1, 0), Want(0, 0, 1, 1)]
    every = [(task, cut) for task in range(3) for cut in range(2)]
    both = list(wants([edge(ALL), edge(PART, 7, position=1)], 0))
    assert both[:6] == [Want(0, 0, task, cut) for task, cut in every]
    assert both[6:] == [Want(1, 7, task, 0) for task in range(3)]


def test_one_output_may_be_read_by_several_cuts_and_is_complained_about_once() -> None:
    made = FetchPlan([Want(0, 0, 0, 0), Want(1, 0, 0, 3)], 0, FetchOptions())
    made.locate(location(0))
    first, second = made.next_fetches(0)
    assert {first.partition, second.partition} == {0, 3}
    assert made.failed(first.ticket, UNREACHABLE, "refused", 0) is None
    complaint = made.failed(second.ticket, UNREACHABLE, "refused", 0)
    assert complaint is not None and complaint.sources == ("m0_0",)


def test_outputs_of_other_stages_are_not_taken_for_those_that_are_read() -> None:
    made = plan(1)
    made.locate(OutputLocation(4, 0, "x", "h1", 1, 10, "w"))
    assert made.next_fetches(0) == []
