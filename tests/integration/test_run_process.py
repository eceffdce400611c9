"""`mrc run` as a process: what its tasks have in common with every other task, and what is left of
them when it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.equipment.until import until
from tests.integration.test_run_signals import descendants, is_alive

MRC = [sys.executable, "-c", "from mrc.main import main; main()"]
LIMIT_S = 30


def prepared(directory: Path, job: str, text: str = "x\n") -> dict[str, str]:
    (directory / "job.py").write_text(dedent(job))
    (directory / "in").write_text(text)
    (directory / "tmp").mkdir()
    return os.environ | {"TMPDIR": str(directory / "tmp"), "PYTHONHASHSEED": "17"}


def left(directory: Path) -> set[str]:
    made = {path.name for path in directory.iterdir()} - {"job.py", "in", "tmp", "pid", "out"}
    return made | {path.name for path in (directory / "tmp").iterdir()}


HASHES = """
    from mapreduce import Job

    class Hashes(Job):
        reducers = 1

        def map(self, line: str):
            yield hash((line, None)), " ".join({"alpha", "beta", "gamma", line})

        def reduce(self, key, values):
            yield key, list(values)
"""


def test_hash_and_the_order_of_a_set_are_the_same_in_every_run(tmp_path: Path) -> None:
    environment = prepared(tmp_path, HASHES, "a\nb\na\n" * 5)
    seen = set()
    for number, extra in enumerate(([], ["--inline"], ["--slots", "2", "--split-bytes", "4"])):
        subprocess.run(
            [*MRC, "run", *extra, "job.py", "in", f"out{number}"],
            cwd=tmp_path,
            env=environment,
            check=True,
            timeout=LIMIT_S,
        )
        seen.add((tmp_path / f"out{number}" / "part-r-00000").read_bytes())
    assert len(seen) == 1


STARTS = """
    import subprocess, time
    from mapreduce import Job

    class Starts(Job):
        def map(self, line: str):
            child = subprocess.Popen(["setsid", "sleep", "4242"], stdin=-3, stdout=-3, stderr=-3)
            with open("pid.new", "w") as file:
                file.write(str(child.pid))
            __import__("os").rename("pid.new", "pid")
            {}
            yield line, 1
"""


def started_pid(directory: Path) -> int:
    until((directory / "pid").exists, "the job has started its subprocess", LIMIT_S)
    pid = int((directory / "pid").read_text())
    until(lambda: "sleep" in command_of(pid) or not is_alive(pid), "it has become another program")
    return pid


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("extra", [[], ["--inline"]])
@pytest.mark.parametrize(("body", "code"), [("raise ValueError", 1), ("pass", 0)])
def test_what_a_task_starts_ends_with_it(
    tmp_path: Path, body: str, code: int, extra: list[str]
) -> None:
    environment = prepared(tmp_path, STARTS.format(body))
    done = subprocess.run(
        [*MRC, "run", *extra, "job.py", "in", "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == code
    assert not is_alive(started_pid(tmp_path))
    assert left(tmp_path) == set()


EXITS = """
    import os
    from mapreduce import Job

    class Exits(Job):
        def map(self, line: str):
            if not os.fork():
                os._exit(0)  # a process of the job's own may
            os._exit(0)

        def reduce(self, key, values):
            yield key
"""


@pytest.mark.parametrize("extra", [[], ["--inline"]])
def test_a_job_that_ends_its_process_has_not_succeeded(tmp_path: Path, extra: list[str]) -> None:
    environment = prepared(tmp_path, EXITS)
    done = subprocess.run(
        [*MRC, "run", *extra, "job.py", "in", "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert done.stderr.count("error: ") == 1, done.stderr


@pytest.mark.parametrize("extra", [[], ["--inline"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_nothing_and_a_second_one_changes_nothing(
    tmp_path: Path, number: int, extra: list[str]
) -> None:
    environment = prepared(tmp_path, STARTS.format("time.sleep(600)"))
    process = subprocess.Popen(
        [*MRC, "run", *extra, "job.py", "in", "out"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        pid = started_pid(tmp_path)
        process.send_signal(number)
        process.send_signal(number)
        _out, err = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert "interrupted; nothing was written" in err
    assert "Traceback" not in err
    assert not is_alive(pid)
    assert left(tmp_path) == set()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("extra", [[], ["--inline"]])
def test_the_next_run_sweeps_what_a_kill_has_left(tmp_path: Path, extra: list[str]) -> None:
    environment = prepared(tmp_path, STARTS.format("time.sleep(600)"))
    process = subprocess.Popen(
        [*MRC, "run", *extra, "job.py", "in", "out"], cwd=tmp_path, env=environment
    )
    try:
        pid = started_pid(tmp_path)
        everyone = [process.pid, *descendants(process.pid)]
        for one in everyone:
            if one != pid:
                os.kill(one, signal.SIGKILL)
        process.wait(LIMIT_S)
        until(lambda: not any(is_alive(one) for one in everyone if one != pid), "they are dead")
        assert is_alive(pid)
        assert len(left(tmp_path)) == 2  # the work directory and the hidden output
        (tmp_path / "tmp" / "mrc-run-of-somebody").mkdir()  # says not whose it is
        (tmp_path / "job.py").write_text(dedent(HASHES))
        subprocess.run(
            [*MRC, "run", "job.py", "in", "out"],
            cwd=tmp_path,
            env=environment,
            check=True,
            timeout=LIMIT_S,
        )
        until(lambda: not is_alive(pid), "the subprocess is ended")
        assert left(tmp_path) == {"mrc-run-of-somebody"}
    finally:
        process.kill()
        if (tmp_path / "pid").exists() and "sleep" in command_of(
            int((tmp_path / "pid").read_text())
        ):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_thread_that_goes_on_does_not_keep_the_command(tmp_path: Path) -> None:
    job = """
        import threading, time
        from mapreduce import Job

        class Threads(Job):
            def map(self, line: str):
                threading.Thread(target=time.sleep, args=(600,)).start()
                yield line, 1
    """
    environment = prepared(tmp_path, job)
    for extra in ([], ["--inline"]):
        command = [*MRC, "run", "--overwrite", *extra, "job.py", "in", "out"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=LIMIT_S)
