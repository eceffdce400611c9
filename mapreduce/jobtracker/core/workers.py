"""Workers come, report, fall silent, come back. A worker is one incarnation of one id; what it
holds lives and dies with that.

Attending again with the same incarnation keeps everything: the inventory tells what really runs and
what is held, and the two views are reconciled. A new incarnation, or silence, loses everything. A
worker given up for dead that speaks again is asked to attend anew.
"""

from __future__ import annotations

from mapreduce.jobtracker.core import attempts, ledger, outputs
from mapreduce.jobtracker.core.events import (
    AttemptFailed,
    AttemptNews,
    AttemptProgressed,
    EpochCeiling,
    FetchFailed,
    HeldAttempt,
    MapSucceeded,
    StreamEnded,
    WorkerAttended,
    WorkerReported,
)
from mapreduce.jobtracker.core.live import LiveJob, LiveState, Worker, kill_run, open_run
from mapreduce.jobtracker.core.model import MAP, AttemptId
from mapreduce.jobtracker.core.orders import (
    ROOT,
    EndStream,
    ForgetJob,
    KillAttempt,
    Refusal,
    ReportReceived,
    StepDown,
    TellMapOutputs,
)
from mapreduce.jobtracker.core.publishing import remove_staging_again


def attended(live: LiveState, event: WorkerAttended) -> None:
    if event.highest_epoch > max(live.epoch, live.ceiling):
        message = (
            f"{event.worker_id} says that it served epoch {event.highest_epoch}, but no "
            "tracker of that epoch was ever elected"
        )
        live.send(
            event.stream,
            Refusal(
                "FAILED_PRECONDITION",
                message,
                "remove epochs.json from that worker's data directory, start it again",
            ),
        )
        return
    if event.highest_epoch > live.epoch:
        reason = (
            f"{event.worker_id} has served a tracker of epoch {event.highest_epoch}, this "
            f"one is {live.epoch}"
        )
        live.send(event.stream, EndStream(reason))
        live.send(ROOT, StepDown(reason))
        return
    if event.worker_id not in live.workers and not _has_room(live):
        message = (
            f"{len(live.workers)} workers are known, which is the most: {event.worker_id} "
            "cannot attend"
        )
        live.send(event.stream, Refusal("TRY_AGAIN", message, "mrc status"))
        return
    worker = _seat(live, event)
    worker.no_room = event.no_room
    held = {item.attempt_id: item for item in event.inventory}
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
            if held[name].state != "ended":
                live.order(worker.worker_id, KillAttempt(name, "its job has ended"))
                if attempt is not None:
                    remove_staging_again(live, attempt.job_id)
    for job_id in sorted(forgotten):
        live.order(worker.worker_id, ForgetJob(job_id))
    for work in live.jobs.values():
        if any(run.worker_id == worker.worker_id for run in work.runs_in("reduce")):
            live.order(
                worker.worker_id, TellMapOutputs(work.job.job_id, outputs.locations(live, work))
            )


def epoch_ceiling(live: LiveState, event: EpochCeiling) -> None:
    if event.service == "tracker":
        live.ceiling = max(live.ceiling, event.number)


def _has_room(live: LiveState) -> bool:
    """For one more worker: where there is none, the one that has been dead for longest makes
    room."""
    if len(live.workers) < live.options.max_workers:
        return True
    dead = [worker for worker in live.workers.values() if worker.dead]
    if dead:
        del live.workers[
            min(dead, key=lambda worker: (worker.heard_us, worker.worker_id)).worker_id
        ]
    return bool(dead)


def _seat(live: LiveState, event: WorkerAttended) -> Worker:
    """The worker's record with its new stream; a new record for a new incarnation or one that was
    given up."""
    worker = live.workers.get(event.worker_id)
    if worker is not None and not worker.dead and worker.incarnation != event.incarnation:
        declare_dead(live, worker, f"{event.worker_id} started anew")
    if worker is not None and not worker.dead:
        if worker.stream is not None and worker.stream != event.stream:
            live.send(worker.stream, EndStream("a newer stream of this worker"))
        worker.stream, worker.heard_us = event.stream, live.now.mono_us
        worker.host, worker.rpc_port, worker.shuffle_port, worker.slots = (
            event.host,
            event.rpc_port,
            event.shuffle_port,
            event.slots,
        )
        return worker
    long_dead = live.now.mono_us - live.options.forget_dead_us
    for worker_id in [
        worker_id
        for worker_id, other in live.workers.items()
        if other.dead and other.heard_us <= long_dead
    ]:
        del live.workers[
            worker_id
        ]  # whoever gives every worker a new name must not make this list grow for ever
    sequence = (
        worker.sequence if worker is not None and worker.incarnation == event.incarnation else -1
    )
    seated = Worker(
        event.worker_id,
        event.incarnation,
        event.host,
        event.rpc_port,
        event.shuffle_port,
        event.slots,
        event.stream,
        live.now.mono_us,
        live.rng.random(),
        sequence,
    )
    live.workers[event.worker_id] = seated
    return seated


def _reconcile(
    live: LiveState, work: LiveJob, worker: Worker, attempt: AttemptId, item: HeldAttempt
) -> None:
    """One line of an inventory against what we believe."""
    record = work.job.task(attempt.task)
    name = item.attempt_id
    run = work.runs.get(name)
    if item.state == "ended":
        return  # what became of it is in a report, taken already or under way
    if record is None or name in worker.dying:
        live.order(worker.worker_id, KillAttempt(name, "it was ended"))
        return
    if item.state == "succeeded" and attempt.stage == MAP and work.job.plan.reduces:
        ended = record.ended.get(name)
        if record.winner == name:
            outputs.add_output(
                live, work, attempt, worker.worker_id, item.segment_bytes, item.counters
            )
        elif run is not None:
            attempts.map_succeeded(
                live,
                work,
                run,
                MapSucceeded(name, item.segment_bytes, item.segment_records, item.counters),
            )
        elif not record.winner and (ended is None or ended.state == ledger.SUCCEEDED):
            for rival in work.runs_of(attempt.task):
                kill_run(live, work, rival, f"superseded by {name}")
            outputs.add_output(
                live, work, attempt, worker.worker_id, item.segment_bytes, item.counters
            )
        return
    if run is not None or record.winner == name:
        return
    if record.state == ledger.DONE or name in record.ended or work.runs_of(attempt.task):
        live.order(worker.worker_id, KillAttempt(name, "its task goes on without it"))
        return
    open_run(live, work, attempt, worker.worker_id)


def stream_ended(live: LiveState, event: StreamEnded) -> None:
    """The worker may come back: it is dead only when it stays silent as well."""
    worker = live.workers.get(event.worker_id)
    if worker is not None and worker.stream == event.stream:
        worker.stream = None


def reported(live: LiveState, event: WorkerReported) -> None:
    worker = live.workers.get(event.worker_id)
    if worker is None or worker.dead or worker.incarnation != event.incarnation:
        live.send(event.reply_to, ReportReceived(hello_again=True))
        return
    worker.heard_us = live.now.mono_us
    if event.sequence > worker.sequence:
        worker.sequence = event.sequence
        worker.no_room = event.no_room
        for news in event.news:
            _take(live, worker, news)
    live.send(event.reply_to, ReportReceived(hello_again=worker.stream is None))


def _take(live: LiveState, worker: Worker, news: AttemptNews) -> None:
    found = attempts.find_run(live, news.attempt_id)
    if found is None or found[1].worker_id != worker.worker_id:
        _take_unknown(live, worker, news)
        return
    work, run = found
    if isinstance(news, AttemptProgressed):
        attempts.progressed(live, work, run, news)
    elif isinstance(news, MapSucceeded):
        attempts.map_succeeded(live, work, run, news)
    elif isinstance(news, AttemptFailed):
        attempts.failed(live, work, run, news)
    elif isinstance(news, FetchFailed):
        outputs.fetch_failed(live, work, news)


def _take_unknown(live: LiveState, worker: Worker, news: AttemptNews) -> None:
    """An attempt we ended, or never knew: its slot is free when it is over, and it is told to end
    when it is not."""
    if isinstance(news, AttemptFailed | MapSucceeded):
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
