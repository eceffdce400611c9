"""One attempt's life on a worker. `STATES` names every step of it; what it does not name cannot
happen."""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce.exchange import Launch
from mapreduce.model import Counters, Failure, FileResult, TaskOutput
from mapreduce.worker.core.events import TaskExited

QUEUED, RUNNING, COMMITTING, DYING = "queued", "running", "committing", "dying"
SUCCEEDED, COMMITTED, FAILED = "succeeded", "committed", "failed"

STATES = {
    (QUEUED, "start"): RUNNING,
    (QUEUED, "fail"): FAILED,
    (RUNNING, "finish"): SUCCEEDED,
    (RUNNING, "ask"): COMMITTING,
    (RUNNING, "condemn"): DYING,
    (RUNNING, "fail"): FAILED,
    (COMMITTING, "grant"): COMMITTED,
    (COMMITTING, "condemn"): DYING,
    (COMMITTING, "fail"): FAILED,
    (DYING, "fail"): FAILED,
    (SUCCEEDED, "fail"): FAILED,  # its output is taken back
}
ALIVE = (QUEUED, RUNNING, COMMITTING, DYING)


@dataclass(slots=True)
class Attempt:
    launch: Launch
    epoch: int
    state: str = QUEUED
    has_process: bool = False
    forgotten: bool = False
    last_progress_us: int = 0
    die_by_us: int | None = None  # when a process that should end by itself is killed
    commit_at_us: int | None = None  # when to ask (again); None = not now
    files: tuple[FileResult, ...] = ()
    output: TaskOutput | None = None
    counters: Counters = ()
    result: bytes = b""
    verdict: tuple[Failure, bool] | None = None  # said when the process is gone

    def move(self, what: str) -> None:
        self.state = STATES[self.state, what]

    @property
    def commits(self) -> bool:
        """Whether it makes files that it must ask about."""
        return bool(self.launch.targets)

    def silent_at_us(self) -> int | None:
        """When its silence has lasted too long; None = never."""
        limit_us = self.launch.limits.no_progress_limit_us
        if self.state != RUNNING or limit_us <= 0:
            return None
        return self.last_progress_us + limit_us


def failure_of_exit(event: TaskExited, attempt: Attempt) -> Failure:
    """Of a process that ended without having said anything."""
    if event.killed_by:
        return Failure("signalled", f"killed by {event.killed_by}")
    if event.status == 0:
        missing = (
            "without asking to commit" if attempt.commits else "before its output was complete"
        )
        return Failure("exited", f"exited with status 0 {missing}")
    return Failure("exited", f"exited with status {event.status}")
