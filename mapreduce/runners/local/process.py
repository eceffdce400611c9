"""The task processes of a local job, forked from its conductor: a task runs one function, says what
it has to say over its socket, and never returns into its parent's code.

Nothing that a task starts survives it: a task is a session of its own, dies with the conductor and
adopts its own orphans; what it leaves falls to the conductor, which ends it before the task's end
counts.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from mapreduce.engine.attempt import Progress
from mapreduce.failures import FailureReport, TaskFailed, full_traceback, one_line
from mapreduce.runners.local.child import Child
from mapreduce.runners.local.wire import Failed, Finished, Message, Progressed, encode
from mapreduce.runners.task import TaskPlan, Workplace, loaded_versions, run_one
from mapreduce.worker import process_control

CHANNEL_FD = 3


def fork_task(body: Callable[[socket.socket], None], temporary: Path) -> Child:
    """Starts a child that calls `body` with its end of a socket pair. What it prints goes to
    standard error, and there is nothing to read on its standard input; temporary files go where
    they are removed with the job."""
    ours, theirs = socket.socketpair()
    temporary.mkdir()
    pid = os.fork()
    if pid:
        theirs.close()
        return Child(pid, ours)
    status = 70
    try:
        _become_task(theirs, temporary, os.getppid())
        body(socket.socket(fileno=CHANNEL_FD))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:  # whatever happens, this process must not go on as a second parent
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _become_task(channel: socket.socket, temporary: Path, conductor: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    process_control.die_with_parent(conductor)
    process_control.adopt_orphans()
    os.dup2(channel.fileno(), CHANNEL_FD, inheritable=False)
    channel.detach()
    os.closerange(CHANNEL_FD + 1, 65_536)
    os.environ["TMPDIR"] = str(temporary)
    for name, fd in (("stdout", 1), ("stderr", 2)):  # a job may close them: the descriptors stay
        setattr(
            sys,
            name,
            open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False),  # noqa: SIM115
        )
    faulthandler.enable(file=2)


def run_task(make_place: Callable[[], Workplace], plan: TaskPlan, channel: socket.socket) -> None:
    """The body of a task's process."""
    sending = threading.Lock()  # the pulse's thread tells, too

    def tell(message: Message) -> None:
        with sending:
            channel.sendall(encode(message))

    def on_progress(progress: Progress) -> None:
        tell(Progressed(progress.fraction))

    try:
        place = make_place()
        code = loaded_versions(place.code)
        counters, part = run_one(place, plan, on_progress)
        tell(Finished(counters, part, code))
    except TaskFailed as failed:
        tell(Failed(failed.report))
    except (
        Exception
    ) as error:  # closing the part file, or an error of ours: told with its traceback
        report = FailureReport(
            kind="storage", message=one_line(error), engine_traceback=full_traceback(error)
        )
        tell(Failed(report))
