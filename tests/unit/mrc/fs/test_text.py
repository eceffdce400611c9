"""The shapes in which facts are written."""

from __future__ import annotations

import pytest

from minihdfs.model import FileStatus
from mrc.fs.text import facts_of, minute_text, permission_text, rfc3339, second_text, size_text


@pytest.mark.parametrize(
    ("permission", "text"),
    [
        (0o644, "rw-r--r--"),
        (0o755, "rwxr-xr-x"),
        (0, "---------"),
        (0o1777, "rwxrwxrwt"),
        (0o1776, "rwxrwxrwT"),
    ],
)
def test_permissions(permission: int, text: str) -> None:
    assert permission_text(permission) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1.0 K"),
        (1536, "1.5 K"),
        (64 << 20, "64.0 M"),
        (3 << 40, "3.0 T"),
        (1 << 70, "1024.0 E"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert size_text(size, human=True) == text
    assert size_text(size, human=False) == str(size)


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (-1000, "1969-12-31T23:59:59.000Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "+10000-01-01T00:00:00.000Z"),
        (-62_135_596_800_001, "0000-12-31T23:59:59.999Z"),
        (-62_198_755_200_000, "-0001-01-01T00:00:00.000Z"),
        (2**63 - 1, "+292278994-08-17T07:12:55.807Z"),
        (-(2**63), "-292275055-05-16T16:47:04.192Z"),
    ],
)
def test_every_time_that_the_wire_can_carry_is_shown(millis: int, text: str) -> None:
    assert rfc3339(millis * 1000) == text
    assert second_text(millis * 1000) == text[: text.index(".")].replace("T", " ")
    assert len(minute_text(millis * 1000).rpartition("-")[2]) == len("01 00:00")


def test_times_are_utc_and_facts_are_complete() -> None:
    assert second_text(1_700_000_000_123_000) == "2023-11-14 22:13:20"
    assert rfc3339(1_700_000_000_123_000) == "2023-11-14T22:13:20.123Z"
    facts = facts_of("/f", FileStatus(7, b"", False, 5, 2, 1024, 0o640, "ann", "staff", 0, 0))
    assert (
        facts["path"],
        facts["type"],
        facts["length"],
        facts["replication"],
        facts["permission"],
    ) == ("/f", "file", 5, 2, "0640")
