"""The caller's side of a local job."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mapreduce.failures import FailureReport
from mapreduce.plan.describe import JobClassFacts
from mapreduce.plan.packaging import package_code
from mapreduce.plan.planning import plan_job
from mapreduce.runners.api import FINISHED, Status, Submission
from mapreduce.runners.local.child import Child, start_conductor
from mapreduce.runners.local.wire import Inbox, LocalOrder, StatusNow, encode
from mapreduce.runners.record import JobRecord, new_job_id, the_job
from mapreduce.storage.opening import open_storage


class LocalRunner:
    """One job at a time, `slots` tasks of it at once. `work` is the directory for map outputs
    [default: the system's temporary one]. `conductor` is the process for the first job, started
    early to save time."""

    def __init__(
        self,
        source_uri: str = "file:///",
        target_uri: str = "file:///",
        *,
        slots: int = 0,
        work: Path | None = None,
        conductor: Child | None = None,
    ) -> None:
        self._source_uri, self._target_uri, self._work = source_uri, target_uri, work
        self._slots = slots or len(os.sched_getaffinity(0))
        self._record: JobRecord | None = None
        self._status: Status = {}
        self._child: Child | None = None
        self._next_child = conductor
        self._inbox = Inbox()

    def submit(self, facts: JobClassFacts, submission: Submission) -> str:
        """Plans, and starts the job."""
        code = facts.code(package_code(facts.file)[1])
        source = open_storage(self._source_uri)
        target = source if self._target_uri == self._source_uri else open_storage(self._target_uri)
        try:
            spec = plan_job(
                facts,
                code,
                source,
                submission.inputs,
                submission.output,
                output_storage=target,
                settings=submission.settings,
                parameters=submission.parameters,
                name=submission.name,
                overwrite=submission.overwrite,
                recursive=submission.recursive,
            )
            record = self._record = JobRecord(new_job_id(), spec, target.uri(spec.output))
        finally:
            source.close()
            target.close()
        self._status = record.status()
        work = str(self._work.absolute()) if self._work is not None else ""
        order = LocalOrder(
            record.job_id,
            spec,
            record.output_uri,
            facts.origin,
            self._source_uri,
            self._target_uri,
            self._slots,
            work,
        )
        child, self._next_child = self._next_child or start_conductor(), None
        self._child, self._inbox = child, Inbox()
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # it died early: found out where it is heard
            child.socket.sendall(encode(order))
        return record.job_id

    def status(self, job_id: str) -> Status:
        the_job(self._record, job_id)
        return self._status

    def watch(self, job_id: str, interval_s: float) -> Iterator[Status]:
        """Abandoning the iteration, by Ctrl-C for example, kills the job."""
        the_job(self._record, job_id)
        try:
            yield self._status
            last = time.monotonic()
            for status in self._statuses():
                if time.monotonic() - last >= interval_s or status["state"] in FINISHED:
                    last = time.monotonic()
                    yield status
        finally:
            self.kill(job_id, "nobody waits for it any more")

    def _statuses(self) -> Iterator[Status]:
        """What the conductor tells, up to the finished job."""
        child = self._child
        while child is not None and self._status["state"] not in FINISHED:
            if not self._hear(child) and self._status["state"] not in FINISHED:
                self._lost(child)
            yield self._status

    def _hear(self, child: Child) -> bool:
        """Waits for the next words of the conductor; False when there will be none."""
        try:
            data = child.socket.recv(1 << 16)
        except ConnectionResetError:  # it ended without reading what it was told
            return False
        for message in self._inbox.feed(data):
            if isinstance(message, StatusNow):
                self._status = message.status
        return bool(data)

    def _lost(self, child: Child) -> None:
        """The conductor went without a last word: killed from outside, or an error of ours that it
        has printed."""
        self._child = None
        code = child.reap()
        record = the_job(self._record, "@")
        record.fail(
            FailureReport(
                kind="engine", message=f"the process that ran the job ended with status {code}"
            )
        )
        self._status = record.status()

    def kill(self, job_id: str, reason: str) -> Status:
        """Ends a running job and waits until nothing of it is left; a finished one stays as it
        is."""
        record = the_job(self._record, job_id)
        child, self._child = self._child, None
        if child is not None:
            if self._status["state"] not in FINISHED:
                with contextlib.suppress(BrokenPipeError):  # it has ended by now
                    child.socket.sendall(reason.encode(errors="replace"))
            while self._hear(child):
                pass
            child.reap()
        if self._status["state"] not in FINISHED:
            record.killed(reason)
            self._status = record.status()
        return self._status
