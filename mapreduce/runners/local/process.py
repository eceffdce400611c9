"""Forked processes: a child that runs one function, says what it has to say over its socket, and never returns into its parent's code."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from mapreduce.engine.attempt import Progress
from mapreduce.engine.failures import TaskFailed, full_traceback, one_line
from mapreduce.plan.spec import FailureReport
from mapreduce.runners.local.wire import Failed, Finished, Message, Progressed, encode
from mapreduce.runners.task import TaskPlan, Workplace, run_one

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Child:
    pid: int
    socket: socket.socket

    def kill(self) -> None:
        """Ends it and waits for it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.reap()

    def reap(self) -> int:
        """Its exit status as os.waitstatus_to_exitcode gives it: negative for a signal."""
        self.socket.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def fork(body: Callable[[socket.socket], None], *, dies_with_parent: bool) -> Child:
    """Starts a child that calls `body` with its end of a socket pair. A Ctrl-C at the terminal is its parent's business. What it prints
    goes to standard error, and there is nothing to read on its standard input."""
    ours, theirs = socket.socketpair()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return Child(pid, ours)
    status = 70
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if dies_with_parent:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        ours.close()
        _use_standard_error_only()
        body(theirs)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:  # whatever happens, this process must not go on as a second parent
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _use_standard_error_only() -> None:
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for name, fd in (("stdout", 1), ("stderr", 2)):  # a job may close them: the descriptors stay
        setattr(sys, name, open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False))  # noqa: SIM115


def run_task(place: Workplace, plan: TaskPlan, channel: socket.socket) -> None:
    """The body of a task's process."""

    sending = threading.Lock()  # the pulse's thread tells, too

    def tell(message: Message) -> None:
        with sending:
            channel.sendall(encode(message))

    def on_progress(progress: Progress) -> None:
        tell(Progressed(progress.fraction))

    try:
        counters, part = run_one(place, plan, on_progress)
        tell(Finished(counters, part))
    except TaskFailed as failed:
        tell(Failed(failed.report))
    except Exception as error:  # closing the part file, or an error of ours: told with its traceback
        report = FailureReport(kind="storage", message=one_line(error), engine_traceback=full_traceback(error))
        tell(Failed(report))
