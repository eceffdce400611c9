"""What follows when an attempt starts, succeeds or ends: another try, an output made again, a
failed job."""

from __future__ import annotations

from mapreduce.exchange import (
    AttemptFailed,
    Input,
    Launch,
    Progressed,
    Target,
    TaskDone,
    TaskResult,
    TellResults,
)
from mapreduce.jobtracker.core import edits
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
from mapreduce.jobtracker.core.outputs import add_output, locations, remake, results, results_fit
from mapreduce.jobtracker.core.publishing import fail_job, publish_what_is_complete
from mapreduce.jobtracker.core.records import DONE, FAILED, KILLED, LOST, WAITING
from mapreduce.model import FETCHED, MESSAGE_RESULT_BYTES, AttemptId, TaskId, part_name

OUTSIDE_FAULTS = frozenset({"storage", "shuffle"})
"""Kinds of failure that are nobody's code: the attempt counts as killed, and the task waits before
its next try."""

HOPELESS = frozenset({"input", "permission"})
"""Kinds of failure that every further attempt would have as well: a file that is not the one that
was planned stays another one."""

FIRST_HOLD_US, LONGEST_HOLD_US = 250_000, 8_000_000


def launch(live: LiveState, work: LiveJob, task: TaskId, worker: Worker) -> None:
    job = work.job
    if job.state == WAITING:
        live.commit(edits.JobStarted(job.job_id))
    attempt = work.next_attempt(task, live.epoch)
    open_run(live, work, attempt, worker.worker_id)
    *before, last = _pieces(results(work, task.stage))
    for piece in before:
        live.order(worker.worker_id, TellResults(str(attempt), piece))
    live.order(worker.worker_id, _launch_order(live, work, attempt, last))


def _pieces(found: tuple[TaskResult, ...]) -> list[tuple[TaskResult, ...]]:
    """In order, each of as many as one message may carry; at least one, if empty."""
    pieces: list[list[TaskResult]] = [[]]
    size = 0
    for one in found:
        if size + len(one.result) > MESSAGE_RESULT_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(one)
        size += len(one.result)
    return [tuple(piece) for piece in pieces]


def _launch_order(
    live: LiveState, work: LiveJob, attempt: AttemptId, given: tuple[TaskResult, ...]
) -> Launch:
    job, found = work.job, work.job.stages[attempt.stage]
    stage = found.stage
    split = stage.splits[attempt.index] if stage.splits else None
    inputs = []
    for position, edge in enumerate(stage.inputs):
        if edge.kind in FETCHED:
            source = job.stages[edge.stage].stage
            inputs.append(
                Input(
                    edge=position,
                    tag=edge.tag,
                    stage=edge.stage,
                    kind=edge.kind,
                    first=edge.first,
                    tasks=source.tasks,
                    partitions=source.partitions,
                )
            )
    paths = {number: job.outputs[found.seq, number].output.path for number in stage.commits}
    return Launch(
        attempt_id=str(attempt),
        job_id=job.job_id,
        stage=attempt.stage,
        index=attempt.index,
        spec=job.plan.spec,
        limits=job.plan.limits,
        user=job.plan.user,
        split=split.source if split is not None else b"",
        split_tag=split.tag if split is not None else 0,
        partitions=stage.partitions,
        targets=tuple(
            Target(output=number, path=paths[number], name=part_name(stage.letter, attempt.index))
            for number in stage.commits
        ),
        inputs=tuple(inputs),
        known=locations(live, work, attempt.stage) if inputs else (),
        results=given,
        driver=stage.driver,
        extensions=job.extensions,
        affinity=stage.affinity,
    )


def progressed(live: LiveState, work: LiveJob, run: Run, news: Progressed) -> None:
    run.fraction = min(1.0, max(run.fraction, news.fraction))
    run.phase, run.status = news.phase, news.status
    live.changed[work.job.job_id] = None


def done(live: LiveState, work: LiveJob, run: Run, news: TaskDone) -> None:
    """Counts what this attempt made and ends its rivals. One whose stage commits must ask
    instead."""
    if work.job.stages[run.attempt.stage].stage.commits:
        kill_run(live, work, run, "reported an output that its job has no use for")
        work.shun(run.attempt.task, run.worker_id, "engine")
        _next_try(live, work, run.attempt.task, "it reported what it should not")
        return
    close_run(live, work, run)
    made(live, work, run.attempt, run.worker_id, news)


def made(
    live: LiveState, work: LiveJob, attempt: AttemptId, worker_id: str, news: TaskDone
) -> None:
    """An attempt that runs no more has made this, and nothing stands against it."""
    for rival in work.runs_of(attempt.task):
        kill_run(live, work, rival, f"superseded by {attempt}")
    add_output(live, work, attempt, worker_id, news)
    if results_fit(live, work):
        publish_what_is_complete(live, work)


def failed(live: LiveState, work: LiveJob, run: Run, news: AttemptFailed) -> None:
    failure = news.failure
    outside = news.killed or failure.kind in OUTSIDE_FAULTS
    end_run(live, work, run, KILLED if outside else FAILED, failure.message)
    task, record = run.attempt.task, work.job.task(run.attempt.task)
    assert record is not None
    named = work.job.named(task)
    if failure.kind in HOPELESS and not news.killed:
        fail_job(live, work, f"{named} failed: {failure.message}", failure)
    elif record.failures >= work.job.plan.max_attempts:
        times = f"failed {record.failures} times" if record.failures > 1 else "failed"
        fail_job(live, work, f"{named} {times}: {failure.message}", failure)
    elif record.losses >= live.options.max_losses and failure.report:
        what = f"{named} was given up after {record.losses} tries: {failure.message}"
        fail_job(live, work, what, failure)
    else:
        if outside:
            hold_us = min(LONGEST_HOLD_US, FIRST_HOLD_US << min(record.losses - 1, 5))
            work.held_until_us[task] = live.in_us(hold_us)
        work.shun(task, run.worker_id, failure.kind)
        _next_try(live, work, task, failure.message)


def lost(live: LiveState, work: LiveJob, run: Run, reason: str) -> None:
    end_run(live, work, run, LOST, reason)
    _next_try(live, work, run.attempt.task, reason)


def sent_back(live: LiveState, work: LiveJob, run: Run, reason: str, message: str) -> None:
    """The attempt gives up its slot; its task begins again when it can work at once."""
    kill_run(live, work, run, message)
    work.sent_back.add(run.attempt.task)
    _next_try(live, work, run.attempt.task, reason)


def _next_try(live: LiveState, work: LiveJob, task: TaskId, reason: str) -> None:
    """Another attempt of the task, unless one runs, or it was lost too often."""
    record, named = work.job.task(task), work.job.named(task)
    assert record is not None
    if record.losses >= live.options.max_losses:
        what = f"{named} was lost or killed {record.losses} times: the last time because {reason}"
        fail_job(live, work, what)
        return
    if record.state != DONE and not work.runs_of(task):
        work.want(task)
        remake(live, work, f"{named} has to begin again")


def find_run(live: LiveState, attempt_id: str) -> tuple[LiveJob, Run] | None:
    attempt = AttemptId.parse(attempt_id)
    work = live.jobs.get(attempt.job_id) if attempt is not None else None
    run = work.runs.get(attempt_id) if work is not None else None
    return (work, run) if work is not None and run is not None else None
