"""What every task attempt has around its records: the job's instance, its counters, its progress,
and the boundary where failures become reports. Nothing but TaskFailed (and KeyboardInterrupt)
leaves `boundary`.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from clusterkit.errors import ClusterError, DiskFailed
from mapreduce.api.context import Context
from mapreduce.api.counters import Counter, Counters, TooManyCounters, Totals
from mapreduce.api.job import Job, start
from mapreduce.engine import map_side, user_calls
from mapreduce.engine.attempt import Progress, ProgressSink, Task
from mapreduce.engine.keys import BadKey
from mapreduce.engine.pulse import Moves, Pulse
from mapreduce.engine.user_calls import UserCalls
from mapreduce.engine.values import CannotPickle, CannotUnpickle
from mapreduce.errors import Interrupted
from mapreduce.failures import (
    MESSAGE_CHARACTERS,
    FailureReport,
    TaskFailed,
    UserCodeFailed,
    cut,
    exit_status,
    full_traceback,
    has_user_frame,
    one_line,
    printable,
    raised,
    record_text,
    user_frames,
)
from mapreduce.formats import text_output
from mapreduce.formats.errors import BadInput, BadRecord
from mapreduce.formats.pairs import BadPair
from mapreduce.formats.text_output import CannotWrite
from mapreduce.plan.parameters import all_decoded
from mapreduce.plan.spec import JobSpec

REPORT_EVERY_S = 0.2
_GC_THRESHOLD = (50_000, 20, 50)


class Position(NamedTuple):
    """Where in the input a task is, for its failure report."""

    path: str = ""
    offset: int = -1
    record: object = ""
    method: str = "map"  # of the user's, that was running


class GentleGarbageCollection:
    """Millions of live tuples and lists make full collections dear, and they hold no cycles of
    ours: collect less often meanwhile."""

    def __enter__(self) -> None:
        self._before = gc.get_threshold()
        gc.set_threshold(*_GC_THRESHOLD)

    def __exit__(self, *_error: object) -> None:
        gc.set_threshold(*self._before)


class TaskRun:
    """One attempt of one task. `job` is the instance whose methods run."""

    def __init__(
        self,
        job: type[Job],
        spec: JobSpec,
        task: Task,
        sink: ProgressSink,
        *,
        phase: str,
        input_path: str = "",
    ) -> None:
        self.phase, self.fraction = phase, 0.0
        self.position: Callable[[], Position] = Position
        self._task, self._sink = task, sink
        self._last_report = time.monotonic()
        self._counters = Counters()
        self._context = Context(
            attempt_id=task.attempt_id, partition=task.index, input_path=input_path
        )
        self._context.attach(
            offset=lambda: self.position().offset, on_status=lambda _text: self.report()
        )
        self._class, self._spec = job, spec
        self.moves = Moves()
        self._ticks = 0
        self._pid = os.getpid()
        self.calls = UserCalls(None)

    def begin(self) -> None:
        """Makes the instance and calls its setup; inside `boundary`."""
        parameters = all_decoded(self._spec.parameters)
        self.calls = UserCalls(self._class.__new__(self._class))
        for name in ("__init__", "setup", "teardown"):
            self.calls.refuse_yields(name)
        self.calls = UserCalls(
            start(self._class, parameters, self._context, self._counters, given=self._spec.given)
        )
        self.calls.once("setup")
        self.tick()

    def counter(self, name: str) -> Counter:
        """One of the engine's own counters."""
        return self._counters.own(name)

    def totals(self) -> Totals:
        return self._counters.totals()

    def report(self) -> None:
        self._last_report = time.monotonic()
        self._sink(
            Progress(min(self.fraction, 1.0), self.phase, self._context.status_text, self.totals())
        )

    def _end_a_forked_process(self, error: BaseException | None = None) -> None:
        """A process that the job has forked, and that came back here instead of ending, would do
        this task's work a second time, into the same files, and speak for it. `sys.exit` in it
        means what it says."""
        if os.getpid() == self._pid:
            return
        if not isinstance(error, SystemExit):
            what = one_line(error) if error is not None else "a child ends with os._exit"
            told = f"a process that the job forked came back into the engine and is ended: {what}\n"
            os.write(2, told.encode())
        os._exit(exit_status(error) if isinstance(error, SystemExit) else 70)

    def tick(self) -> float:
        """Reports if it is time to; returns the seconds on the clock."""
        self._end_a_forked_process()
        self._ticks += 1
        now = time.monotonic()
        if now - self._last_report >= REPORT_EVERY_S:
            self.report()
        return now

    def _moved(self) -> object:
        """Something that differs from what it was when the task has moved meanwhile."""
        return self._ticks, self.moves.count, self.totals()

    def _report_if_due(self) -> bool:
        """From the pulse's thread."""
        is_due = time.monotonic() - self._last_report >= REPORT_EVERY_S
        if is_due:
            self.report()
        return is_due

    @contextmanager
    def boundary(self) -> Iterator[None]:
        """Turns whatever is raised inside into TaskFailed."""
        try:
            with Pulse(self._moved, self._report_if_due):
                try:
                    yield
                except BaseException as error:
                    self._end_a_forked_process(error)
                    raise
                self._end_a_forked_process()
        except TaskFailed:
            raise
        except (
            BaseException
        ) as error:  # user code may raise anything, SystemExit and its kin included
            if isinstance(error, Interrupted):
                raise
            if (
                isinstance(error, KeyboardInterrupt)
                and signal.getsignal(signal.SIGINT) is signal.default_int_handler
            ):
                # somebody pressed Ctrl-C; where that is handled or ignored, it can only be the
                # job's own
                raise
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> TaskFailed:
        where, frames, line = self._position(), full_traceback(error), self.calls.yield_line()

        def report(
            kind: str, message: str, offset: int = where.offset, record: object = where.record
        ) -> FailureReport:
            return FailureReport(
                kind=kind,
                message=cut(printable(message), MESSAGE_CHARACTERS),
                traceback=line if kind.startswith(("raised", "bad_")) else "",
                engine_traceback=frames,
                path=printable(where.path),
                offset=offset,
                record=record_text(record),
            )

        if isinstance(error, BadInput):
            return TaskFailed(report("input", f"input {self._context.input_path} {error}", -1, ""))
        if isinstance(error, BadRecord):
            return UserCodeFailed(report("bad_record", str(error), error.offset, error.record))
        cause = (
            error.__cause__
            if isinstance(error, CannotWrite | CannotPickle | CannotUnpickle)
            else None
        )
        if cause is not None and has_user_frame(cause.__traceback__):
            return UserCodeFailed(
                raised(
                    cause, path=where.path, offset=where.offset, record=where.record, why=str(error)
                )
            )
        if isinstance(error, TooManyCounters):
            return UserCodeFailed(
                msgspec.structs.replace(report("raised", str(error)), traceback=user_frames(error))
            )
        if said := self._users_fault(error):
            return UserCodeFailed(report(*said))
        if has_user_frame(error.__traceback__) or isinstance(error, SystemExit):
            return UserCodeFailed(
                raised(error, path=where.path, offset=where.offset, record=where.record)
            )
        if isinstance(error, DiskFailed):
            told = report("disk", error.message, -1, "")
            command = error.next_command or ""
            return TaskFailed(msgspec.structs.replace(told, next_command=command))
        kind = "storage" if isinstance(error, OSError | ClusterError) else "engine"
        return TaskFailed(report(kind, one_line(error), -1, ""))

    def _users_fault(self, error: BaseException) -> tuple[str, str] | None:
        """Kind and message, where the fault is the user's and their code was not running any more
        when it was found."""
        called = self.calls
        if isinstance(error, BadPair) and error.kind == "raised":
            return "raised", f"{called.method} {error}{called.place()}"
        if isinstance(error, BadPair | BadKey | CannotWrite | CannotPickle | CannotUnpickle):
            return "bad_key" if isinstance(error, BadKey) else "bad_record", str(error)
        if _innermost_file(error) not in _READ_THE_USERS:
            return None
        if isinstance(error, ValueError) and "values to unpack" in str(error):
            return (
                "raised",
                f"{called.method} yielded something that is not a (key, value) pair: yield key, "
                f"value{called.place()}",
            )
        return (
            "raised",
            f"{one_line(error)}{called.place()}",
        )  # C code of theirs, which leaves no frame: `return map(int, fields)`

    def _position(self) -> Position:
        try:
            return self.position()
        except Exception:  # the report matters more than where it happened
            return Position()


_READ_THE_USERS = frozenset(module.__file__ for module in (map_side, text_output, user_calls))
"""Files whose loops raise nothing themselves that is not told above: what surfaces there came out
of an iterator of the user's."""


def _innermost_file(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename if trace is not None else ""
