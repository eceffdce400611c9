"""What must be true after every step. Numbers refer to docs/ARCHITECTURE.md's list for the
simulator."""

from __future__ import annotations

from mapreduce.jobtracker.core.live import LiveJob, LiveState
from mapreduce.jobtracker.core.records import (
    DONE,
    FAILED,
    KILLED,
    LOST,
    PUBLISHING,
    SUCCEEDED,
    JobRecord,
    StageRecord,
)
from mapreduce.model import MAX_JOB_RESULT_BYTES, TaskId


def check(live: LiveState) -> None:
    for job in live.ledger.jobs.values():
        _check_job(job)
    for work in live.jobs.values():
        _check_runs(live, work)
        _check_waiting(work)
        _check_outputs(live, work)
    for worker in live.workers.values():
        for name in worker.running:
            assert any(name in work.runs for work in live.jobs.values()), (
                f"{worker.worker_id} runs {name}, which no job knows"
            )
        assert set(worker.drivers) <= set(worker.running), f"{worker.worker_id}: drivers"
        assert not (worker.dead and (worker.running or worker.stream is not None)), (
            f"{worker.worker_id} is dead and busy"
        )
    assert list(live.jobs) == [job.job_id for job in live.ledger.live()] or not live.epoch, (
        "what is live and unfinished jobs differ"
    )


def _check_job(job: JobRecord) -> None:
    if job.finished:
        assert not any(found.tasks for found in job.stages), f"{job.job_id} is finished: tasks"
        return
    for position, found in enumerate(job.stages):
        assert found.stage.id == position, f"{job.job_id} stage {position} is called otherwise"
        assert all(edge.stage < position or edge.kind == "splits" for edge in found.stage.inputs), (
            f"{job.job_id} stage {position} reads what is not before it"
        )
        if found.retired:
            assert not found.tasks and found.is_done, f"{job.job_id} stage {position} is retired"
        else:
            _check_stage(job, found)
    results = sum(len(task.result) for found in job.stages for task in found.tasks)
    assert job.result_bytes == results <= MAX_JOB_RESULT_BYTES, f"{job.job_id}: bytes of results"
    assert (job.state == PUBLISHING) == job.is_complete(), f"{job.job_id} is {job.state}"


def _check_stage(job: JobRecord, found: StageRecord) -> None:
    name = f"{job.job_id} stage {found.stage.id}"
    assert len(found.tasks) == found.total, name
    assert found.done == sum(task.state == DONE for task in found.tasks), name
    assert found.made == sum(task.made for task in found.tasks) >= found.done, name
    failed = killed = 0
    for index, task in enumerate(found.tasks):
        where = f"{name} task {index}"
        assert bool(task.winner) == (task.state == DONE), (
            f"{where} is {task.state} with winner {task.winner!r}"
        )
        wanted = sorted(found.stage.commits) if task.state == DONE else []
        assert sorted(file.output for file in task.files) == wanted, (
            f"{where}: grant without a file (19)"
        )
        assert task.winner not in task.ended, f"{where}: {task.winner} both ended and won (22)"
        assert task.failures <= job.plan.max_attempts, f"{where} failed {task.failures} times (22)"
        for row in task.ended.values():
            assert row.state in (FAILED, KILLED, LOST, SUCCEEDED), f"{where}: {row}"
            failed += row.state == FAILED
            killed += row.state in (KILLED, LOST)
    assert failed == found.failed_attempts, f"{name}: failed attempts"
    assert killed == found.killed_attempts, f"{name}: killed attempts"


def _check_runs(live: LiveState, work: LiveJob) -> None:
    for name, run in work.runs.items():
        task = work.job.task(run.attempt.task)
        assert task is not None and task.state != DONE and name not in task.ended, (
            f"{name} runs although its task is over"
        )
        worker = live.workers.get(run.worker_id)
        assert worker is not None and not worker.dead and name in worker.running, (
            f"{name} runs on {run.worker_id}, which does not run it"
        )


def _check_waiting(work: LiveJob) -> None:
    job = work.job
    for found in job.stages:
        stage = found.stage.id
        name = f"{job.job_id} stage {stage}"
        for index in work.pending(stage):
            assert found.tasks[index].state != DONE, f"{name} task {index} is done and waits"
            assert not work.runs_of(TaskId(stage, index)), f"{name} task {index} runs and waits"
        if job.state == PUBLISHING:
            continue
        running = {run.attempt.index for run in work.runs_in(stage)}
        for index, task in enumerate(found.tasks):
            known = task.state == DONE or index in running or index in work.pending(stage)
            assert known, f"{name} task {index} is neither done, nor running, nor waiting (25)"


def _check_outputs(live: LiveState, work: LiveJob) -> None:
    for found in work.job.stages:
        if not found.stage.partitions:
            continue
        for index, record in enumerate(found.tasks):
            task = TaskId(found.stage.id, index)
            where = f"{work.job.job_id} stage {task.stage} task {index}"
            placed = (task in work.outputs) + (task in work.missing)
            assert placed == (record.state == DONE), (
                f"{where}: output neither held nor missing (20)"
            )
            if task in work.outputs:
                assert not live.workers[work.outputs[task].worker_id].dead, (
                    f"{where} is held by a dead worker"
                )
                assert work.outputs[task].attempt_id == record.winner, f"{where}: whose output?"
