"""The processes of a local job as their makers hold them.

A conductor is made by exec, so that nothing of the caller is in the tasks that are forked from it:
no module that the caller has loaded (as the job's own file), no thread, no seed of a random
generator; and `hash` gives what it gives everywhere (HASH_SEED).
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass

from clusterkit.interpreter import fixed_addresses, interpreter
from mapreduce.plan.spec import HASH_SEED
from mapreduce.worker import process_control

TIDYING_S = 15.0


@dataclass(frozen=True, slots=True)
class Child:
    pid: int
    socket: socket.socket
    process: subprocess.Popen[bytes] | None = None  # of one that was made by exec

    def kill(self) -> None:
        """Ends it with its process group, and waits for it."""
        process_control.kill_group(self.pid)
        self.reap()

    def end(self) -> None:
        """Of a conductor, which tidies up first; of one that has ended already, or that had nothing
        to do, it is soon done."""
        if self.socket.fileno() < 0 or self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(TIDYING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reap()

    def reap(self) -> int:
        """Its exit status as os.waitstatus_to_exitcode gives it: negative for a signal."""
        self.socket.close()
        if self.process is not None:
            return self.process.wait()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def start_conductor() -> Child:
    """Makes the process that will run a job; it loads the engine while the caller goes on. It ends
    when its socket is closed. Signals for the caller's terminal do not reach it: it has to tidy
    up."""
    ours, theirs = socket.socketpair()
    environment = os.environ | {
        "PYTHONHASHSEED": str(HASH_SEED),
        process_control.POOL_MARK: f"run-{secrets.token_hex(16)}",
    }
    output = 2 if _is_open(2) else subprocess.DEVNULL
    with theirs, fixed_addresses():
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mapreduce.runners.local.conductor", str(theirs.fileno())],
            executable=interpreter(),
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Child(process.pid, ours, process)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
