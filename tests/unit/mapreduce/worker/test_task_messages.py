from __future__ import annotations

import pytest

from clusterkit.errors import CorruptRecord
from mapreduce.exchange import OutputLocation
from mapreduce.failures import FailureReport
from mapreduce.worker import task_messages as msg

MESSAGES = [
    msg.Progressed(0.5, "map", "é", {"job": {"n": 3}}),
    msg.Made([1, 2], [3, 4], result=b"\0\xff"),
    msg.MayCommit([msg.TaskFile(path="/p", file_id=1, length=2, crc32c=3, output=4)]),
    msg.Failing(FailureReport(kind="raised", message="no")),
    msg.FetchFailing(["m0"], "missing: it"),
]


def test_what_is_encoded_comes_back_however_it_is_cut() -> None:
    data = b"".join(msg.encode(message) for message in MESSAGES)
    for size in (1, 2, 3, 7, len(data)):
        frames = msg.Frames()
        found = [
            msg.decode_from_task(body)
            for at in range(0, len(data), size)
            for body in frames.feed(data[at : at + size])
        ]
        assert found == MESSAGES


def test_locations_come_back_as_what_the_plan_takes() -> None:
    location = OutputLocation(2, 1, "m1", "h", 2, 3, "w", True, 7)
    (body,) = msg.Frames().feed(msg.encode(msg.Locations([location])))
    assert msg.decode_to_task(body) == msg.Locations([location])


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"null", b'{"type":"order"}', b'{"type":"progressed"}', b"\xff", b"[" * 5_000],
)
def test_what_makes_no_sense_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptRecord):
        msg.decode_from_task(body)


@pytest.mark.parametrize("size", [-1, 1 << 63, "9"])
def test_sizes_that_cannot_be_are_refused(size: object) -> None:
    body = f'{{"type":"made","segment_bytes":[{size!r}],"segment_records":[]}}'.replace(
        "'", '"'
    ).encode()
    with pytest.raises(CorruptRecord):
        msg.decode_from_task(body)


def test_a_frame_that_says_it_is_huge_is_refused_before_it_is_held() -> None:
    with pytest.raises(CorruptRecord):
        list(msg.Frames().feed(b"\xff\xff\xff\xff"))


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"made","codec":65536}',
        b'{"type":"made","codec":-1}',
        b'{"type":"may_commit","files":[{"path":"/p","file_id":1,"length":1,"crc32c":1,"output":65536}]}',
    ],
)
def test_numbers_that_no_message_can_carry_are_refused(body: bytes) -> None:
    """What a task makes up must end the task, not the worker that has to pass it on."""
    with pytest.raises(CorruptRecord):
        msg.decode_from_task(body)
