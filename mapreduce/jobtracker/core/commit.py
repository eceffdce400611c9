"""Who may commit: one attempt per task, for ever. The grant is durable, with its file, before the
answer leaves; from then on the worker's death changes nothing. Asked again, the winner is told yes
again; everybody else is told who won.

An attempt nobody here has heard of may win: a tracker that has just restarted may be asked before
the attempt's worker has attended. One that was declared lost, killed or failed may not: its task
has gone on without it.
"""

from __future__ import annotations

from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.desk import Desk
from mapreduce.jobtracker.core.events import CommitRequested
from mapreduce.jobtracker.core.finishing import publish, remove_staging_again
from mapreduce.jobtracker.core.model import AttemptId
from mapreduce.jobtracker.core.orders import CommitAnswer
from mapreduce.jobtracker.core.runs import close_run, kill_run
from mapreduce.jobtracker.core.states import PUBLISHING
from mapreduce.jobtracker.core.work import JobWork


def requested(desk: Desk, event: CommitRequested) -> None:
    attempt = AttemptId.parse(event.attempt_id)
    answer = _refusal(desk, event, attempt)
    if answer is not None and attempt is not None:
        remove_staging_again(desk, attempt.job_id)
    if answer is None:
        assert attempt is not None
        answer = CommitAnswer(True, event.attempt_id)
        if not _granted_before(desk, event, attempt):
            _grant(desk, desk.works[attempt.job_id], attempt, event)
    desk.send(event.reply_to, answer)


def _granted_before(desk: Desk, event: CommitRequested, attempt: AttemptId) -> bool:
    job = desk.ledger.jobs[attempt.job_id]
    task = job.task(attempt.task)
    return task is None or task.winner == event.attempt_id


def _refusal(desk: Desk, event: CommitRequested, attempt: AttemptId | None) -> CommitAnswer | None:
    job = desk.ledger.jobs.get(attempt.job_id) if attempt is not None else None
    if attempt is None or job is None:
        return CommitAnswer(False, "", f"{event.attempt_id} belongs to no job")
    if job.finished:
        winners = {row.attempt_id for row in job.rows if row.state == "SUCCEEDED"}
        return (
            None
            if event.attempt_id in winners
            else CommitAnswer(False, "", f"{job.job_id} is {job.state}")
        )
    task = job.task(attempt.task)
    if task is None or not job.commits(attempt.stage):
        return CommitAnswer(False, "", f"{job.job_id} has no part for {event.attempt_id}")
    if (
        task.winner == event.attempt_id
        and task.file is not None
        and task.file.file_id == event.file.file_id
    ):
        return None
    if task.winner:
        return CommitAnswer(
            False, task.winner, f"commit denied: {attempt.task} is committed by {task.winner}"
        )
    if event.attempt_id in task.ended:
        return CommitAnswer(False, "", "commit denied: attempt superseded")
    return None


def _grant(desk: Desk, work: JobWork, attempt: AttemptId, event: CommitRequested) -> None:
    desk.record(edits.CommitGranted(event.attempt_id, event.worker_id, event.file, event.counters))
    work.unwant(attempt.task)
    run = work.runs.get(event.attempt_id)
    if run is not None:
        close_run(desk, work, run)
    for rival in work.runs_of(attempt.task):
        kill_run(desk, work, rival, f"superseded by {event.attempt_id}")
    desk.changed[work.job.job_id] = None
    if work.job.state == PUBLISHING:
        publish(desk, work)
