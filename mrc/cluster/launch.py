"""Starting daemons of one machine fast: one process imports what they share, then forks each of
them.

Eight interpreters that each import gRPC cost two seconds of processor time; one import and eight
forks a tenth of it. The launcher is single threaded and has created no gRPC object (importing is
not initialising), so forking is safe; what runs users' code is made by exec (the worker's warm
server) and shares nothing with it. A daemon leads its own session, writes to its log, and tells the
launcher through a pipe that it serves, or why it cannot.
"""

from __future__ import annotations

import importlib
import os
import select
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clusterkit.errors import ClusterError
from coordinator.home import Home

PRELOADED = (
    "clusterkit.rpc",
    "coordinator.backends.home",
    "coordinator.connect",
    "minihdfs.namenode.service",
    "minihdfs.datanode.service",
    "mapreduce.jobtracker.service",
    "mapreduce.worker.service",
    "mapreduce.storage.minihdfs",
)
START_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Launched:
    role: str
    node_id: str
    pid: int
    report_fd: int


def launch(home: Home, wanted: Iterable[tuple[str, str]], flags: Sequence[str]) -> list[Launched]:
    """Starts daemons (role, id)."""
    members = list(wanted)
    for module in PRELOADED if members else ():
        importlib.import_module(module)
    return [_fork(home, role, node_id, flags) for role, node_id in members]


def await_serving(home: Home, started: Sequence[Launched], limit_s: float = START_LIMIT_S) -> None:
    """Returns when each has said that it serves. Raises ClusterError naming the first that does
    not, with its log."""
    end = time.monotonic() + limit_s
    waiting = {s.report_fd: s for s in started}
    said: dict[int, bytes] = dict.fromkeys(waiting, b"")
    try:
        while waiting:
            readable, _, _ = select.select(list(waiting), [], [], max(0.0, end - time.monotonic()))
            if not readable:
                slow = next(iter(waiting.values()))
                raise _failed(home, slow, f"did not serve within {limit_s:g} s")
            for fd in readable:
                data = os.read(fd, 4096)
                said[fd] += data
                if said[fd].endswith(b"\n") or not data:
                    daemon = waiting.pop(fd)
                    if said[fd] != b"serving\n":
                        raise _failed(
                            home,
                            daemon,
                            said[fd].decode(errors="replace").strip() or "ended without a word",
                        )
    finally:
        for daemon in started:
            os.close(daemon.report_fd)


def _failed(home: Home, daemon: Launched, cause: str) -> ClusterError:
    from mrc.cluster.daemon import SAYS_NEXT

    log, (cause, _, following) = home.log(daemon.role, daemon.node_id), cause.partition(SAYS_NEXT)
    return ClusterError(
        f"{daemon.role} {daemon.node_id} did not start: {cause}",
        next_command=following or f"tail {log}",
    )


def _fork(home: Home, role: str, node_id: str, flags: Sequence[str]) -> Launched:
    log = home.log(role, node_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write_fd)
        return Launched(role, node_id, pid, read_fd)
    code = 70
    try:
        os.setsid()
        os.chdir("/")
        log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null_fd = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null_fd, 0), (log_fd, 1), (log_fd, 2)):
            os.dup2(source, target)
        report = os.fdopen(os.dup2(write_fd, 9), "w")
        os.closerange(3, 9)
        os.closerange(10, 1024)
        from mrc.cluster.daemon import serve

        code = serve(home, role, node_id, flags, report)
    finally:
        os._exit(code)  # never back into the launcher's own code
    raise AssertionError("not reached")
