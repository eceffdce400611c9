"""Where finished maps' outputs lie, and when one is given up and made again.

An output is given up when its worker is dead or another incarnation, when a reduce reports that the
worker does not have it or has it corrupt, or when it was unreachable twice. It is made again only
while some reduce still needs it: a reduce past its shuffle does not.
"""

from __future__ import annotations

from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.events import FetchFailed
from mapreduce.jobtracker.core.ledger import DONE
from mapreduce.jobtracker.core.live import LiveJob, LiveState, Output
from mapreduce.jobtracker.core.model import MAP, REDUCE, AttemptId, Counters, TaskId
from mapreduce.jobtracker.core.orders import MapLocation, TellMapOutputs
from mapreduce.jobtracker.core.publishing import fail_job

BELIEVED_AT_ONCE = ("missing", "corrupt")
PAST_SHUFFLE = "reduce"
"""The phase in which a reduce reads only what it has already fetched."""


def add_output(
    live: LiveState,
    work: LiveJob,
    attempt: AttemptId,
    worker_id: str,
    segment_bytes: tuple[int, ...],
    counters: Counters,
) -> None:
    """A map's output exists on this worker."""
    task = work.job.maps.tasks[attempt.index]
    if task.state != DONE:
        live.commit(edits.MapMade(str(attempt), worker_id, counters))
        work.unwant(attempt.task)
    work.outputs[attempt.index] = Output(str(attempt), worker_id, sum(segment_bytes))
    work.missing.pop(attempt.index, None)
    work.fetch_reports.pop(attempt.index, None)
    live.changed[work.job.job_id] = None
    _tell(live, work, (location(live, attempt.index, work.outputs[attempt.index]),))


def location(live: LiveState, index: int, output: Output, *, lost: bool = False) -> MapLocation:
    worker = live.workers[output.worker_id]
    return MapLocation(
        index,
        output.attempt_id,
        worker.host,
        worker.shuffle_port,
        output.bytes,
        output.worker_id,
        lost,
    )


def locations(live: LiveState, work: LiveJob) -> tuple[MapLocation, ...]:
    """All outputs known, by map."""
    return tuple(location(live, index, work.outputs[index]) for index in sorted(work.outputs))


def _tell(live: LiveState, work: LiveJob, news: tuple[MapLocation, ...]) -> None:
    """To every worker that runs a reduce of this job."""
    for worker_id in sorted({run.worker_id for run in work.runs_in(REDUCE)}):
        live.order(worker_id, TellMapOutputs(work.job.job_id, news))


def give_up_worker(live: LiveState, worker_id: str) -> None:
    """Nothing this worker held can be fetched any more."""
    for work in list(live.jobs.values()):
        gone = sorted(
            index for index, output in work.outputs.items() if output.worker_id == worker_id
        )
        give_up(live, work, gone)
        remake(live, work, f"{worker_id} is gone")


def give_up(live: LiveState, work: LiveJob, indices: list[int]) -> None:
    news = []
    for index in indices:
        output = work.outputs.pop(index)
        news.append(location(live, index, output, lost=True))
        work.missing[index] = None
        work.fetch_reports.pop(index, None)
    if news:
        _tell(live, work, tuple(news))


def needs_maps(work: LiveJob) -> bool:
    """Whether some reduce has not yet fetched everything (or has not begun, or must begin
    again)."""
    if work.pending(REDUCE):
        return True
    return any(run.phase != PAST_SHUFFLE for run in work.runs_in(REDUCE))


def remake(live: LiveState, work: LiveJob, reason: str) -> None:
    """Sends maps whose output is missing back to be made, if anybody needs them."""
    if not work.missing or work.recovering_until_us or not needs_maps(work):
        return
    for index in sorted(work.missing):
        live.commit(edits.MapOutputLost(work.job.job_id, index, reason[:200]))
        work.want(TaskId(MAP, index))
    work.missing.clear()
    live.changed[work.job.job_id] = None
    for index, task in enumerate(work.job.maps.tasks):
        if task.losses >= live.options.max_losses:
            fail_job(
                live,
                work,
                f"map/{index} was lost {task.losses} times: the last time because {reason}",
            )
            return


def fetch_failed(live: LiveState, work: LiveJob, event: FetchFailed) -> None:
    gone = []
    for name in event.map_attempt_ids:
        attempt = AttemptId.parse(name)
        output = (
            work.outputs.get(attempt.index)
            if attempt is not None and attempt.stage == MAP
            else None
        )
        if attempt is None or output is None or output.attempt_id != name:
            continue  # given up already, or made again since
        reports = work.fetch_reports.get(attempt.index, 0) + 1
        work.fetch_reports[attempt.index] = reports
        if (
            event.reason.startswith(BELIEVED_AT_ONCE)
            or reports >= live.options.fetch_reports
            or live.workers[output.worker_id].dead
        ):
            gone.append(attempt.index)
            work.shun(attempt.task, output.worker_id, "shuffle")
    give_up(live, work, sorted(set(gone)))
    remake(live, work, f"it could not be fetched ({event.reason})")
