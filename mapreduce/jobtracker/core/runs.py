"""Opening and closing running attempts: the slot, the durable end, the order to the worker. What
follows is decided in `attempts.py`."""

from __future__ import annotations

from mapreduce.jobtracker.core import edits, states
from mapreduce.jobtracker.core.desk import Desk
from mapreduce.jobtracker.core.model import AttemptId, AttemptRow
from mapreduce.jobtracker.core.orders import KillAttempt
from mapreduce.jobtracker.core.work import JobWork, Run


def open_run(desk: Desk, work: JobWork, attempt: AttemptId, worker_id: str) -> Run:
    run = Run(attempt, worker_id)
    work.add_run(run)
    work.unwant(attempt.task)
    worker = desk.workers.get(worker_id)
    if worker is not None:
        worker.running[str(attempt)] = None
    desk.changed[work.job.job_id] = None
    return run


def close_run(desk: Desk, work: JobWork, run: Run) -> None:
    """The attempt is over and has given its slot back."""
    work.drop_run(run)
    worker = desk.workers.get(run.worker_id)
    if worker is not None:
        worker.running.pop(str(run.attempt), None)
    desk.changed[work.job.job_id] = None


def end_run(desk: Desk, work: JobWork, run: Run, state: str, message: str) -> None:
    """The attempt came to nothing; durably so."""
    close_run(desk, work, run)
    desk.record(edits.AttemptEnded(str(run.attempt), run.worker_id, state, message[:200]))


def kill_run(desk: Desk, work: JobWork, run: Run, reason: str) -> None:
    """Ends the attempt now; its slot is free when the worker says that the process is gone."""
    end_run(desk, work, run, states.KILLED, reason)
    worker = desk.workers.get(run.worker_id)
    if worker is not None and not worker.dead:
        worker.dying[str(run.attempt)] = desk.in_us(desk.options.kill_grace_us)
    desk.order(run.worker_id, KillAttempt(str(run.attempt), reason))


def running_rows(work: JobWork) -> list[AttemptRow]:
    return [
        AttemptRow(name, run.worker_id, states.RUNNING) for name, run in sorted(work.runs.items())
    ]
