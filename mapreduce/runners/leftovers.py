"""Directories that belong to a run and end with it, and what of them is swept after a run that was
killed before it could.

A directory is a live run's as long as a lock on the file `_owner` in it is held; the kernel lets go
of it with the process, whatever ended it. The file gets its name only when it is locked, so nobody
ever finds an unlocked one that is about to be. Swept is only what is this user's, has such a file,
and has nobody who holds it; processes that such a run's tasks have left are found by the mark in
their environment, which the file names.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from pathlib import Path

from mapreduce.worker import process_control

OWNER_NAME = "_owner"
WORK_PREFIXES = ("mrc-run-", "mrc-inline-")
STUBBORN_S = 10.0
"""What does not die of SIGKILL for so long (it waits for a dead disk) is left."""
_MARK = re.compile(r"run-[0-9a-f]{32}")


class Owned:
    """Holds a directory until it is closed or this process ends. Processes forked from this one
    have to close `fd`."""

    def __init__(self, directory: Path, mark: str = "") -> None:
        beside = directory / f"{OWNER_NAME}.{os.getpid()}"
        self.fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(self.fd, mark.encode())
        beside.rename(directory / OWNER_NAME)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def sweep(parent: Path, prefixes: tuple[str, ...]) -> None:
    """Removes what killed runs have left in `parent` under names that begin so."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(parent):
            if (
                entry.name.startswith(prefixes)
                and entry.is_dir(follow_symlinks=False)
                and entry.stat(follow_symlinks=False).st_uid == os.getuid()
            ):
                with contextlib.suppress(OSError):
                    _sweep_one(Path(entry.path))


def _sweep_one(directory: Path) -> None:
    """Raises OSError where it is somebody's, or nobody can say whose."""
    fd = os.open(directory / OWNER_NAME, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark = os.read(fd, 64).decode(errors="replace")
        if _MARK.fullmatch(mark):
            for pid in process_control.marked(mark):
                process_control.kill(pid)
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(fd)


def end_descendants(spared: frozenset[int] = frozenset()) -> None:
    """Kills every child of this process but the spared ones, and whatever comes to this process
    when they die (it adopts orphans)."""
    end = time.monotonic() + STUBBORN_S
    while left := [pid for pid in process_control.children(os.getpid()) if pid not in spared]:
        for pid in left:
            process_control.kill_group(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > end:
            return
        time.sleep(0.002)
