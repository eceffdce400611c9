"""Jobs, stages and tasks as the ledger keeps them, and every legal move of their states. Only
`ledger.py` changes them; everybody else reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from mapreduce.jobtracker.core.edits import AttemptRow
from mapreduce.model import JOB_GROUP, Counters, FileResult, JobOutput, JobPlan, Stage, TaskId
from mapreduce.plan.spec import COUNTERS_LEFT_OUT, MAX_JOB_COUNTERS

# ── states ────────────────────────────────────────────────────────────────────────────────────────

WAITING, RUNNING, PUBLISHING = "WAITING", "RUNNING", "PUBLISHING"
SUCCEEDED, FAILED, KILLED = "SUCCEEDED", "FAILED", "KILLED"
FINISHED = frozenset({SUCCEEDED, FAILED, KILLED})
PENDING, DONE, LOST = "PENDING", "DONE", "LOST"

JOB_MOVES = {
    (WAITING, "started"): RUNNING,
    # a job without tasks, or one whose attempts a new tracker learns of by their commits
    (WAITING, "all_done"): PUBLISHING,
    (WAITING, "failed"): FAILED,
    (WAITING, "killed"): KILLED,
    (RUNNING, "all_done"): PUBLISHING,
    (RUNNING, "failed"): FAILED,
    (RUNNING, "killed"): KILLED,
    (PUBLISHING, "published"): SUCCEEDED,
    (PUBLISHING, "failed"): FAILED,
}
"""A job is told to users as RUNNING while it is PUBLISHING: its tasks are all done and its output
is being put in place."""

TASK_MOVES = {
    (PENDING, "succeeded"): DONE,
    (PENDING, "granted"): DONE,
    (DONE, "output_lost"): PENDING,
}
"""A task's durable life: whether an attempt of it is running right now is soft state and re-learnt
from the workers."""

ATTEMPT_MOVES = {
    (RUNNING, "succeeded"): SUCCEEDED,
    (RUNNING, "granted"): SUCCEEDED,
    (RUNNING, "failed"): FAILED,
    (RUNNING, "killed"): KILLED,
    (RUNNING, "lost"): LOST,
}


class IllegalMove(Exception):
    """The tracker contradicts itself: a broken invariant, never a caller's fault."""


def move(table: dict[tuple[str, str], str], state: str, event: str) -> str:
    try:
        return table[state, event]
    except KeyError:
        raise IllegalMove(f"{state} cannot be {event}") from None


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class TaskRecord:
    state: str = PENDING
    failures: int = 0
    losses: int = 0
    ended: dict[str, AttemptRow] = field(default_factory=dict)
    winner: str = ""  # the attempt whose output counts
    winner_worker: str = ""
    counters: Counters = ()
    files: tuple[FileResult, ...] = ()  # granted
    made: bool = False  # it was done once; its result stands, whatever became of its output
    result: bytes = b""
    fingerprint: str = ""


@dataclass(slots=True)
class StageRecord:
    stage: Stage
    seq: int  # of the plan's extension that brought it; 0 = the submission
    done: int = 0
    made: int = 0  # tasks that were done at least once
    failed_attempts: int = 0
    killed_attempts: int = 0
    retired: bool = False
    tasks: list[TaskRecord] = field(default_factory=list)

    @staticmethod
    def of(stage: Stage, seq: int) -> StageRecord:
        return StageRecord(stage, seq, tasks=[TaskRecord() for _ in range(stage.tasks)])

    @property
    def total(self) -> int:
        return self.stage.tasks

    @property
    def is_done(self) -> bool:
        return self.done == self.stage.tasks


@dataclass(slots=True)
class OutputRecord:
    seq: int
    output: JobOutput
    appeared: bool = False


@dataclass(slots=True)
class JobRecord:
    job_id: str
    token: str
    plan: JobPlan  # its stages and outputs as they are now stand below
    accepted_epoch: int
    submitted_us: int
    stages: list[StageRecord] = field(default_factory=list)  # a stage's id is its position
    outputs: dict[tuple[int, int], OutputRecord] = field(default_factory=dict)  # by (seq, number)
    extensions: int = 0
    closed: bool = True
    finished_us: int = 0
    state: str = WAITING
    totals: dict[tuple[str, str], int] = field(default_factory=dict)
    result_bytes: int = 0
    error: str = ""
    failure_json: bytes = b""
    staging_cleared: bool = False
    rows: tuple[AttemptRow, ...] = ()

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def output(self) -> str:
        """What people know the job's output by: the first directory that it publishes."""
        made = (record.output for record in self.outputs.values() if record.output.published)
        return next((output.path for output in made), "")

    def task(self, task: TaskId) -> TaskRecord | None:
        """None for a task this job does not have (any more)."""
        if not 0 <= task.stage < len(self.stages):
            return None
        tasks = self.stages[task.stage].tasks
        return tasks[task.index] if 0 <= task.index < len(tasks) else None

    def named(self, task: TaskId) -> str:
        """NAME/INDEX, as people know it."""
        return f"{self.stages[task.stage].stage.name}/{task.index}"

    def add(self, stages: tuple[Stage, ...], outputs: tuple[JobOutput, ...], seq: int) -> None:
        self.stages += [StageRecord.of(stage, seq) for stage in stages]
        self.outputs |= {(seq, output.number): OutputRecord(seq, output) for output in outputs}

    def is_complete(self) -> bool:
        """Whether all is done that anybody wants: what commits, and what nobody reads. Whether a
        stage between is whole at this moment does not matter then."""
        if not self.closed:
            return False
        read = {edge.stage for found in self.stages for edge in found.stage.inputs}
        return all(
            found.is_done or found.retired
            for found in self.stages
            if found.stage.commits or found.stage.id not in read
        )

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
    for found in job.stages:
        for task in found.tasks:
            rows += [task.ended[key] for key in sorted(task.ended)]
            if task.winner:
                rows.append(AttemptRow(task.winner, task.winner_worker, SUCCEEDED))
    return rows
