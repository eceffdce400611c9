"""What ends `mrc run` before its job does, and what it leaves then: nothing.

Ctrl-C, SIGTERM and SIGHUP raise `Interrupted` wherever the command is; what has been begun is ended
and removed, and signals that come meanwhile are not heard. Processes that a job started and left
become this command's children, whatever they do, and end with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn

import click

from clusterkit.errors import EXIT_FAILED, EXIT_INTERRUPTED
from mapreduce.errors import Interrupted
from mapreduce.runners.leftovers import end_descendants
from mapreduce.runners.task import run_one
from mapreduce.worker import process_control
from mrc.printing import err

_CODES: dict[int, int] = {
    signal.SIGINT: EXIT_INTERRUPTED,
    signal.SIGTERM: 128 + signal.SIGTERM,
    signal.SIGHUP: 128 + signal.SIGHUP,
}


class Endings:
    """Entered once, around all of a command, in the main thread."""

    def __init__(self, *, is_inline: bool) -> None:
        self._is_inline = is_inline
        self._before: dict[int, Any] = {}
        self._received: int | None = None

    def __enter__(self) -> Endings:
        if threading.current_thread() is threading.main_thread():
            for number in _CODES:
                if (
                    signal.getsignal(number) is not signal.SIG_IGN
                ):  # nohup, and what a shell starts in the background
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first one ends the command, and no other one disturbs it in that; but a job that runs
        here may have swallowed the first."""
        if self._received is None or (self._is_inline and _in_a_task(frame)):
            self._received = number
            raise Interrupted(number)

    def check(self) -> None:
        """Between two steps of a job: a job run in this process may have swallowed what was
        raised."""
        if self._received is not None:
            raise Interrupted(self._received)

    def leave(self, said: str) -> NoReturn:
        """After everything has been ended."""
        err(said, lines=False)  # also when the terminal has gone
        raise click.exceptions.Exit(_CODES.get(self._received or signal.SIGINT, EXIT_INTERRUPTED))


def _in_a_task(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not run_one.__code__:
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def job_in_this_process() -> Iterator[None]:
    """What a job that runs here leaves, ends here; not what this process had before, such as the
    background jobs of a shell that became `mrc run`."""
    before = frozenset(process_control.children(os.getpid()))
    process_control.adopt_orphans()
    try:
        with _no_silent_exit():
            yield
    finally:
        end_descendants(before)
        process_control.adopt_orphans(False)


@contextlib.contextmanager
def _no_silent_exit() -> Iterator[None]:
    """os._exit in a job that runs here ends this command without another word, and with the job's
    exit code: that must not look like success. Processes that the job forks may use it."""
    leave, here = os._exit, os.getpid()

    def told(status: int) -> NoReturn:
        if os.getpid() == here:
            err(
                f"error: the job ended the process that runs it: os._exit({status}); its output is "
                "not there",
                lines=False,
            )
            leave(EXIT_FAILED)
        leave(status)

    os._exit = told
    try:
        yield
    finally:
        os._exit = leave


def leave_threads_behind(code: int) -> int:
    """The exit code, or no return where some thread of a job's would keep the interpreter
    waiting."""
    if any(
        not thread.daemon and thread is not threading.main_thread()
        for thread in threading.enumerate()
    ):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code
