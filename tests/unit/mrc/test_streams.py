"""Standard streams that are closed or full: one line and an exit code, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MRC = f"{sys.executable} -m mrc.main"


def shell(line: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line.replace("mrc", MRC)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=directory,
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("mrc --help >&-", 1, "error: standard output: bad file descriptor"),
        ("mrc --help >/dev/full", 1, "error: standard output: no space left on device"),
        (
            "mrc --home h config -o json >/dev/full",
            1,
            "error: standard output: no space left on device",
        ),
        ("mrc --home h config <&- >/dev/null", 0, ""),
        ("mrc --home h status 2>/dev/full", 69, ""),
        ("mrc --home h status 2>&-", 69, ""),
        ("mrc --home h config >&- 2>&- <&-", 1, ""),
        (
            "mkdir gone; cd gone; rmdir ../gone; mrc --home h config",
            1,
            "error: the current directory does not exist any more",
        ),
        ("mkdir gone; cd gone; rmdir ../gone; MRC_HOME=/nowhere mrc config >/dev/null", 0, ""),
    ],
)
def test_a_stream_that_is_closed_or_full(tmp_path: Path, line: str, code: int, said: str) -> None:
    done = shell(line, tmp_path)
    assert (done.returncode, done.stderr.splitlines()[:1]) == (code, [said] if said else [])
    assert "Traceback" not in done.stderr
