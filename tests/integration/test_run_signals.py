"""`mrc run` as a process: Ctrl-C, SIGTERM of the conductor and SIGKILL of the caller leave neither
output nor processes nor files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.equipment.until import until

LIMIT_S = 20
SLOW = (
    "import time\nfrom mapreduce import Job\nclass Slow(Job):\n    def map(self, line: "
    "str):\n        yield line, time.sleep(0.2)\n"
)


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def descendants(pid: int) -> list[int]:
    parents = {
        int(path.name): parent_of(int(path.name))
        for path in Path("/proc").iterdir()
        if path.name.isdigit()
    }
    found = [pid]
    for above in found:
        found += [child for child, parent in parents.items() if parent == above]
    return found[1:]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("whom", "number", "code", "said"),
    [
        ("caller", signal.SIGINT, 130, "interrupted; nothing was written"),
        ("conductor", signal.SIGTERM, 1, "error: Slow was killed: the caller has gone"),
        ("caller", signal.SIGKILL, -9, ""),
    ],
)
def test_a_signal_in_the_middle(
    tmp_path: Path, whom: str, number: int, code: int, said: str
) -> None:
    (tmp_path / "job.py").write_text(SLOW)
    (tmp_path / "in").write_text("x\n" * 500)
    (tmp_path / "tmp").mkdir()
    mrc = [sys.executable, "-c", "from mrc.main import main; main()"]
    command = [*mrc, "run", "--slots", "2", "--split-bytes", "100", "job.py", "in", "out"]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: len(descendants(process.pid)) == 3, "the conductor and two tasks run")
        everyone = descendants(process.pid)
        os.kill(process.pid if whom == "caller" else min(everyone), number)
        _out, err = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert process.returncode == code
    assert said in err
    assert "Traceback" not in err
    until(lambda: not any(map(is_alive, everyone)), "every process has ended")
    assert {path.name for path in tmp_path.iterdir()} == {"job.py", "in", "tmp"}
    assert list((tmp_path / "tmp").iterdir()) == []
