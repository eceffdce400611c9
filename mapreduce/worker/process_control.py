"""Linux's controls over processes, thinly: die with the parent, adopt orphans, list children,
measure a process and its descendants.

Nothing here decides. All of it needs Linux with /proc; a file of /proc that has just vanished means
that the process has.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 15, 36, 38
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL(None, use_errno=True)

POOL_MARK = "MRC_TASK_POOL"
"""Environment variable of what tasks are forked from, so of all their descendants: the worker's
data directory, or a local run's mark."""


MAX_MEASURED = 64
_KERNEL_LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _prctl(option: int, argument: int | bytes) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}): {os.strerror(ctypes.get_errno())}")


def die_with_parent(parent_pid: int, number: int = signal.SIGKILL) -> None:
    """This process gets the signal when the thread that made it ends; at once when that has
    happened already."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), number)


def adopt_orphans(adopts: bool = True) -> None:
    """Descendants whose parent ends become children of this process instead of init's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(adopts))


def gain_no_privileges() -> None:
    """Neither this process nor what it starts can become more by setuid files."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_name(name: str) -> None:
    """What `top` shows; 15 bytes at most."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def prefer_to_be_killed() -> None:
    """When memory runs out the kernel should take a task, not the worker."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def children(pid: int) -> list[int]:
    """Where the kernel keeps no lists of children, every process is asked for its parent."""
    if not _KERNEL_LISTS_CHILDREN:
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _parent(entry) == pid
        ]
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(word) for word in (thread / "children").read_text().split()]
    return found


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return -1


def tree(pid: int, limit: int = 10_000) -> list[int]:
    """A process and its descendants, the process itself first."""
    found = [pid]
    for parent in found:  # grows while it is walked
        if len(found) >= limit:
            break
        found += children(parent)
    return found


def resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def proportional_bytes(pid: int) -> int:
    """Resident size where a page that several processes share counts once among them."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def measure(pid: int) -> tuple[int, int]:
    """Memory and number of a process and its descendants. One process is measured by its resident
    size; several share pages since their fork, so their proportional sizes are added, which takes
    longer, for as many as can be afforded. Files in memory that they hold open are memory, too,
    mapped or not."""
    pids = tree(pid)
    measured = pids[:MAX_MEASURED]
    resident = (
        resident_bytes(pid) if len(pids) == 1 else sum(proportional_bytes(one) for one in measured)
    )
    files = _memory_files(measured)
    if files:
        resident += max(0, files - sum(_mapped_shared_bytes(one) for one in measured))
    return resident, len(pids)


def _memory_files(pids: list[int]) -> int:
    """Bytes of the files in /dev/shm and of memfds that these processes hold open, each counted
    once."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(entry.readlink()).startswith(("/dev/shm/", "/memfd:")):
                        found = entry.stat()
                        sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


def _mapped_shared_bytes(pid: int) -> int:
    """What of shared memory is in the process's resident size already."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssShmem:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def marked(owner: Path | str) -> Iterator[int]:
    """Processes whose environment has carried this mark since they were made: a worker's data
    directory, or the mark of a local run."""
    mark = f"{POOL_MARK}={owner}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_group(pid: int, number: int = signal.SIGKILL) -> None:
    """The process and every process of the group it leads."""
    kill(pid, number)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
