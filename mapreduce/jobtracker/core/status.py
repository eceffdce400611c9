"""Jobs, attempts and workers as they are told to clients."""

from __future__ import annotations

from mapreduce.jobtracker.core import states
from mapreduce.jobtracker.core.desk import Desk
from mapreduce.jobtracker.core.model import (
    ENGINE_COUNTERS,
    JOB_GROUP,
    MAP,
    REDUCE,
    AttemptId,
    Counters,
)
from mapreduce.jobtracker.core.orders import (
    AttemptList,
    ClusterStatus,
    JobStatus,
    LocatedAttempt,
    StageStatus,
    WorkerStatus,
)
from mapreduce.jobtracker.core.records import JobRecord, StageRecord, attempt_rows
from mapreduce.jobtracker.core.runs import running_rows
from mapreduce.jobtracker.core.work import JobWork


def job_status(desk: Desk, job: JobRecord) -> JobStatus:
    work = desk.works.get(job.job_id)
    return JobStatus(
        job.job_id,
        job.plan.name,
        job.plan.user,
        states.RUNNING if job.state == states.PUBLISHING else job.state,
        job.submitted_us,
        job.finished_us,
        _stage_status(job.maps, work, MAP),
        _stage_status(job.reduces, work, REDUCE),
        _counters(job),
        job.plan.output,
        job.error,
        job.failure_json,
    )


def _stage_status(stage: StageRecord, work: JobWork | None, name: str) -> StageStatus:
    runs = work.runs_in(name) if work is not None else []
    begun: dict[int, float] = {}
    for run in runs:
        begun[run.attempt.index] = max(run.fraction, begun.get(run.attempt.index, 0.0))
    fraction = min(1.0, (stage.done + sum(begun.values())) / stage.total) if stage.total else 1.0
    return StageStatus(
        stage.total,
        stage.done,
        len(runs),
        stage.failed_attempts,
        stage.killed_attempts,
        round(fraction, 4),
    )


def _counters(job: JobRecord) -> Counters:
    totals = {(JOB_GROUP, name): 0 for name in ENGINE_COUNTERS} | job.totals
    return tuple((group, name, value) for (group, name), value in sorted(totals.items()))


def attempt_list(desk: Desk, job: JobRecord, task: str) -> AttemptList:
    """Attempts of a task ("map/3"), one attempt by its id, or all for ""."""
    work = desk.works.get(job.job_id)
    rows = attempt_rows(job) + (running_rows(work) if work is not None else [])
    found = []
    for row in rows:
        attempt = AttemptId.parse(row.attempt_id)
        if attempt is not None and task in ("", row.attempt_id, str(attempt.task)):
            worker = desk.workers.get(row.worker_id)
            address = worker.address if worker is not None and not worker.dead else ""
            found.append(
                ((attempt.stage, attempt.index, attempt.number), LocatedAttempt(row, address))
            )
    return AttemptList(tuple(located for _, located in sorted(found, key=lambda pair: pair[0])))


def cluster_status(desk: Desk) -> ClusterStatus:
    workers = tuple(
        WorkerStatus(w.worker_id, w.address, w.state, w.slots, w.busy)
        for w in (desk.workers[worker_id] for worker_id in sorted(desk.workers))
    )
    waiting = sum(1 for work in desk.works.values() if work.job.state == states.WAITING)
    return ClusterStatus(workers, len(desk.works) - waiting, waiting, desk.epoch)
