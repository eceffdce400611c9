"""Parameters: the very value everywhere, any name, whoever makes the class's `__init__`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterkit.errors import UsageError
from mapreduce.api.context import Context
from mapreduce.api.counters import Counters
from mapreduce.api.job import start
from mapreduce.plan.describe import describe
from mapreduce.plan.imports import CodeSource
from mapreduce.plan.loading import choose_job, load_module
from mapreduce.plan.parameters import all_decoded, all_encoded, decoded, encoded, shown
from mapreduce.plan.planning import checked_parameters
from mapreduce.plan.spec import CodeRef, JobSpec
from mrc.jobs.options import parse_job_arguments

texts = st.text(st.characters(exclude_categories=()))


def travelled(values: dict[str, Any]) -> dict[str, Any]:
    """Through the JSON that a job is submitted as."""
    code = CodeRef("", "", "job.py", "Job", "/")
    spec = JobSpec(name="x", code=code, inputs=[], output="/out", parameters=all_encoded(values))
    return all_decoded(JobSpec.from_json(spec.to_json()).parameters)


@given(st.one_of(texts, st.integers(), st.floats(), st.booleans()))
def test_every_value_arrives_as_it_left(value: Any) -> None:
    found = travelled({"x": value})["x"]
    assert type(found) is type(value)
    assert found == value or (math.isnan(found) and math.isnan(value))
    assert (
        math.copysign(1, found) == math.copysign(1, value)
        if isinstance(value, float) and not math.isnan(value)
        else True
    )


@pytest.mark.parametrize(
    "value",
    [1 << 20_000, -(10**40), 1 << 64, math.inf, -math.inf, "\udce9\0\n", ""],
    ids=lambda value: type(value).__name__,
)
def test_odd_values_can_be_shown(value: Any) -> None:
    assert len(shown(value).encode()) < 200
    assert decoded(encoded(value)) == value


@pytest.mark.parametrize(
    "value", [{"str": "zz"}, {"float": None}, {"other": 1}, {}, {"int": "1", "str": ""}]
)
def test_what_nobody_encoded_is_refused(value: Any) -> None:
    with pytest.raises(UsageError):
        decoded(value)


def instance(directory: Path, text: str, words: list[str]) -> Any:
    """The job that a command line starts, as a task does."""
    file = directory / "job.py"
    file.write_text(dedent(text))
    facts = describe(str(file))
    arguments = parse_job_arguments(facts, [*words, "/in", "/out"], "mrc run job.py")
    values = travelled(checked_parameters(facts, arguments.parameters))
    job = choose_job(load_module(CodeSource(str(directory), directory), "job.py"), "", "job.py")
    return start(
        job,
        values,
        Context(attempt_id="", partition=0),
        Counters(),
        given=sorted(arguments.parameters),
    )


JOB = """
    import dataclasses
    from dataclasses import dataclass, field
    from mapreduce import Job

    {decorator}
    class Long(Job):
        least: int = 1
        word: str{default}
        def map(self, line):
            yield line, 1
    """


@pytest.mark.parametrize(
    "decorator",
    [
        "",
        "@dataclass",
        "@dataclass(frozen=True)",
        "@dataclass(slots=True)",
        "@dataclass(kw_only=True)",
        "@dataclass(frozen=True, slots=True)",
    ],
)
def test_a_decorated_class_keeps_its_parameters(tmp_path: Path, decorator: str) -> None:
    for default, words, wanted in (
        (" = 'x'", ["--least", "3"], (3, "x")),
        (" = 'x'", [], (1, "x")),
        (" = 'x'", ["--word", "y"], (1, "y")),
        ("", ["--word", "y", "--least", "2"], (2, "y")),
        (" = field(default_factory=lambda: 'z')", [], (1, "z")),
    ):
        if ("field(" in default and not decorator) or (
            default == "" and decorator and "kw_only" not in decorator
        ):
            continue
        job = instance(tmp_path, JOB.format(decorator=decorator, default=default), words)
        assert (job.least, job.word) == wanted
        job.counter("still").inc()


def test_a_dataclass_with_a_required_parameter(tmp_path: Path) -> None:
    text = """
        from dataclasses import dataclass
        from mapreduce import Job

        @dataclass
        class Base(Job):
            word: str
            def map(self, line):
                yield line, 1

        class Mine(Base):
            extra: int = 2
        """
    job = instance(tmp_path, text, ["--word", "y", "--extra", "5"])
    assert (job.word, job.extra) == ("y", 5)
    with pytest.raises((UsageError, click.MissingParameter)):
        instance(tmp_path, text, [])


def test_the_command_line_goes_before_init(tmp_path: Path) -> None:
    text = """
        from mapreduce import Job

        class Mine(Job):
            least: int = 1
            most: int = 9
            def __init__(self):
                self.seen = self.least
                self.least = 100
                self.most = 200
            def map(self, line):
                yield line, 1
        """
    job = instance(tmp_path, text, ["--least", "3"])
    assert (job.seen, job.least, job.most) == (3, 3, 200)


NAMES = [
    "paths",
    "help",
    "overwrite",
    "name",
    "input",
    "output",
    "format",
    "p0",
    "values",
    "given",
    "größe",
    "Kind",
    "words",
    "cls",
    "a__b",
    "x_",
]


def test_a_parameter_may_have_any_name(tmp_path: Path) -> None:
    text = "from mapreduce import Job\nclass Mine(Job):\n" + "".join(
        f"    {name}: str = 'none'\n" for name in NAMES
    )
    text += "    def map(self, line):\n        yield line, 1\n"
    words = [word for name in NAMES for word in ("--" + name.replace("_", "-"), f"<{name}>")]
    job = instance(tmp_path, text, words)
    assert {name: getattr(job, name) for name in NAMES} == {name: f"<{name}>" for name in NAMES}
    assert instance(tmp_path, text, []).paths == "none"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    counter: int = 3\n", "Mine.counter is 3, where every job has a method of that name"),
        ("    setup: str = 'x'\n", "Mine.setup is 'x', where every job has a method"),
        ("    combine = 3\n", "Mine.combine is 3"),
        ("    x: bool = True\n    no_x: str = 'y'\n", "would both be --no-x"),
        ("    x: int = 10**5000\n    y: int = 'z'\n", "Mine.y is annotated int"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_words(tmp_path: Path, body: str, said: str) -> None:
    text = (
        f"from mapreduce import Job\nclass Mine(Job):\n{body}    def map(self, line):\n       "
        " yield line, 1\n"
    )
    with pytest.raises(UsageError) as caught:
        instance(tmp_path, text, [])
    assert said in caught.value.message


def test_help_shows_every_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "job.py"
    file.write_text(
        "from mapreduce import Job\nclass Mine(Job):\n    huge: int = 10**5000\n    low: float = "
        "float('-inf')\n    odd: str = '\\udce9'\n"
        "    def map(self, line):\n        yield line, 1\n"
    )
    with pytest.raises(click.exceptions.Exit):
        parse_job_arguments(describe(str(file)), ["--help"], "mrc run job.py")
    assert "[default: -inf]" in capsys.readouterr().out
    assert sys.get_int_max_str_digits() == 4300
