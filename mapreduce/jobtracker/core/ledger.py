"""The tracker's durable state and the only code that changes it: `Ledger.apply(edit)`, shared by
the live path and replay.

It holds jobs with their tasks: what ended, what counts, what was granted. What runs where right now
is not here (see work.py). A finished job keeps its totals and a list of its attempts, and loses its
tasks; the oldest finished jobs are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from clusterkit.effects import Edit
from mapreduce.jobtracker.core import checkpoint, edits, states
from mapreduce.jobtracker.core.model import JOB_GROUP, AttemptId, AttemptRow
from mapreduce.jobtracker.core.records import JobRecord, StageRecord, TaskRecord, attempt_rows
from mapreduce.jobtracker.core.states import ATTEMPT_MOVES, JOB_MOVES, RUNNING, TASK_MOVES, move

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
            raise states.IllegalMove(f"{op.attempt_id} has ended before and cannot be {op.state}")
        task.ended[op.attempt_id] = AttemptRow(
            op.attempt_id, op.worker_id, move(ATTEMPT_MOVES, RUNNING, op.state.lower())
        )
        attempt = AttemptId.parse(op.attempt_id)
        assert attempt is not None
        stage = job.stage(attempt.stage)
        if op.state == states.FAILED:
            task.failures += 1
            stage.failed_attempts += 1
        else:
            task.losses += 1
            stage.killed_attempts += 1

    def _commit_granted(self, edit: Edit, op: edits.CommitGranted) -> None:
        job, task = self._find(op.attempt_id)
        if op.attempt_id in task.ended:
            raise states.IllegalMove(f"{op.attempt_id} has ended before and cannot be granted")
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
        event = {states.SUCCEEDED: "published", states.FAILED: "failed", states.KILLED: "killed"}[
            op.state
        ]
        job.state = move(JOB_MOVES, job.state, event)
        job.finished_us, job.error, job.failure_json = edit.wall_us, op.error, op.failure_json
        rows = attempt_rows(job)
        rows.sort(key=lambda row: row.state != states.FAILED)
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
        jobs = checkpoint.jobs(op)
        self.jobs = {job.job_id: job for job in jobs}
        self.by_token = {job.token: job.job_id for job in jobs}
        self.last_day, self.last_number = op.last_day, op.last_number
        self._finished = [
            job.job_id
            for job in sorted(jobs, key=lambda job: (job.finished_us, job.job_id))
            if job.finished
        ]

    def _drop_oldest(self) -> None:
        while len(self._finished) > self._keep_finished:
            job = self.jobs.pop(self._finished.pop(0))
            del self.by_token[job.token]

    def _find(self, attempt_id: str) -> tuple[JobRecord, TaskRecord]:
        attempt = AttemptId.parse(attempt_id)
        job = self.jobs[attempt.job_id] if attempt is not None else None
        task = job.task(attempt.task) if job is not None and attempt is not None else None
        if job is None or task is None:
            raise states.IllegalMove(f"{attempt_id} belongs to no task")
        return job, task

    def image(self) -> edits.Checkpoint:
        """The state as one edit."""
        return edits.Checkpoint(
            self.last_day, self.last_number, checkpoint.images(self.jobs.values())
        )
