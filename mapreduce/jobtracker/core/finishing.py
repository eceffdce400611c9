"""How a job ends: its attempts are killed, its result is recorded, its work is removed. Publishing
is the last step of a good end."""

from __future__ import annotations

from mapreduce.jobtracker.core import edits, states
from mapreduce.jobtracker.core.desk import Desk
from mapreduce.jobtracker.core.model import LETTERS, Failure
from mapreduce.jobtracker.core.orders import (
    PUBLISHER,
    ForgetJob,
    Part,
    PublishOutput,
    RemoveStaging,
)
from mapreduce.jobtracker.core.records import JobRecord
from mapreduce.jobtracker.core.runs import kill_run
from mapreduce.jobtracker.core.work import JobWork


def fail_job(desk: Desk, work: JobWork, error: str, failure: Failure | None = None) -> None:
    _finish(
        desk,
        work,
        edits.JobFinished(
            work.job.job_id, states.FAILED, error, failure.report_json if failure else b""
        ),
    )


def kill_job(desk: Desk, work: JobWork, reason: str) -> None:
    _finish(desk, work, edits.JobFinished(work.job.job_id, states.KILLED, reason))


def succeed_job(desk: Desk, work: JobWork) -> None:
    _finish(desk, work, edits.JobFinished(work.job.job_id, states.SUCCEEDED))


def _finish(desk: Desk, work: JobWork, result: edits.JobFinished) -> None:
    _kill_runs(desk, work, "the job has ended")
    desk.record(result)
    del desk.works[result.job_id]
    for worker_id in sorted(desk.workers):
        desk.order(worker_id, ForgetJob(result.job_id))
    desk.cleanups[result.job_id] = desk.in_us(desk.options.staging_grace_us)
    desk.changed[result.job_id] = None


def publish(desk: Desk, work: JobWork) -> None:
    """Every part is granted: what still runs is in the way, and the publisher may begin. Said again
    after a restart."""
    job = work.job
    _kill_runs(desk, work, "the job's output is complete")
    for stage in ("map", "reduce"):
        work.pending(stage).clear()
    desk.send(PUBLISHER, publish_order(job))
    desk.changed[job.job_id] = None


def publish_order(job: JobRecord) -> PublishOutput:
    stage = job.plan.committing_stage
    records_name = "reduce_output_records" if job.plan.reduces else "map_output_records"
    parts = []
    for index, task in enumerate(job.stage(stage).tasks):
        assert task.file is not None, f"{job.job_id} {stage}/{index} is published without a grant"
        records = sum(
            value for group, name, value in task.counters if group == "job" and name == records_name
        )
        parts.append(Part(f"part-{LETTERS[stage]}-{index:05d}", task.file, records, task.winner))
    plan = job.plan
    return PublishOutput(
        job.job_id,
        plan.name,
        plan.user,
        plan.output,
        plan.replaced_file_id,
        tuple(parts),
        job.counters(),
        plan.spec_json,
    )


def _kill_runs(desk: Desk, work: JobWork, reason: str) -> None:
    for name in sorted(work.runs):
        kill_run(desk, work, work.runs[name], reason)


def remove_staging(desk: Desk) -> None:
    """Orders the removal of finished jobs' work once no killed attempt may still write into it."""
    for job_id, latest_us in list(desk.cleanups.items()):
        prefix = job_id.replace("job_", "attempt_", 1) + "_"
        dying = any(
            name.startswith(prefix) for worker in desk.workers.values() for name in worker.dying
        )
        job = desk.ledger.jobs.get(job_id)
        if desk.now.mono_us < latest_us and (dying or job_id in desk.strays):
            continue
        del desk.cleanups[job_id]
        desk.strays.pop(job_id, None)
        if job is not None:
            desk.send(
                PUBLISHER, RemoveStaging(job_id, job.plan.output, job.plan.user, job.plan.code)
            )


def remove_staging_again(desk: Desk, job_id: str) -> None:
    """An attempt of a finished job was still alive: it may have written into the staging directory
    after that was removed."""
    job = desk.ledger.jobs.get(job_id)
    if job is not None and job.finished:
        desk.cleanups.setdefault(job_id, desk.in_us(desk.options.staging_grace_us))
        desk.strays[job_id] = None


def staging_removed(desk: Desk, job_id: str) -> None:
    job = desk.ledger.jobs.get(job_id)
    if job is not None and not job.staging_cleared:
        desk.record(edits.StagingCleared(job_id))
