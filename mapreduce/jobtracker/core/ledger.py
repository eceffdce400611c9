"""The tracker's durable state and the only code that changes it: `Ledger.apply(edit)`, shared by
the live path and replay.

First the tables of states and legal moves, then what is kept (jobs with their stages and tasks:
what ended, what counts, what was granted), then the ledger, then its checkpoint. What runs where
right now is not here (live.py). A finished job keeps its totals and a list of its attempts, and
loses its tasks; the oldest finished jobs are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from clusterkit.effects import Edit
from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.model import (
    JOB_GROUP,
    MAP,
    AttemptId,
    AttemptRow,
    Counters,
    FileResult,
    JobPlan,
    TaskId,
)
from mapreduce.plan.spec import COUNTERS_LEFT_OUT, MAX_JOB_COUNTERS

# ── states ──

WAITING, RUNNING, PUBLISHING, SUCCEEDED, FAILED, KILLED = (
    "WAITING",
    "RUNNING",
    "PUBLISHING",
    "SUCCEEDED",
    "FAILED",
    "KILLED",
)
FINISHED = frozenset({SUCCEEDED, FAILED, KILLED})

PENDING, DONE = "PENDING", "DONE"
LOST = "LOST"

# a job without tasks, or one whose attempts a new tracker learns of by their commits
JOB_MOVES = {
    (WAITING, "started"): RUNNING,
    (
        WAITING,
        "all_granted",
    ): PUBLISHING,
    (WAITING, "failed"): FAILED,
    (WAITING, "killed"): KILLED,
    (RUNNING, "all_granted"): PUBLISHING,
    (RUNNING, "failed"): FAILED,
    (RUNNING, "killed"): KILLED,
    (PUBLISHING, "published"): SUCCEEDED,
    (PUBLISHING, "failed"): FAILED,
}

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


def can(table: dict[tuple[str, str], str], state: str, event: str) -> bool:
    return (state, event) in table


# ── what is kept ──


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
    state: str = WAITING
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
                rows.append(AttemptRow(task.winner, task.winner_worker, SUCCEEDED))
    return rows


# ── the ledger ──

JOBS_OF_AN_EPOCH = 1_000_000
MAX_ROWS = 100
"""Attempts that a finished job remembers; failed ones first."""


class Ledger:
    def __init__(self, keep_finished: int) -> None:
        self.jobs: dict[str, JobRecord] = {}
        self.by_token: dict[str, str] = {}
        self.txid = 0
        self.last_day, self.last_number = "", 0
        self.edits_since_checkpoint = 0
        self._keep_finished = keep_finished
        self._finished: list[str] = []
        self._appliers: dict[type, Callable[[Edit, Any], None]] = {
            edits.JobAccepted: self._accepted,
            edits.JobStarted: self._started,
            edits.MapMade: self._map_made,
            edits.MapOutputLost: self._map_output_lost,
            edits.AttemptEnded: self._attempt_ended,
            edits.CommitGranted: self._commit_granted,
            edits.JobFinished: self._finished_job,
            edits.StagingCleared: self._staging_cleared,
            edits.Checkpoint: self._checkpoint,
        }

    def apply(self, edit: Edit) -> None:
        self._appliers[type(edit.op)](edit, edit.op)
        self.txid = edit.txid
        self.edits_since_checkpoint += 1

    def next_job_id(self, wall_us: int, epoch: int) -> str | None:
        """`job_DAY_NUMBER`, the number being epoch × 10^6 + counter: no other tracker ever gives
        the same one, whatever became of its journal. Days never go back, even when the clock does.
        None: a million jobs of this day and epoch have been accepted."""
        day = max(self.last_day, datetime.fromtimestamp(wall_us / 1e6, UTC).strftime("%Y%m%d"))
        first = epoch * JOBS_OF_AN_EPOCH + 1
        number = max(first, self.last_number + 1) if day == self.last_day else first
        return f"job_{day}_{number}" if number < first + JOBS_OF_AN_EPOCH - 1 else None

    def live(self) -> list[JobRecord]:
        """Unfinished jobs, oldest first."""
        return [job for job in self.jobs.values() if not job.finished]

    def live_tasks(self) -> int:
        return sum(len(job.maps.tasks) + len(job.reduces.tasks) for job in self.live())

    # ── appliers ──────────────────────────────────────────────────────────────────────────────────

    def _accepted(self, edit: Edit, op: edits.JobAccepted) -> None:
        self.last_day, number = op.job_id.split("_")[1:]
        self.last_number = int(number)
        maps, reduces = StageRecord.of(len(op.plan.maps)), StageRecord.of(op.plan.reduces)
        job = JobRecord(op.job_id, op.token, op.plan, edit.epoch, edit.wall_us, maps, reduces)
        self.jobs[op.job_id] = job
        self.by_token[op.token] = op.job_id
        self._publish_when_granted(job)

    def _started(self, edit: Edit, op: edits.JobStarted) -> None:
        job = self.jobs[op.job_id]
        job.state = move(JOB_MOVES, job.state, "started")

    def _map_made(self, edit: Edit, op: edits.MapMade) -> None:
        job, task = self._find(op.attempt_id)
        task.state = move(TASK_MOVES, task.state, "succeeded")
        task.ended.pop(
            op.attempt_id, None
        )  # an output that was given up may come back with its worker
        task.winner, task.winner_worker, task.counters = op.attempt_id, op.worker_id, op.counters
        job.maps.done += 1
        job.count(op.counters, +1)

    def _map_output_lost(self, edit: Edit, op: edits.MapOutputLost) -> None:
        job = self.jobs[op.job_id]
        task = job.maps.tasks[op.index]
        task.state = move(TASK_MOVES, task.state, "output_lost")
        task.ended[task.winner] = AttemptRow(
            task.winner, task.winner_worker, move(ATTEMPT_MOVES, RUNNING, "succeeded")
        )
        task.losses += 1
        job.maps.done -= 1
        job.count(task.counters, -1)
        job.count(((JOB_GROUP, "lost_map_outputs", 1),), +1)
        task.winner, task.winner_worker, task.counters = "", "", ()

    def _attempt_ended(self, edit: Edit, op: edits.AttemptEnded) -> None:
        job, task = self._find(op.attempt_id)
        if op.attempt_id in task.ended or op.attempt_id == task.winner:
            raise IllegalMove(f"{op.attempt_id} has ended before and cannot be {op.state}")
        task.ended[op.attempt_id] = AttemptRow(
            op.attempt_id, op.worker_id, move(ATTEMPT_MOVES, RUNNING, op.state.lower())
        )
        attempt = AttemptId.parse(op.attempt_id)
        assert attempt is not None
        stage = job.stage(attempt.stage)
        if op.state == FAILED:
            task.failures += 1
            stage.failed_attempts += 1
        else:
            task.losses += 1
            stage.killed_attempts += 1

    def _commit_granted(self, edit: Edit, op: edits.CommitGranted) -> None:
        job, task = self._find(op.attempt_id)
        if op.attempt_id in task.ended:
            raise IllegalMove(f"{op.attempt_id} has ended before and cannot be granted")
        task.state = move(TASK_MOVES, task.state, "granted")
        task.winner, task.winner_worker, task.counters, task.file = (
            op.attempt_id,
            op.worker_id,
            op.counters,
            op.file,
        )
        job.stage(job.plan.committing_stage).done += 1
        job.count(op.counters, +1)
        self._publish_when_granted(job)

    def _publish_when_granted(self, job: JobRecord) -> None:
        stage = job.stage(job.plan.committing_stage)
        if stage.done == stage.total:
            job.state = move(JOB_MOVES, job.state, "all_granted")

    def _finished_job(self, edit: Edit, op: edits.JobFinished) -> None:
        job = self.jobs[op.job_id]
        event = {SUCCEEDED: "published", FAILED: "failed", KILLED: "killed"}[op.state]
        job.state = move(JOB_MOVES, job.state, event)
        job.finished_us, job.error, job.failure_json = edit.wall_us, op.error, op.failure_json
        rows = attempt_rows(job)
        rows.sort(key=lambda row: row.state != FAILED)
        job.rows = tuple(rows[:MAX_ROWS])
        job.maps.tasks, job.reduces.tasks = [], []
        job.plan = replace(job.plan, maps=(), spec_json=b"")
        self._finished.append(op.job_id)
        self._drop_oldest()

    def _staging_cleared(self, edit: Edit, op: edits.StagingCleared) -> None:
        job = self.jobs.get(op.job_id)
        if job is not None:
            job.staging_cleared = True

    def _checkpoint(self, edit: Edit, op: edits.Checkpoint) -> None:
        self.edits_since_checkpoint = 0
        if self.txid:
            return  # everything before it was applied here: it says what is so already
        jobs = jobs_of(op)
        self.jobs = {job.job_id: job for job in sorted(jobs, key=_when_accepted)}
        self.by_token = {job.token: job.job_id for job in self.jobs.values()}
        self.last_day, self.last_number = op.last_day, op.last_number
        self._finished = [job.job_id for job in jobs if job.finished]

    def _drop_oldest(self) -> None:
        while len(self._finished) > self._keep_finished:
            job = self.jobs.pop(self._finished.pop(0))
            del self.by_token[job.token]

    def _find(self, attempt_id: str) -> tuple[JobRecord, TaskRecord]:
        attempt = AttemptId.parse(attempt_id)
        job = self.jobs[attempt.job_id] if attempt is not None else None
        task = job.task(attempt.task) if job is not None and attempt is not None else None
        if job is None or task is None:
            raise IllegalMove(f"{attempt_id} belongs to no task")
        return job, task

    def image(self) -> edits.Checkpoint:
        """The state as one edit. Finished jobs are in the order in which they finished, which no
        clock tells again: by it they are dropped."""
        jobs = [*self.live(), *(self.jobs[job_id] for job_id in self._finished)]
        return edits.Checkpoint(self.last_day, self.last_number, images(jobs))


def _when_accepted(job: JobRecord) -> tuple[str, int]:
    _job, day, number = job.job_id.split("_")
    return day, int(number)


# ── the checkpoint ──

_INT64 = (1 << 63) - 1


def images(jobs: Iterable[JobRecord]) -> tuple[edits.JobImage, ...]:
    return tuple(_image_of(job) for job in jobs)


def jobs_of(checkpoint: edits.Checkpoint) -> list[JobRecord]:
    return [_job_of(image) for image in checkpoint.jobs]


def _image_of(job: JobRecord) -> edits.JobImage:
    return edits.JobImage(
        job.job_id,
        job.token,
        job.plan,
        job.accepted_epoch,
        job.submitted_us,
        job.finished_us,
        job.state,
        _stage_image(job.maps),
        _stage_image(job.reduces),
        _within_int64(job.counters()),
        job.error,
        job.failure_json,
        job.staging_cleared,
        job.rows,
    )


def _within_int64(counters: Counters) -> Counters:
    """Each task's counters are, their sums need not be; a journal's numbers are."""
    return tuple((group, name, max(-_INT64, min(value, _INT64))) for group, name, value in counters)


def _stage_image(stage: StageRecord) -> edits.StageImage:
    tasks = tuple(
        edits.TaskImage(
            t.state,
            t.failures,
            t.losses,
            tuple(t.ended.values()),
            t.winner,
            t.winner_worker,
            t.counters,
            t.file,
        )
        for t in stage.tasks
    )
    return edits.StageImage(
        stage.total, stage.done, stage.failed_attempts, stage.killed_attempts, tasks
    )


def _job_of(image: edits.JobImage) -> JobRecord:
    return JobRecord(
        image.job_id,
        image.token,
        image.plan,
        image.accepted_epoch,
        image.submitted_us,
        _stage_of(image.maps),
        _stage_of(image.reduces),
        image.finished_us,
        image.state,
        {(group, name): value for group, name, value in image.counters},
        image.error,
        image.failure_json,
        image.staging_cleared,
        image.rows,
    )


def _stage_of(image: edits.StageImage) -> StageRecord:
    tasks = [
        TaskRecord(
            t.state,
            t.failures,
            t.losses,
            {row.attempt_id: row for row in t.ended},
            t.winner,
            t.winner_worker,
            t.counters,
            t.file,
        )
        for t in image.tasks
    ]
    return StageRecord(image.total, image.done, image.failed_attempts, image.killed_attempts, tasks)
