"""What must be true after every step. Numbers refer to docs/ARCHITECTURE.md's list for the
simulator.
"""

from __future__ import annotations

from mapreduce.jobtracker.core import ledger
from mapreduce.jobtracker.core.ledger import JobRecord, StageRecord
from mapreduce.jobtracker.core.live import LiveJob, LiveState
from mapreduce.jobtracker.core.model import MAP, REDUCE, TaskId


def check(live: LiveState) -> None:
    for job in live.ledger.jobs.values():
        _check_job(live, job)
    for work in live.jobs.values():
        _check_work(live, work)
    for worker in live.workers.values():
        for name in worker.running:
            assert any(name in work.runs for work in live.jobs.values()), (
                f"{worker.worker_id} runs {name}, which no job knows"
            )
        assert not (worker.dead and (worker.running or worker.stream is not None)), (
            f"{worker.worker_id} is dead and busy"
        )
    assert list(live.jobs) == [job.job_id for job in live.ledger.live()] or not live.epoch, (
        "works and live jobs differ"
    )


def _check_job(live: LiveState, job: JobRecord) -> None:
    if job.finished:
        assert job.job_id not in live.jobs and not job.maps.tasks and not job.reduces.tasks, (
            f"{job.job_id} is finished and has work"
        )
        return
    for name, stage in ((MAP, job.maps), (REDUCE, job.reduces)):
        assert len(stage.tasks) == stage.total and stage.done == sum(
            t.state == ledger.DONE for t in stage.tasks
        ), f"{job.job_id} {name}"
        _check_tasks(live, job, name, stage)
    committed = job.stage(job.plan.committing_stage)
    assert (job.state == ledger.PUBLISHING) == (committed.done == committed.total), (
        f"{job.job_id} is {job.state}"
    )


def _check_tasks(live: LiveState, job: JobRecord, name: str, stage: StageRecord) -> None:
    totals_of_ended = {ledger.FAILED: 0, "other": 0}
    for index, task in enumerate(stage.tasks):
        where = f"{job.job_id} {name}/{index}"
        assert bool(task.winner) == (task.state == ledger.DONE), (
            f"{where} is {task.state} with winner {task.winner!r}"
        )
        assert (task.file is not None) == (job.commits(name) and task.state == ledger.DONE), (
            f"{where}: grant without a file (19)"
        )
        assert task.winner not in task.ended, f"{where}: {task.winner} both ended and won (22)"
        assert task.failures <= job.plan.max_attempts, f"{where} failed {task.failures} times (22)"
        for row in task.ended.values():
            assert row.state in (ledger.FAILED, ledger.KILLED, ledger.LOST, ledger.SUCCEEDED), (
                f"{where}: {row}"
            )
            if row.state != ledger.SUCCEEDED:
                totals_of_ended[ledger.FAILED if row.state == ledger.FAILED else "other"] += 1
    assert totals_of_ended[ledger.FAILED] == stage.failed_attempts, (
        f"{job.job_id} {name}: failed attempts"
    )
    assert totals_of_ended["other"] == stage.killed_attempts, (
        f"{job.job_id} {name}: killed attempts"
    )


def _check_work(live: LiveState, work: LiveJob) -> None:
    job = work.job
    for name, run in work.runs.items():
        task = job.task(run.attempt.task)
        assert task is not None and task.state != ledger.DONE and name not in task.ended, (
            f"{name} runs although its task is over"
        )
        worker = live.workers.get(run.worker_id)
        assert worker is not None and not worker.dead and name in worker.running, (
            f"{name} runs on {run.worker_id}, which does not run it"
        )
    for stage in (MAP, REDUCE):
        for index in work.pending(stage):
            assert job.stage(stage).tasks[index].state != ledger.DONE, (
                f"{job.job_id} {stage}/{index} is done and waits"
            )
            assert not work.runs_of(TaskId(stage, index)), (
                f"{job.job_id} {stage}/{index} runs and waits"
            )
        if job.state != ledger.PUBLISHING:
            running = {run.attempt.index for run in work.runs_in(stage)}
            for index, task in enumerate(job.stage(stage).tasks):
                known = (
                    task.state == ledger.DONE or index in running or index in work.pending(stage)
                )
                assert known, (
                    f"{job.job_id} {stage}/{index} is neither done, nor running, nor waiting (25)"
                )
    if job.plan.reduces:
        for index, task in enumerate(job.maps.tasks):
            placed = (index in work.outputs) + (index in work.missing)
            assert placed == (task.state == ledger.DONE), (
                f"{job.job_id} map/{index}: output neither held nor missing (20)"
            )
            if index in work.outputs:
                assert not live.workers[work.outputs[index].worker_id].dead, (
                    f"{job.job_id} map/{index} is held by a dead worker"
                )
