"""Jobs, stages and tasks as the ledger keeps them. Only `ledger.py` changes them; everybody else
reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from mapreduce.jobtracker.core import states
from mapreduce.jobtracker.core.model import (
    JOB_GROUP,
    MAP,
    AttemptRow,
    Counters,
    FileResult,
    JobPlan,
    TaskId,
)
from mapreduce.jobtracker.core.states import FINISHED, PENDING
from mapreduce.plan.spec import COUNTERS_LEFT_OUT, MAX_JOB_COUNTERS


@dataclass(slots=True)
class TaskRecord:
    state: str = PENDING
    failures: int = 0
    losses: int = 0
    ended: dict[str, AttemptRow] = field(default_factory=dict)
    winner: str = ""  # the attempt whose output counts
    winner_worker: str = ""
    counters: Counters = ()
    file: FileResult | None = None  # granted


@dataclass(slots=True)
class StageRecord:
    total: int
    done: int = 0
    failed_attempts: int = 0
    killed_attempts: int = 0
    tasks: list[TaskRecord] = field(default_factory=list)

    @staticmethod
    def of(total: int) -> StageRecord:
        return StageRecord(total, tasks=[TaskRecord() for _ in range(total)])


@dataclass(slots=True)
class JobRecord:
    job_id: str
    token: str
    plan: JobPlan
    accepted_epoch: int
    submitted_us: int
    maps: StageRecord
    reduces: StageRecord
    finished_us: int = 0
    state: str = states.WAITING
    totals: dict[tuple[str, str], int] = field(default_factory=dict)
    error: str = ""
    failure_json: bytes = b""
    staging_cleared: bool = False
    rows: tuple[AttemptRow, ...] = ()

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    def stage(self, name: str) -> StageRecord:
        return self.maps if name == MAP else self.reduces

    def task(self, task: TaskId) -> TaskRecord | None:
        """None for a task this job does not have (any more)."""
        tasks = self.stage(task.stage).tasks
        return tasks[task.index] if 0 <= task.index < len(tasks) else None

    def commits(self, stage: str) -> bool:
        return stage == self.plan.committing_stage

    def count(self, counters: Counters, sign: int) -> None:
        """Names never leave the totals, so what was left out when it was added is left out when it
        is taken back."""
        for group, name, value in counters:
            key = (group, name)
            if (
                key not in self.totals
                and group != JOB_GROUP
                and len(self.totals) >= MAX_JOB_COUNTERS
            ):
                key, value = (JOB_GROUP, COUNTERS_LEFT_OUT), 1
            self.totals[key] = self.totals.get(key, 0) + sign * value

    def counters(self) -> Counters:
        return tuple((group, name, value) for (group, name), value in sorted(self.totals.items()))


def attempt_rows(job: JobRecord) -> list[AttemptRow]:
    """Every attempt of a job that has ended, by task; of a finished job, those it remembers."""
    rows = list(job.rows)
    for stage in (job.maps, job.reduces):
        for task in stage.tasks:
            rows += [task.ended[key] for key in sorted(task.ended)]
            if task.winner:
                rows.append(AttemptRow(task.winner, task.winner_worker, states.SUCCEEDED))
    return rows
