"""`mrc down` ends every daemon of its home, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterkit.service import Announcement, DataDirectory
from coordinator.home import Home
from mrc.cluster.down import bring_down

HOLD = """
import sys
from pathlib import Path
from clusterkit.service import DataDirectory
held = DataDirectory.open(Path(sys.argv[1]), "datanode", "d1")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        [sys.executable, "-c", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert started.stdout is not None and started.stdout.readline() == b"held\n"
        yield started
    finally:
        started.kill()
        started.communicate(timeout=30)


def test_a_daemon_that_does_not_serve_yet_is_ended_too(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with process(HOLD, str(home.data("datanode", "d1"))) as daemon:
        assert bring_down(home) == 1
        assert daemon.wait(30) < 0
    assert bring_down(home) == 0


def test_a_process_that_got_a_dead_daemons_number_is_left_alone(tmp_path: Path) -> None:
    """The announcement is of an earlier life; who holds the directory now has not announced
    itself."""
    home = Home(tmp_path)
    with (
        process("print('held', flush=True); import sys; sys.stdin.read()") as innocent,
        process(HOLD, str(home.data("datanode", "d1"))),
    ):
        Announcement(role="datanode", id="d1", pid=innocent.pid, address="127.0.0.1:1").publish(
            home.path
        )
        assert home.living() == []
        assert bring_down(home) == 1
        assert innocent.poll() is None


def test_who_holds_its_directory_and_announced_itself_lives(tmp_path: Path) -> None:
    home = Home(tmp_path)
    held = DataDirectory.open(home.data("datanode", "d1"), "datanode", "d1")
    Announcement(role="datanode", id="d1", pid=os.getpid(), address="127.0.0.1:1").publish(
        home.path
    )
    assert [a.id for a in home.living()] == ["d1"]
    held.close()
    assert home.living() == []
