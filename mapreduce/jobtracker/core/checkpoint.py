"""The whole durable state as one edit, and back."""

from __future__ import annotations

from collections.abc import Iterable

from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.model import Counters
from mapreduce.jobtracker.core.records import JobRecord, StageRecord, TaskRecord

_INT64 = (1 << 63) - 1


def images(jobs: Iterable[JobRecord]) -> tuple[edits.JobImage, ...]:
    return tuple(_image_of(job) for job in jobs)


def jobs(checkpoint: edits.Checkpoint) -> list[JobRecord]:
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
