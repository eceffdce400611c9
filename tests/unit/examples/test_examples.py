"""The examples do what their docstrings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mapreduce.plan.describe import describe
from mapreduce.runners.api import Status, Submission
from mapreduce.runners.inline import InlineRunner
from mapreduce.storage.local import LocalStorage

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def run(
    directory: Path, example: str, files: dict[str, str], **parameters: Any
) -> tuple[list[str], Status]:
    for name, text in files.items():
        (directory / name).write_text(text)
    runner = InlineRunner(LocalStorage(), work=directory)
    submission = Submission(
        [str(directory / name) for name in files], str(directory / "out"), parameters
    )
    status = list(runner.watch(runner.submit(describe(str(EXAMPLES / example)), submission), 0.0))[
        -1
    ]
    assert status["state"] == "SUCCEEDED", status["error"]
    return sorted(
        "".join(part.read_text() for part in (directory / "out").glob("part-*")).splitlines()
    ), status


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_a_job_that_says_how_to_run_it(path: Path) -> None:
    facts = describe(str(path))
    assert facts.summary
    assert f"mrc run examples/{path.name}" in path.read_text()


def test_wordcount(tmp_path: Path) -> None:
    rows, status = run(tmp_path, "wordcount.py", {"a": "to be or not to be\n"}, min_length=3)
    assert rows == ["not\t1"]
    assert status["counters"]["WordCount"] == {"words": 1}


def test_inverted_index(tmp_path: Path) -> None:
    files = {"raft.txt": "A leader leads.\nThe leader\n", "paxos.txt": "leader, the proposer\n"}
    rows, _status = run(tmp_path, "inverted_index.py", files, stop="the,a")
    assert rows == ["leader\traft.txt:2 paxos.txt:1", "leads\traft.txt:1", "proposer\tpaxos.txt:1"]


def test_join(tmp_path: Path) -> None:
    files = {"customers.tsv": "1\tAda\n2\tBob\n", "orders.tsv": "1\ttea\n1\tcake\n3\tnothing\n"}
    rows, status = run(tmp_path, "join.py", files, left="customers.tsv")
    assert rows == ["1\tAda\tcake", "1\tAda\ttea"]
    assert status["counters"]["Join"] == {"without a partner": 2}


def test_log_stats(tmp_path: Path) -> None:
    log = (
        '::1 - - [10/Oct/2026:13:55:36 -0700] "GET /api/a HTTP/1.1" 200 100\n'
        '::1 - - [10/Oct/2026:20:01:00 +0000] "GET /api/b HTTP/1.1" 503 -\n'
        '::1 - - [10/Oct/2026:21:01:00 +0000] "GET /other HTTP/1.1" 200 7\n'
        "nonsense\n"
    )
    rows, status = run(tmp_path, "log_stats.py", {"log": log}, only_path="/api")
    assert rows == ["2026-10-10T20:00:00+00:00\t2 requests\t100 bytes\t1 errors"]
    assert status["counters"]["LogStats"] == {"not a log line": 1}
