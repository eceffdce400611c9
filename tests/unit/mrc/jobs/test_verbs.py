"""`mrc jobs` and `mrc job …` against a tracker in this process: what is data, what is not, and how
they end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clusterkit.service import Announcement
from mapreduce.failures import FailureReport
from mapreduce.pb import tracker_pb2 as pb
from mrc.main import run
from tests.equipment.terminal import SEEN_BY_TERMINALS, acts_on_a_terminal, on_a_terminal
from tests.unit.mapreduce.jobtracker.fakes import SPEC, House


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("MRC_HOME", str(tmp_path))
    monkeypatch.delenv("MRC_CLUSTER", raising=False)
    made = House(tmp_path / "data" / "tracker-t1")
    Announcement(role="tracker", id="t1", pid=os.getpid(), address=made.service.address).publish(
        tmp_path
    )
    yield made
    made.stop()


def test_no_cluster_is_69_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MRC_HOME", str(tmp_path / "nothing"))
    for words in (["jobs"], ["job", "status", "@"], ["job", "wait", "@"]):
        assert run(words) == 69
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("error: ") and "mrc up" in err


def test_no_job_is_1_and_says_what_to_do(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["job", "status", "@"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: no job has been submitted yet\n  try: mrc submit"
    )


def test_status_counters_and_the_list(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.worker()
    job_id = house.submit()
    assert run(["job", "wait", "@"]) == 0
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1].startswith(f"{job_id} SUCCEEDED in ")
    assert run(["job", "status", job_id[:-1], "-o", "json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["id"], status["state"], status["maps"]["done"]) == (job_id, "SUCCEEDED", 2)
    assert run(["job", "counters", "@"]) == 0
    assert "job\tmap_input_records\t6" in capsys.readouterr().out.splitlines()
    assert run(["jobs", "-o", "json"]) == 0
    assert [job["id"] for job in json.loads(capsys.readouterr().out)] == [job_id]
    assert run(["jobs"]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "STATE", "MAPS", "REDUCES", "TIME", "NAME"] and row.split()[
        :4
    ] == [job_id, "SUCCEEDED", "2/2", "2/2"]


def test_no_verb_of_jobs_lets_a_stranger_act_on_a_terminal(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = f"{SEEN_BY_TERMINALS}forged"
    house.worker().mute = True
    house.submit(msgspec.structs.replace(SPEC, name=f"job {forged}"))
    for words in (
        ["jobs"],
        ["jobs", "-o", "json"],
        ["job", "status", "@"],
        ["job", "status", "@", "-o", "json"],
        ["job", "counters", "@"],
        ["job", "status", forged],
        ["job", "logs", "@"],
        ["job", "kill", "@", "--reason", forged],
        ["job", "wait", "@"],
        ["job", "status", "@"],
    ):
        said = on_a_terminal(lambda words=words: run(words), monkeypatch)  # type: ignore[misc]
        assert not acts_on_a_terminal(said), words


def test_a_failed_job_shows_the_users_error_first(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = house.worker()
    worker.mute = True
    job_id = house.submit()
    report = FailureReport(
        kind="raised",
        message="ValueError: n/a",
        traceback='Traceback (most recent call last):\n  File "wc.py", line 4, in '
        "map\nValueError: n/a\n",
        engine_traceback='  File "engine.py", line 1\n',
        path="/in",
        offset=30,
        record="not-a-number",
        attempt_id=f"attempt_{job_id[4:]}_s0_000001_3",
    )
    for number in range(4):
        failed = pb.Failed(failure_json=report.to_json())
        worker.report(
            pb.AttemptReport(attempt_id=f"attempt_{job_id[4:]}_s0_000001_{number}", failed=failed)
        )
    assert run(["job", "wait", job_id]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Traceback (most recent call last):",
        '  File "wc.py", line 4, in map',
        "ValueError: n/a",
        "record: /in offset 30 not-a-number",
        f"error: {job_id} (wc) failed: map/1 failed 4 times: ValueError: n/a",
        f"  try: mrc job logs {job_id} --task map/1",
    ]
    assert run(["job", "wait", job_id, "-v", "-o", "json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["state"] == "FAILED" and 'File "engine.py"' in err


def test_kill_and_wait_for_a_killed_job(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = house.submit()
    assert run(["job", "kill", "@", "--reason", "enough"]) == 0
    assert capsys.readouterr().out == f"{job_id} KILLED\n"
    assert run(["job", "wait", "@"]) == 1
    assert f"error: {job_id} (wc) was killed: enough" in capsys.readouterr().err
    assert run(["job", "kill", "@"]) == 1
    assert f"error: {job_id} is KILLED already: there is nothing to stop" in capsys.readouterr().err


def test_logs_of_a_worker_that_is_gone(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.worker().mute = True
    job_id = house.submit()
    assert run(["job", "logs", job_id, "--task", "map/0", "-o", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["attempt"], row["state"]) == (f"attempt_{job_id[4:]}_s0_000000_0", "RUNNING")
    assert run(["job", "logs", job_id]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "its log cannot be read" in err
    assert run(["job", "logs", job_id, "--task", "map/7"]) == 1
