"""What stands before FILE is ours, what stands behind it the job's; progress and failures as a
person reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from clusterkit.errors import UsageError
from mapreduce.plan.describe import JobClassFacts, describe
from mrc.jobs.failure_text import failure_text, job_failure, task_of
from mrc.jobs.options import given_settings, parse_job_arguments
from mrc.jobs.progress import LineProgress, percent
from mrc.jobs.submission import cluster_path

JOB = """
from mapreduce import Job

class Count(Job):
    least: int = 1
    ratio: float = 0.5
    word: str
    loud: bool = False

    def map(self, line: str):
        yield line, 1
"""


@pytest.fixture
def facts(tmp_path: Path) -> JobClassFacts:
    (tmp_path / "count.py").write_text(JOB)
    return describe(str(tmp_path / "count.py"))


def test_the_jobs_own_options(facts: JobClassFacts) -> None:
    found = parse_job_arguments(
        facts, ["--least", "3", "/a", "--word", "x", "--loud", "/b", "/out"], "mrc submit count.py"
    )
    assert found.parameters == {"least": 3, "word": "x", "loud": True}
    assert (found.inputs, found.output) == (("/a", "/b"), "/out")


@pytest.mark.parametrize(
    "words",
    [
        ["--word", "x", "/out"],
        ["--word", "x"],
        ["--word", "x", "--least", "many", "/a", "/out"],
        ["--word", "x", "--unknown", "/a", "/out"],
    ],
)
def test_wrong_words_are_wrong_usage(facts: JobClassFacts, words: list[str]) -> None:
    with pytest.raises(click.UsageError) as raised:
        parse_job_arguments(facts, words, "mrc submit count.py")
    assert raised.value.exit_code == 2


def test_only_settings_that_were_given_count() -> None:
    assert given_settings({"reducers": 0, "split_bytes": None, "detach": True}) == {"reducers": 0}


def test_paths_of_the_cluster() -> None:
    uri, home = "hdfs://127.0.0.1:8020", "/user/ann"
    for text, path in (
        ("hdfs:///in/{a,b}", "/in/{a,b}"),
        ("hdfs://localhost:8020/in", "/in"),
        ("hdfs://localhost/in", "/in"),
        ("/a/./b/../c/", "/a/c"),
        ("../bob/x", "/user/bob/x"),
        ("/../x", "/x"),
        ("//x", "/x"),
    ):
        assert cluster_path(text, uri, home) == path


def test_paths_mean_what_they_mean_under_fs() -> None:
    uri, home = "hdfs://127.0.0.1:8020", "/user/ann"
    assert cluster_path("/in", uri, home) == "/in"
    assert cluster_path("in/a", uri, home) == "/user/ann/in/a"
    assert cluster_path("./in", uri, home) == "/user/ann/in"
    assert cluster_path(".", uri, home) == "/user/ann"
    assert cluster_path("hdfs://127.0.0.1:8020/in", uri, home) == "/in"
    assert cluster_path("hdfs:///in", uri, home) == cluster_path("hdfs:/in", uri, home) == "/in"
    assert (
        cluster_path("hdfs://localhost:8020/in", uri, home)
        == cluster_path("hdfs://localhost/x/.././in//", uri, home)
        == "/in"
    )
    assert cluster_path("hdfs://127.0.0.1:8020/a#b?c%20d", uri, home) == "/a#b?c%20d"
    assert cluster_path("../bob/{a,b}", uri, home) == "/user/bob/{a,b}"
    for other in ("", "file:///in", "hdfs://127.0.0.1:80201/in", "s3://bucket/in"):
        with pytest.raises(UsageError):
            cluster_path(other, uri, home)


def status(state: str, maps: float, reduces: float) -> dict[str, Any]:
    def stage(total: int, fraction: float) -> dict[str, Any]:
        return {"total": total, "done": int(total * fraction), "fraction": fraction}

    return {"id": "job_1", "state": state, "maps": stage(8, maps), "reduces": stage(2, reduces)}


def test_one_line_per_ten_percent(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress()
    for maps, reduces in ((0.0, 0.0), (0.1, 0.0), (0.2, 0.0), (0.21, 0.0), (1.0, 0.0), (1.0, 0.9)):
        progress.update(status("RUNNING", maps, reduces))
    progress.update(status("SUCCEEDED", 1.0, 1.0))
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(" (")[0] for line in err.splitlines()] == [
        "job_1 10 %",
        "job_1 80 %",
        "job_1 90 %",
    ]
    assert percent(status("SUCCEEDED", 1.0, 1.0)) == 100


def test_the_users_own_error_comes_first() -> None:
    report = {
        "traceback": "T\n",
        "engine_traceback": "E\n",
        "path": "/in",
        "offset": 0,
        "record": "r",
        "attempt_id": "attempt_1_2_s1_000007_0",
    }
    assert failure_text(report) == "T\nrecord: /in offset 0 r"
    assert failure_text(report, verbose=True) == "E\nrecord: /in offset 0 r"
    assert failure_text({"path": "/in", "offset": -1}) == "record: /in"
    assert failure_text({}) == ""
    stages = [{"id": 0, "name": "map"}, {"id": 1, "name": "reduce"}]
    assert task_of({"failure": report, "stages": stages}) == "reduce/7"
    assert task_of({"failure": report}) == "attempt_1_2_s1_000007_0"
    assert task_of({"failure": {}, "stages": stages}) == ""
    error = job_failure(
        {
            "id": "job_1",
            "name": "wc",
            "state": "FAILED",
            "error": "boom",
            "failure": report,
            "stages": stages,
        }
    )
    assert (error.message, error.next_command) == (
        "job_1 (wc) failed: boom",
        "mrc job logs job_1 --task reduce/7",
    )
