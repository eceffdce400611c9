"""One attempt's life on a worker. `STATES` names every step of it; what it does not name cannot
happen."""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce.worker.core import events as ev

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
    launch: ev.Launch
    epoch: int
    state: str = QUEUED
    has_process: bool = False
    forgotten: bool = False
    last_progress_us: int = 0
    die_by_us: int | None = None  # when a process that should end by itself is killed
    commit_at_us: int | None = None  # when to ask (again); None = not now
    file: ev.FileResult | None = None
    output: ev.MapOutput | None = None
    counters: ev.Counters = ()
    verdict: tuple[ev.Failure, bool] | None = None  # said when the process is gone

    def move(self, what: str) -> None:
        self.state = STATES[self.state, what]

    def silent_at_us(self) -> int | None:
        """When its silence has lasted too long; None = never."""
        if self.state != RUNNING or self.launch.no_progress_limit_us <= 0:
            return None
        return self.last_progress_us + self.launch.no_progress_limit_us


def failure_of_exit(event: ev.TaskExited, kind: str) -> ev.Failure:
    """Of a process that ended without having said anything."""
    if event.killed_by:
        return ev.Failure("signalled", f"killed by {event.killed_by}")
    if event.status == 0:
        missing = "before its output was complete" if kind == "map" else "without asking to commit"
        return ev.Failure("exited", f"exited with status 0 {missing}")
    return ev.Failure("exited", f"exited with status {event.status}")
