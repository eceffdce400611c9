"""The process that conducts a local job: one loop that starts tasks, hears them, watches them, and
tells the caller.

It ends when the job has, or when the caller's end of the socket closes: then it kills the tasks and
leaves nothing behind. It never loads the job: each task does, in a fork of this clean process, so
that a task begins as a process that has just loaded the job.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from functools import partial
from pathlib import Path

from clusterkit.errors import ClusterError
from mapreduce.engine.child_main import prepare_children
from mapreduce.engine.limits import limit_files
from mapreduce.failures import FailureReport, full_traceback, one_line
from mapreduce.plan.loading import load_job
from mapreduce.runners.leftovers import WORK_PREFIXES, Owned, end_descendants, sweep
from mapreduce.runners.local.child import Child
from mapreduce.runners.local.process import fork_task, run_task
from mapreduce.runners.local.wire import (
    Failed,
    Finished,
    Inbox,
    LocalOrder,
    Message,
    Progressed,
    StatusNow,
    encode,
    receive_order,
)
from mapreduce.runners.output import Output
from mapreduce.runners.record import JobRecord
from mapreduce.runners.task import TaskPlan, Versions, Workplace, changed_code, task_plans
from mapreduce.storage.opening import open_storage
from mapreduce.worker import process_control

TELL_EVERY_S, WATCH_EVERY_S = 0.1, 0.25
MOST_PROCESSES = 256
"""Of one task, as on a worker."""


class _Running:
    def __init__(self, plan: TaskPlan, child: Child) -> None:
        self.plan, self.child, self.inbox = plan, child, Inbox()
        self.heard_at = time.monotonic()
        self.verdict: Finished | Failed | None = None


class Conductor:
    """Runs one job to its end."""

    def __init__(self, order: LocalOrder, work: Path, caller: socket.socket) -> None:
        self._order, self._caller, self._work = order, caller, work
        self._record = JobRecord(order.job_id, order.spec, order.output_uri)
        self._output = Output(open_storage(order.target_uri), order.spec, order.job_id)
        self._code: Versions = {}
        self._maps: deque[TaskPlan] = deque()
        self._reduces: deque[TaskPlan] = deque()
        self._running: dict[int, _Running] = {}  # by file descriptor
        self._selector = selectors.DefaultSelector()
        self._told_at = self._watched_at = 0.0

    def run(self) -> None:
        self._selector.register(self._caller, selectors.EVENT_READ)
        try:
            self._output.begin()
            self._conduct()
            if not self._record.is_finished:
                self._output.publish(self._record.counters)
                self._record.succeeded()
        except (OSError, ClusterError) as error:
            self._record.fail(
                FailureReport(
                    kind="storage", message=one_line(error), engine_traceback=full_traceback(error)
                )
            )
        finally:
            self._kill_all()
            if self._record.state != "SUCCEEDED":
                with contextlib.suppress(
                    OSError, ClusterError
                ):  # the job's own failure is what matters
                    self._output.discard()
            self._tell()

    def _place(self) -> Workplace:
        """In a task's process: the job as it is when it has just been loaded, and storages of the
        task's own."""
        order = self._order
        limit_files(order.spec)
        job = load_job(order.spec.code, Path(order.code))
        prepare_children(order.spec.code, Path(order.code))
        return Workplace(
            job,
            Path(order.code),
            order.spec,
            open_storage(order.source_uri),
            open_storage(order.target_uri),
            self._work,
        )

    def _conduct(self) -> None:
        for plan in task_plans(self._record, self._output):
            (self._maps if plan.kind == "m" else self._reduces).append(plan)
        self._tell()
        while not self._record.is_finished and (self._maps or self._reduces or self._running):
            self._start_tasks()
            for key, _events in self._selector.select(WATCH_EVERY_S):
                if key.fileobj is self._caller:
                    self._record.killed(
                        self._caller.recv(1 << 12).decode(errors="replace") or "the caller has gone"
                    )
                    return
                self._hear(self._running[key.fd])
            self._watch()
            if time.monotonic() - self._told_at >= TELL_EVERY_S:
                self._tell()

    def _start_tasks(self) -> None:
        while len(self._running) < self._order.slots:
            if self._maps:
                plan = self._maps.popleft()
            elif self._reduces and not any(
                running.plan.kind == "m" for running in self._running.values()
            ):
                plan = self._reduces.popleft()
            else:
                return
            temporary = self._work / f"tmp-{plan.kind}-{plan.index}"
            child = fork_task(partial(run_task, self._place, plan), temporary)
            self._running[child.socket.fileno()] = _Running(plan, child)
            self._selector.register(child.socket, selectors.EVENT_READ)
            self._record.fractions[plan.attempt_id] = 0.0

    def _hear(self, running: _Running) -> None:
        try:
            data = running.child.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        running.heard_at = time.monotonic()
        for message in running.inbox.feed(data):
            self._take(running, message)
        if not data:
            self._ended(running)

    def _take(self, running: _Running, message: Message) -> None:
        if isinstance(message, Progressed):
            self._record.fractions[running.plan.attempt_id] = message.fraction
        elif isinstance(message, Finished | Failed):
            running.verdict = message

    def _ended(self, running: _Running) -> None:
        """A task's process is over: what it said last counts, and where it said nothing, how it
        ended."""
        self._forget(running)
        code = running.child.reap()
        self._end_orphans()
        verdict, plan = running.verdict, running.plan
        changed = changed_code(self._code, verdict.code) if isinstance(verdict, Finished) else None
        if changed is not None:
            self._record.task_failed(plan.attempt_id, changed)
        elif isinstance(verdict, Finished):
            self._record.task_done(plan.attempt_id, verdict.counters)
            if verdict.part is not None:
                self._output.take(plan.kind, plan.index, verdict.part)
        else:
            self._record.task_failed(
                plan.attempt_id, verdict.report if verdict is not None else _silent_end(code)
            )

    def _watch(self) -> None:
        """Ends tasks that take too much memory or make no progress."""
        now = time.monotonic()
        if now - self._watched_at < WATCH_EVERY_S:
            return
        self._watched_at = now
        spec = self._record.spec
        for running in list(self._running.values()):
            resident, processes = process_control.measure(running.child.pid)
            if processes > MOST_PROCESSES:
                self._end(
                    running, "processes", f"ran {processes} processes, limit {MOST_PROCESSES}"
                )
            elif resident > spec.memory_limit_bytes:
                limit = f"{spec.memory_limit_bytes >> 20} MiB"
                self._end(
                    running,
                    "memory",
                    f"took {resident >> 20} MiB of memory; the limit is {limit} "
                    "(memory_limit_bytes)",
                )
            elif now - running.heard_at > spec.no_progress_limit_s:
                self._end(
                    running,
                    "no_progress",
                    f"made no progress for {spec.no_progress_limit_s:g} s (no_progress_limit_s)",
                )

    def _end(self, running: _Running, kind: str, message: str) -> None:
        self._forget(running)
        running.child.kill()
        self._end_orphans()
        self._record.task_failed(running.plan.attempt_id, FailureReport(kind=kind, message=message))

    def _forget(self, running: _Running) -> None:
        self._selector.unregister(running.child.socket)
        del self._running[running.child.socket.fileno()]

    def _kill_all(self) -> None:
        for running in list(self._running.values()):
            self._forget(running)
            running.child.kill()
            self._record.task_killed(running.plan.attempt_id)
        self._end_orphans()

    def _end_orphans(self) -> None:
        """What tasks that are over have left running."""
        end_descendants(frozenset(running.child.pid for running in self._running.values()))

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # the caller has gone; the loop hears of it
            self._caller.sendall(encode(StatusNow(self._record.status())))


def conduct(order: LocalOrder, caller: socket.socket, parent: Path) -> None:
    """Runs one job in a directory of its own."""
    sweep(parent, WORK_PREFIXES)
    with tempfile.TemporaryDirectory(
        prefix=WORK_PREFIXES[0], dir=parent, ignore_cleanup_errors=True
    ) as name:
        owned = Owned(Path(name), os.environ.get(process_control.POOL_MARK, ""))
        try:
            Conductor(order, Path(name), caller).run()
        finally:
            owned.close()


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as caller:
        _serve(caller)


def _serve(caller: socket.socket) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _number, _frame: caller.shutdown(socket.SHUT_RD))
    process_control.adopt_orphans()
    process_control.set_name("mrc-conductor")
    order = receive_order(caller)
    if order is None:  # the caller had nothing to run after all
        return
    gc.collect()
    gc.freeze()  # pages of what is loaded now stay shared with the tasks
    try:
        conduct(order, caller, Path(order.work or tempfile.gettempdir()))
    except (
        OSError,
        ClusterError,
    ) as error:  # no directory to work in, no file system: told as the job's failure
        record = JobRecord(order.job_id, order.spec, order.output_uri)
        record.fail(
            FailureReport(
                kind="storage", message=one_line(error), engine_traceback=full_traceback(error)
            )
        )
        caller.sendall(encode(StatusNow(record.status())))


def _silent_end(code: int) -> FailureReport:
    if code < 0:
        known = -code in signal.valid_signals()
        return FailureReport(
            kind="signalled",
            message=f"killed by {signal.Signals(-code).name if known else f'signal {-code}'}",
        )
    return FailureReport(kind="exited", message=f"exited with status {code}")


if __name__ == "__main__":
    main()
