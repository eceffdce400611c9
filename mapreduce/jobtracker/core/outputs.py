"""Where done tasks' outputs lie, and when one is given up and made again.

An output is given up when its worker is dead or another incarnation, when a task reports that the
worker does not have it or has it corrupt, or when it was unreachable twice. It is made again only
while somebody still needs it: a task past its shuffle does not, and a stage whose readers are all
done is needed by nobody. A task that is done again needs its own inputs, which are made again
first, down to splits and files.
"""

from __future__ import annotations

from mapreduce.exchange import FetchFailed, OutputLocation, TaskDone, TaskResult, TellOutputs
from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.live import HeldOutput, LiveJob, LiveState
from mapreduce.jobtracker.core.publishing import fail_job
from mapreduce.jobtracker.core.records import DONE, PUBLISHING
from mapreduce.model import FETCHED, MAX_JOB_RESULT_BYTES, RESULT, SAME, AttemptId, TaskId

BELIEVED_AT_ONCE = ("missing", "corrupt")
PAST_SHUFFLE = "reduce"
"""The phase in which a task reads only what it has already fetched."""


def add_output(
    live: LiveState, work: LiveJob, attempt: AttemptId, worker_id: str, made: TaskDone
) -> None:
    """What an attempt made exists, and lies on this worker."""
    task, record = attempt.task, work.job.task(attempt.task)
    assert record is not None
    if record.state != DONE:
        live.commit(
            edits.TaskDone(
                attempt_id=str(attempt),
                worker_id=worker_id,
                counters=made.counters,
                result=made.result,
                fingerprint=made.output.fingerprint,
            )
        )
        work.unwant(task)
    live.changed[work.job.job_id] = None
    if work.job.stages[attempt.stage].stage.partitions:
        work.outputs[task] = HeldOutput(
            attempt_id=str(attempt),
            worker_id=worker_id,
            bytes=sum(made.output.segment_bytes),
            codec=made.output.codec,
        )
        work.missing.pop(task, None)
        work.fetch_reports.pop(task, None)
        _tell(live, work, (location(live, task, work.outputs[task]),))


def results_fit(live: LiveState, work: LiveJob) -> bool:
    """Whether a job's results are no more than one may keep; it fails otherwise."""
    held = work.job.result_bytes
    if held <= MAX_JOB_RESULT_BYTES:
        return True
    what = f"the results of its tasks have {held} bytes; {MAX_JOB_RESULT_BYTES} is the most"
    fail_job(live, work, what)
    return False


def location(
    live: LiveState, task: TaskId, output: HeldOutput, *, lost: bool = False
) -> OutputLocation:
    worker = live.workers[output.worker_id]
    return OutputLocation(
        stage=task.stage,
        task=task.index,
        attempt_id=output.attempt_id,
        host=worker.host,
        shuffle_port=worker.shuffle_port,
        bytes=output.bytes,
        worker_id=output.worker_id,
        lost=lost,
        codec=output.codec,
    )


def sources(work: LiveJob, stage: int) -> set[int]:
    """The stages whose outputs the tasks of this one fetch."""
    inputs = work.job.stages[stage].stage.inputs
    return {edge.stage for edge in inputs if edge.kind in FETCHED}


def locations(live: LiveState, work: LiveJob, stage: int) -> tuple[OutputLocation, ...]:
    """All outputs known that the tasks of this stage fetch."""
    wanted = sources(work, stage)
    return tuple(
        location(live, task, work.outputs[task])
        for task in sorted(work.outputs)
        if task.stage in wanted
    )


def results(work: LiveJob, stage: int) -> tuple[TaskResult, ...]:
    """What the tasks of this stage are handed: results behind its `result` edges; for a driver, all
    there are."""
    reader = work.job.stages[stage].stage
    wanted = {edge.stage for edge in reader.inputs if edge.kind == RESULT}
    return tuple(
        TaskResult(found.stage.id, index, task.result)
        for found in work.job.stages
        if reader.driver or found.stage.id in wanted
        for index, task in enumerate(found.tasks)
        if task.made
    )


def _tell(live: LiveState, work: LiveJob, news: tuple[OutputLocation, ...]) -> None:
    """To every worker that runs a task which fetches from these stages."""
    readers = {reader for place in news for reader in work.readers[place.stage]}
    told = {run.worker_id for reader in readers for run in work.runs_in(reader)}
    for worker_id in sorted(told):
        live.order(worker_id, TellOutputs(work.job.job_id, news))


# ── giving up, and making again ───────────────────────────────────────────────────────────────────


def give_up_worker(live: LiveState, worker_id: str) -> None:
    """Nothing this worker held can be fetched any more."""
    for work in list(live.jobs.values()):
        gone = sorted(
            task for task, output in work.outputs.items() if output.worker_id == worker_id
        )
        give_up(live, work, gone)
        remake(live, work, f"{worker_id} is gone")


def give_up(live: LiveState, work: LiveJob, tasks: list[TaskId]) -> None:
    news = []
    for task in tasks:
        output = work.outputs.pop(task)
        news.append(location(live, task, output, lost=True))
        work.missing[task] = None
        work.fetch_reports.pop(task, None)
    if news:
        _tell(live, work, tuple(news))


def remake(live: LiveState, work: LiveJob, reason: str) -> None:
    """Sends tasks whose output is missing back to be done, if anybody needs it: from the last stage
    to the first, because what is sent back needs its own inputs."""
    if not work.missing or work.recovering_until_us or work.job.state == PUBLISHING:
        return
    again: list[TaskId] = []
    for stage in range(max(task.stage for task in work.missing), -1, -1):
        missing = sorted(task for task in work.missing if task.stage == stage)
        for task in _needed(work, stage, missing):
            del work.missing[task]
            live.commit(
                edits.OutputLost(
                    job_id=work.job.job_id,
                    stage=stage,
                    task=task.index,
                    reason=reason[:200],
                )
            )
            work.want(task)
            again.append(task)
    if again:
        live.changed[work.job.job_id] = None
        _give_up_after(live, work, sorted(again), reason)


def _give_up_after(live: LiveState, work: LiveJob, tasks: list[TaskId], reason: str) -> None:
    for task in tasks:
        record = work.job.task(task)
        assert record is not None
        if record.losses >= live.options.max_losses:
            named = work.job.named(task)
            what = f"{named} was lost {record.losses} times: the last time because {reason}"
            fail_job(live, work, what)
            return


def _needed(work: LiveJob, stage: int, missing: list[TaskId]) -> list[TaskId]:
    """Those of a stage's missing outputs that some task has not yet fetched, because it still
    fetches, or has not begun, or must begin again."""
    needed: set[TaskId] = set()
    for reader in work.readers[stage] if missing else ():
        waiting = work.pending(reader)
        fetching = {r.attempt.index for r in work.runs_in(reader) if r.phase != PAST_SHUFFLE}
        edges = work.job.stages[reader].stage.inputs
        kinds = {edge.kind for edge in edges if edge.stage == stage and edge.kind in FETCHED}
        if kinds == {SAME}:
            needed |= {task for task in missing if task.index in waiting or task.index in fetching}
        elif waiting or fetching:
            return missing
    return sorted(needed)


def fetch_failed(live: LiveState, work: LiveJob, event: FetchFailed) -> None:
    gone = []
    for name in event.sources:
        attempt = AttemptId.parse(name)
        output = work.outputs.get(attempt.task) if attempt is not None else None
        if attempt is None or output is None or output.attempt_id != name:
            continue  # given up already, or made again since
        task = attempt.task
        reports = work.fetch_reports.get(task, 0) + 1
        work.fetch_reports[task] = reports
        if (
            event.reason.startswith(BELIEVED_AT_ONCE)
            or reports >= live.options.fetch_reports
            or live.workers[output.worker_id].dead
        ):
            gone.append(task)
            work.shun(task, output.worker_id, "shuffle")
    give_up(live, work, sorted(set(gone)))
    remake(live, work, f"it could not be fetched ({event.reason})")
