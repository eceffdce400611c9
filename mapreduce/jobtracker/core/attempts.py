"""What follows when an attempt starts, succeeds or ends: another try, a re-made map, a failed
job."""

from __future__ import annotations

from mapreduce.jobtracker.core import edits, states
from mapreduce.jobtracker.core.desk import Desk
from mapreduce.jobtracker.core.events import AttemptFailed, AttemptProgressed, MapSucceeded
from mapreduce.jobtracker.core.finishing import fail_job
from mapreduce.jobtracker.core.model import MAP, REDUCE, AttemptId, TaskId
from mapreduce.jobtracker.core.orders import Launch
from mapreduce.jobtracker.core.outputs import add_output, locations, remake
from mapreduce.jobtracker.core.runs import close_run, end_run, kill_run, open_run
from mapreduce.jobtracker.core.work import JobWork, Run, Worker

OUTSIDE_FAULTS = frozenset({"storage", "shuffle"})
"""Kinds of failure that are nobody's code: the attempt counts as killed, and the task waits before
its next try."""

HOPELESS = frozenset({"input", "permission"})
"""Kinds of failure that every further attempt would have as well: a file that is not the one that
was planned stays another one."""

FIRST_HOLD_US, LONGEST_HOLD_US = 250_000, 8_000_000


def launch(desk: Desk, work: JobWork, task: TaskId, worker: Worker) -> None:
    job = work.job
    if job.state == states.WAITING:
        desk.record(edits.JobStarted(job.job_id))
    attempt = work.next_attempt(task, desk.epoch)
    open_run(desk, work, attempt, worker.worker_id)
    if task.stage == MAP:
        split_json = job.plan.maps[task.index].split_json
        order = Launch(str(attempt), job.job_id, MAP, task.index, job.plan.spec_json, split_json)
    else:
        known = locations(desk, work)
        order = Launch(
            str(attempt),
            job.job_id,
            REDUCE,
            task.index,
            job.plan.spec_json,
            b"",
            job.maps.total,
            known,
        )
    desk.order(worker.worker_id, order)


def progressed(desk: Desk, work: JobWork, run: Run, event: AttemptProgressed) -> None:
    run.fraction = min(1.0, max(run.fraction, event.fraction))
    run.phase, run.status = event.phase, event.status
    desk.changed[work.job.job_id] = None


def map_succeeded(desk: Desk, work: JobWork, run: Run, event: MapSucceeded) -> None:
    """Counts this attempt's output and ends its rivals. A map-only job's attempts commit
    instead."""
    if work.job.commits(MAP) or run.attempt.stage != MAP:
        kill_run(desk, work, run, "reported a map output that its job has no use for")
        after_end(desk, work, run.attempt.task, run.worker_id, "it reported what it should not")
        return
    close_run(desk, work, run)
    for rival in work.runs_of(run.attempt.task):
        kill_run(desk, work, rival, f"superseded by {run.attempt}")
    add_output(desk, work, run.attempt, run.worker_id, event.segment_bytes, event.counters)


def failed(desk: Desk, work: JobWork, run: Run, event: AttemptFailed) -> None:
    outside = event.killed or event.failure.kind in OUTSIDE_FAULTS
    end_run(desk, work, run, states.KILLED if outside else states.FAILED, event.failure.message)
    task, record = run.attempt.task, work.job.task(run.attempt.task)
    assert record is not None
    if event.failure.kind in HOPELESS and not event.killed:
        fail_job(desk, work, f"{task} failed: {event.failure.message}", event.failure)
        return
    if record.failures >= work.job.plan.max_attempts:
        times = f"failed {record.failures} times" if record.failures > 1 else "failed"
        fail_job(desk, work, f"{task} {times}: {event.failure.message}", event.failure)
        return
    if record.losses >= desk.options.max_losses and event.failure.report_json:
        fail_job(
            desk,
            work,
            f"{task} was given up after {record.losses} tries: {event.failure.message}",
            event.failure,
        )
        return
    if outside:
        hold_us = min(LONGEST_HOLD_US, FIRST_HOLD_US << min(record.losses - 1, 5))
        work.held_until_us[task] = desk.in_us(hold_us)
    after_end(desk, work, task, run.worker_id, event.failure.message)


def lost(desk: Desk, work: JobWork, run: Run, reason: str) -> None:
    end_run(desk, work, run, states.LOST, reason)
    after_end(desk, work, run.attempt.task, "", reason)


def after_end(desk: Desk, work: JobWork, task: TaskId, failed_on: str, reason: str) -> None:
    """The task's next try, unless another attempt of it runs, or it was lost too often."""
    record = work.job.task(task)
    assert record is not None
    if record.losses >= desk.options.max_losses:
        fail_job(
            desk,
            work,
            f"{task} was lost or killed {record.losses} times: the last time because {reason}",
        )
        return
    if failed_on and failed_on not in work.avoid.get(task, []):
        work.avoid.setdefault(task, []).append(failed_on)
    if record.state != states.DONE and not work.runs_of(task):
        work.want(task)
        remake(desk, work, f"{task} has to begin again")


def find_run(desk: Desk, attempt_id: str) -> tuple[JobWork, Run] | None:
    attempt = AttemptId.parse(attempt_id)
    work = desk.works.get(attempt.job_id) if attempt is not None else None
    run = work.runs.get(attempt_id) if work is not None else None
    return (work, run) if work is not None and run is not None else None
