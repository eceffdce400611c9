"""The tracker's durable state and the only code that changes it: `Ledger.apply(edit)`, shared by
the live path and replay.

It holds jobs with their stages and tasks: what ended, what counts, what was granted (records.py).
What runs where right now is not here (live.py). A finished job keeps its totals and a list of its
attempts, and loses its tasks; the oldest finished jobs are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from clusterkit.effects import Edit
from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.edits import AttemptRow
from mapreduce.jobtracker.core.records import (
    ATTEMPT_MOVES,
    FAILED,
    JOB_MOVES,
    KILLED,
    PUBLISHING,
    RUNNING,
    SUCCEEDED,
    TASK_MOVES,
    IllegalMove,
    JobRecord,
    OutputRecord,
    StageRecord,
    TaskRecord,
    attempt_rows,
    move,
)
from mapreduce.model import JOB_GROUP, AttemptId, Counters, changed

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
            edits.PlanExtended: self._extended,
            edits.PlanClosed: self._closed,
            edits.StagesRetired: self._retired,
            edits.TaskDone: self._task_done,
            edits.OutputLost: self._output_lost,
            edits.AttemptEnded: self._attempt_ended,
            edits.CommitGranted: self._commit_granted,
            edits.OutputPublished: self._output_published,
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
        return sum(len(found.tasks) for job in self.live() for found in job.stages)

    # ── plans ──

    def _accepted(self, edit: Edit, op: edits.JobAccepted) -> None:
        self.last_day, number = op.job_id.split("_")[1:]
        self.last_number = int(number)
        job = JobRecord(
            job_id=op.job_id,
            token=op.token,
            plan=changed(op.plan, stages=(), outputs=()),
            accepted_epoch=edit.epoch,
            submitted_us=edit.wall_us,
            closed=not op.plan.open,
        )
        job.add(op.plan.stages, op.plan.outputs, 0)
        self.jobs[op.job_id] = job
        self.by_token[op.token] = op.job_id
        self._look_whether_complete(job)

    def _started(self, edit: Edit, op: edits.JobStarted) -> None:
        job = self.jobs[op.job_id]
        job.state = move(JOB_MOVES, job.state, "started")

    def _extended(self, edit: Edit, op: edits.PlanExtended) -> None:
        job = self.jobs[op.job_id]
        if job.closed or op.seq != job.extensions + 1:
            raise IllegalMove(f"{op.job_id} cannot be extended by {op.seq}")
        job.extensions = op.seq
        job.add(op.stages, op.outputs, op.seq)

    def _closed(self, edit: Edit, op: edits.PlanClosed) -> None:
        job = self.jobs[op.job_id]
        job.closed = True
        self._look_whether_complete(job)

    def _retired(self, edit: Edit, op: edits.StagesRetired) -> None:
        job = self.jobs[op.job_id]
        for found in job.stages[: op.up_to + 1]:
            job.result_bytes -= sum(len(task.result) for task in found.tasks)
            found.retired, found.tasks = True, []
            found.stage = changed(found.stage, splits=())

    # ── tasks ──

    def _task_done(self, edit: Edit, op: edits.TaskDone) -> None:
        job, found, task = self._find(op.attempt_id)
        task.ended.pop(op.attempt_id, None)  # an output given up may come back with its worker
        self._win(job, found, task, op, "succeeded")
        task.fingerprint = task.fingerprint or op.fingerprint
        self._look_whether_complete(job)

    def _commit_granted(self, edit: Edit, op: edits.CommitGranted) -> None:
        job, found, task = self._find(op.attempt_id)
        if op.attempt_id in task.ended:
            raise IllegalMove(f"{op.attempt_id} has ended before and cannot be granted")
        task.files = op.files
        self._win(job, found, task, op, "granted")
        self._look_whether_complete(job)

    def _win(
        self,
        job: JobRecord,
        found: StageRecord,
        task: TaskRecord,
        op: edits.TaskDone | edits.CommitGranted,
        how: str,
    ) -> None:
        task.state = move(TASK_MOVES, task.state, how)
        task.winner, task.winner_worker, task.counters = op.attempt_id, op.worker_id, op.counters
        found.done += 1
        job.count(op.counters, +1)
        if not task.made:  # others may have been given the first result: it stands
            task.made, task.result = True, op.result
            found.made += 1
            job.result_bytes += len(op.result)

    def _output_lost(self, edit: Edit, op: edits.OutputLost) -> None:
        job = self.jobs[op.job_id]
        found = job.stages[op.stage]
        task = found.tasks[op.task]
        task.state = move(TASK_MOVES, task.state, "output_lost")
        task.ended[task.winner] = AttemptRow(
            task.winner, task.winner_worker, move(ATTEMPT_MOVES, RUNNING, "succeeded")
        )
        task.losses += 1
        found.done -= 1
        job.count(task.counters, -1)
        job.count(((JOB_GROUP, "lost_map_outputs", 1),), +1)
        task.winner, task.winner_worker, task.counters = "", "", ()

    def _attempt_ended(self, edit: Edit, op: edits.AttemptEnded) -> None:
        _job, found, task = self._find(op.attempt_id)
        if op.attempt_id in task.ended or op.attempt_id == task.winner:
            raise IllegalMove(f"{op.attempt_id} has ended before and cannot be {op.state}")
        task.ended[op.attempt_id] = AttemptRow(
            op.attempt_id, op.worker_id, move(ATTEMPT_MOVES, RUNNING, op.state.lower())
        )
        if op.state == FAILED:
            task.failures += 1
            found.failed_attempts += 1
        else:
            task.losses += 1
            found.killed_attempts += 1

    def _find(self, attempt_id: str) -> tuple[JobRecord, StageRecord, TaskRecord]:
        attempt = AttemptId.parse(attempt_id)
        job = self.jobs[attempt.job_id] if attempt is not None else None
        task = job.task(attempt.task) if job is not None and attempt is not None else None
        if attempt is None or job is None or task is None:
            raise IllegalMove(f"{attempt_id} belongs to no task")
        return job, job.stages[attempt.stage], task

    # ── ends ──

    def _look_whether_complete(self, job: JobRecord) -> None:
        if job.state != PUBLISHING and job.is_complete():
            job.state = move(JOB_MOVES, job.state, "all_done")

    def _output_published(self, edit: Edit, op: edits.OutputPublished) -> None:
        self.jobs[op.job_id].outputs[op.seq, op.output].appeared = True

    def _finished_job(self, edit: Edit, op: edits.JobFinished) -> None:
        job = self.jobs[op.job_id]
        event = {SUCCEEDED: "published", FAILED: "failed", KILLED: "killed"}[op.state]
        job.state = move(JOB_MOVES, job.state, event)
        job.finished_us, job.error, job.failure_json = edit.wall_us, op.error, op.failure_json
        rows = attempt_rows(job)
        rows.sort(key=lambda row: row.state != FAILED)
        job.rows = tuple(rows[:MAX_ROWS])
        for found in job.stages:
            found.tasks, found.stage = [], changed(found.stage, splits=())
        job.plan, job.result_bytes = changed(job.plan, spec=b""), 0
        self._finished.append(op.job_id)
        self._drop_oldest()

    def _staging_cleared(self, edit: Edit, op: edits.StagingCleared) -> None:
        job = self.jobs.get(op.job_id)
        if job is not None:
            job.staging_cleared = True

    def _drop_oldest(self) -> None:
        while len(self._finished) > self._keep_finished:
            job = self.jobs.pop(self._finished.pop(0))
            del self.by_token[job.token]

    def _checkpoint(self, edit: Edit, op: edits.Checkpoint) -> None:
        self.edits_since_checkpoint = 0
        if self.txid:
            return  # everything before it was applied here: it says what is so already
        jobs = [_job_of(image) for image in op.jobs]
        self.jobs = {job.job_id: job for job in sorted(jobs, key=_when_accepted)}
        self.by_token = {job.token: job.job_id for job in self.jobs.values()}
        self.last_day, self.last_number = op.last_day, op.last_number
        self._finished = [job.job_id for job in jobs if job.finished]

    def image(self) -> edits.Checkpoint:
        """The state as one edit. Finished jobs are in the order in which they finished, which no
        clock tells again: by it they are dropped."""
        jobs = [*self.live(), *(self.jobs[job_id] for job_id in self._finished)]
        return edits.Checkpoint(
            last_day=self.last_day,
            last_number=self.last_number,
            jobs=tuple(_image_of(job) for job in jobs),
        )


# ── the checkpoint: the whole state as one edit, and back ─────────────────────────────────────────

_INT64 = (1 << 63) - 1


def _when_accepted(job: JobRecord) -> tuple[str, int]:
    _job, day, number = job.job_id.split("_")
    return day, int(number)


def _image_of(job: JobRecord) -> edits.JobImage:
    return edits.JobImage(
        job_id=job.job_id,
        token=job.token,
        plan=job.plan,
        accepted_epoch=job.accepted_epoch,
        submitted_us=job.submitted_us,
        finished_us=job.finished_us,
        state=job.state,
        stages=tuple(_stage_image(found) for found in job.stages),
        outputs=tuple(
            edits.OutputImage(seq=made.seq, output=made.output, appeared=made.appeared)
            for made in job.outputs.values()
        ),
        extensions=job.extensions,
        closed=job.closed,
        counters=_within_int64(job.counters()),
        error=job.error,
        failure_json=job.failure_json,
        staging_cleared=job.staging_cleared,
        rows=job.rows,
    )


def _within_int64(counters: Counters) -> Counters:
    """Each task's counters are, their sums need not be; a journal's numbers are."""
    return tuple((group, name, max(-_INT64, min(value, _INT64))) for group, name, value in counters)


def _stage_image(found: StageRecord) -> edits.StageImage:
    return edits.StageImage(
        stage=found.stage,
        seq=found.seq,
        done=found.done,
        made=found.made,
        failed_attempts=found.failed_attempts,
        killed_attempts=found.killed_attempts,
        retired=found.retired,
        tasks=tuple(
            edits.TaskImage(
                state=task.state,
                failures=task.failures,
                losses=task.losses,
                ended=tuple(task.ended.values()),
                winner=task.winner,
                winner_worker=task.winner_worker,
                counters=task.counters,
                files=task.files,
                made=task.made,
                result=task.result,
                fingerprint=task.fingerprint,
            )
            for task in found.tasks
        ),
    )


def _job_of(image: edits.JobImage) -> JobRecord:
    stages = [_stage_of(found) for found in image.stages]
    return JobRecord(
        job_id=image.job_id,
        token=image.token,
        plan=image.plan,
        accepted_epoch=image.accepted_epoch,
        submitted_us=image.submitted_us,
        stages=stages,
        outputs={
            (made.seq, made.output.number): OutputRecord(made.seq, made.output, made.appeared)
            for made in image.outputs
        },
        extensions=image.extensions,
        closed=image.closed,
        finished_us=image.finished_us,
        state=image.state,
        totals={(group, name): value for group, name, value in image.counters},
        result_bytes=sum(len(task.result) for found in stages for task in found.tasks),
        error=image.error,
        failure_json=image.failure_json,
        staging_cleared=image.staging_cleared,
        rows=image.rows,
    )


def _stage_of(image: edits.StageImage) -> StageRecord:
    return StageRecord(
        stage=image.stage,
        seq=image.seq,
        done=image.done,
        made=image.made,
        failed_attempts=image.failed_attempts,
        killed_attempts=image.killed_attempts,
        retired=image.retired,
        tasks=[
            TaskRecord(
                state=task.state,
                failures=task.failures,
                losses=task.losses,
                ended={row.attempt_id: row for row in task.ended},
                winner=task.winner,
                winner_worker=task.winner_worker,
                counters=task.counters,
                files=task.files,
                made=task.made,
                result=task.result,
                fingerprint=task.fingerprint,
            )
            for task in image.tasks
        ],
    )
