"""What every runner promises: the same bytes for the same job, failures told the same way, nothing
left of a job that did not succeed.

Runs on the runners that need no cluster; tests/integration compares them with a real one.
"""

from __future__ import annotations

import collections
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from clusterkit.errors import ClusterError, UsageError
from mapreduce.engine.keys import encode
from mapreduce.errors import InputRefused, JobNotFound, OutputExists
from mapreduce.plan.describe import describe
from mapreduce.runners.api import Runner, Status, Submission
from mapreduce.runners.inline import InlineRunner
from mapreduce.runners.local.runner import LocalRunner
from mapreduce.storage.local import LocalStorage
from mapreduce.storage.manifest import Manifest

RUNNERS: dict[str, Callable[[Path], Runner]] = {
    "inline": lambda work: InlineRunner(LocalStorage(), work=work),
    "local": lambda work: LocalRunner(slots=3, work=work),
}

WORDS = """
    from mapreduce import Job

    class Words(Job):
        least: int = 1

        def map(self, line: str):
            for word in line.split():
                if len(word) >= self.least:
                    self.counter("words").inc()
                    yield word, 1

        def reduce(self, word, counts):
            yield word, sum(counts)

        combine = reduce
    """


class Bench:
    """A directory, a runner, and a job to run with it."""

    def __init__(self, directory: Path, make: Callable[[Path], Runner]) -> None:
        self.directory, self.work = directory, directory / "work"
        self.work.mkdir()
        self._make = make

    def file(self, name: str, data: str | bytes) -> str:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else dedent(data).encode())
        return str(path)

    def run(self, job: str, *inputs: str, output: str = "out", **how: object) -> Status:
        runner = self._make(self.work)
        facts = describe(self.file("job.py", job))
        submission = Submission(inputs=list(inputs), output=str(self.directory / output), **how)  # type: ignore[arg-type]
        job_id = runner.submit(facts, submission)
        statuses = list(runner.watch(job_id, 0.0))
        assert runner.status(job_id) == statuses[-1]
        assert list(self.work.iterdir()) == []
        assert not [name for name in names(self.directory) if name.startswith(".")]
        return statuses[-1]

    def parts(self, output: str = "out") -> dict[str, bytes]:
        assert (self.directory / output / "_SUCCESS").read_bytes() == b""
        return {
            path.name: path.read_bytes()
            for path in sorted((self.directory / output).glob("part-*"))
        }


@pytest.fixture(params=sorted(RUNNERS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, RUNNERS[request.param])


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def expected_parts(counts: dict[str, int], reducers: int) -> dict[str, bytes]:
    parts: list[list[str]] = [[] for _ in range(reducers)]
    for word in sorted(counts):
        parts[zlib.crc32(encode(word)) % reducers].append(f"{word}\t{counts[word]}\n")
    return {f"part-r-{i:05d}": "".join(rows).encode() for i, rows in enumerate(parts)}


@pytest.mark.parametrize(("reducers", "split_bytes"), [(1, 0), (2, 999), (5, 100_000)])
def test_counts_words_byte_for_byte(bench: Bench, reducers: int, split_bytes: int) -> None:
    rng = random.Random(7)
    text = (
        "\n".join(
            " ".join(rng.choices(["a", "bé", "ccc", "日本", "e" * 300], k=rng.randrange(12)))
            for _ in range(799)
        )
        + "\na"
    )
    settings = {"reducers": reducers, "split_bytes": split_bytes}
    status = bench.run(
        WORDS, bench.file("in/text", text), settings=settings, parameters={"least": 2}
    )
    counts = collections.Counter(word for word in text.split() if len(word) >= 2)
    assert bench.parts() == expected_parts(counts, reducers)
    assert status["state"] == "SUCCEEDED"
    assert status["error"] is status["failure"] is None
    assert (
        status["counters"]["Words"]["words"]
        == counts.total()
        == status["counters"]["job"]["map_output_records"]
    )
    assert status["counters"]["job"]["map_input_records"] == 800
    assert status["counters"]["job"]["reduce_output_records"] == len(counts)
    assert status["maps"]["done"] == status["maps"]["total"]
    all_done = {
        "total": reducers,
        "done": reducers,
        "running": 0,
        "failed_attempts": 0,
        "killed_attempts": 0,
        "fraction": 1.0,
    }
    assert status["reduces"] == all_done
    manifest = msgspec.json.decode(
        (bench.directory / "out" / ".manifest.json").read_bytes(), type=Manifest
    )
    assert manifest.job_id == status["id"]
    assert {part.name: part.length for part in manifest.parts} == {
        name: len(data) for name, data in bench.parts().items()
    }


def test_map_only(bench: Bench) -> None:
    head = "from mapreduce import Job\nclass Upper(Job):\n    reducers = 0\n"
    job = head + "    def map(self, line: bytes):\n        yield None, line.upper()\n"
    status = bench.run(job, bench.file("in", b"one\ntwo\r\nthr\xe9e"), settings={"split_bytes": 5})
    assert bench.parts() == {
        "part-m-00000": b"ONE\nTWO\n",
        "part-m-00001": b"THR\xe9E\n",
        "part-m-00002": b"",
    }
    assert status["reduces"]["total"] == 0


def test_input_that_is_all_empty_gives_empty_parts(bench: Bench) -> None:
    bench.run(WORDS, bench.file("in/a", ""), bench.file("in/b", ""))
    assert bench.parts() == {"part-r-00000": b"", "part-r-00001": b""}


def test_a_class_of_the_jobs_own_travels_as_a_value(bench: Bench) -> None:
    job = """
        from dataclasses import dataclass
        from mapreduce import Job

        @dataclass
        class Seen:
            times: int

        class Counting(Job):
            def map(self, line: str):
                yield line, Seen(1)

            def reduce(self, key, seen):
                yield key, sum(one.times for one in seen)
        """
    bench.run(job, bench.file("in", "a\na\n"), settings={"reducers": 1})
    assert bench.parts() == {"part-r-00000": b"a\t2\n"}


def test_what_the_context_says(bench: Bench) -> None:
    job = """
        from mapreduce import Job

        class Where(Job):
            def map(self, line: str):
                self.context.status("reading")
                yield (self.context.input_path.rpartition("/")[2], self.context.offset), line

            def reduce(self, key, lines):
                yield key, (*lines, self.context.partition, self.context.offset)
        """
    bench.run(
        job, bench.file("in/a", "x\nyy\n"), bench.file("in/b", "é\nz"), settings={"reducers": 1}
    )
    rows = bench.parts()["part-r-00000"].decode().splitlines()
    assert rows == [
        "('a', 0)\t('x', 0, -1)",
        "('a', 2)\t('yy', 0, -1)",
        "('b', 0)\t('é', 0, -1)",
        "('b', 3)\t('z', 0, -1)",
    ]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("return [(next(iter('')), 1)]", "raised", "RuntimeError: map raised StopIteration"),
        ("yield 'ab'", "raised", "map gave a str object where a (key, value) pair is wanted"),
        (
            "yield 'k', lambda: 1",
            "bad_record",
            "a value of type function cannot travel to a reducer",
        ),
        (
            "self.counter('c').inc(0.5); yield 'k', 1",
            "raised",
            "TypeError: a counter counts whole numbers, not 0.5",
        ),
        (
            "import sys; sys.stdout.close(); sys.stderr.close(); 1 / 0",
            "raised",
            "ZeroDivisionError: division by zero",
        ),
        ("raise ValueError('begins' + 'x' * 10_000_000)", "raised", "ValueError: beginsxxx"),
        ("raise GeneratorExit", "raised", "GeneratorExit"),
        ("yield int(line), 1", "raised", "ValueError: invalid literal for int() with base 10: 'x'"),
        ("raise SystemExit(3)", "exited", "exited with status 3"),
        ("yield [], 1", "bad_key", "a list cannot be a key: keys are"),
    ],
)
def test_a_job_that_fails_says_why_and_leaves_nothing(
    bench: Bench, body: str, kind: str, message: str
) -> None:
    job = (
        "from mapreduce import Job\nclass Bad(Job):\n    def map(self, line: str):\n        "
        f"{body}\n"
    )
    path = bench.file("in", "x\ny\n")
    status = bench.run(job, path)
    assert status["state"] == "FAILED"
    assert status["error"].startswith(message)
    assert status["failure"]["kind"] == kind
    assert status["failure"]["attempt_id"].endswith("_s0_000000_0")
    assert (
        status["failure"]["path"],
        status["failure"]["offset"],
        status["failure"]["record"],
    ) == (path, 0, "x")
    assert status["maps"]["failed_attempts"] == 1
    assert names(bench.directory) == ["in", "job.py", "work"]


def test_what_cannot_be_written_is_told_with_its_key(bench: Bench) -> None:
    job = """
        from mapreduce import Job

        class Unwritable(Job):
            def map(self, line: str):
                yield line, "\\ud800"
        """
    status = bench.run(job, bench.file("in", "x\n"))
    assert status["failure"]["kind"] == "bad_record"
    assert status["error"].startswith(
        "a value of type str cannot be written as text: UnicodeEncodeError"
    )
    assert status["failure"]["record"] == "key 'x'"


@pytest.mark.parametrize("split_bytes", [0, 4])
def test_a_value_belongs_to_whoever_is_given_it(bench: Bench, split_bytes: int) -> None:
    job = """
        from functools import lru_cache
        from mapreduce import Job

        @lru_cache
        def parse(text):
            return {"n": int(text)}

        class Adds(Job):
            def map(self, line: str):
                word, text = line.split()
                yield word, parse(text)

            def reduce(self, word, values):
                total = next(values)
                for value in values:
                    total["n"] += value["n"]
                yield word, total["n"]
        """
    bench.run(
        job,
        bench.file("in", "a 1\nb 1\na 1\nc 1\na 1\nb 1\n"),
        settings={"reducers": 1, "split_bytes": split_bytes},
    )
    assert bench.parts() == {"part-r-00000": b"a\t3\nb\t2\nc\t1\n"}


def test_a_task_begins_as_a_process_that_has_just_loaded_the_job(bench: Bench) -> None:
    """Nothing of a module, of this process or of another task is there; nothing random repeats
    unless the job's file seeds it."""
    job = """
        import os, random, secrets, tempfile, uuid
        from mapreduce import Job

        SEEN = []
        MINE = random.Random(7)

        class Fresh(Job):
            reducers = 0

            def map(self, line: str):
                SEEN.append(line)
                os.environ["LEFT"] = os.environ.get("LEFT", "") + "x"
                here = os.getcwd()
                os.chdir("/")
                yield len(SEEN), (os.environ["LEFT"], here != "/", MINE.random())
                yield "random", random.random()
                yield "random", secrets.token_hex()
                yield "random", uuid.uuid4()
                yield "random", tempfile.mktemp(dir="/")
        """
    bench.run(job, bench.file("in", "a\nb\nc\n"), settings={"split_bytes": 2})
    rows = b"".join(bench.parts().values()).decode().splitlines()
    assert [row for row in rows if row.startswith("1\t")] == [
        f"1\t('x', True, {random.Random(7).random()})"
    ] * 3
    made = [row for row in rows if row.startswith("random")]
    assert len(set(made)) == len(made) == 12


def test_code_that_changes_while_the_job_runs_fails_it(bench: Bench) -> None:
    job = """
        from mapreduce import Job

        class Editing(Job):
            def map(self, line: str):
                with open(__file__, "a") as file:
                    file.write("# another version\\n")
                yield line, 1
        """
    status = bench.run(job, bench.file("in", "x\n"))
    assert status["state"] == "FAILED"
    assert status["error"].endswith(
        "job.py changed while the job ran: its tasks have not run the same code"
    )


def test_a_pool_of_processes_in_map_works(bench: Bench) -> None:
    job = """
        import concurrent.futures, multiprocessing
        from mapreduce import Job

        class Seven:
            value = 7

        def square(x):
            return x * x + Seven.value

        class Pooled(Job):
            reducers = 0

            def map(self, line: str):
                with multiprocessing.get_context(line).Pool(2) as pool:
                    yield line, pool.map(square, [1, 2])
                context = multiprocessing.get_context(line)
                with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
                    yield line, list(pool.map(square, [3]))
        """
    bench.run(job, bench.file("in", "fork\nspawn\nforkserver\n"), settings={"split_bytes": 100})
    rows = b"".join(bench.parts().values()).decode().splitlines()
    assert rows == [
        f"{how}\t{got}" for how in ("fork", "spawn", "forkserver") for got in ([8, 11], [16])
    ]


def test_a_file_larger_than_the_jobs_limit_fails_where_it_is_written(bench: Bench) -> None:
    job = """
        from mapreduce import Job

        class Fills(Job):
            def map(self, line: str):
                with open("/dev/null", "rb"), __import__("tempfile").TemporaryFile() as file:
                    for _ in range(65):
                        file.write(bytes(1 << 20))
                        file.flush()
                yield line, 1
        """
    status = bench.run(job, bench.file("in", "x\n"), settings={"file_limit_bytes": 64 << 20})
    assert status["error"] == "OSError: [Errno 27] File too large (the job's file_limit_bytes)"
    assert status["failure"]["record"] == "x"


def test_an_existing_output_is_refused_unless_it_is_to_be_replaced(bench: Bench) -> None:
    path = bench.file("in", "a b\n")
    bench.run(WORDS, path)
    before = bench.parts()
    with pytest.raises(OutputExists, match="already exists"):
        bench.run(WORDS, path)
    assert bench.parts() == before
    bench.run(WORDS, bench.file("in2", "c\n"), overwrite=True)
    assert b"".join(bench.parts().values()) == b"c\t1\n"
    status = bench.run(WORDS.replace("yield word, 1", "1 / 0"), path, overwrite=True)
    assert status["state"] == "FAILED"
    assert b"".join(bench.parts().values()) == b"c\t1\n"


def test_refusals_touch_nothing(bench: Bench) -> None:
    path = bench.file("in", "a\n")
    for inputs, how, refusal in (
        ([path + "-not"], {}, InputRefused),
        ([path], {"settings": {"reducers": -1}}, UsageError),
        ([path], {"output": "a:b"}, UsageError),
        ([str(bench.directory)], {"output": "", "overwrite": True}, ClusterError),
    ):
        with pytest.raises(refusal):
            bench.run(WORDS, *inputs, **how)  # type: ignore[arg-type]
    assert names(bench.directory) == ["in", "job.py", "work"]


def test_an_output_that_appears_meanwhile_is_not_touched(bench: Bench) -> None:
    job = f"""
        import os
        from mapreduce import Job

        class Racing(Job):
            def map(self, line: str):
                os.makedirs({str(bench.directory / "out")!r}, exist_ok=True)
                yield line, 1
        """
    status = bench.run(job, bench.file("in", "a\n"))
    assert status["state"] == "FAILED"
    assert "File exists" in status["error"]
    assert names(bench.directory / "out") == []


def test_killed(bench: Bench) -> None:
    runner = bench._make(bench.work)
    job = (
        "import time\nfrom mapreduce import Job\nclass Slow(Job):\n    def map(self, line: "
        "str):\n        yield line, time.sleep(0.05)\n"
    )
    facts = describe(bench.file("job.py", job))
    text = bench.file("in", "x\n" * 100)
    submission = Submission([text], str(bench.directory / "out"), settings={"split_bytes": 2})
    job_id = runner.submit(facts, submission)
    for status in runner.watch(job_id, 0.0):
        if status["maps"]["done"] >= 2:
            break
    status = runner.kill(job_id, "enough")
    assert status["state"] == "KILLED"
    assert 2 <= status["maps"]["done"] < 100
    del runner
    with pytest.raises(JobNotFound):
        bench._make(bench.work).status(job_id)
    assert names(bench.directory) == ["in", "job.py", "work"]
    assert names(bench.work) == []
