"""What clients ask: submit, look, watch, kill. Submitting is idempotent by token, and a refused job
gets no id."""

from __future__ import annotations

from mapreduce.jobtracker.core import edits, orders, states, status
from mapreduce.jobtracker.core.desk import Desk
from mapreduce.jobtracker.core.events import (
    FindLogs,
    GetCluster,
    GetJob,
    KillJob,
    ListJobs,
    SubmitJob,
    WatchEnded,
    WatchJob,
)
from mapreduce.jobtracker.core.finishing import kill_job, publish
from mapreduce.jobtracker.core.orders import Refusal
from mapreduce.jobtracker.core.records import JobRecord
from mapreduce.jobtracker.core.work import JobWork, Watcher

MIN_WATCH_US = 20_000


def submit(desk: Desk, event: SubmitJob) -> None:
    known = desk.ledger.by_token.get(event.token)
    if known is not None:
        desk.send(event.reply_to, orders.JobAccepted(known))
        return
    refusal = _refuse_plan(desk, event)
    if refusal is not None:
        desk.send(event.reply_to, refusal)
        return
    job_id = desk.ledger.next_job_id(desk.now.wall_us, desk.epoch)
    if job_id is None:
        message = f"this tracker (epoch {desk.epoch}) has given out all its job numbers for today"
        desk.send(
            event.reply_to,
            Refusal("TRY_AGAIN", message, "restart the tracker: the next one numbers anew"),
        )
        return
    desk.record(edits.JobAccepted(job_id, event.token, event.plan))
    work = desk.works[job_id] = JobWork(desk.ledger.jobs[job_id])
    desk.changed[job_id] = None
    if work.job.state == states.PUBLISHING:
        publish(desk, work)
    desk.send(event.reply_to, orders.JobAccepted(job_id))


def _refuse_plan(desk: Desk, event: SubmitJob) -> Refusal | None:
    plan = event.plan
    if not event.token or plan.reduces < 0 or plan.max_attempts < 1 or not plan.output:
        return Refusal(
            "INVALID_ARGUMENT", f"job {plan.name!r} has no token or output, or nonsensical numbers"
        )
    tasks, most = (
        desk.ledger.live_tasks() + len(plan.maps) + plan.reduces,
        desk.options.max_live_tasks,
    )
    if len(desk.works) >= desk.options.max_live_jobs or (desk.works and tasks > most):
        message = (
            f"{len(desk.works)} jobs are under way, which with this one would have {tasks} tasks"
        )
        return Refusal(
            "TRY_AGAIN",
            f"{message}: at most {desk.options.max_live_jobs} jobs and {most} tasks at a time",
            "mrc jobs",
        )
    for work in desk.works.values():
        if work.job.plan.output == plan.output:
            return Refusal(
                "ALREADY_EXISTS",
                f"{plan.output} is being written by {work.job.job_id}",
                f"mrc job wait {work.job.job_id}",
            )
    return None


def get(desk: Desk, event: GetJob) -> None:
    job = _resolve(desk, event.ref)
    desk.send(event.reply_to, status.job_status(desk, job) if isinstance(job, JobRecord) else job)


def kill(desk: Desk, event: KillJob) -> None:
    """Idempotent. A job whose output is being put in place can no longer be killed: it is about to
    succeed."""
    job = _resolve(desk, event.ref)
    if isinstance(job, Refusal):
        desk.send(event.reply_to, job)
        return
    if job.state == states.PUBLISHING:
        message = f"{job.job_id} is putting its output in place and cannot be killed any more"
        desk.send(
            event.reply_to, Refusal("FAILED_PRECONDITION", message, f"mrc job wait {job.job_id}")
        )
        return
    if not job.finished:
        kill_job(desk, desk.works[job.job_id], event.reason)
    desk.send(event.reply_to, status.job_status(desk, job))


def list_jobs(desk: Desk, event: ListJobs) -> None:
    """Newest first."""
    jobs = [job for job in desk.ledger.jobs.values() if event.finished_too or not job.finished]
    desk.send(
        event.reply_to,
        orders.JobList(tuple(status.job_status(desk, job) for job in reversed(jobs))),
    )


def find_logs(desk: Desk, event: FindLogs) -> None:
    job = _resolve(desk, event.ref)
    if isinstance(job, Refusal):
        desk.send(event.reply_to, job)
        return
    found = status.attempt_list(desk, job, event.task)
    if event.task and not found.attempts:
        desk.send(
            event.reply_to,
            Refusal(
                "NOT_FOUND",
                f"{job.job_id} has no attempt of {event.task}",
                f"mrc job logs {job.job_id}",
            ),
        )
        return
    desk.send(event.reply_to, found)


def cluster(desk: Desk, event: GetCluster) -> None:
    desk.send(event.reply_to, status.cluster_status(desk))


def _resolve(desk: Desk, ref: str) -> JobRecord | Refusal:
    jobs = desk.ledger.jobs
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


def watch(desk: Desk, event: WatchJob) -> None:
    job = _resolve(desk, event.ref)
    if isinstance(job, Refusal):
        desk.send(event.reply_to, job)
    elif len(desk.watchers) >= desk.options.max_watchers:
        desk.send(
            event.reply_to,
            Refusal(
                "TRY_AGAIN",
                f"{len(desk.watchers)} clients watch jobs already",
                f"mrc job status {job.job_id}",
            ),
        )
    else:
        desk.watchers[event.reply_to] = Watcher(
            event.reply_to, job.job_id, max(MIN_WATCH_US, event.interval_us)
        )


def watch_ended(desk: Desk, event: WatchEnded) -> None:
    desk.watchers.pop(event.reply_to, None)


def tell_watchers(desk: Desk) -> None:
    """At most one status per watcher and interval; the finished job at once, and then no more."""
    told: dict[str, orders.JobStatus] = {}
    for watcher in list(desk.watchers.values()):
        watcher.owed = watcher.owed or watcher.job_id in desk.changed
        job = desk.ledger.jobs.get(watcher.job_id)
        if job is None:
            del desk.watchers[watcher.reply_to]
            desk.send(
                watcher.reply_to,
                Refusal("NOT_FOUND", f"{watcher.job_id} finished so long ago that it is forgotten"),
            )
        elif watcher.owed and (job.finished or desk.now.mono_us >= watcher.next_us):
            if job.job_id not in told:
                told[job.job_id] = status.job_status(desk, job)
            desk.send(watcher.reply_to, told[job.job_id])
            watcher.owed, watcher.next_us = False, desk.in_us(watcher.interval_us)
            if job.finished:
                del desk.watchers[watcher.reply_to]
    desk.changed.clear()
