"""What tasks do to a worker, and what it says of it: every attempt fails with its own words, and
the worker goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapreduce.worker import process_control
from tests.integration.scripted_tracker import LIMIT_S, WORDS, World, wait_until, world

HEAD = (
    "import ctypes, os, signal, subprocess, sys, time\nfrom mapreduce import Job\n\nclass "
    "Words(Job):\n    def map(self, line: str):\n"
)


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def job(*statements: str) -> str:
    return HEAD + "".join(f"        {line}\n" for line in statements) + "        yield line, 1\n"


def works_still(w: World) -> None:
    """The worker runs another job's map as if nothing had been."""
    w.job(WORDS)
    w.map_done(w.launch_map(0, number=99))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        (
            "int(line)",
            "raised",
            r"ValueError: invalid literal for int\(\) with base 10: 'not-a-number'",
        ),
        ("os._exit(3)", "exited", r"exited with status 3"),
        ("os._exit(0)", "exited", r"exited with status 0 before its output was complete"),
        ("sys.exit(4)", "exited", r"exited with status 4"),
        ("ctypes.string_at(0)", "signalled", r"killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signalled", r"killed by SIGKILL"),
        ("os.abort()", "signalled", r"killed by SIGABRT"),
        ("os.killpg(0, signal.SIGTERM)", "signalled", r"killed by SIGTERM"),
        ("line = object()", "bad_key", r".*object.*"),
    ],
)
def test_each_way_to_die_is_named(w: World, statement: str, kind: str, message: str) -> None:
    w.job(job(statement), b"not-a-number\n")
    w.worker()
    report = w.tracker.failure(w.launch_map())
    assert report.kind == kind
    assert re.fullmatch(message, report.message), report.message
    assert report.worker_id == "w1" and report.attempt_id == w.map_id(0)
    assert "/mapreduce/" not in report.traceback
    works_still(w)


def test_what_raised_shows_the_users_line_and_the_record(w: World) -> None:
    w.job(job("int(line)"), b"12\nnot-a-number\n")
    w.worker()
    report = w.tracker.failure(w.launch_map())
    assert 'source/words.py", line 6' in report.traceback
    assert (report.path, report.offset, report.record) == (
        str(w.root / "in.txt"),
        3,
        "not-a-number",
    )
    assert b"ValueError" in w.log(w.map_id(0))


def test_a_segfault_leaves_its_stack_in_the_log(w: World) -> None:
    w.job(job("ctypes.string_at(0)"))
    w.worker()
    w.tracker.failure(w.launch_map())
    assert b"Segmentation fault" in w.log(w.map_id(0)) and b"words.py" in w.log(w.map_id(0))


def test_a_task_that_hangs_is_ended_with_the_place_where_it_hung(w: World) -> None:
    w.job(job("time.sleep(1000)"), no_progress_limit_s=1.5)
    w.worker()
    report = w.tracker.failure(w.launch_map())
    assert report.kind == "no_progress"
    assert report.message == "no progress for 1.5 s; it was in words.py line 6 in map"
    assert b"most recent call first" in w.log(w.map_id(0))
    works_still(w)


def test_a_stopped_task_is_ended_too(w: World) -> None:
    w.job(job("os.kill(os.getpid(), signal.SIGSTOP)"), no_progress_limit_s=1.5)
    w.worker()
    assert w.tracker.failure(w.launch_map()).kind == "no_progress"


def test_a_task_that_eats_memory_is_ended_with_both_numbers(w: World) -> None:
    w.job(
        job(
            "keep = []",
            "while True:",
            "    keep.append(bytearray(b'x') * (8 << 20))",
            "    time.sleep(0.01)",
        ),
        memory_limit_bytes=200 << 20,
    )
    w.worker()
    report = w.tracker.failure(w.launch_map())
    assert report.kind == "memory"
    assert re.fullmatch(r"used \d+ MiB of memory \(resident\), limit 200 MiB", report.message)
    works_still(w)


def test_children_count_as_the_tasks_memory(w: World) -> None:
    child = "import time; keep = bytearray(b'x') * (300 << 20); time.sleep(60)"
    w.job(job(f"subprocess.run([sys.executable, '-c', {child!r}])"), memory_limit_bytes=200 << 20)
    w.worker()
    assert w.tracker.failure(w.launch_map()).kind == "memory"


def test_a_swarm_of_processes_is_ended(w: World) -> None:
    w.job(
        job(
            "for _ in range(300):",
            "    if os.fork() == 0:",
            "        time.sleep(60)",
            "        os._exit(0)",
            "time.sleep(60)",
        )
    )
    w.worker()
    assert w.tracker.failure(w.launch_map()).kind == "processes"
    wait_until(lambda: process_control.children(w.workers["w1"].task_server_pid) == [])
    works_still(w)


def test_no_orphan_survives_its_task(w: World) -> None:
    """A grandchild in a session of its own, whose parent has ended: what killing the process group
    misses."""
    pid_file = w.root / "orphan"
    steps = [
        "if os.fork() == 0:",
        "    os.setsid()",
        "    if os.fork() == 0:",
        f"        open({str(pid_file)!r}, 'w').write(str(os.getpid()))",
    ]
    w.job(
        job(
            *steps,
            "        time.sleep(1000)",
            "    os._exit(0)",
            f"while not os.path.exists({str(pid_file)!r}): time.sleep(0.01)",
        )
    )
    w.worker()
    w.map_done(w.launch_map())
    orphan = int(pid_file.read_text())
    wait_until(lambda: is_gone(orphan))


def test_a_flood_of_output_is_cut_and_says_so(w: World) -> None:
    w.job(job("for i in range(400_000):", "    print('x' * 99)", "print('the very last line')"))
    w.worker()
    attempt_id = w.launch_map()
    w.map_done(attempt_id)
    path = w.root / f"worker-w1/logs/{attempt_id}.log"
    wait_until(lambda: b"the very last line" in path.read_bytes()[-100:])
    data = path.read_bytes()
    assert len(data) < (17 << 20)
    assert re.search(rb"\[\S+ \d+ bytes of output left out", data)


def test_output_that_is_not_utf8_does_no_harm(w: World) -> None:
    w.job(
        job("sys.stdout.buffer.write(b'\\xff\\xfe\\n')", "sys.stdout.flush()", "print('\\ud800')")
    )
    w.worker()
    w.map_done(w.launch_map())
    wait_until(lambda: b"\xff\xfe" in w.log(w.map_id(0)))


def test_a_message_with_broken_unicode_arrives(w: World) -> None:
    w.job(job("raise ValueError('half a pair: \\ud800')"))
    w.worker()
    assert w.tracker.failure(w.launch_map()).message.startswith("ValueError: half a pair")


def test_garbage_on_the_channel_ends_the_task_only(w: World) -> None:
    w.job(job("os.write(3, b'\\xff' * 100)", "time.sleep(60)"))
    w.worker()
    assert w.tracker.failure(w.launch_map()).kind == "engine"
    works_still(w)


def test_tasks_see_little_of_the_workers_environment_and_a_private_directory(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "token")
    w.job(
        job(
            "print(sorted(os.environ), oct(os.stat('.').st_mode), len(os.listdir('/proc/self/fd')))"
        )
    )
    w.worker()
    w.map_done(w.launch_map())
    log = wait_until(lambda: w.log(w.map_id(0))).decode()
    assert "A_SECRET" not in log and "0o40700" in log
    assert int(log.split()[-1]) <= 8, "0 to 3, what the engine has open, and the listing itself"


def test_the_warm_server_killed_while_idle_is_made_again(w: World) -> None:
    w.job(WORDS)
    service = w.worker()
    w.map_done(w.launch_map())
    first = service.task_server_pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: service.task_server_pid != first)
    w.map_done(w.launch_map(0, number=1))


def test_the_warm_server_killed_with_a_task_takes_it_along_and_is_no_jobs_fault(w: World) -> None:
    w.job(job(f"open({str(w.root / 'pid')!r}, 'w').write(str(os.getpid()))", "time.sleep(1000)"))
    service = w.worker()
    attempt_id = w.launch_map()
    task = int(wait_until(lambda: (w.root / "pid").exists() and (w.root / "pid").read_text()))
    os.kill(service.task_server_pid, signal.SIGKILL)
    failed = w.tracker.until(lambda: w.tracker.news(attempt_id, "failed"))[0]
    assert (
        failed.killed
        and "warm task server was killed by SIGKILL" in w.tracker.failure(attempt_id).message
    )
    wait_until(lambda: is_gone(task))
    works_still(w)


def test_killing_the_worker_ends_every_process_of_it_at_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        steps = [
            "if os.fork() == 0:",
            "    os.setsid()",
            "    time.sleep(1000)",
            f"open({str(w.root / 'pid')!r}, 'w').write('x')",
        ]
        w.job(job(*steps, "time.sleep(1000)"))
        root = tmp_path / "worker-w9"
        code = (
            "import sys; from pathlib import Path; from mapreduce.worker.service import "
            "WorkerOptions, WorkerService\n"
            "s = WorkerService(WorkerOptions('w9', Path(sys.argv[1]), 1), lambda: sys.argv[2], "
            "lambda: 'file:///'); s.start(); s.wait()"
        )
        worker = subprocess.Popen([sys.executable, "-c", code, str(root), w.tracker.address])
        try:
            w.tracker.until(lambda: "w9" in w.tracker.attending)
            w.launch_map(worker_id="w9")
            wait_until(lambda: (w.root / "pid").exists())
            family = process_control.tree(worker.pid)[1:]
            assert len(family) >= 3
            start = time.monotonic()
            worker.kill()
            wait_until(lambda: all(is_gone(pid) for pid in family))
            assert time.monotonic() - start < 5
        finally:
            worker.kill()
            worker.wait(LIMIT_S)
        assert list(process_control.marked(root)) == []
