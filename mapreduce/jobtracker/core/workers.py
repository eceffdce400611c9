"""Workers come, report, fall silent, come back. A worker is one incarnation of one id; what it
holds lives and dies with that.

Attending again with the same incarnation keeps everything: the inventory tells what really runs and
what is held, and the two views are reconciled. A new incarnation, or silence, loses everything. A
worker given up for dead that speaks again is asked to attend anew.
"""

from __future__ import annotations

from mapreduce import exchange as ex
from mapreduce.exchange import ForgetJob, HeldAttempt, Hello, KillAttempt, News, TellOutputs
from mapreduce.jobtracker.core import attempts, outputs
from mapreduce.jobtracker.core.events import (
    ROOT,
    EndStream,
    EpochCeiling,
    Refusal,
    StepDown,
    StreamEnded,
    WorkerAttended,
    WorkerReported,
)
from mapreduce.jobtracker.core.live import LiveJob, LiveState, Worker, open_run
from mapreduce.jobtracker.core.publishing import remove_staging_again
from mapreduce.jobtracker.core.records import DONE, SUCCEEDED
from mapreduce.model import AttemptId, TaskOutput


def attended(live: LiveState, event: WorkerAttended) -> None:
    hello = event.hello
    if not _may_attend(live, event):
        return
    worker = _register(live, event)
    worker.no_room = hello.no_room
    held = {item.attempt_id: item for item in hello.inventory}
    for name in [name for name in worker.dying if name not in held]:
        del worker.dying[name]
    for name in [name for name in worker.running if name not in held]:
        found = attempts.find_run(live, name)
        if found is not None:
            attempts.lost(live, *found, f"{worker.worker_id} does not know of it")
    forgotten = set()
    for name in sorted(held):
        attempt = AttemptId.parse(name)
        if attempt is not None and attempt.job_id in live.jobs:
            _reconcile(live, live.jobs[attempt.job_id], worker, attempt, held[name])
        else:
            forgotten.add(attempt.job_id if attempt is not None else name)
            if held[name].state != ex.ENDED:
                live.order(worker.worker_id, KillAttempt(name, "its job has ended"))
                if attempt is not None:
                    remove_staging_again(live, attempt.job_id)
    for job_id in sorted(forgotten):
        live.order(worker.worker_id, ForgetJob(job_id))
    for work in live.jobs.values():
        _tell_outputs(live, work, worker)


def _tell_outputs(live: LiveState, work: LiveJob, worker: Worker) -> None:
    """All that its tasks of this job fetch: what was told while it was away is lost."""
    stages = {run.attempt.stage for run in work.runs.values() if run.worker_id == worker.worker_id}
    fetching = sorted(stage for stage in stages if outputs.sources(work, stage))
    if fetching:
        found = {
            place: None for stage in fetching for place in outputs.locations(live, work, stage)
        }
        live.order(worker.worker_id, TellOutputs(work.job.job_id, tuple(sorted(found))))


def epoch_ceiling(live: LiveState, event: EpochCeiling) -> None:
    if event.service == "tracker":
        live.ceiling = max(live.ceiling, event.number)


def _may_attend(live: LiveState, event: WorkerAttended) -> bool:
    """False when the worker has been told why it may not."""
    hello = event.hello
    if hello.highest_epoch > max(live.epoch, live.ceiling):
        message = (
            f"{hello.worker_id} says that it served epoch {hello.highest_epoch}, but no "
            "tracker of that epoch was ever elected"
        )
        command = "remove epochs.json from that worker's data directory, start it again"
        live.send(event.stream, Refusal("FAILED_PRECONDITION", message, command))
        return False
    if hello.highest_epoch > live.epoch:
        reason = (
            f"{hello.worker_id} has served a tracker of epoch {hello.highest_epoch}, this "
            f"one is {live.epoch}"
        )
        live.send(event.stream, EndStream(reason))
        live.send(ROOT, StepDown(reason))
        return False
    if hello.worker_id not in live.workers and not _has_room(live):
        message = (
            f"{len(live.workers)} workers are known, which is the most: {hello.worker_id} "
            "cannot attend"
        )
        live.send(event.stream, Refusal("TRY_AGAIN", message, "mrc status"))
        return False
    return True


def _has_room(live: LiveState) -> bool:
    """For one more worker: where there is none, the one that has been dead for longest makes
    room."""
    if len(live.workers) < live.options.max_workers:
        return True
    dead = [worker for worker in live.workers.values() if worker.dead]
    if dead:
        longest = min(dead, key=lambda worker: (worker.heard_us, worker.worker_id))
        del live.workers[longest.worker_id]
    return bool(dead)


def _register(live: LiveState, event: WorkerAttended) -> Worker:
    """The worker's record with its new stream; a new record for a new incarnation or one that was
    given up."""
    hello, worker = event.hello, live.workers.get(event.hello.worker_id)
    if worker is not None and not worker.dead and worker.incarnation != hello.incarnation:
        declare_dead(live, worker, f"{hello.worker_id} started anew")
    if worker is not None and not worker.dead:
        if worker.stream is not None and worker.stream != event.stream:
            live.send(worker.stream, EndStream("a newer stream of this worker"))
        worker.stream, worker.heard_us = event.stream, live.now.mono_us
        worker.host, worker.rpc_port = hello.host, hello.rpc_port
        worker.shuffle_port, worker.slots = hello.shuffle_port, hello.slots
        return worker
    _forget_the_long_dead(live)
    known = worker is not None and worker.incarnation == hello.incarnation
    registered = _new_worker(live, event, hello)
    registered.sequence = worker.sequence if worker is not None and known else -1
    live.workers[hello.worker_id] = registered
    return registered


def _new_worker(live: LiveState, event: WorkerAttended, hello: Hello) -> Worker:
    return Worker(
        worker_id=hello.worker_id,
        incarnation=hello.incarnation,
        host=hello.host,
        rpc_port=hello.rpc_port,
        shuffle_port=hello.shuffle_port,
        slots=hello.slots,
        stream=event.stream,
        heard_us=live.now.mono_us,
        tie=live.rng.random(),
    )


def _forget_the_long_dead(live: LiveState) -> None:
    """Whoever gives every worker a new name must not make the list grow for ever."""
    long_dead_us = live.now.mono_us - live.options.forget_dead_us
    for worker_id, worker in list(live.workers.items()):
        if worker.dead and worker.heard_us <= long_dead_us:
            del live.workers[worker_id]


def _reconcile(
    live: LiveState, work: LiveJob, worker: Worker, attempt: AttemptId, item: HeldAttempt
) -> None:
    """One line of an inventory against what we believe."""
    record = work.job.task(attempt.task)
    name = item.attempt_id
    run = work.runs.get(name)
    if item.state == ex.ENDED:
        return  # what became of it is in a report, taken already or under way
    if record is None or name in worker.dying:
        live.order(worker.worker_id, KillAttempt(name, "it was ended"))
        return
    if item.state == ex.SUCCEEDED and not work.job.stages[attempt.stage].stage.commits:
        ended = record.ended.get(name)
        told = ex.TaskDone(
            attempt_id=name,
            output=item.output or TaskOutput(),
            counters=item.counters,
            result=item.result,
        )
        if record.winner == name:
            outputs.add_output(live, work, attempt, worker.worker_id, told)
        elif run is not None:
            attempts.done(live, work, run, told)
        elif not record.winner and (ended is None or ended.state == SUCCEEDED):
            attempts.made(live, work, attempt, worker.worker_id, told)
        return
    if run is not None or record.winner == name:
        return
    if record.state == DONE or name in record.ended or work.runs_of(attempt.task):
        live.order(worker.worker_id, KillAttempt(name, "its task goes on without it"))
        return
    open_run(live, work, attempt, worker.worker_id)


def stream_ended(live: LiveState, event: StreamEnded) -> None:
    """The worker may come back: it is dead only when it stays silent as well."""
    worker = live.workers.get(event.worker_id)
    if worker is not None and worker.stream == event.stream:
        worker.stream = None


def reported(live: LiveState, event: WorkerReported) -> None:
    worker, report = live.workers.get(event.worker_id), event.report
    if worker is None or worker.dead or worker.incarnation != event.incarnation:
        live.send(event.reply_to, ex.ReportReceived(hello_again=True))
        return
    worker.heard_us = live.now.mono_us
    if report.sequence > worker.sequence:
        worker.sequence = report.sequence
        worker.no_room = report.no_room
        for news in report.news:
            _take(live, worker, news)
    live.send(event.reply_to, ex.ReportReceived(hello_again=worker.stream is None))


def _take(live: LiveState, worker: Worker, news: News) -> None:
    found = attempts.find_run(live, news.attempt_id)
    if found is None or found[1].worker_id != worker.worker_id:
        _take_unknown(live, worker, news)
        return
    work, run = found
    if isinstance(news, ex.Progressed):
        attempts.progressed(live, work, run, news)
    elif isinstance(news, ex.TaskDone):
        attempts.done(live, work, run, news)
    elif isinstance(news, ex.AttemptFailed):
        attempts.failed(live, work, run, news)
    elif isinstance(news, ex.FetchFailed):
        outputs.fetch_failed(live, work, news)


def _take_unknown(live: LiveState, worker: Worker, news: News) -> None:
    """An attempt we ended, or never knew: its slot is free when it is over, and it is told to end
    when it is not."""
    if isinstance(news, ex.AttemptFailed | ex.TaskDone):
        worker.dying.pop(news.attempt_id, None)
        return
    attempt = AttemptId.parse(news.attempt_id)
    job = live.ledger.jobs.get(attempt.job_id) if attempt is not None else None
    task = job.task(attempt.task) if job is not None and attempt is not None else None
    if news.attempt_id not in worker.dying and (task is None or task.winner != news.attempt_id):
        live.order(
            worker.worker_id, KillAttempt(news.attempt_id, "the tracker does not know of it")
        )


def declare_dead(live: LiveState, worker: Worker, reason: str) -> None:
    if worker.stream is not None:
        live.send(worker.stream, EndStream(reason))
    worker.dead, worker.stream = True, None
    worker.dying.clear()
    outputs.give_up_worker(live, worker.worker_id)
    for name in list(worker.running):
        found = attempts.find_run(live, name)
        if found is not None:
            attempts.lost(live, *found, reason)
    worker.running.clear()
    worker.drivers.clear()


def death_us(live: LiveState, worker: Worker) -> int:
    """When this worker will be given up if nothing is heard of it."""
    return worker.heard_us + (
        live.options.dead_after_us if worker.stream is not None else live.options.detached_after_us
    )


def bury_the_silent(live: LiveState) -> None:
    for worker_id in sorted(live.workers):
        worker = live.workers[worker_id]
        if not worker.dead and live.now.mono_us >= death_us(live, worker):
            silent_s = (live.now.mono_us - worker.heard_us) / 1e6
            declare_dead(live, worker, f"{worker_id} was not heard of for {silent_s:.1f} s")
        for name in [
            name for name, until_us in worker.dying.items() if live.now.mono_us >= until_us
        ]:
            del worker.dying[name]
