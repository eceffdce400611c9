"""What only processes can do to a local job: die, hang, grow, print."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from textwrap import dedent

import pytest

from mapreduce.plan.describe import describe
from mapreduce.runners.api import Status, Submission
from mapreduce.runners.local.runner import LocalRunner


def run(directory: Path, body: str, text: str = "x\ny\n", **settings: object) -> Status:
    (directory / "work").mkdir(exist_ok=True)
    head = (
        "import ctypes, os, signal, sys, time\nfrom mapreduce import Job\nclass Bad(Job):\n   "
        " def map(self, line: str):\n"
    )
    (directory / "job.py").write_text(
        head + "".join(f"        {row}\n" for row in dedent(body).splitlines())
    )
    (directory / "in").write_text(text)
    runner = LocalRunner(slots=2, work=directory / "work")
    submission = Submission([str(directory / "in")], str(directory / "out"), settings=settings)
    job_id = runner.submit(describe(str(directory / "job.py")), submission)
    status = list(runner.watch(job_id, 0.0))[-1]
    if status["state"] != "SUCCEEDED":
        assert {path.name for path in directory.iterdir()} == {"in", "job.py", "work"}
    assert list((directory / "work").iterdir()) == []
    return status


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("os._exit(3)", "exited", "exited with status 3"),
        ("os._exit(0)", "exited", "exited with status 0"),
        ("ctypes.string_at(0)", "signalled", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signalled", "killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "signalled", "killed by SIGTERM"),
    ],
)
def test_a_task_that_dies(tmp_path: Path, body: str, kind: str, message: str) -> None:
    status = run(tmp_path, body)
    assert (status["state"], status["failure"]["kind"], status["error"]) == (
        "FAILED",
        kind,
        message,
    )


def test_a_task_that_hangs(tmp_path: Path) -> None:
    status = run(tmp_path, "time.sleep(60)", no_progress_limit_s=0.4)
    assert (status["failure"]["kind"], status["error"]) == (
        "no_progress",
        "made no progress for 0.4 s (no_progress_limit_s)",
    )


def test_a_slow_task_that_moves_is_left_alone(tmp_path: Path) -> None:
    status = run(tmp_path, "time.sleep(0.05)\nyield line, 1", "x\n" * 30, no_progress_limit_s=0.5)
    assert status["state"] == "SUCCEEDED"


def test_a_task_that_eats_memory(tmp_path: Path) -> None:
    status = run(
        tmp_path,
        "hoard = [bytes(1 << 20) + b'1' for _ in range(300)]\ntime.sleep(60)",
        memory_limit_bytes=200 << 20,
    )
    assert status["failure"]["kind"] == "memory"
    assert "the limit is 200 MiB (memory_limit_bytes)" in status["error"]


def test_what_a_task_prints_is_no_data(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(
        tmp_path,
        "print('printed')\nos.write(1, b'written')\nassert sys.stdin.read() == ''\nyield line, 1",
    )
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "printed" in printed.err
    assert "written" in printed.err


def test_the_conductor_lost(tmp_path: Path) -> None:
    status = run_and_kill_conductor(tmp_path)
    assert (status["state"], status["failure"]["kind"]) == ("FAILED", "engine")
    assert status["error"] == "the process that ran the job ended with status -9"


def run_and_kill_conductor(directory: Path) -> Status:
    (directory / "job.py").write_text(
        "import time\nfrom mapreduce import Job\nclass Slow(Job):\n    def map(self, line: "
        "str):\n        yield line, time.sleep(60)\n"
    )
    (directory / "in").write_text("x\n")
    runner = LocalRunner(work=directory)
    job_id = runner.submit(
        describe(str(directory / "job.py")),
        Submission([str(directory / "in")], str(directory / "out")),
    )
    statuses = runner.watch(job_id, 0.0)
    next(statuses)
    assert runner._child is not None
    os.kill(runner._child.pid, signal.SIGKILL)
    return list(statuses)[-1]
