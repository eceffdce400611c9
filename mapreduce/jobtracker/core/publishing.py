"""How a job ends: its attempts are killed, its result is recorded, its work is removed. Publishing
is the last step of a good end; an output of an open job is published as soon as it is complete."""

from __future__ import annotations

from mapreduce.exchange import ForgetJob
from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.events import (
    PUBLISHER,
    GrantedPart,
    OutputAppeared,
    PublishFailed,
    PublishOutput,
    RemoveStaging,
)
from mapreduce.jobtracker.core.live import LiveJob, LiveState, kill_run
from mapreduce.jobtracker.core.records import (
    FAILED,
    KILLED,
    PUBLISHING,
    SUCCEEDED,
    JobRecord,
    OutputRecord,
    StageRecord,
)
from mapreduce.model import Failure, is_of_job, part_name


def fail_job(live: LiveState, work: LiveJob, error: str, failure: Failure | None = None) -> None:
    _finish(live, work, FAILED, error, failure.report if failure else b"")


def kill_job(live: LiveState, work: LiveJob, reason: str) -> None:
    _finish(live, work, KILLED, reason)


def _finish(
    live: LiveState, work: LiveJob, state: str, error: str = "", failure_json: bytes = b""
) -> None:
    job_id = work.job.job_id
    _kill_runs(live, work, "the job has ended")
    live.commit(
        edits.JobFinished(job_id=job_id, state=state, error=error, failure_json=failure_json)
    )
    del live.jobs[job_id]
    for worker_id in sorted(live.workers):
        live.order(worker_id, ForgetJob(job_id))
    live.cleanups[job_id] = live.in_us(live.options.staging_grace_us)
    live.changed[job_id] = None


def publish_what_is_complete(live: LiveState, work: LiveJob) -> None:
    """Orders what can be published by now, and ends a job that has nothing left to do. Called after
    whatever may complete an output; said again after a restart."""
    job = work.job
    if job.state == PUBLISHING and (work.waits or work.runs):
        _kill_runs(live, work, "the job's output is complete")
        work.unwant_all()
    for key, made in job.outputs.items():
        writer = _writer(job, made)
        if made.appeared or key in work.ordered or not made.output.published:
            continue
        if writer is None or writer.is_done:
            work.ordered.add(key)
            live.send(PUBLISHER, publish_order(job, made, writer))
    live.changed[job.job_id] = None
    unpublished = any(made.output.published and not made.appeared for made in job.outputs.values())
    if job.state == PUBLISHING and not unpublished:
        _finish(live, work, SUCCEEDED)


def output_appeared(live: LiveState, event: OutputAppeared) -> None:
    work = live.jobs.get(event.job_id)
    made = work.job.outputs.get((event.seq, event.output)) if work is not None else None
    if work is not None and made is not None and not made.appeared:
        live.commit(edits.OutputPublished(job_id=event.job_id, seq=event.seq, output=event.output))
        publish_what_is_complete(live, work)


def publish_failed(live: LiveState, event: PublishFailed) -> None:
    work = live.jobs.get(event.job_id)
    if work is not None and (event.seq, event.output) in work.ordered:
        fail_job(live, work, event.message)


def _writer(job: JobRecord, made: OutputRecord) -> StageRecord | None:
    """The stage whose tasks write the files of this output."""
    for found in job.stages:
        if found.seq == made.seq and made.output.number in found.stage.commits:
            return found
    return None


def publish_order(job: JobRecord, made: OutputRecord, writer: StageRecord | None) -> PublishOutput:
    parts = []
    for index, task in enumerate(writer.tasks if writer is not None else ()):
        files = [file for file in task.files if file.output == made.output.number]
        assert writer is not None and len(files) == 1, (
            f"{job.job_id} output {made.output.number} task {index} is published without a grant"
        )
        parts.append(
            GrantedPart(
                name=part_name(writer.stage.letter, index), file=files[0], attempt_id=task.winner
            )
        )
    return PublishOutput(
        job_id=job.job_id,
        seq=made.seq,
        output=made.output.number,
        path=made.output.path,
        name=job.plan.name,
        user=job.plan.user,
        replaced_file_id=made.output.replaced_file_id,
        replaced_job_id=made.output.replaced_job_id,
        code_sha256=job.plan.code_sha256,
        parts=tuple(parts),
        counters=job.counters(),
    )


def _kill_runs(live: LiveState, work: LiveJob, reason: str) -> None:
    for name in sorted(work.runs):
        kill_run(live, work, work.runs[name], reason)


# ── removing a job's work ─────────────────────────────────────────────────────────────────────────


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
                PUBLISHER,
                RemoveStaging(
                    job_id=job_id,
                    outputs=tuple(made.output.path for made in job.outputs.values()),
                    user=job.plan.user,
                    code=job.plan.code,
                ),
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
