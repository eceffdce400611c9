"""Which waiting task gets which free slot.

Jobs in the order they were accepted; within a job maps before reduces, local maps before others.
Reduces may take slots early (they fetch while maps run), but only what no task that could work
would take: once no map waits they may have all slots but one, while maps wait only a share. An
early reduce never keeps another job's task from a slot, nor a map it waits for itself: it is sent
back, once; the next attempt begins when its maps are done. A task avoids the workers it failed on
while another has a free slot, and one whose disk failed it as long as another lives: it waits for
a slot there. Workers without room on their disk get nothing while one with room lives; where none
has any, tasks go on, and their failures end the job in words instead of letting it wait for ever.
"""

from __future__ import annotations

from mapreduce.jobtracker.core.attempts import after_end, launch
from mapreduce.jobtracker.core.ledger import PUBLISHING
from mapreduce.jobtracker.core.live import DISK, Worker, kill_run
from mapreduce.jobtracker.core.live import LiveJob as JobWork
from mapreduce.jobtracker.core.live import LiveState as Desk
from mapreduce.jobtracker.core.model import MAP, REDUCE, TaskId

LOOK_AHEAD = 64
"""Waiting maps that are looked at for one without a preference before locality decides."""


def schedule(desk: Desk) -> None:
    """Fills free slots, one attempt a worker and round, the least loaded first."""
    if not any(work.pending(MAP) or work.pending(REDUCE) for work in desk.jobs.values()):
        return
    while True:
        free = sorted(
            (w for w in _useful(desk) if w.free),
            key=lambda w: (w.busy / w.slots, w.tie, w.worker_id),
        )
        launched = False
        for worker in free:
            choice = _choose(desk, worker)
            if choice is not None:
                launch(desk, choice[0], choice[1], worker)
                launched = True
        if not launched:
            break
    _make_room_for_maps(desk)


def _choose(desk: Desk, worker: Worker) -> tuple[JobWork, TaskId] | None:
    """What can work now, of any job, before what would only wait."""
    ready = [
        work
        for work in desk.jobs.values()
        if not work.recovering_until_us and work.job.state != PUBLISHING
    ]
    for work in ready:
        index = _choose_map(desk, work, worker)
        if index is not None:
            return work, TaskId(MAP, index)
        if work.maps_done and (task := _choose_reduce(desk, work, worker)) is not None:
            return work, task
    for work in ready:
        if work.pending(REDUCE) and not work.maps_done and _may_reduce(desk, work):
            task = _choose_reduce(desk, work, worker)
            if task is not None:
                return work, task
    return None


def _choose_reduce(desk: Desk, work: JobWork, worker: Worker) -> TaskId | None:
    for index in work.pending(REDUCE):
        task = TaskId(REDUCE, index)
        if (work.maps_done or task not in work.sent_back) and _suits(desk, work, task, worker):
            return task
    return None


def _choose_map(desk: Desk, work: JobWork, worker: Worker) -> int | None:
    waiting = work.pending(MAP)
    if not waiting:
        return None
    local, unsuited, choice = work.local_maps(worker.host), [], None
    while local and choice is None:
        index = local.popleft()
        if index not in waiting:
            continue  # launched from another host's list; it is listed anew when it waits again
        if _suits(desk, work, TaskId(MAP, index), worker):
            choice = index
        else:
            unsuited.append(index)
    local.extendleft(reversed(unsuited))
    if choice is not None:
        work.passed_over_since_us = 0
        return choice
    return _choose_remote_map(desk, work, worker)


def _choose_remote_map(desk: Desk, work: JobWork, worker: Worker) -> int | None:
    """A map whose hosts have no worker goes anywhere; others wait a moment for a slot near their
    bytes (delay scheduling)."""
    hosts = {w.host for w in _useful(desk) if w.host != worker.host}
    first = None
    for looked, index in enumerate(work.pending(MAP)):
        if looked == LOOK_AHEAD:
            break
        if _suits(desk, work, TaskId(MAP, index), worker):
            if hosts.isdisjoint(work.job.plan.maps[index].hosts):
                return index
            first = index if first is None else first
    if first is None:
        return None
    if not work.passed_over_since_us:
        work.passed_over_since_us = desk.now.mono_us
    return (
        first
        if desk.now.mono_us - work.passed_over_since_us >= desk.options.locality_wait_us
        else None
    )


def _suits(desk: Desk, work: JobWork, task: TaskId, worker: Worker) -> bool:
    held_until_us = work.held_until_us.get(task)
    if held_until_us is not None:
        if held_until_us > desk.now.mono_us:
            return False
        del work.held_until_us[task]
    avoid = work.avoid.get(task)
    if not avoid or worker.worker_id not in avoid:
        return True
    if _is_barred(desk, work, task, worker):
        return False
    return not any(other.free and other.worker_id not in avoid for other in _useful(desk))


def _useful(desk: Desk) -> list[Worker]:
    """Living workers, without those that have no room unless none has any."""
    living = [worker for worker in desk.workers.values() if not worker.dead]
    return [worker for worker in living if not worker.no_room] or living


def _is_barred(desk: Desk, work: JobWork, task: TaskId, worker: Worker) -> bool:
    """The worker's disk has failed this task, and another's has not yet."""
    met = work.avoid.get(task, {})
    return met.get(worker.worker_id) == DISK and any(
        met.get(other.worker_id) != DISK for other in _useful(desk)
    )


def _may_reduce(desk: Desk, work: JobWork) -> bool:
    """Whether a reduce may begin before its maps are done."""
    slots = sum(worker.slots for worker in _useful(desk))
    early = 1 + sum(other.count_runs(REDUCE) for other in desk.jobs.values() if not other.maps_done)
    if early > slots - 1:
        return False
    if not any(other.pending(MAP) for other in desk.jobs.values()):
        return True
    enough_done = work.job.maps.done >= desk.options.slow_start * work.job.maps.total
    return enough_done and early <= int(slots * desk.options.early_reduce_share)


def _make_room_for_maps(desk: Desk) -> None:
    """No slot is free for something that could work: an early reduce gives up its own, to another
    job's task always, to a map of its own job when nothing else moves (every slot holds a reduce
    that waits for a map that waits for a slot)."""
    useful = _useful(desk)
    if any(worker.dying for worker in useful):
        return
    starving = {
        job_id: places
        for job_id, work in desk.jobs.items()
        if (places := _starves_for(desk, work, useful))
    }
    if not starving:
        return
    early = [
        (work, run, {job for job, places in starving.items() if run.worker_id in places})
        for work in desk.jobs.values()
        if not work.maps_done
        for run in work.runs_in(REDUCE)
    ]
    found = [(work, run) for work, run, jobs in early if jobs - {work.job.job_id}]
    if not found and not any(
        work.count_runs(MAP) or (work.maps_done and work.count_runs(REDUCE))
        for work in desk.jobs.values()
    ):
        found = [(work, run) for work, run, jobs in early if jobs]
    if found:
        work, run = min(reversed(found), key=lambda pair: pair[1].fraction)
        task = run.attempt.task
        kill_run(desk, work, run, "its slot is needed by a task that it would keep waiting")
        work.sent_back.add(task)
        after_end(desk, work, task, "its slot was needed")


def _starves_for(desk: Desk, work: JobWork, useful: list[Worker]) -> set[str]:
    """Ids of the workers of which each would do for some task that waits for a slot and for nothing
    else; empty where no task does."""
    found: set[str] = set()
    if work.recovering_until_us or work.job.state == PUBLISHING:
        return found
    waiting = [TaskId(MAP, index) for index in work.pending(MAP)]
    waiting += [TaskId(REDUCE, index) for index in work.pending(REDUCE)] if work.maps_done else []
    is_any_free = any(worker.free for worker in useful)
    for task in waiting:
        if work.held_until_us.get(task, 0) > desk.now.mono_us:
            continue
        if is_any_free and task not in work.avoid:
            continue
        places = [worker for worker in useful if not _is_barred(desk, work, task, worker)]
        if not any(worker.free for worker in places):
            found.update(worker.worker_id for worker in places)
            if len(found) == len(useful):
                break
    return found


def deadlines_us(desk: Desk, work: JobWork) -> list[int]:
    """Moments still to come at which a task of this job may get a slot that it cannot have now.
    What is past waits for a slot, not for the clock."""
    found = [
        until_us
        for task, until_us in work.held_until_us.items()
        if task.index in work.pending(task.stage)
    ]
    if work.passed_over_since_us and work.pending(MAP):
        found.append(work.passed_over_since_us + desk.options.locality_wait_us)
    return [at_us for at_us in found if at_us > desk.now.mono_us]
