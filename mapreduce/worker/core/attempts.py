"""One attempt's life on a worker. `STATES` names every step of it; what it does not name cannot
happen."""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce import exchange as ex
from mapreduce.exchange import Launch
from mapreduce.model import Counters, Failure, FileResult, TaskOutput
from mapreduce.worker.core.events import TaskExited, TaskSampled

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

    def reads(self, news: ex.TellOutputs) -> tuple[ex.OutputLocation, ...]:
        """What of this news is of tasks whose outputs it fetches."""
        stages = {edge.stage for edge in self.launch.inputs}
        is_ours = news.job_id == self.launch.job_id
        return tuple(place for place in news.locations if is_ours and place.stage in stages)

    def done(self) -> ex.TaskDone:
        """What is told of its good end."""
        assert self.output is not None
        return ex.TaskDone(
            attempt_id=self.launch.attempt_id,
            output=self.output,
            counters=self.counters,
            result=self.result,
        )

    def held(self) -> ex.HeldAttempt:
        """Its line in the inventory. What a failed or committed one left on the disk stays until
        its job is forgotten, and the order to forget may have been missed."""
        attempt_id = self.launch.attempt_id
        if self.state in ALIVE:
            return ex.HeldAttempt(attempt_id, ex.RUNNING)
        if self.state != SUCCEEDED:
            return ex.HeldAttempt(attempt_id, ex.ENDED)
        return ex.HeldAttempt(
            attempt_id=attempt_id,
            state=ex.SUCCEEDED,
            output=self.output,
            counters=self.counters,
            result=self.result,
        )

    def check_invariants(self) -> None:
        name, state = self.launch.attempt_id, self.state
        assert self.has_process or state not in (RUNNING, DYING), f"{name}: {state}, no process"
        assert state != QUEUED or not self.has_process, f"{name} waits, yet has a process"
        assert (state == DYING) <= (self.verdict is not None), f"{name} dies for no reason"
        assert (state == COMMITTING) <= bool(self.files), f"{name} commits nothing"
        assert (state == SUCCEEDED) <= (self.output is not None), f"{name}: succeeded, no output"


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


def over_limit(event: TaskSampled, attempt: Attempt, processes: int) -> Failure | None:
    """What its processes use more of than they may, in words; None: nothing."""
    limit = attempt.launch.limits.memory_limit_bytes
    if event.processes > processes:
        return Failure("processes", f"ran {event.processes} processes, limit {processes}")
    if limit and event.resident_bytes > limit:
        used, allowed = event.resident_bytes >> 20, limit >> 20
        what = f"used {used} MiB of memory (resident), limit {allowed} MiB"
        return Failure("memory", what)
    return None
