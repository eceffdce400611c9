"""What a user's methods may do without changing anybody's result but their own: raise anything,
yield anything, hold and change objects."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, repeat, starmap
from typing import Any

import pytest

from mapreduce import Job
from mapreduce.api.counters import Totals, add_totals
from mapreduce.engine import task_run
from mapreduce.engine.attempt import Progress
from mapreduce.engine.pulse import Moves, Pulse
from mapreduce.failures import UserCodeFailed
from mapreduce.jobtracker.core.records import JobRecord
from mapreduce.wire.nouns import counters_of
from tests.equipment.until import until
from tests.unit.mapreduce.engine.running import run_job


def failure_of(job: type[Job], data: bytes = b"a\nb\n", **how: Any) -> Any:
    with pytest.raises(UserCodeFailed) as caught:
        run_job(job, data, **how)
    return caught.value.report


class Base(Job):
    def map(self, line: str) -> Any:
        yield line, 1

    def reduce(self, key: str, values: Iterator[Any]) -> Any:
        yield key, sum(values)


def with_method(name: str, function: Any) -> type[Job]:
    """A job whose method `name` calls `function` with whatever it is given."""
    if name == "map":

        def map(self: Any, line: str) -> Any:
            return function(self, line)

        return type("Odd", (Base,), {"map": map})
    return type("Odd", (Base,), {name: function})


# ── what is raised ────────────────────────────────────────────────────────────────────────────────


class BadStop:
    def __iter__(self) -> Iterator[Any]:
        raise StopIteration

    def __reduce__(self) -> Any:
        raise StopIteration

    def __str__(self) -> str:
        raise StopIteration


class Unsound:
    def __getstate__(self) -> Any:
        return {"a": 1}

    def __setstate__(self, state: Any) -> None:
        raise StopIteration


def stop(*_arguments: Any) -> Any:
    return next(iter(()))


@pytest.mark.parametrize("method", ["setup", "map", "combine", "reduce", "teardown"])
def test_a_stop_iteration_is_an_error_and_loses_no_record(method: str) -> None:
    job = with_method(method, stop)
    report = failure_of(job)
    assert (report.kind, report.message) == (
        "raised",
        f"RuntimeError: {method} raised StopIteration",
    )
    assert "in stop" in report.traceback
    if method == "map":
        assert (report.path, report.offset, report.record) == ("/in", 0, "a")
    elif method in ("combine", "reduce"):
        assert report.record.startswith("key '")


def lines_of(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def key_or_stop(line: str) -> str:
    return line if line != "broken" else stop()  # type: ignore[no-any-return]


def pair_or_stop(line: str) -> tuple[str, int]:
    return key_or_stop(line), 1


def not_broken(pair: tuple[str, int]) -> bool:
    return bool(key_or_stop(pair[0]))


@pytest.mark.parametrize(
    "returned",
    [
        lambda lines: map(pair_or_stop, lines),
        lambda lines: filter(not_broken, zip(lines, repeat(1))),
        lambda lines: zip(map(key_or_stop, lines), repeat(1)),
        lambda lines: starmap(pair_or_stop, zip(lines, strict=True)),
        lambda lines: islice(map(pair_or_stop, lines), 9),
    ],
)
@pytest.mark.parametrize("method", ["map", "combine", "reduce"])
def test_a_stop_iteration_in_the_function_of_a_map_or_filter_is_an_error(
    method: str, returned: Any
) -> None:
    def lazy(_self: Any, first: str, *_values: Any) -> Any:
        return returned([first, "broken"] if first == "broken" else [])

    report = failure_of(with_method(method, lazy), lines_of("a", "broken", "c"))
    assert report.message == f"RuntimeError: {method} raised StopIteration"
    assert "in stop" in report.traceback
    assert report.record == ("broken" if method == "map" else "key 'broken'")


def test_an_iterator_that_comes_to_its_end_is_no_error() -> None:
    class Own:
        def __init__(self, line: str) -> None:
            self.rest = [line, line]

        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            if not self.rest:
                raise StopIteration
            return self.rest.pop()

    class Ended(Base):
        def map(self, line: str) -> Any:
            return {
                "a": lambda: map(pair_or_stop, Own(line)),
                "b": lambda: zip(Own(line), [1, 1, 1], strict=False),
                "c": lambda: filter(None, zip(Own(line), (1 for _ in range(2)), strict=True)),
                "d": lambda: iter([(line, 1), (line, 1)]),
            }[line]()

    assert run_job(Ended, lines_of("a", "b", "c", "d"), reducers=1)[0] == [
        b"a\t2\nb\t2\nc\t2\nd\t2\n"
    ]


def test_a_stop_iteration_of_an_iterable_or_a_value_is_an_error() -> None:
    class Iterable_(Base):
        def map(self, line: str) -> Any:
            return BadStop()

    class Travelling(Base):
        def map(self, line: str) -> Any:
            yield line, BadStop()

    class Written(Base):
        reducers = 0

        def map(self, line: str) -> Any:
            yield line, BadStop()

    class Coming(Base):
        def map(self, line: str) -> Any:
            yield line, Unsound()

        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            yield key, len(list(values))

    class Swallowing(Coming):
        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            try:
                yield key, len(list(values))
            except Exception:  # what this test is about
                yield key, 0

    assert "StopIteration" in failure_of(Iterable_).message
    assert failure_of(Travelling).message.startswith(
        "a value of type BadStop cannot travel to a reducer"
    )
    assert failure_of(Travelling).record == "a"
    assert failure_of(Written, reducers=0).message.startswith(
        "a value of type BadStop cannot be written as text"
    )
    for job in (Coming, Swallowing):
        assert (
            failure_of(job).message == "a value does not come back from pickling: StopIteration: "
        )


@pytest.mark.parametrize(
    "error", [GeneratorExit, SystemExit, MemoryError, RecursionError, BaseException]
)
@pytest.mark.parametrize("method", ["setup", "map", "combine", "reduce", "teardown"])
def test_whatever_is_raised_is_told(error: type[BaseException], method: str) -> None:
    def raising(*_arguments: Any) -> Any:
        raise error

    report = failure_of(with_method(method, raising))
    assert report.kind == ("exited" if error is SystemExit else "raised")
    assert "in raising" in report.traceback


def test_an_error_of_c_code_is_the_users_and_names_the_record() -> None:
    class Mapped(Base):
        def map(self, line: str) -> Any:
            return map(int, [line])

    report = failure_of(Mapped, b"1\nx\n")
    assert report.kind == "raised"  # 1 is no pair
    assert (report.offset, "test_user_code.py, line" in report.message) == (0, True)

    class Zipped(Base):
        def map(self, line: str) -> Any:
            return zip(map(int, [line]), [1], strict=True)

    report = failure_of(Zipped, b"1\nx\n")
    assert report.message.startswith(
        "ValueError: invalid literal for int() with base 10: 'x' (map is in "
    )
    assert (report.kind, report.offset, report.record) == ("raised", 2, "x")


def test_a_setup_or_teardown_that_yields_is_refused_before_anything_runs() -> None:
    ran: list[str] = []

    class Yielding(Base):
        def map(self, line: str) -> Any:
            ran.append(line)
            return ()

        def teardown(self) -> Any:
            yield "a", 1

    class Returning(Base):
        def teardown(self) -> Any:
            return [("a", 1)]

    class Made(Base):
        def __init__(self) -> Any:
            yield 1

    assert failure_of(Made).message.startswith("__init__ yields")
    report = failure_of(Yielding)
    assert report.message.startswith("teardown yields, and nobody reads what it yields")
    assert "test_user_code.py, line" in report.message
    assert not ran
    assert failure_of(Returning).message.startswith("teardown returned a list, and nobody reads it")


# ── what is yielded ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "item",
    [
        "ab",
        b"ab",
        {"a", "b"},
        {"a": 1, "b": 2},
        range(2),
        iter("ab"),
        None,
        ("a",),
        ("a", 1, 2),
        ["a"],
    ],
)
@pytest.mark.parametrize("method", ["map", "combine", "reduce"])
def test_only_a_tuple_or_list_of_two_is_a_pair(item: Any, method: str) -> None:
    def yielding(*_arguments: Any) -> Any:
        yield item

    report = failure_of(with_method(method, yielding))
    assert report.kind == "raised"
    assert report.message.startswith(
        (f"{method} gave a ", f"{method} yielded something that is not a (key, value) pair")
    )
    assert report.traceback.splitlines()[-1] == "    yield item"
    assert failure_of(with_method("map", yielding), reducers=0).message.startswith("map ")


def test_a_list_of_two_is_a_pair() -> None:
    class Lists(Base):
        def map(self, line: str) -> Any:
            return [[line, 1], [line, 2]]

    assert run_job(Lists, b"a\nb\n", reducers=1)[0] == [b"a\t3\nb\t3\n"]


@pytest.mark.parametrize("returned", ["ab", {("a", 1): 2}, ("a", 1), None, 7])
def test_what_a_method_returns_is_looked_at(returned: Any) -> None:
    report = failure_of(type("Returning", (Base,), {"map": lambda self, line: returned}))
    assert type(returned).__qualname__ in report.message
    assert "test_user_code.py, line" in report.message
    assert (report.offset, report.record) == (0, "a")


@pytest.mark.parametrize(
    "item", [object(), (i for i in ()), map(str, ()), lambda: 0, len, iter([]), [].append]
)
def test_what_has_no_text_but_its_address_is_not_written(item: Any) -> None:
    class Value(Base):
        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            yield key, 1
            yield key, item

    class Key(Base):
        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            yield item, 1

    for name, job in (("value", Value), ("key", Key)):
        report = failure_of(job)
        assert report.message.startswith(f"a {name} of type {type(item).__qualname__} cannot be")
        assert "its address in memory" in report.message
        assert report.record == "key 'a'"


def test_a_text_that_cannot_be_written_is_told_where_it_is_yielded() -> None:
    class Value(Base):
        def map(self, line: str) -> Any:
            yield line, "\ud800"

        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            yield key, next(values)

    class Huge(Base):
        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            yield key, 10**5000

    class Shown(Base):
        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            yield key, Loud()

    class Loud:
        def __str__(self) -> str:
            raise ValueError("no text")

    class Key(Base):
        def map(self, line: str) -> Any:
            yield (line if line == "a" else "\ud800"), 1

    report = failure_of(Value, reducers=1)
    assert report.message.startswith(
        "a value of type str cannot be written as text: UnicodeEncodeError"
    )
    assert (report.kind, report.record) == ("bad_record", "key 'a'")
    assert report.traceback.splitlines()[-1].strip() == "yield key, next(values)"
    assert failure_of(Value, reducers=0).offset == 0
    assert "cannot be written as text: ValueError" in failure_of(Huge).message
    report = failure_of(Shown)
    assert report.message.startswith("a value of type test_a_text")
    assert "in __str__" in report.traceback
    report = failure_of(Key, b"a\nb\n")
    assert (report.kind, report.offset, report.record) == ("bad_key", 2, "b")


# ── what is shared ────────────────────────────────────────────────────────────────────────────────


@lru_cache
def parsed(text: str) -> dict[str, int]:
    return {"n": int(text)}


@pytest.mark.parametrize("spill_every", [0, 1])
@pytest.mark.parametrize("cuts", [(), (4, 8, 12)])
@pytest.mark.parametrize("has_combine", [False, True])
def test_a_value_is_its_receivers_own(
    has_combine: bool, cuts: tuple[int, ...], spill_every: int
) -> None:
    class Adds(Base):
        def map(self, line: str) -> Any:
            word, text = line.split()
            yield word, parsed(text)

        def combine_values(self, word: str, values: Iterator[dict[str, int]]) -> Any:
            total = next(values)
            for value in values:
                total["n"] += value["n"]
            yield word, total

        def reduce(self, word: str, values: Iterator[dict[str, int]]) -> Any:
            for key, total in self.combine_values(word, values):
                yield key, total["n"]

    job = type("Adds", (Adds,), {"combine": Adds.combine_values}) if has_combine else Adds
    parts, _ = run_job(
        job, b"a 1\nb 1\na 1\nc 1\na 1\nb 1\n", cuts, reducers=1, spill_every=spill_every
    )
    assert parts == [b"a\t3\nb\t2\nc\t1\n"]
    assert parsed("1") == {"n": 1}


@pytest.mark.parametrize("cuts", [(), (2, 4)])
def test_a_value_is_taken_as_it_is_when_it_is_yielded(cuts: tuple[int, ...]) -> None:
    class Filling(Base):
        def setup(self) -> None:
            self.held: list[str] = []

        def map(self, line: str) -> Any:
            self.held.clear()
            yield "before", self.held
            self.held.append(line)
            yield "k", self.held

        def reduce(self, key: str, values: Iterator[list[str]]) -> Any:
            yield key, list(values)

    parts, _ = run_job(Filling, b"a\nb\nc\n", cuts, reducers=1)
    assert parts == [b"before\t[[], [], []]\nk\t[['a'], ['b'], ['c']]\n"]


def test_values_of_every_kind_travel_beside_each_other() -> None:
    class Mixed(Base):
        def map(self, line: str) -> Any:
            yield line, 1
            yield line, [1]
            yield line, (1, "x")
            yield line, (1, ["x"])

        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            yield key, list(values)

    assert run_job(Mixed, b"a\n", reducers=1)[0] == [b"a\t[1, [1], (1, 'x'), (1, ['x'])]\n"]


def test_an_iterator_of_values_that_was_kept_is_not_silently_empty() -> None:
    class Keeping(Base):
        def setup(self) -> None:
            self.kept: Any = iter(())

        def reduce(self, key: str, values: Iterator[Any]) -> Any:
            kept, self.kept = self.kept, values
            yield key, sum(kept)

    report = failure_of(Keeping, b"a\nb\n", reducers=1)
    assert report.message.startswith(
        "RuntimeError: the values of the key 'a' are read after their reduce"
    )
    assert report.record == "key 'b'"


@pytest.mark.parametrize(
    "leaving", ["raise SystemExit(3)", "return ()", "raise ValueError('in the child')"]
)
def test_a_forked_process_that_comes_back_neither_works_nor_speaks_for_the_task(
    leaving: str,
) -> None:
    space: dict[str, Any] = {"os": os}
    exec(f"def child():\n    {leaving}", space)

    class Forking(Base):
        def map(self, line: str) -> Any:
            pid = os.fork()
            if pid == 0:
                return space["child"]()
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return [(line, status)]

    expected = 3 if "SystemExit" in leaving else 70
    assert run_job(Forking, b"a\nb\n", reducers=1)[0] == [
        f"a\t{expected}\nb\t{expected}\n".encode()
    ]


# ── what is said ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (
            lambda job: job.counter("x").inc(0.5),
            "TypeError: a counter counts whole numbers, not 0.5",
        ),
        (lambda job: job.counter("x").inc("1"), "TypeError: a counter counts whole numbers"),
        (
            lambda job: job.counter("x").inc(1 << 63),
            "OverflowError: a counter holds whole numbers of 64 bits",
        ),
        (lambda job: setattr(job.counter("x"), "value", 1.5), "AttributeError"),
        (lambda job: job.counter(404), "TypeError: a counter's name and group are texts, not 404"),
        (lambda job: job.counter(None), "TypeError: a counter's name"),
        (lambda job: job.counter([]), "TypeError: a counter's name"),
        (lambda job: job.counter("x", 5), "TypeError: a counter's name and group"),
        (lambda job: job.counter(""), "ValueError: a counter's name has 1 to 1024 bytes"),
        (lambda job: job.counter("x" * 2000), "ValueError: a counter's name has 1 to 1024 bytes"),
        (
            lambda job: job.counter("\ud800"),
            "ValueError: a counter's name is a text that UTF-8 can write",
        ),
        (
            lambda job: job.counter("map_input_records", "job"),
            "ValueError: the counters of the group 'job' are the engine's own",
        ),
        (
            lambda job: [job.counter(f"c{n}") for n in range(12_000)],
            "too many counters: one task has at most",
        ),
        (
            lambda job: [job.counter(f"{n:01000}") for n in range(1_000)],
            "too many counters: one task has at most",
        ),
    ],
)
def test_what_cannot_be_counted_is_an_error_where_it_is_counted(count: Any, said: str) -> None:
    class Counting(Base):
        def map(self, line: str) -> Any:
            count(self)
            yield line, 1

    report = failure_of(Counting)
    assert report.message.startswith(said)
    assert (report.kind, report.offset, "in map" in report.traceback) == ("raised", 0, True)


def test_what_can_be_counted() -> None:
    class Indexed:
        def __index__(self) -> int:
            return 5

    class Counting(Base):
        def map(self, line: str) -> Any:
            for amount in (True, -(1 << 62), Indexed(), (1 << 62)):
                self.counter("odd\t\n name").inc(amount)
            for number in range(4_000):
                self.counter(f"c{number}").inc()
            yield line, 1

    totals = run_job(Counting, b"a\nb\n", reducers=1)[1]
    assert totals["Counting"].pop("odd\t\n name") == 12
    assert totals["Counting"] == {f"c{n}": 2 for n in range(4_000)}
    assert totals["job"]["map_input_records"] == 2


def test_a_huge_message_is_cut_and_keeps_its_type_and_beginning() -> None:
    class Huge(Base):
        def map(self, line: str) -> Any:
            raise ValueError("begins " + "x" * 5_000_000)

    report = failure_of(Huge)
    assert report.message.startswith("ValueError: begins xxx")
    assert report.message.endswith("characters left out]")
    assert "ValueError: begins xxx" in report.traceback
    assert "characters left out]" in report.traceback
    assert max(map(len, (report.message, report.traceback, report.engine_traceback))) < 50_000


# ── what counts as progress ───────────────────────────────────────────────────────────────────────


def test_a_pulse_reports_while_something_moves() -> None:
    moves, heard = Moves(), []
    items = moves.through(range(1_000_000))
    with Pulse(lambda: moves.count, lambda: heard.append(moves.count) or True):
        for _ in range(3):
            before = len(heard)
            next(items)
            until(lambda before=before: len(heard) > before, "the move is reported")  # type: ignore[misc]
    assert heard[-1] == moves.count == 3
    with Pulse(lambda: 1, lambda: heard.append(-1) or True):
        pass


@pytest.mark.parametrize(
    "phase", ["tail of map", "pairs of one record", "combine", "values", "pairs of one key"]
)
def test_time_in_the_users_code_is_progress_while_it_moves(
    phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task waits, in the middle of what is slow, until it has been heard again: a silent phase
    never ends."""
    heard: list[Progress] = []
    monkeypatch.setattr("tests.unit.mapreduce.engine.running.no_progress", heard.append)
    monkeypatch.setattr(task_run, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr("tests.unit.mapreduce.engine.running.run_reduce", _heard_reduce(heard))

    def slow() -> None:
        before = len(heard)
        until(lambda: len(heard) > before, f"{phase} is heard")

    class Slow(Base):
        def map(self, line: str) -> Any:
            if phase == "tail of map" and int(line) > 99_998:
                slow()
            for count in range(5 if int(line) > 99_998 else 1):
                if phase == "pairs of one record" and count:
                    slow()
                yield "k" if phase == "values" else int(line) % 5, 1

        def reduce(self, key: Any, values: Iterator[int]) -> Any:
            for number, _value in enumerate(values):
                if phase == "values" and 0 < number < 4:
                    slow()
            for number in range(4):
                if phase == "pairs of one key" and number:
                    slow()
                yield key, 1

    def combine(self: Any, key: Any, values: Iterator[int]) -> Any:
        total = sum(values)
        slow()
        yield key, total

    job = type("Slow", (Slow,), {"combine": combine}) if phase == "combine" else Slow
    run_job(job, "".join(f"{n}\n" for n in range(100_001)).encode(), reducers=1)
    assert heard[-1].fraction <= 1.0


def _heard_reduce(heard: list[Progress]) -> Any:
    from mapreduce.engine.tasks import run_reduce

    return lambda *arguments, **named: run_reduce(*arguments, progress=heard.append, **named)


def test_a_record_that_takes_for_ever_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Progress] = []
    monkeypatch.setattr("tests.unit.mapreduce.engine.running.no_progress", heard.append)
    counts: list[int] = []

    class Stuck(Base):
        def map(self, line: str) -> Any:
            if line == "b":
                until(lambda: len(heard) >= 1, "what came before is heard")
                counts.append(len(heard))
                end = time.monotonic() + 0.5
                while time.monotonic() < end:
                    pass
                counts.append(len(heard))
            yield line, 1

    run_job(Stuck, b"a\nb\n", reducers=1)
    assert counts[0] == counts[1]


def test_a_jobs_counters_are_bounded_and_what_is_left_out_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The local runners' sum and the tracker's are the same."""
    monkeypatch.setattr("mapreduce.api.counters.MAX_JOB_COUNTERS", 5)
    monkeypatch.setattr("mapreduce.jobtracker.core.records.MAX_JOB_COUNTERS", 5)
    totals: Totals = {}
    job = JobRecord("job_1", "", None, 1, 0)  # type: ignore[arg-type]
    tasks: list[Totals] = [
        {"G": {f"c{task}{n}": 2 for n in range(3)}, "job": {"map_input_records": 7}}
        for task in range(3)
    ]
    for task in tasks:
        add_totals(totals, task)
        job.count(counters_of(task), +1)
    assert totals["job"] == {"map_input_records": 21, "counters_left_out": 6 - len(totals["G"]) + 3}
    assert {
        (group, name): value for group, names in totals.items() for name, value in names.items()
    } == job.totals
    job.count(counters_of(tasks[2]), -1)
    assert job.totals["job", "counters_left_out"] == totals["job"]["counters_left_out"] - 3
