"""Who may commit: one attempt per task, for ever. The grant is durable, with its file, before the
answer leaves; from then on the worker's death changes nothing. Asked again, the winner is told yes
again; everybody else is told who won.

An attempt nobody here has heard of may win: a tracker that has just restarted may be asked before
the attempt's worker has attended. One that was declared lost, killed or failed may not: its task
has gone on without it.
"""

from __future__ import annotations

from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.events import CommitRequested
from mapreduce.jobtracker.core.ledger import PUBLISHING
from mapreduce.jobtracker.core.live import LiveJob, LiveState, close_run, kill_run
from mapreduce.jobtracker.core.model import AttemptId
from mapreduce.jobtracker.core.orders import CommitAnswer
from mapreduce.jobtracker.core.publishing import publish, remove_staging_again


def requested(live: LiveState, event: CommitRequested) -> None:
    attempt = AttemptId.parse(event.attempt_id)
    answer = _refusal(live, event, attempt)
    if answer is not None and attempt is not None:
        remove_staging_again(live, attempt.job_id)
    if answer is None:
        assert attempt is not None
        answer = CommitAnswer(True, event.attempt_id)
        if not _granted_before(live, event, attempt):
            _grant(live, live.jobs[attempt.job_id], attempt, event)
    live.send(event.reply_to, answer)


def _granted_before(live: LiveState, event: CommitRequested, attempt: AttemptId) -> bool:
    job = live.ledger.jobs[attempt.job_id]
    task = job.task(attempt.task)
    return task is None or task.winner == event.attempt_id


def _refusal(
    live: LiveState, event: CommitRequested, attempt: AttemptId | None
) -> CommitAnswer | None:
    job = live.ledger.jobs.get(attempt.job_id) if attempt is not None else None
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


def _grant(live: LiveState, work: LiveJob, attempt: AttemptId, event: CommitRequested) -> None:
    live.commit(edits.CommitGranted(event.attempt_id, event.worker_id, event.file, event.counters))
    work.unwant(attempt.task)
    run = work.runs.get(event.attempt_id)
    if run is not None:
        close_run(live, work, run)
    for rival in work.runs_of(attempt.task):
        kill_run(live, work, rival, f"superseded by {event.attempt_id}")
    live.changed[work.job.job_id] = None
    if work.job.state == PUBLISHING:
        publish(live, work)
