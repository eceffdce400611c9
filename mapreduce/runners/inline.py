"""Runs a job in this very process, task by task: for tests, debuggers and notebooks. At least two
maps where the input allows, so that a job which only works in one piece is found out here. What the
job prints goes to standard error, as standard output carries data only.

The job's modules are loaded again for every task, and what a task did to this process (directory,
environment, signals, seeds) is undone after it, as far as one process can. `hash` of a text is this
process's own: `mrc run --inline` starts it with the seed of all tasks.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from clusterkit.errors import ClusterError
from mapreduce.engine.attempt import Progress
from mapreduce.engine.child_main import prepare_children
from mapreduce.engine.limits import limited_files
from mapreduce.failures import FailureReport, TaskFailed, full_traceback, one_line
from mapreduce.plan.describe import JobClassFacts
from mapreduce.plan.loading import load_job
from mapreduce.plan.packaging import package_code
from mapreduce.plan.planning import plan_job
from mapreduce.runners.api import Status, Submission
from mapreduce.runners.leftovers import WORK_PREFIXES, Owned, sweep
from mapreduce.runners.output import Output
from mapreduce.runners.record import JobRecord, new_job_id, the_job
from mapreduce.runners.task import (
    TaskPlan,
    Versions,
    Workplace,
    changed_code,
    loaded_versions,
    run_one,
    task_plans,
)
from mapreduce.storage.api import Storage
from mapreduce.worker import process_control

LEAST_MAPS = 2


class InlineRunner:
    """One job at a time. `work` is where map outputs go while it runs."""

    def __init__(
        self, source: Storage, target: Storage | None = None, *, work: Path | None = None
    ) -> None:
        self._source, self._target, self._work = source, target or source, work
        self._record: JobRecord | None = None
        self._code = Path()
        self._versions: Versions = {}

    def submit(self, facts: JobClassFacts, submission: Submission) -> str:
        self._code, self._versions = Path(facts.origin), {}
        code = facts.code(package_code(facts.file)[1])
        spec = plan_job(
            facts,
            code,
            self._source,
            submission.inputs,
            submission.output,
            output_storage=self._target,
            settings=submission.settings,
            parameters=submission.parameters,
            name=submission.name,
            overwrite=submission.overwrite,
            recursive=submission.recursive,
            least_maps=LEAST_MAPS,
        )
        self._record = JobRecord(new_job_id(), spec, self._target.uri(spec.output))
        return self._record.job_id

    def status(self, job_id: str) -> Status:
        return the_job(self._record, job_id).status()

    def kill(self, job_id: str, reason: str) -> Status:
        record = the_job(self._record, job_id)
        record.killed(reason)
        return record.status()

    def watch(self, job_id: str, interval_s: float) -> Iterator[Status]:
        record = the_job(self._record, job_id)
        yield record.status()
        if record.is_finished:
            return
        last = time.monotonic()
        parent = self._work or Path(tempfile.gettempdir())
        sweep(parent, WORK_PREFIXES)
        with (
            tempfile.TemporaryDirectory(
                prefix=WORK_PREFIXES[1], dir=parent, ignore_cleanup_errors=True
            ) as work,
            contextlib.closing(Owned(Path(work), os.environ.get(process_control.POOL_MARK, ""))),
        ):
            output = Output(self._target, record.spec, record.job_id)
            try:
                for _step in self._run(record, output, Path(work)):
                    if time.monotonic() - last >= interval_s:
                        last = time.monotonic()
                        yield record.status()
            finally:  # reached too when the reader stops reading
                if record.state != "SUCCEEDED":
                    output.discard()
        yield record.status()

    def _run(self, record: JobRecord, output: Output, work: Path) -> Iterator[None]:
        """One step per task."""
        try:
            output.begin()
            for plan in task_plans(record, output):
                if record.is_finished:
                    return
                self._run_task(record, output, work, plan)
                yield
            if not record.is_finished:
                output.publish(record.counters)
                record.succeeded()
        except (OSError, ClusterError) as error:
            record.fail(
                FailureReport(
                    kind="storage", message=one_line(error), engine_traceback=full_traceback(error)
                )
            )

    def _run_task(self, record: JobRecord, output: Output, work: Path, plan: TaskPlan) -> None:
        def on_progress(progress: Progress) -> None:
            record.fractions[plan.attempt_id] = progress.fraction

        try:
            with _as_it_was(), limited_files(record.spec), _task_streams():
                job = load_job(record.spec.code, self._code)
                prepare_children(record.spec.code, self._code)
                code = loaded_versions(self._code)
                counters, part = run_one(
                    Workplace(job, self._code, record.spec, self._source, self._target, work),
                    plan,
                    on_progress,
                )
        except TaskFailed as failed:
            record.task_failed(plan.attempt_id, failed.report)
            return
        changed = changed_code(self._versions, code)
        if changed is not None:
            record.task_failed(plan.attempt_id, changed)
            return
        record.task_done(plan.attempt_id, counters)
        if part is not None:
            output.take(plan.kind, plan.index, part)


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Random generators begin anew; the rest of the process is put back behind the task."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    directory, environment, limit = (
        os.open(".", os.O_RDONLY | os.O_DIRECTORY),
        dict(os.environ),
        sys.getrecursionlimit(),
    )
    main, main_spec = sys.modules["__main__"], sys.modules["__main__"].__spec__
    in_main = threading.current_thread() is threading.main_thread()
    handlers = (
        {number: signal.getsignal(number) for number in signal.valid_signals()} if in_main else {}
    )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.fchdir(directory)
        os.close(directory)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        sys.setrecursionlimit(limit)
        main.__spec__ = main_spec
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


class _Borrowed(io.TextIOBase):
    """Writes to this process's standard error; a job that closes it closes no more than this."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()


@contextlib.contextmanager
def _task_streams() -> Iterator[None]:
    with (
        contextlib.redirect_stdout(_Borrowed(sys.stderr)),
        contextlib.redirect_stderr(_Borrowed(sys.stderr)),
    ):
        yield
