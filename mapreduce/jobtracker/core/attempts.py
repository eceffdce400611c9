"""What follows when an attempt starts, succeeds or ends: another try, a re-made map, a failed
job.
"""

from __future__ import annotations

from mapreduce.jobtracker.core import edits, ledger
from mapreduce.jobtracker.core.events import AttemptFailed, AttemptProgressed, MapSucceeded
from mapreduce.jobtracker.core.live import (
    LiveJob,
    LiveState,
    Run,
    Worker,
    close_run,
    end_run,
    kill_run,
    open_run,
)
from mapreduce.jobtracker.core.model import MAP, REDUCE, AttemptId, TaskId
from mapreduce.jobtracker.core.orders import Launch
from mapreduce.jobtracker.core.outputs import add_output, locations, remake
from mapreduce.jobtracker.core.publishing import fail_job

OUTSIDE_FAULTS = frozenset({"storage", "shuffle"})
"""Kinds of failure that are nobody's code: the attempt counts as killed, and the task waits before
its next try."""

HOPELESS = frozenset({"input", "permission"})
"""Kinds of failure that every further attempt would have as well: a file that is not the one that
was planned stays another one."""

FIRST_HOLD_US, LONGEST_HOLD_US = 250_000, 8_000_000


def launch(live: LiveState, work: LiveJob, task: TaskId, worker: Worker) -> None:
    job = work.job
    if job.state == ledger.WAITING:
        live.commit(edits.JobStarted(job.job_id))
    attempt = work.next_attempt(task, live.epoch)
    open_run(live, work, attempt, worker.worker_id)
    if task.stage == MAP:
        split_json = job.plan.maps[task.index].split_json
        order = Launch(str(attempt), job.job_id, MAP, task.index, job.plan.spec_json, split_json)
    else:
        known = locations(live, work)
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
    live.order(worker.worker_id, order)


def progressed(live: LiveState, work: LiveJob, run: Run, event: AttemptProgressed) -> None:
    run.fraction = min(1.0, max(run.fraction, event.fraction))
    run.phase, run.status = event.phase, event.status
    live.changed[work.job.job_id] = None


def map_succeeded(live: LiveState, work: LiveJob, run: Run, event: MapSucceeded) -> None:
    """Counts this attempt's output and ends its rivals. A map-only job's attempts commit
    instead."""
    if work.job.commits(MAP) or run.attempt.stage != MAP:
        kill_run(live, work, run, "reported a map output that its job has no use for")
        work.shun(run.attempt.task, run.worker_id, "engine")
        after_end(live, work, run.attempt.task, "it reported what it should not")
        return
    close_run(live, work, run)
    for rival in work.runs_of(run.attempt.task):
        kill_run(live, work, rival, f"superseded by {run.attempt}")
    add_output(live, work, run.attempt, run.worker_id, event.segment_bytes, event.counters)


def failed(live: LiveState, work: LiveJob, run: Run, event: AttemptFailed) -> None:
    outside = event.killed or event.failure.kind in OUTSIDE_FAULTS
    end_run(live, work, run, ledger.KILLED if outside else ledger.FAILED, event.failure.message)
    task, record = run.attempt.task, work.job.task(run.attempt.task)
    assert record is not None
    if event.failure.kind in HOPELESS and not event.killed:
        fail_job(live, work, f"{task} failed: {event.failure.message}", event.failure)
        return
    if record.failures >= work.job.plan.max_attempts:
        times = f"failed {record.failures} times" if record.failures > 1 else "failed"
        fail_job(live, work, f"{task} {times}: {event.failure.message}", event.failure)
        return
    if record.losses >= live.options.max_losses and event.failure.report_json:
        fail_job(
            live,
            work,
            f"{task} was given up after {record.losses} tries: {event.failure.message}",
            event.failure,
        )
        return
    if outside:
        hold_us = min(LONGEST_HOLD_US, FIRST_HOLD_US << min(record.losses - 1, 5))
        work.held_until_us[task] = live.in_us(hold_us)
    work.shun(task, run.worker_id, event.failure.kind)
    after_end(live, work, task, event.failure.message)


def lost(live: LiveState, work: LiveJob, run: Run, reason: str) -> None:
    end_run(live, work, run, ledger.LOST, reason)
    after_end(live, work, run.attempt.task, reason)


def after_end(live: LiveState, work: LiveJob, task: TaskId, reason: str) -> None:
    """The task's next try, unless another attempt of it runs, or it was lost too often."""
    record = work.job.task(task)
    assert record is not None
    if record.losses >= live.options.max_losses:
        fail_job(
            live,
            work,
            f"{task} was lost or killed {record.losses} times: the last time because {reason}",
        )
        return
    if record.state != ledger.DONE and not work.runs_of(task):
        work.want(task)
        remake(live, work, f"{task} has to begin again")


def find_run(live: LiveState, attempt_id: str) -> tuple[LiveJob, Run] | None:
    attempt = AttemptId.parse(attempt_id)
    work = live.jobs.get(attempt.job_id) if attempt is not None else None
    run = work.runs.get(attempt_id) if work is not None else None
    return (work, run) if work is not None and run is not None else None
