"""Which waiting task gets which free slot.

Jobs in the order they were accepted; within a job earlier stages before later ones, tasks near
their splits before others. A task is ready when all that it reads is there. Tasks that fetch may
take slots early, while what they read is still being made, but only what no ready task would take:
once none waits they may have all slots but one, while some wait only a share. An early task never
keeps another job's task from a slot, nor one it waits for itself: it is sent back, once; the next
attempt begins when its inputs are done. A task avoids the workers it failed on while another has a
free slot, and one whose disk failed it as long as another lives: it waits for a slot there. Workers
without room on their disk get nothing while one with room lives; where none has any, tasks go on,
and their failures end the job in words instead of letting it wait for ever. A driver needs no slot.
"""

from __future__ import annotations

from collections.abc import Iterator

from mapreduce.jobtracker.core.attempts import launch, sent_back
from mapreduce.jobtracker.core.live import DISK, LiveJob, LiveState, Run, Worker
from mapreduce.jobtracker.core.records import PUBLISHING
from mapreduce.model import FETCHED, TaskId

LOOK_AHEAD = 64
"""Waiting tasks that are looked at for one without a preference before locality decides."""


def schedule(live: LiveState) -> None:
    """Fills free slots, one attempt a worker and round, the least loaded first."""
    if not any(work.waits for work in live.jobs.values()):
        return
    _launch_drivers(live)
    while True:
        free = sorted(
            (worker for worker in _useful(live) if worker.free),
            key=lambda worker: (worker.busy / worker.slots, worker.tie, worker.worker_id),
        )
        launched = False
        for worker in free:
            choice = _choose(live, worker)
            if choice is not None:
                launch(live, choice[0], choice[1], worker)
                launched = True
        if not launched:
            break
    _make_room_for_the_ready(live)


def _launch_drivers(live: LiveState) -> None:
    for work in [work for work in live.jobs.values() if _may_launch(work)]:
        for stage in [found.stage for found in work.job.stages if found.stage.driver]:
            if not work.inputs_done(stage.id):
                continue
            for index in list(work.pending(stage.id)):
                task = TaskId(stage.id, index)
                suitable = [
                    worker
                    for worker in _useful(live)
                    if worker.attends and _suits(live, work, task, worker)
                ]
                if suitable:
                    launch(live, work, task, min(suitable, key=lambda w: (w.busy, w.worker_id)))


def _may_launch(work: LiveJob) -> bool:
    return not work.recovering_until_us and work.job.state != PUBLISHING


def _waiting_stages(work: LiveJob, *, ready: bool) -> Iterator[int]:
    """Stages with waiting tasks that need a slot, and whose inputs are done (or not), in order."""
    for found in work.job.stages:
        stage = found.stage
        if work.pending(stage.id) and not stage.driver and work.inputs_done(stage.id) == ready:
            yield stage.id


def _choose(live: LiveState, worker: Worker) -> tuple[LiveJob, TaskId] | None:
    """What can work now, of any job, before what would only wait."""
    jobs = [work for work in live.jobs.values() if _may_launch(work)]
    for work in jobs:
        for stage in _waiting_stages(work, ready=True):
            task = _choose_task(live, work, stage, worker)
            if task is not None:
                return work, task
    for work in jobs:
        for stage in _waiting_stages(work, ready=False):
            if work.may_begin_early(stage) and _may_take_a_slot_early(live, work, stage):
                task = _choose_any(live, work, stage, worker, early=True)
                if task is not None:
                    return work, task
    return None


def _choose_task(live: LiveState, work: LiveJob, stage: int, worker: Worker) -> TaskId | None:
    if not work.job.stages[stage].stage.splits:
        return _choose_any(live, work, stage, worker)
    waiting = work.pending(stage)
    local, unsuited, choice = work.local_tasks(stage, worker.host), [], None
    while local and choice is None:
        index = local.popleft()
        if index not in waiting:
            continue  # launched from another host's list; it is listed anew when it waits again
        if _suits(live, work, TaskId(stage, index), worker):
            choice = TaskId(stage, index)
        else:
            unsuited.append(index)
    local.extendleft(reversed(unsuited))
    if choice is not None:
        work.passed_over_since_us = 0
        return choice
    return _choose_remote(live, work, stage, worker)


def _choose_any(
    live: LiveState, work: LiveJob, stage: int, worker: Worker, *, early: bool = False
) -> TaskId | None:
    for index in work.pending(stage):
        task = TaskId(stage, index)
        if not (early and task in work.sent_back) and _suits(live, work, task, worker):
            return task
    return None


def _choose_remote(live: LiveState, work: LiveJob, stage: int, worker: Worker) -> TaskId | None:
    """A task whose hosts have no worker goes anywhere; others wait a moment for a slot near their
    bytes (delay scheduling)."""
    hosts = {other.host for other in _useful(live) if other.host != worker.host}
    splits, first = work.job.stages[stage].stage.splits, None
    for looked, index in enumerate(work.pending(stage)):
        if looked == LOOK_AHEAD:
            break
        task = TaskId(stage, index)
        if _suits(live, work, task, worker):
            if hosts.isdisjoint(splits[index].hosts):
                return task
            first = task if first is None else first
    if first is None:
        return None
    if not work.passed_over_since_us:
        work.passed_over_since_us = live.now.mono_us
    waited_us = live.now.mono_us - work.passed_over_since_us
    return first if waited_us >= live.options.locality_wait_us else None


def _suits(live: LiveState, work: LiveJob, task: TaskId, worker: Worker) -> bool:
    held_until_us = work.held_until_us.get(task)
    if held_until_us is not None:
        if held_until_us > live.now.mono_us:
            return False
        del work.held_until_us[task]
    avoid = work.avoid.get(task)
    if not avoid or worker.worker_id not in avoid:
        return True
    if _is_barred(live, work, task, worker):
        return False
    return not any(other.free and other.worker_id not in avoid for other in _useful(live))


def _useful(live: LiveState) -> list[Worker]:
    """Living workers, without those that have no room unless none has any."""
    living = [worker for worker in live.workers.values() if not worker.dead]
    return [worker for worker in living if not worker.no_room] or living


def _is_barred(live: LiveState, work: LiveJob, task: TaskId, worker: Worker) -> bool:
    """The worker's disk has failed this task, and another's has not yet."""
    met = work.avoid.get(task, {})
    return met.get(worker.worker_id) == DISK and any(
        met.get(other.worker_id) != DISK for other in _useful(live)
    )


# ── tasks that begin early ────────────────────────────────────────────────────────────────────────


def _may_take_a_slot_early(live: LiveState, work: LiveJob, stage: int) -> bool:
    slots = sum(worker.slots for worker in _useful(live))
    early = 1 + sum(1 for _work, _run in _early_runs(live))
    if early > slots - 1:
        return False
    if not any(
        True for other in live.jobs.values() for _stage in _waiting_stages(other, ready=True)
    ):
        return True
    return _enough_done(live, work, stage) and early <= int(slots * live.options.early_reduce_share)


def _enough_done(live: LiveState, work: LiveJob, stage: int) -> bool:
    """Whether there is enough to fetch of everything that this stage reads."""
    edges = work.job.stages[stage].stage.inputs
    read = [work.job.stages[edge.stage] for edge in edges if edge.kind in FETCHED]
    return all(source.done >= live.options.slow_start * source.total for source in read)


def _early_runs(live: LiveState) -> Iterator[tuple[LiveJob, Run]]:
    """Attempts that hold a slot and wait for tasks that are not done."""
    for work in live.jobs.values():
        for found in work.job.stages:
            stage = found.stage
            if work.count_runs(stage.id) and not stage.driver and not work.inputs_done(stage.id):
                for run in work.runs_in(stage.id):
                    yield work, run


def _make_room_for_the_ready(live: LiveState) -> None:
    """No slot is free for something that could work: an early task gives up its own, to another
    job's task always, to one of its own job when nothing else moves (every slot holds a task that
    waits for one that waits for a slot)."""
    useful = _useful(live)
    if any(worker.dying for worker in useful):
        return
    starving = {
        job_id: places
        for job_id, work in live.jobs.items()
        if (places := _starves_for(live, work, useful))
    }
    if not starving:
        return
    early = [
        (work, run, {job for job, places in starving.items() if run.worker_id in places})
        for work, run in _early_runs(live)
    ]
    found = [(work, run) for work, run, jobs in early if jobs - {work.job.job_id}]
    if not found and not _moves(live):
        found = [(work, run) for work, run, jobs in early if jobs]
    if found:
        work, run = min(reversed(found), key=lambda pair: pair[1].fraction)
        why = "its slot is needed by a task that it would keep waiting"
        sent_back(live, work, run, "its slot was needed", why)


def _moves(live: LiveState) -> bool:
    """Whether any attempt in a slot works rather than waits."""
    return any(
        work.count_runs(found.stage.id) and work.inputs_done(found.stage.id)
        for work in live.jobs.values()
        for found in work.job.stages
        if not found.stage.driver
    )


def _starves_for(live: LiveState, work: LiveJob, useful: list[Worker]) -> set[str]:
    """Ids of the workers of which each would do for some task that waits for a slot and for nothing
    else; empty where no task does."""
    found: set[str] = set()
    if not _may_launch(work):
        return found
    is_any_free = any(worker.free for worker in useful)
    for stage in _waiting_stages(work, ready=True):
        for index in work.pending(stage):
            task = TaskId(stage, index)
            if work.held_until_us.get(task, 0) > live.now.mono_us:
                continue
            if is_any_free and task not in work.avoid:
                continue
            places = [worker for worker in useful if not _is_barred(live, work, task, worker)]
            if not any(worker.free for worker in places):
                found.update(worker.worker_id for worker in places)
                if len(found) == len(useful):
                    return found
    return found


def deadlines_us(live: LiveState, work: LiveJob) -> list[int]:
    """Moments still to come at which a task of this job may get a slot that it cannot have now.
    What is past waits for a slot, not for the clock."""
    found = [
        until_us
        for task, until_us in work.held_until_us.items()
        if task.index in work.pending(task.stage)
    ]
    if work.passed_over_since_us and any(
        work.pending(record.stage.id) for record in work.job.stages if record.stage.splits
    ):
        found.append(work.passed_over_since_us + live.options.locality_wait_us)
    return [at_us for at_us in found if at_us > live.now.mono_us]
