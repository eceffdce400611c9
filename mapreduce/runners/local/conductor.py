"""The process that conducts a local job: one loop that starts tasks, hears them, watches them, and tells the caller.

It ends when the job has, or when the caller's end of the socket closes: then it kills the tasks and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from clusterkit.errors import ClusterError
from mapreduce.engine.failures import TaskFailed, full_traceback, one_line
from mapreduce.plan.loading import load_job
from mapreduce.plan.spec import FailureReport
from mapreduce.runners.inline import task_plans
from mapreduce.runners.local.process import Child, fork, run_task
from mapreduce.runners.local.wire import Failed, Finished, Inbox, Message, Progressed, StatusNow, encode
from mapreduce.runners.output import Output
from mapreduce.runners.record import JobRecord
from mapreduce.runners.task import TaskPlan, Workplace
from mapreduce.storage.opening import open_storage

TELL_EVERY_S, WATCH_EVERY_S = 0.1, 0.25
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class LocalOrder:
    record: JobRecord
    code: Path  # the job's own directory
    source_uri: str
    target_uri: str
    slots: int
    work: Path | None  # where map outputs go; None: the system's temporary directory


class _Running:
    def __init__(self, plan: TaskPlan, child: Child) -> None:
        self.plan, self.child, self.inbox = plan, child, Inbox()
        self.heard_at = time.monotonic()
        self.verdict: Finished | Failed | None = None


class Conductor:
    """Runs one job to its end."""

    def __init__(self, order: LocalOrder, work: Path, caller: socket.socket) -> None:
        self._record, self._code, self._slots, self._caller = order.record, order.code, order.slots, caller
        self._source, self._target, self._work = open_storage(order.source_uri), open_storage(order.target_uri), work
        self._output = Output(self._target, order.record.spec, order.record.job_id)
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
        except TaskFailed as failed:
            self._record.fail(failed.report)
        except (OSError, ClusterError) as error:
            self._record.fail(FailureReport(kind="storage", message=one_line(error), engine_traceback=full_traceback(error)))
        finally:
            self._kill_all()
            if self._record.state != "SUCCEEDED":
                with contextlib.suppress(OSError, ClusterError):  # the job's own failure is what matters
                    self._output.discard()
            self._tell()

    def _conduct(self) -> None:
        job = load_job(self._record.spec.code, self._code)
        place = Workplace(job, self._record.spec, self._source, self._target, self._work)
        for plan in task_plans(self._record, self._output):
            (self._maps if plan.kind == "m" else self._reduces).append(plan)
        self._tell()
        while not self._record.is_finished and (self._maps or self._reduces or self._running):
            self._start_tasks(place)
            for key, _events in self._selector.select(WATCH_EVERY_S):
                if key.fileobj is self._caller:
                    self._record.killed(self._caller.recv(1 << 12).decode(errors="replace") or "the caller has gone")
                    return
                self._hear(self._running[key.fd])
            self._watch()
            if time.monotonic() - self._told_at >= TELL_EVERY_S:
                self._tell()

    def _start_tasks(self, place: Workplace) -> None:
        while len(self._running) < self._slots:
            if self._maps:
                plan = self._maps.popleft()
            elif self._reduces and not any(running.plan.kind == "m" for running in self._running.values()):
                plan = self._reduces.popleft()
            else:
                return
            child = fork(lambda channel, plan=plan: run_task(place, plan, channel), dies_with_parent=True)  # type: ignore[misc]
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
        """A task's process is over: what it said last counts, and where it said nothing, how it ended."""
        self._forget(running)
        code = running.child.reap()
        verdict, plan = running.verdict, running.plan
        if isinstance(verdict, Finished):
            self._record.task_done(plan.attempt_id, verdict.counters)
            if verdict.part is not None:
                self._output.take(plan.kind, plan.index, verdict.part)
        else:
            self._record.task_failed(plan.attempt_id, verdict.report if verdict is not None else _silent_end(code))

    def _watch(self) -> None:
        """Ends tasks that take too much memory or make no progress."""
        now = time.monotonic()
        if now - self._watched_at < WATCH_EVERY_S:
            return
        self._watched_at = now
        spec = self._record.spec
        for running in list(self._running.values()):
            resident = _resident_bytes(running.child.pid)
            if resident > spec.memory_limit_bytes:
                limit = f"{spec.memory_limit_bytes >> 20} MiB"
                self._end(running, "memory", f"took {resident >> 20} MiB of memory; the limit is {limit} (memory_limit_bytes)")
            elif now - running.heard_at > spec.no_progress_limit_s:
                self._end(running, "no_progress", f"made no progress for {spec.no_progress_limit_s:g} s (no_progress_limit_s)")

    def _end(self, running: _Running, kind: str, message: str) -> None:
        self._forget(running)
        running.child.kill()
        self._record.task_failed(running.plan.attempt_id, FailureReport(kind=kind, message=message))

    def _forget(self, running: _Running) -> None:
        self._selector.unregister(running.child.socket)
        del self._running[running.child.socket.fileno()]

    def _kill_all(self) -> None:
        for running in list(self._running.values()):
            self._forget(running)
            running.child.kill()
            self._record.task_killed(running.plan.attempt_id)

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the caller has gone; the loop hears of it
            self._caller.sendall(encode(StatusNow(self._record.status())))


def conduct(order: LocalOrder, caller: socket.socket) -> None:
    """The body of the conductor's process."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: caller.shutdown(socket.SHUT_RD))
    with tempfile.TemporaryDirectory(prefix="mrc-run-", dir=order.work) as directory:
        Conductor(order, Path(directory), caller).run()


def _silent_end(code: int) -> FailureReport:
    if code < 0:
        known = -code in signal.valid_signals()
        return FailureReport(kind="signalled", message=f"killed by {signal.Signals(-code).name if known else f'signal {-code}'}")
    return FailureReport(kind="exited", message=f"exited with status {code}")


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
