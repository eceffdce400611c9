"""What clients ask: submit, look, watch, kill; and jobs, attempts and workers as they are told.
Submitting is idempotent by token, and a refused job gets no id.
"""

from __future__ import annotations

from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.events import (
    Accepted,
    AttemptList,
    ClusterStatus,
    FindLogs,
    GetCluster,
    GetJob,
    JobList,
    JobStatus,
    KillJob,
    ListJobs,
    LocatedAttempt,
    Refusal,
    StageStatus,
    SubmitJob,
    WatchEnded,
    WatchJob,
    WorkerStatus,
)
from mapreduce.jobtracker.core.live import LiveJob, LiveState, Watcher, running_rows
from mapreduce.jobtracker.core.plans import problem, written_by
from mapreduce.jobtracker.core.publishing import kill_job, publish_what_is_complete
from mapreduce.jobtracker.core.records import (
    PUBLISHING,
    RUNNING,
    WAITING,
    JobRecord,
    StageRecord,
    attempt_rows,
)
from mapreduce.model import ENGINE_COUNTERS, JOB_GROUP, AttemptId, Counters

MIN_WATCH_US = 20_000


def submit(live: LiveState, event: SubmitJob) -> None:
    known = live.ledger.by_token.get(event.token)
    if known is not None:
        live.send(event.reply_to, Accepted(known))
        return
    refusal = _refuse_plan(live, event)
    if refusal is not None:
        live.send(event.reply_to, refusal)
        return
    job_id = live.ledger.next_job_id(live.now.wall_us, live.epoch)
    if job_id is None:
        message = f"this tracker (epoch {live.epoch}) has given out all its job numbers for today"
        live.send(
            event.reply_to,
            Refusal("TRY_AGAIN", message, "restart the tracker: the next one numbers anew"),
        )
        return
    live.commit(edits.JobAccepted(job_id=job_id, token=event.token, plan=event.plan))
    work = live.jobs[job_id] = LiveJob(live.ledger.jobs[job_id])
    live.changed[job_id] = None
    publish_what_is_complete(live, work)
    live.send(event.reply_to, Accepted(job_id))


def _refuse_plan(live: LiveState, event: SubmitJob) -> Refusal | None:
    plan = event.plan
    if not event.token or plan.max_attempts < 1 or not plan.stages:
        message = f"job {plan.name!r} has no token or stages, or nonsensical numbers"
        return Refusal("INVALID_ARGUMENT", message)
    wrong = problem((), plan.stages, plan.outputs)
    if wrong:
        return Refusal("INVALID_ARGUMENT", f"the plan of job {plan.name!r} makes no sense: {wrong}")
    tasks = live.ledger.live_tasks() + sum(stage.tasks for stage in plan.stages)
    jobs, most = live.options.max_live_jobs, live.options.max_live_tasks
    if len(live.jobs) >= jobs or (live.jobs and tasks > most):
        message = (
            f"{len(live.jobs)} jobs are under way, which with this one would have {tasks} tasks: "
            f"at most {jobs} jobs and {most} tasks at a time"
        )
        return Refusal("TRY_AGAIN", message, "mrc jobs")
    for output in plan.outputs:
        writer = written_by(live, output.path)
        if writer:
            message = f"{output.path} is being written by {writer}"
            return Refusal("ALREADY_EXISTS", message, f"mrc job wait {writer}")
    return None


def get(live: LiveState, event: GetJob) -> None:
    job = _resolve(live, event.ref)
    live.send(event.reply_to, job_status(live, job) if isinstance(job, JobRecord) else job)


def kill(live: LiveState, event: KillJob) -> None:
    """Idempotent. A job whose output is being put in place can no longer be killed: it is about to
    succeed."""
    job = _resolve(live, event.ref)
    if isinstance(job, Refusal):
        live.send(event.reply_to, job)
        return
    if job.state == PUBLISHING:
        message = f"{job.job_id} is putting its output in place and cannot be killed any more"
        live.send(
            event.reply_to, Refusal("FAILED_PRECONDITION", message, f"mrc job wait {job.job_id}")
        )
        return
    if not job.finished:
        kill_job(live, live.jobs[job.job_id], event.reason)
    live.send(event.reply_to, job_status(live, job))


def list_jobs(live: LiveState, event: ListJobs) -> None:
    """Newest first."""
    jobs = [job for job in live.ledger.jobs.values() if event.finished_too or not job.finished]
    live.send(
        event.reply_to,
        JobList(tuple(job_status(live, job) for job in reversed(jobs))),
    )


def find_logs(live: LiveState, event: FindLogs) -> None:
    job = _resolve(live, event.ref)
    if isinstance(job, Refusal):
        live.send(event.reply_to, job)
        return
    found = attempt_list(live, job, event.task)
    if event.task and not found.attempts:
        live.send(
            event.reply_to,
            Refusal(
                "NOT_FOUND",
                f"{job.job_id} has no attempt of {event.task}",
                f"mrc job logs {job.job_id}",
            ),
        )
        return
    live.send(event.reply_to, found)


def cluster(live: LiveState, event: GetCluster) -> None:
    live.send(event.reply_to, cluster_status(live))


def _resolve(live: LiveState, ref: str) -> JobRecord | Refusal:
    jobs = live.ledger.jobs
    if ref in jobs:
        return jobs[ref]
    if ref == "@":
        return (
            next(reversed(jobs.values()))
            if jobs
            else Refusal("NOT_FOUND", "no job has been submitted yet", "mrc submit --help")
        )
    found = [job_id for job_id in jobs if ref and job_id.startswith(ref)]
    if len(found) == 1:
        return jobs[found[0]]
    if found:
        return Refusal(
            "INVALID_ARGUMENT",
            f"{ref} may be any of {len(found)} jobs: {', '.join(found[-3:])}",
            "mrc jobs",
        )
    return Refusal("NOT_FOUND", f"no job is called {ref}", "mrc jobs")


# ── watching ──────────────────────────────────────────────────────────────────────────────────────


def watch(live: LiveState, event: WatchJob) -> None:
    job = _resolve(live, event.ref)
    if isinstance(job, Refusal):
        live.send(event.reply_to, job)
    elif len(live.watchers) >= live.options.max_watchers:
        live.send(
            event.reply_to,
            Refusal(
                "TRY_AGAIN",
                f"{len(live.watchers)} clients watch jobs already",
                f"mrc job status {job.job_id}",
            ),
        )
    else:
        live.watchers[event.reply_to] = Watcher(
            event.reply_to, job.job_id, max(MIN_WATCH_US, event.interval_us)
        )


def watch_ended(live: LiveState, event: WatchEnded) -> None:
    live.watchers.pop(event.reply_to, None)


def tell_watchers(live: LiveState) -> None:
    """At most one status per watcher and interval; the finished job at once, and then no more."""
    told: dict[str, JobStatus] = {}
    for watcher in list(live.watchers.values()):
        watcher.owed = watcher.owed or watcher.job_id in live.changed
        job = live.ledger.jobs.get(watcher.job_id)
        if job is None:
            del live.watchers[watcher.reply_to]
            live.send(
                watcher.reply_to,
                Refusal("NOT_FOUND", f"{watcher.job_id} finished so long ago that it is forgotten"),
            )
        elif watcher.owed and (job.finished or live.now.mono_us >= watcher.next_us):
            if job.job_id not in told:
                told[job.job_id] = job_status(live, job)
            live.send(watcher.reply_to, told[job.job_id])
            watcher.owed, watcher.next_us = False, live.in_us(watcher.interval_us)
            if job.finished:
                del live.watchers[watcher.reply_to]
    live.changed.clear()


# ── how jobs, attempts and workers are told ───────────────────────────────────────────────────────


def job_status(live: LiveState, job: JobRecord) -> JobStatus:
    work = live.jobs.get(job.job_id)
    return JobStatus(
        id=job.job_id,
        name=job.plan.name,
        user=job.plan.user,
        state=RUNNING if job.state == PUBLISHING else job.state,
        submitted_us=job.submitted_us,
        finished_us=job.finished_us,
        stages=tuple(_stage_status(found, work) for found in job.stages),
        counters=_counters(job),
        output=job.output,
        error=job.error,
        failure_json=job.failure_json,
    )


def _stage_status(found: StageRecord, work: LiveJob | None) -> StageStatus:
    runs = work.runs_in(found.stage.id) if work is not None else []
    begun: dict[int, float] = {}
    for run in runs:
        begun[run.attempt.index] = max(run.fraction, begun.get(run.attempt.index, 0.0))
    done, total = found.done + sum(begun.values()), found.total
    return StageStatus(
        id=found.stage.id,
        name=found.stage.name,
        total=total,
        done=found.done,
        running=len(runs),
        failed_attempts=found.failed_attempts,
        killed_attempts=found.killed_attempts,
        fraction=round(min(1.0, done / total) if total else 1.0, 4),
        reads_splits=found.stage.reads_splits,
    )


def _counters(job: JobRecord) -> Counters:
    totals = {(JOB_GROUP, name): 0 for name in ENGINE_COUNTERS} | job.totals
    return tuple((group, name, value) for (group, name), value in sorted(totals.items()))


def attempt_list(live: LiveState, job: JobRecord, task: str) -> AttemptList:
    """Attempts of a task ("map/3"), one attempt by its id, or all for ""."""
    work = live.jobs.get(job.job_id)
    rows = attempt_rows(job) + (running_rows(work) if work is not None else [])
    found = []
    for row in rows:
        attempt = AttemptId.parse(row.attempt_id)
        if attempt is not None and task in ("", row.attempt_id, job.named(attempt.task)):
            worker = live.workers.get(row.worker_id)
            address = worker.address if worker is not None and not worker.dead else ""
            found.append(
                ((attempt.stage, attempt.index, attempt.number), LocatedAttempt(row, address))
            )
    return AttemptList(tuple(located for _, located in sorted(found, key=lambda pair: pair[0])))


def cluster_status(live: LiveState) -> ClusterStatus:
    rows = tuple(
        WorkerStatus(
            worker_id=worker.worker_id,
            address=worker.address,
            state=worker.state,
            slots=worker.slots,
            busy=worker.busy,
            no_room=worker.no_room,
        )
        for _worker_id, worker in sorted(live.workers.items())
    )
    waiting = sum(1 for work in live.jobs.values() if work.job.state == WAITING)
    return ClusterStatus(
        workers=rows, running=len(live.jobs) - waiting, waiting=waiting, epoch=live.epoch
    )
