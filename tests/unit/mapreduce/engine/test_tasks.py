"""Whole tasks against an oracle: whatever the splits, reducers and spills, the output is that of a
plain sort and group, byte for byte."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce import Job
from mapreduce.engine import map_task
from mapreduce.engine.attempt import Segment
from mapreduce.engine.keys import encode
from mapreduce.failures import SegmentCorrupt, TaskFailed, UserCodeFailed
from mapreduce.formats.containers import BYTE_ORDER_MARK, recognise
from mapreduce.formats.text_output import line as output_line
from tests.unit.mapreduce.engine.running import run_job

KEYS: list[Any] = [
    "a",
    "b",
    "é",
    "\U0001f600",
    "ｚ",
    "",
    b"a",
    b"",
    b"\0",
    0,
    1,
    -1,
    255,
    256,
    -256,
    2**70,
    -(2**70),
    1.0,
    -0.0,
    0.0,
    True,
    False,
    None,
    Decimal("1.0"),
    Decimal(1),
    date(2026, 1, 1),
    ("a", 1),
    ("a",),
    (),
    ("a", None),
    "\n",
    "x\ny",
    b"\n",
]
VALUES: list[Any] = [1, 1, 1, 2, "x", "y\nz", b"b", None, 2**80, [1, 2], "\ud800x"]


def mapped(record: bytes) -> Iterator[tuple[Any, Any]]:
    """Some pairs of every kind, by what stands in the record."""
    for byte in record:
        yield KEYS[byte % len(KEYS)], VALUES[byte % len(VALUES)]


class Listing(Job):
    """Shows every value in its order."""

    def map(self, line: bytes) -> Iterator[tuple[Any, Any]]:
        yield from mapped(line)

    def reduce(self, key: Any, values: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        yield repr(key), ascii(list(values))


class Concatenating(Job):
    """An associative combine that does not commute: it shows the order in which values meet."""

    def map(self, line: bytes) -> Iterator[tuple[Any, Any]]:
        for key, value in mapped(line):
            yield key, ascii(value)

    def reduce(self, key: Any, values: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        yield key, "".join(values)

    combine = reduce


class Counting(Job):
    def map(self, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            self.counter("words").inc()
            yield word, 1

    def reduce(self, key: str, values: Iterator[int]) -> Iterator[tuple[str, int]]:
        yield key, sum(values)

    combine = reduce


def records_of(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    last = lines.pop()
    return [line.removesuffix(b"\r") for line in lines] + ([last] if last else [])


def canonical(key: Any) -> Any:
    return 0.0 if key == 0 and type(key) is float else key


def oracle(data: bytes, reducers: int) -> list[list[tuple[Any, list[Any]]]]:
    groups: dict[bytes, tuple[Any, list[Any]]] = {}
    for record in records_of(data):
        for key, value in mapped(record):
            groups.setdefault(encode(key), (canonical(key), []))[1].append(value)
    parts: list[list[tuple[Any, list[Any]]]] = [[] for _ in range(reducers)]
    for encoding in sorted(groups):
        parts[zlib.crc32(encoding) % reducers].append(groups[encoding])
    return parts


texts = st.lists(st.sampled_from(["a", "b", "ab a", "é  日 é", "", "x\r"])).map("\n".join)
inputs = st.lists(st.binary(max_size=12), max_size=20).map(b"\n".join) | st.text(
    alphabet="ab\r\n", max_size=60
).map(str.encode)
inputs = inputs.filter(
    lambda data: not recognise(data) and not data.startswith(BYTE_ORDER_MARK)
)  # those are not read as they are


@settings(max_examples=150, deadline=None)
@given(inputs, st.lists(st.integers(0, 200), max_size=5), st.integers(1, 4), st.integers(0, 3))
def test_output_is_that_of_a_plain_sort_and_group(
    data: bytes, cuts: list[int], reducers: int, spill_every: int
) -> None:
    cuts = [cut for cut in cuts if cut <= len(data)]
    expected = oracle(data, reducers)
    parts, totals = run_job(Listing, data, cuts, reducers=reducers, spill_every=spill_every)
    assert parts == [
        b"".join(output_line(repr(key), ascii(values)) for key, values in part) for part in expected
    ]
    groups = sum(map(len, expected))
    assert totals["job"]["map_input_records"] == len(records_of(data))
    assert (
        totals["job"].get("reduce_input_groups") == groups == totals["job"]["reduce_output_records"]
    )
    combined, _totals = run_job(
        Concatenating, data, cuts, reducers=reducers, spill_every=spill_every
    )
    assert combined == [
        b"".join(output_line(key, "".join(map(ascii, values))) for key, values in part)
        for part in expected
    ]


@settings(max_examples=50, deadline=None)
@given(texts, st.lists(st.integers(0, 60), max_size=4), st.integers(0, 2))
def test_counting_words(text: str, cuts: list[int], spill_every: int) -> None:
    data = text.encode()
    parts, totals = run_job(
        Counting, data, [cut for cut in cuts if cut <= len(data)], spill_every=spill_every
    )
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    rows = [row.split("\t") for part in parts for row in part.decode().splitlines()]
    assert {word: int(n) for word, n in rows} == counts
    assert len(rows) == len(counts)
    assert (
        totals.get("Counting", {}).get("words", 0)
        == totals["job"]["map_output_records"]
        == sum(counts.values())
    )


def test_counting_turns_into_lists_where_a_pair_differs() -> None:
    class Mixed(Job):
        def map(self, line: str) -> Iterator[tuple[Any, Any]]:
            yield (int(line) if line.isdigit() else line), (2 if line == "b" else 1)

        def reduce(self, key: Any, values: Iterator[int]) -> Iterator[tuple[Any, Any]]:
            yield key, list(values)

    parts, _ = run_job(Mixed, b"a\na\nb\na\n7\nb\na\n", reducers=1)
    assert parts == [b"7\t[1]\na\t[1, 1, 1, 1]\nb\t[2, 2]\n"]


def test_without_reduce_pairs_are_written_in_key_order() -> None:
    class Sorting(Job):
        def map(self, line: str) -> Iterator[tuple[str, None]]:
            yield line, None

    parts, _ = run_job(Sorting, b"b\na\nc\nb\n", [3], reducers=1)
    assert parts == [b"a\nb\nb\nc\n"]


def test_map_only_writes_what_map_yields() -> None:
    class Upper(Job):
        def map(self, line: bytes) -> Iterator[tuple[Any, Any]]:
            yield None, line.upper()
            yield line, b"\xff"
            yield None, None

    parts, totals = run_job(Upper, b"b\xe9\na", [1], reducers=0)
    assert parts == [b"B\xe9\nb\xe9\t\xff\n\n", b"A\na\t\xff\n\n"]
    assert totals["job"] == {"map_input_records": 2, "map_input_bytes": 4, "map_output_records": 6}


def test_many_runs_and_heavy_keys_merge_in_order() -> None:
    class Heavy(Job):
        def map(self, line: str) -> Iterator[tuple[str, int]]:
            number = int(line)
            yield "heavy", number
            yield f"k{number % 5000:05}", number

        def reduce(self, key: str, values: Iterator[int]) -> Iterator[tuple[str, Any]]:
            got = list(values)
            assert got == sorted(got)
            yield key, len(got)

    data = "".join(f"{n}\n" for n in range(60_000)).encode()
    parts, totals = run_job(Heavy, data, [100_000, 200_000, 300_000], spill_every=2)
    assert totals["job"]["reduce_input_records"] == 120_000
    assert totals["job"]["reduce_input_groups"] == 5001
    assert totals["job"]["spilled_records"] > 100_000
    assert b"heavy\t60000\n" in b"".join(parts)


def test_more_segments_than_one_merge_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.engine.reduce_task.FAN_IN", 3)
    monkeypatch.setattr("mapreduce.engine.reduce_task.IN_MEMORY_BYTES", 0)
    data = b"".join(bytes([65 + i % 26, 10]) for i in range(300))
    assert run_job(Listing, data, range(0, 600, 20))[0] == run_job(Listing, data)[0]


# What goes wrong.


def failure_of(job: type[Job], data: bytes, **how: Any) -> Any:
    with pytest.raises(UserCodeFailed) as caught:
        run_job(job, data, **how)
    return caught.value.report


def test_a_map_that_raises_names_the_record() -> None:
    class Numbers(Job):
        def map(self, line: str) -> Iterator[tuple[int, int]]:
            yield int(line), 1

    report = failure_of(Numbers, b"1\r\n2\nd\xc3\xa9j\xc3\xa0\n4\n", cuts=[2])
    assert (report.kind, report.path, report.offset, report.record) == ("raised", "/in", 5, "déjà")
    assert report.message.startswith("ValueError: invalid literal for int()")
    assert report.traceback.count("File ") == 1
    assert "in map" in report.traceback
    assert "map_task.py" not in report.traceback
    assert "map_task.py" in report.engine_traceback


def test_a_long_record_is_cut_in_the_report() -> None:
    class Failing(Job):
        def map(self, line: bytes) -> Iterator[tuple[int, int]]:
            raise KeyError("x" * 5000)

    report = failure_of(Failing, b"y" * 5000)
    assert len(report.record) == 200
    assert len(report.message) < 1100


@pytest.mark.parametrize(
    ("yielded", "kind", "said"),
    [
        ([(object(), 1)], "bad_key", "a object cannot be a key"),
        ([({"a"}, 1)], "bad_key", "a set cannot be a key"),
        ([("\ud800", 1)], "bad_key", "lone surrogate"),
        (None, "raised", "map gave a NoneType object"),
        (7, "raised", "map gave a int object"),
        ([7], "raised", "map gave a int object"),
        ([(1, 2, 3)], "raised", "not a (key, value) pair"),
        ([("k", lambda: 1)], "bad_record", "a value of type function cannot travel"),
    ],
)
def test_what_map_yields_is_checked(yielded: Any, kind: str, said: str) -> None:
    class Yielding(Job):
        def map(self, line: str) -> Any:
            return yielded

    report = failure_of(Yielding, b"record\n")
    assert report.kind == kind
    assert said in report.message
    assert report.traceback == ""
    if kind != "bad_record" and "surrogate" not in said:
        assert (report.path, report.offset, report.record) == ("/in", 0, "record")


def test_a_combine_keeps_its_key() -> None:
    class Changing(Counting):
        def combine(self, key: str, values: Iterator[int]) -> Iterator[tuple[str, int]]:  # type: ignore[override]
            yield key + "!", 1

    report = failure_of(Changing, b"a\n")
    assert "combine was given the key 'a' and yielded 'a!'" in report.message
    assert report.record == "key 'a'"


def test_a_reduce_that_raises_names_the_key() -> None:
    class Dividing(Counting):
        def reduce(self, key: str, values: Iterator[int]) -> Iterator[tuple[str, int]]:
            yield key, 1 // 0

        combine = Counting.reduce

    report = failure_of(Dividing, b"a\n")
    assert (report.kind, report.message, report.record) == (
        "raised",
        "ZeroDivisionError: integer division or modulo by zero",
        "key 'a'",
    )


def test_exit_is_a_failure() -> None:
    class Exiting(Job):
        def map(self, line: str) -> Any:
            raise SystemExit(3)

    report = failure_of(Exiting, b"a\n")
    assert (report.kind, report.message) == ("exited", "exited with status 3")


def test_text_that_is_not_utf8_names_the_record_unless_it_is_replaced() -> None:
    data = b"fine\nb\xe9d one\r\nfine\n"
    report = failure_of(Counting, data)
    assert (report.kind, report.offset, report.record) == ("bad_record", 5, "b\\xe9d one")
    assert "byte 0xe9 at 6" in report.message

    class Replacing(Counting):
        encoding_errors = "replace"

    parts, _ = run_job(Replacing, data, reducers=1)
    assert parts == ["b\ufffdd\t1\nfine\t2\none\t1\n".encode()]


def test_damage_to_a_segment_is_noticed_and_names_the_map() -> None:
    data = b"a b c d e f g h\n" * 10

    def cut_short(segment: Segment) -> Segment:
        return replace(segment, length=segment.length - 3) if segment.task == 1 else segment

    def other_bytes(segment: Segment) -> Segment:
        return replace(segment, offset=segment.offset - 1) if segment.task == 1 else segment

    def other_sum(segment: Segment) -> Segment:
        return replace(segment, crc32c=segment.crc32c ^ 1) if segment.task == 1 else segment

    for damage in (cut_short, other_bytes, other_sum):
        with pytest.raises(SegmentCorrupt) as caught:
            run_job(Counting, data, [80], damage=damage)
        assert caught.value.task == 1


def test_damage_that_the_job_swallows_still_fails_the_task() -> None:
    class Swallowing(Job):
        def map(self, line: str) -> Iterator[tuple[str, str]]:
            yield "k", "v" * 1000

        def reduce(self, key: str, values: Iterator[str]) -> Iterator[tuple[str, int]]:
            count = 0
            try:
                for _ in values:
                    count += 1
            except Exception:  # what this test is about
                pass
            yield key, count

    def damage(segment: Segment) -> Segment:
        return replace(segment, crc32c=segment.crc32c ^ 1)

    with pytest.raises(SegmentCorrupt):
        run_job(Swallowing, b"x\n" * 5000, reducers=1, damage=damage)


def test_a_storage_error_is_not_the_users() -> None:
    class Fine(Counting):
        pass

    with pytest.raises(TaskFailed) as caught:
        run_job(Fine, b"a\n" * 100, damage=lambda segment: replace(segment, path="/no/such/file"))
    assert not isinstance(caught.value, UserCodeFailed)
    assert caught.value.report.kind == "storage"


def test_a_silent_map_reports_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Silent(Job):
        def setup(self) -> None:
            self.context.status("warming up")

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            if line == "200":
                self.context.status(f"at {self.context.offset} of {self.context.input_path}")
            return iter(())

    monkeypatch.setattr(map_task, "no_progress", lambda p: heard.append(p.status), raising=False)
    monkeypatch.setattr(
        "tests.unit.mapreduce.engine.running.no_progress", lambda p: heard.append(p.status)
    )
    run_job(Silent, "".join(f"{n}\n" for n in range(300)).encode())
    assert heard[0] == "warming up"
    assert heard[-1] == "at 690 of /in"


def test_a_report_is_utf8_whatever_the_job_says() -> None:
    class Odd(Job):
        def map(self, line: str) -> Iterator[tuple[str, int]]:
            raise ValueError("odd \ud800 text")

    report = failure_of(Odd, b"x\n")
    assert report.message == "ValueError: odd \\ud800 text"
    assert type(report).from_json(report.to_json()) == report


def test_a_class_that_breaks_its_own_message() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    class Odd(Job):
        def map(self, line: str) -> Iterator[tuple[str, int]]:
            raise Broken

    assert failure_of(Odd, b"x\n").message.endswith("Broken: (its message cannot be shown)")


def test_teardown_and_setup_run_once_per_task() -> None:
    class Hooks(Job):
        def setup(self) -> None:
            self.counter("up").inc()

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            yield line, 1

        def teardown(self) -> None:
            self.counter("down").inc()

    _parts, totals = run_job(Hooks, b"a\nb\n", [2], reducers=3)
    assert totals["Hooks"] == {"up": 5, "down": 5}
