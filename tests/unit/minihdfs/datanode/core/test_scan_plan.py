"""The order and pace of the scrub."""

from __future__ import annotations

from minihdfs.datanode.core.scan_plan import Position, ScanOptions, ScanPlan

DAY = 24 * 3600 * 1_000_000
NOW = 1000 * DAY


def walk(plan: ScanPlan, ids: list[int], wall_us: int, until_us: int) -> list[tuple[int, int]]:
    """(when, which) as a scanner that obeys the plan would verify them."""
    seen = []
    while wall_us < until_us:
        block_id = plan.next(ids, wall_us)
        if block_id is not None:
            seen.append((wall_us, block_id))
            plan.verified(block_id)
        wall_us += max(1, plan.pause_us(ids, wall_us))
    return seen


def test_every_replica_is_verified_once_in_every_period() -> None:
    ids = list(range(0, 2000, 2))
    seen = walk(ScanPlan(ScanOptions(), Position()), ids, NOW, NOW + 21 * DAY)
    for week in range(3):
        begin, end = NOW + 7 * week * DAY, NOW + 7 * (week + 1) * DAY
        assert [block_id for at, block_id in seen if begin <= at < end] == ids


def test_a_restart_goes_on_where_the_pass_was() -> None:
    plan = ScanPlan(ScanOptions(), Position(3, NOW - DAY))
    assert plan.next([1, 2, 3, 4, 5], NOW) == 4


def test_nothing_is_read_between_two_passes_and_a_clock_set_back_does_not_stop_the_scrub() -> None:
    plan = ScanPlan(ScanOptions(), Position())
    assert plan.next([1], NOW) == 1
    plan.verified(1)
    assert plan.next([1], NOW + 1) is None
    assert plan.next([1], NOW + DAY) is None
    assert plan.pause_us([1], NOW + DAY) == 3600 * 1_000_000
    assert plan.next([1], NOW - 30 * DAY) == 1


def test_a_datanode_without_replicas_waits() -> None:
    plan = ScanPlan(ScanOptions(), Position())
    assert plan.next([], NOW) is None
    assert plan.pause_us([], NOW) == 3600 * 1_000_000
