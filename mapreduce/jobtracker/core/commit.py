"""Who may commit: one attempt per task, for ever. The grant is durable, with its files, before the
answer leaves; from then on the worker's death changes nothing. Asked again, the winner is told yes
again; everybody else is told who won.

An attempt nobody here has heard of may win: a tracker that has just restarted may be asked before
the attempt's worker has attended. One that was declared lost, killed or failed may not: its task
has gone on without it.
"""

from __future__ import annotations

from mapreduce.exchange import AskCommit, CommitAnswer
from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.events import CommitRequested
from mapreduce.jobtracker.core.live import LiveJob, LiveState, close_run, kill_run
from mapreduce.jobtracker.core.outputs import results_fit
from mapreduce.jobtracker.core.publishing import publish_what_is_complete, remove_staging_again
from mapreduce.jobtracker.core.records import SUCCEEDED, JobRecord, TaskRecord
from mapreduce.model import AttemptId


def requested(live: LiveState, event: CommitRequested) -> None:
    ask, attempt = event.ask, AttemptId.parse(event.ask.attempt_id)
    answer = _refusal(live, ask, attempt)
    if answer is not None and attempt is not None:
        remove_staging_again(live, attempt.job_id)
    if answer is None:
        assert attempt is not None
        answer = CommitAnswer(True, ask.attempt_id)
        if not _granted_before(live, ask, attempt):
            _grant(live, live.jobs[attempt.job_id], attempt, event)
    live.send(event.reply_to, answer)


def _granted_before(live: LiveState, ask: AskCommit, attempt: AttemptId) -> bool:
    job = live.ledger.jobs[attempt.job_id]
    task = job.task(attempt.task)
    return task is None or task.winner == ask.attempt_id


def _refusal(live: LiveState, ask: AskCommit, attempt: AttemptId | None) -> CommitAnswer | None:
    job = live.ledger.jobs.get(attempt.job_id) if attempt is not None else None
    if attempt is None or job is None:
        return CommitAnswer(False, "", f"{ask.attempt_id} belongs to no job")
    if job.finished:
        winners = {row.attempt_id for row in job.rows if row.state == SUCCEEDED}
        if ask.attempt_id in winners:
            return None
        return CommitAnswer(False, "", f"{job.job_id} is {job.state}")
    task = job.task(attempt.task)
    commits = job.stages[attempt.stage].stage.commits if task is not None else ()
    if task is None or not commits:
        return CommitAnswer(False, "", f"{job.job_id} has no part for {ask.attempt_id}")
    return _refusal_of_task(job, task, ask, attempt)


def _refusal_of_task(
    job: JobRecord, task: TaskRecord, ask: AskCommit, attempt: AttemptId
) -> CommitAnswer | None:
    commits = job.stages[attempt.stage].stage.commits
    if task.winner == ask.attempt_id and _same_files(task, ask):
        return None
    if task.winner:
        reason = f"commit denied: {job.named(attempt.task)} is committed by {task.winner}"
        return CommitAnswer(False, task.winner, reason)
    if ask.attempt_id in task.ended:
        return CommitAnswer(False, "", "commit denied: attempt superseded")
    if sorted(file.output for file in ask.files) != sorted(commits):
        return CommitAnswer(False, "", f"commit denied: its files are not those of {commits}")
    return None


def _same_files(task: TaskRecord, ask: AskCommit) -> bool:
    def ids(files: tuple[object, ...]) -> list[tuple[int, int]]:
        return sorted((file.output, file.file_id) for file in files)  # type: ignore[attr-defined]

    return ids(task.files) == ids(ask.files)


def _grant(live: LiveState, work: LiveJob, attempt: AttemptId, event: CommitRequested) -> None:
    ask = event.ask
    live.commit(
        edits.CommitGranted(
            attempt_id=ask.attempt_id,
            worker_id=event.worker_id,
            files=ask.files,
            counters=ask.counters,
            result=ask.result,
        )
    )
    work.unwant(attempt.task)
    run = work.runs.get(ask.attempt_id)
    if run is not None:
        close_run(live, work, run)
    for rival in work.runs_of(attempt.task):
        kill_run(live, work, rival, f"superseded by {ask.attempt_id}")
    live.changed[work.job.job_id] = None
    if results_fit(live, work):
        publish_what_is_complete(live, work)
