"""Who is served next, by order and counts alone."""

from __future__ import annotations

from collections import Counter

import pytest

from minihdfs.namenode.fair_queue import LENT, FairQueue


def serve(queue: FairQueue[str], times: int, cost: int = 100) -> list[str]:
    """Serves `times` members that always have more to ask."""
    served = []
    for _ in range(times):
        served.append(queue.pop())
        queue.done(cost, True)
    return served


def test_members_take_turns_one_call_each() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(3):
        queue.add(("host", "user", number), f"c{number}")
    assert serve(queue, 7) == ["c0", "c1", "c2", "c0", "c1", "c2", "c0"]


def test_who_asks_little_is_next_however_many_connections_others_have() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(1000):
        queue.add(("host", "flooder", number), "flood")
    serve(queue, 5000)
    for _ in range(20):
        queue.add(("host", "polite", 0), "polite")
        served = []
        while "polite" not in served:
            served.append(queue.pop())
            queue.done(100, served[-1] == "flood")
        assert len(served) <= 2
        serve(queue, 50)


def test_a_thousand_names_of_one_host_get_no_more_than_another_host() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(1000):
        queue.add(("bad", f"user{number}", number), "bad")
    queue.add(("good", "user", 0), "good")
    assert Counter(serve(queue, 1000))["good"] == 500


def test_shares_are_of_time_not_of_calls() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add(("a", "u", 0), "dear")
    queue.add(("b", "u", 0), "cheap")
    spent: Counter[str] = Counter()
    for _ in range(1100):
        who = queue.pop()
        cost = 1000 if who == "dear" else 100
        spent[who] += cost
        queue.done(cost, True)
    assert abs(spent["dear"] - spent["cheap"]) <= 1000


@pytest.mark.parametrize("times", [1_000, 10_000])
def test_coming_and_going_wins_no_more_than_is_lent_once(times: int) -> None:
    """One who leaves after each call and comes again has not forgotten what it took."""
    queue: FairQueue[str] = FairQueue()
    queue.add(("a", "u", 0), "stays")
    queue.add(("b", "u", 0), "comes and goes")
    served: Counter[str] = Counter()
    for _ in range(times):
        who = queue.pop()
        served[who] += 1
        queue.done(100, who == "stays")
        if who != "stays":
            queue.add(("b", "u", 0), who)
    assert 0 <= (served["comes and goes"] - served["stays"]) * 100 <= LENT


def test_a_cheap_call_does_not_wait_for_a_hundred_dear_ones_after_the_last() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(100):
        queue.add(("host", f"dear{number}", number), "dear")
    for number in range(1_000):
        queue.pop()
        queue.done(4_000 + 37 * number % 2_000, True)
    for _ in range(20):  # its calls are more than a hundredth of the time
        queue.add(("host", "cheap", 0), "cheap")
        served = []
        while "cheap" not in served:
            served.append(queue.pop())
            queue.done(100 if served[-1] == "cheap" else 5_000, served[-1] == "dear")
        assert len(served) <= 2


def test_nothing_is_kept_of_those_that_left() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(20_000):
        queue.add((f"h{number}", "u", number), "x")
        queue.pop()
        queue.done(1, False)
    assert len(queue) == 0
    assert not queue._root.members
    assert len(queue._root._debts) <= 1025
