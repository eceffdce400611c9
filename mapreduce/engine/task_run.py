"""What every task attempt has around its records: the job's instance, its counters, its progress, and the boundary where failures become
reports. Nothing but TaskFailed (and KeyboardInterrupt) leaves `boundary`.
"""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from clusterkit.errors import ClusterError
from mapreduce.api.context import Context
from mapreduce.api.counters import JOB_GROUP, Counter, Counters, Totals
from mapreduce.api.job import Job, start
from mapreduce.engine.attempt import Progress, ProgressSink, Task
from mapreduce.engine.codec import CannotPickle
from mapreduce.engine.failures import TaskFailed, UserCodeFailed, full_traceback, has_user_frame, one_line, printable, raised, record_text
from mapreduce.engine.keys import BadKey
from mapreduce.engine.map_side import BadPair
from mapreduce.formats.errors import BadInput, BadRecord
from mapreduce.plan.spec import FailureReport, JobSpec

REPORT_EVERY_S = 0.2
_GC_THRESHOLD = (50_000, 20, 50)


class Position(NamedTuple):
    """Where in the input a task is, for its failure report."""

    path: str = ""
    offset: int = -1
    record: object = ""
    method: str = "map"  # of the user's, that was running


class GentleGarbageCollection:
    """Millions of live tuples and lists make full collections dear, and they hold no cycles of ours: collect less often meanwhile."""

    def __enter__(self) -> None:
        self._before = gc.get_threshold()
        gc.set_threshold(*_GC_THRESHOLD)

    def __exit__(self, *_error: object) -> None:
        gc.set_threshold(*self._before)


class TaskRun:
    """One attempt of one task. `job` is the instance whose methods run."""

    def __init__(self, job: type[Job], spec: JobSpec, task: Task, sink: ProgressSink, *, phase: str, input_path: str = "") -> None:
        self.phase, self.fraction = phase, 0.0
        self.position: Callable[[], Position] = Position
        self._task, self._sink = task, sink
        self._last_report = time.monotonic()
        self._counters = Counters()
        self._context = Context(attempt_id=task.attempt_id, partition=task.index, input_path=input_path)
        self._context.attach(offset=lambda: self.position().offset, on_status=lambda _text: self.report())
        self._class, self._parameters = job, spec.parameters
        self.job: Job

    def begin(self) -> None:
        """Makes the instance and calls its setup; inside `boundary`."""
        self.job = start(self._class, self._parameters, self._context, self._counters)
        self.job.setup()

    def counter(self, name: str) -> Counter:
        """One of the engine's own counters."""
        return self._counters.counter(JOB_GROUP, name)

    def totals(self) -> Totals:
        return self._counters.totals()

    def report(self) -> None:
        self._last_report = time.monotonic()
        self._sink(Progress(min(self.fraction, 1.0), self.phase, self._context.status_text, self.totals()))

    def tick(self) -> float:
        """Reports if it is time to; returns the seconds on the clock."""
        now = time.monotonic()
        if now - self._last_report >= REPORT_EVERY_S:
            self.report()
        return now

    @contextmanager
    def boundary(self) -> Iterator[None]:
        """Turns whatever is raised inside into TaskFailed."""
        try:
            yield
        except TaskFailed:
            raise
        except BaseException as error:  # user code may raise anything, SystemExit and its kin included
            if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                raise  # somebody pressed Ctrl-C; where that is ignored, it can only be the job's own
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> TaskFailed:
        where, frames = self._position(), full_traceback(error)

        def report(kind: str, message: str, offset: int = where.offset, record: object = where.record) -> FailureReport:
            return FailureReport(
                kind=kind,
                message=printable(message),
                engine_traceback=frames,
                path=printable(where.path),
                offset=offset,
                record=record_text(record),
            )

        if isinstance(error, BadInput):
            return TaskFailed(report("input", f"input {self._context.input_path} {error}", -1, ""))
        if isinstance(error, BadRecord):
            return UserCodeFailed(report("bad_record", str(error), error.offset, error.record))
        if isinstance(error, BadKey):
            return UserCodeFailed(report("bad_key", str(error)))
        if isinstance(error, BadPair | CannotPickle):
            return UserCodeFailed(report("bad_record", str(error)))
        if has_user_frame(error.__traceback__) or isinstance(error, SystemExit):
            return UserCodeFailed(raised(error, path=where.path, offset=where.offset, record=where.record))
        if isinstance(error, TypeError | ValueError) and (said := _not_pairs(error)):
            return UserCodeFailed(report("raised", f"{where.method} {said}"))
        kind = "storage" if isinstance(error, OSError | ClusterError) else "engine"
        return TaskFailed(report(kind, one_line(error), -1, ""))

    def _position(self) -> Position:
        try:
            return self.position()
        except Exception:  # the report matters more than where it happened
            return Position()


def _not_pairs(error: Exception) -> str:
    """What is wrong with what the user's method gave us, where Python's own words for it came out of our loop."""
    text = str(error)
    if "not iterable" in text or "non-iterable" in text:
        got = text.split("'")[1] + " object" if "'" in text else text.rpartition("iterable ")[2]
        return f"gave a {got} where (key, value) pairs are wanted: yield them, one by one"
    if "values to unpack" in text:
        return "yielded something that is not a (key, value) pair: yield key, value"
    return ""
