"""Attempt ids have one spelling."""

from __future__ import annotations

import pytest

from mapreduce.model import AttemptId, is_of_job


def test_an_attempt_id_comes_back_as_it_was() -> None:
    for attempt in (
        AttemptId("job_20261122_3000001", 0, 3, 0),
        AttemptId("job_20261122_12345", 12, 1_234_567, 2001),
    ):
        assert AttemptId.parse(str(attempt)) == attempt
    assert str(AttemptId("job_20261122_3000001", 2, 3, 0)) == "attempt_20261122_3000001_s2_000003_0"
    assert is_of_job("attempt_20261122_3000001_s2_000003_0", "job_20261122_3000001")
    assert not is_of_job("attempt_20261122_30000010_s2_000003_0", "job_20261122_3000001")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "attempt",
        "attempt_20261122_3000001_s0_000003",
        "attempt_20261122_3000001_x0_000003_0",
        "attempt_20261122_3000001_s0_3_0",
        "attempt_20261122_3000001_s0_000003_00",
        "attempt_20261122_3000001_s0_000003_-1",
        "attempt_20261122_3000001_s0_00000٣_0",
        "Attempt_20261122_3000001_s0_000003_0",
        "attempt_20261122_3000001_s00_000003_0",
        "attempt_20261122_3000001_s-1_000003_0",
        "attempt_20261122_3000001_s_000003_0",
        f"attempt_20261122_3000001_s0_{'9' * 5000}_0",
    ],
)
def test_anything_else_is_no_attempt_id(text: str) -> None:
    assert AttemptId.parse(text) is None
