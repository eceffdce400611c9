"""Epochs over crashes: a process is killed at each step between the lock and the announcement."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from coordinator.api import Candidate
from coordinator.connect import connect

CAMPAIGN = """
import os, signal, sys
from pathlib import Path
from clusterkit import durable_file
from coordinator.api import Candidate
from coordinator.backends import home_state
from coordinator.connect import connect

step, home = sys.argv[1:]
store, write = home_state.write_durably, os.write

def die(*_arguments, **_named):
    os.kill(os.getpid(), signal.SIGKILL)

def cut(fd, data):
    write(fd, data[: len(data) // 2])
    die()

def storing(path, data):
    if step == "state read, nothing written":
        die()
    if step == "half of the new state written":
        os.write = cut
    if step == "new state written, not synced":
        os.fsync = die
    if step == "new state synced, not in place":
        Path.rename = die
    if step == "new state in place, name not synced":
        durable_file.fsync_directory = die
    store(path, data)
    if step == "new state durable, lock held":
        die()

home_state.write_durably = storing
session = connect(f"home://{home}", "m", 2.0)
if step == "lock taken, state not read":
    wait = home_state.HomeFiles._wait_for
    home_state.HomeFiles._wait_for = lambda files, fd: (wait(files, fd), die())
led = session.election.campaign("namenode", Candidate("nn1", "a:1", "here"), on_lost=print)
if step == "lock let go, nobody told":
    die()
print(led.epoch, flush=True)
die()
"""
STEPS = {  # step → is the epoch used up?
    "lock taken, state not read": False,
    "state read, nothing written": False,
    "half of the new state written": False,
    "new state written, not synced": False,
    "new state synced, not in place": False,
    "new state in place, name not synced": True,
    "new state durable, lock held": True,
    "lock let go, nobody told": True,
    "told": True,
}


def test_epochs_grow_whatever_step_a_leader_is_killed_at(tmp_path: Path) -> None:
    handed_out = [0]
    for step, used_up in STEPS.items():
        done = subprocess.run(
            [sys.executable, "-c", CAMPAIGN, step, tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (-signal.SIGKILL, ""), step
        told = [int(line) for line in done.stdout.split()]
        assert len(told) == (step == "told")
        handed_out += told
        session = connect(f"home://{tmp_path}", "m", 2.0)
        assert session.election.leader("namenode") is None, step
        led = session.election.campaign("namenode", Candidate("nn2", "b:1"), on_lost=lambda: None)
        handed_out.append(led.epoch)
        assert led.epoch == handed_out[-2] + 1 + (used_up and not told), step
        assert session.election.highest_epoch("namenode") == led.epoch
        session.close()
    assert handed_out == sorted(set(handed_out))
