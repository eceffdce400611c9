"""Which waiting task gets which free slot.

Jobs in the order they were accepted; within a job maps before reduces, local maps before others. Reduces may take slots early (they fetch
while maps run), but never so many that maps starve: once no map waits they may have all slots but one, while maps wait only a share, and
a reduce that blocks the last slot a map needs is sent back. A task avoids the workers it failed on while another has room.
"""

from __future__ import annotations

from mapreduce.jobtracker.core.attempts import after_end, launch
from mapreduce.jobtracker.core.desk import Desk
from mapreduce.jobtracker.core.model import MAP, REDUCE, TaskId
from mapreduce.jobtracker.core.runs import kill_run
from mapreduce.jobtracker.core.states import PUBLISHING
from mapreduce.jobtracker.core.work import JobWork, Worker

LOOK_AHEAD = 64
"""Waiting maps that are looked at for one without a preference before locality decides."""


def schedule(desk: Desk) -> None:
    """Fills free slots, one attempt a worker and round, the least loaded first."""
    if not any(work.pending(MAP) or work.pending(REDUCE) for work in desk.works.values()):
        return
    while True:
        free = sorted((w for w in desk.workers.values() if w.free), key=lambda w: (w.busy / w.slots, w.tie, w.worker_id))
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
    for work in desk.works.values():
        if work.recovering_until_us or work.job.state == PUBLISHING:
            continue
        index = _choose_map(desk, work, worker)
        if index is not None:
            return work, TaskId(MAP, index)
        if work.pending(REDUCE) and _may_reduce(desk, work):
            for index in work.pending(REDUCE):
                if _suits(desk, work, TaskId(REDUCE, index), worker):
                    return work, TaskId(REDUCE, index)
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
    """A map whose hosts have no worker goes anywhere; others wait a moment for a slot near their bytes (delay scheduling)."""
    hosts = {w.host for w in desk.workers.values() if not w.dead and w.host != worker.host}
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
    return first if desk.now.mono_us - work.passed_over_since_us >= desk.options.locality_wait_us else None


def _suits(desk: Desk, work: JobWork, task: TaskId, worker: Worker) -> bool:
    held_until_us = work.held_until_us.get(task)
    if held_until_us is not None:
        if held_until_us > desk.now.mono_us:
            return False
        del work.held_until_us[task]
    avoid = work.avoid.get(task)
    if not avoid or worker.worker_id not in avoid:
        return True
    return not any(other.free and other.worker_id not in avoid for other in desk.workers.values())


def _may_reduce(desk: Desk, work: JobWork) -> bool:
    if work.maps_done:
        return True
    slots = sum(worker.slots for worker in desk.workers.values() if not worker.dead)
    early = 1 + sum(other.count_runs(REDUCE) for other in desk.works.values() if not other.maps_done)
    if early > slots - 1:
        return False
    if not any(other.pending(MAP) for other in desk.works.values()):
        return True
    enough_done = work.job.maps.done >= desk.options.slow_start * work.job.maps.total
    return enough_done and early <= int(slots * desk.options.early_reduce_share)


def _make_room_for_maps(desk: Desk) -> None:
    """Breaks the one deadlock of early reduces: every slot holds a reduce that waits for a map that waits for a slot."""
    starving = any(_wants_slot(desk, work) for work in desk.works.values())
    if not starving or any(worker.free or worker.dying for worker in desk.workers.values()):
        return
    if any(work.count_runs(MAP) for work in desk.works.values()):
        return
    blocking = [(work, run) for work in desk.works.values() if not work.maps_done for run in work.runs_in(REDUCE)]
    if blocking and all(not work.maps_done for work in desk.works.values() if work.count_runs(REDUCE)):
        work, run = min(reversed(blocking), key=lambda pair: pair[1].fraction)
        kill_run(desk, work, run, "its slot is needed by a map it waits for")
        after_end(desk, work, run.attempt.task, "", "maps needed its slot")


def _wants_slot(desk: Desk, work: JobWork) -> bool:
    return any(work.held_until_us.get(TaskId(MAP, index), 0) <= desk.now.mono_us for index in work.pending(MAP))


def deadlines_us(desk: Desk, work: JobWork) -> list[int]:
    """Moments still to come at which a task of this job may get a slot that it cannot have now. What is past waits for a slot, not for
    the clock."""
    found = [until_us for task, until_us in work.held_until_us.items() if task.index in work.pending(task.stage)]
    if work.passed_over_since_us and work.pending(MAP):
        found.append(work.passed_over_since_us + desk.options.locality_wait_us)
    return [at_us for at_us in found if at_us > desk.now.mono_us]
