"""Attempt ids have one spelling."""

from __future__ import annotations

import pytest

from mapreduce.jobtracker.core.model import MAP, REDUCE, AttemptId, TaskId


def test_an_attempt_id_comes_back_as_it_was() -> None:
    for attempt in (
        AttemptId("job_20261122_3000001", MAP, 3, 0),
        AttemptId("job_20261122_12345", REDUCE, 1_234_567, 2001),
    ):
        assert AttemptId.parse(str(attempt)) == attempt
    assert (
        str(AttemptId("job_20261122_3000001", MAP, 3, 0)) == "attempt_20261122_3000001_m_000003_0"
    )
    assert str(TaskId(MAP, 3)) == "map/3"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "attempt",
        "attempt_20261122_3000001_m_000003",
        "attempt_20261122_3000001_x_000003_0",
        "attempt_20261122_3000001_m_3_0",
        "attempt_20261122_3000001_m_000003_00",
        "attempt_20261122_3000001_m_000003_-1",
        "attempt_20261122_3000001_m_00000٣_0",
        "Attempt_20261122_3000001_m_000003_0",
        f"attempt_20261122_3000001_m_{'9' * 5000}_0",
    ],
)
def test_anything_else_is_no_attempt_id(text: str) -> None:
    assert AttemptId.parse(text) is None
