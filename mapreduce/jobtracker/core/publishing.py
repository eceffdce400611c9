"""How a job ends: its attempts are killed, its result is recorded, its work is removed. Publishing
is the last step of a good end.
"""

from __future__ import annotations

from mapreduce.jobtracker.core import edits, ledger
from mapreduce.jobtracker.core.ledger import JobRecord
from mapreduce.jobtracker.core.live import LiveJob, LiveState, kill_run
from mapreduce.jobtracker.core.model import LETTERS, Failure, is_of_job
from mapreduce.jobtracker.core.orders import (
    PUBLISHER,
    ForgetJob,
    Part,
    PublishOutput,
    RemoveStaging,
)


def fail_job(live: LiveState, work: LiveJob, error: str, failure: Failure | None = None) -> None:
    _finish(
        live,
        work,
        edits.JobFinished(
            work.job.job_id, ledger.FAILED, error, failure.report_json if failure else b""
        ),
    )


def kill_job(live: LiveState, work: LiveJob, reason: str) -> None:
    _finish(live, work, edits.JobFinished(work.job.job_id, ledger.KILLED, reason))


def succeed_job(live: LiveState, work: LiveJob) -> None:
    _finish(live, work, edits.JobFinished(work.job.job_id, ledger.SUCCEEDED))


def _finish(live: LiveState, work: LiveJob, result: edits.JobFinished) -> None:
    _kill_runs(live, work, "the job has ended")
    live.commit(result)
    del live.jobs[result.job_id]
    for worker_id in sorted(live.workers):
        live.order(worker_id, ForgetJob(result.job_id))
    live.cleanups[result.job_id] = live.in_us(live.options.staging_grace_us)
    live.changed[result.job_id] = None


def publish(live: LiveState, work: LiveJob) -> None:
    """Every part is granted: what still runs is in the way, and the publisher may begin. Said again
    after a restart."""
    job = work.job
    _kill_runs(live, work, "the job's output is complete")
    for stage in ("map", "reduce"):
        work.pending(stage).clear()
    live.send(PUBLISHER, publish_order(job))
    live.changed[job.job_id] = None


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


def _kill_runs(live: LiveState, work: LiveJob, reason: str) -> None:
    for name in sorted(work.runs):
        kill_run(live, work, work.runs[name], reason)


def remove_staging(live: LiveState) -> None:
    """Orders the removal of finished jobs' work once no killed attempt may still write into it."""
    for job_id, latest_us in list(live.cleanups.items()):
        dying = any(
            is_of_job(name, job_id) for worker in live.workers.values() for name in worker.dying
        )
        job = live.ledger.jobs.get(job_id)
        if live.now.mono_us < latest_us and (dying or job_id in live.strays):
            continue
        del live.cleanups[job_id]
        live.strays.pop(job_id, None)
        if job is not None:
            live.send(
                PUBLISHER, RemoveStaging(job_id, job.plan.output, job.plan.user, job.plan.code)
            )


def remove_staging_again(live: LiveState, job_id: str) -> None:
    """An attempt of a finished job was still alive: it may have written into the staging directory
    after that was removed."""
    job = live.ledger.jobs.get(job_id)
    if job is not None and job.finished:
        live.cleanups.setdefault(job_id, live.in_us(live.options.staging_grace_us))
        live.strays[job_id] = None


def staging_removed(live: LiveState, job_id: str) -> None:
    job = live.ledger.jobs.get(job_id)
    if job is not None and not job.staging_cleared:
        live.commit(edits.StagingCleared(job_id))
