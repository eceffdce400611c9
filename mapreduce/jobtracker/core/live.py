"""What is going on right now: running attempts, where outputs lie, what waits for a slot, who
attends and who watches; beside it the ledger, and the two ways out of a step (a durable change, a
send).

Nothing of it but the ledger is durable. A `LiveJob` stands beside each unfinished job. It can be
built from the job's record alone (a new tracker does), and then learns from the workers'
inventories what still runs and what they hold.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from clusterkit.effects import Edit, Effects, Instant, Send
from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.ledger import DONE, KILLED, RUNNING, JobRecord, Ledger
from mapreduce.jobtracker.core.model import MAP, REDUCE, AttemptId, AttemptRow, TaskId
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.core.orders import KillAttempt

NUMBERS_PER_EPOCH = 1_000
DISK = "disk"
"""The kind of failure of a task that found no room, or no working disk, on its worker."""


@dataclass(slots=True)
class Run:
    """A running attempt."""

    attempt: AttemptId
    worker_id: str
    fraction: float = 0.0
    phase: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """A finished map's output on its worker's disk."""

    attempt_id: str
    worker_id: str
    bytes: int


class LiveJob:
    def __init__(self, job: JobRecord, recovering_until_us: int = 0) -> None:
        self.job = job
        # nothing is launched before: workers may still hold what seems to be missing
        self.recovering_until_us = recovering_until_us
        self.runs: dict[str, Run] = {}  # changed only by add_run and drop_run
        self.outputs: dict[int, Output] = {}
        self.missing: dict[
            int, None
        ] = {}  # maps that are done, whose output nobody is known to hold
        self.fetch_reports: dict[int, int] = {}
        # workers on which the task failed, and the kind of failure; "disk" stays whatever follows
        self.avoid: dict[TaskId, dict[str, str]] = {}
        self.held_until_us: dict[
            TaskId, int
        ] = {}  # a task whose storage or worker failed it waits a little
        # reduces that gave up a slot to a task that could work: they begin when the maps are done
        self.sent_back: set[TaskId] = set()
        self.passed_over_since_us = 0  # since when slots went by for want of locality
        self._numbers: dict[TaskId, int] = {}
        self._runs_of: dict[TaskId, list[Run]] = {}
        self._runs_in: dict[str, dict[str, Run]] = {MAP: {}, REDUCE: {}}
        self._pending: dict[str, dict[int, None]] = {MAP: {}, REDUCE: {}}
        self._by_host: dict[str, deque[int]] = {}
        for stage in (MAP, REDUCE):
            for index, task in enumerate(job.stage(stage).tasks):
                if task.state != DONE:
                    self.want(TaskId(stage, index))
                elif stage == MAP and job.plan.reduces:
                    self.missing[index] = None

    # ── waiting tasks ─────────────────────────────────────────────────────────────────────────────

    def want(self, task: TaskId) -> None:
        """The task needs a (new) attempt."""
        self._pending[task.stage][task.index] = None
        if task.stage == MAP:
            for host in self.job.plan.maps[task.index].hosts:
                self._by_host.setdefault(host, deque()).append(task.index)

    def unwant(self, task: TaskId) -> None:
        self._pending[task.stage].pop(task.index, None)

    def pending(self, stage: str) -> dict[int, None]:
        return self._pending[stage]

    def local_maps(self, host: str) -> deque[int]:
        """Indices of maps whose split lies on this host, waiting ones among them; the caller drops
        those that wait no more."""
        return self._by_host.get(host, _NO_MAPS)

    def shun(self, task: TaskId, worker_id: str, kind: str) -> None:
        """The task has failed there: its next try is made elsewhere where that can be."""
        met = self.avoid.setdefault(task, {})
        if met.get(worker_id) != DISK:
            met[worker_id] = kind

    # ── attempts ──────────────────────────────────────────────────────────────────────────────────

    def next_attempt(self, task: TaskId, epoch: int) -> AttemptId:
        number = self._numbers.get(task, 0)
        self._numbers[task] = number + 1
        return AttemptId(
            self.job.job_id,
            task.stage,
            task.index,
            (epoch - self.job.accepted_epoch) * NUMBERS_PER_EPOCH + number,
        )

    def add_run(self, run: Run) -> None:
        name = str(run.attempt)
        self.runs[name] = self._runs_in[run.attempt.stage][name] = run
        self._runs_of.setdefault(run.attempt.task, []).append(run)

    def drop_run(self, run: Run) -> None:
        name, task = str(run.attempt), run.attempt.task
        del self.runs[name], self._runs_in[run.attempt.stage][name]
        self._runs_of[task].remove(run)
        if not self._runs_of[task]:
            del self._runs_of[task]

    def runs_of(self, task: TaskId) -> list[Run]:
        return list(self._runs_of.get(task, ()))

    def runs_in(self, stage: str) -> list[Run]:
        return list(self._runs_in[stage].values())

    def count_runs(self, stage: str) -> int:
        return len(self._runs_in[stage])

    @property
    def maps_done(self) -> bool:
        return self.job.maps.done == self.job.maps.total


_NO_MAPS: deque[int] = deque()


@dataclass(slots=True)
class Worker:
    worker_id: str
    incarnation: str
    host: str
    rpc_port: int
    shuffle_port: int
    slots: int
    stream: Any
    heard_us: int
    tie: float  # breaks ties between equally loaded workers
    sequence: int = -1
    dead: bool = False
    no_room: str = ""  # why its scratch disk takes no more, in words; "" = it has room
    running: dict[str, None] = field(default_factory=dict)
    dying: dict[str, int] = field(
        default_factory=dict
    )  # killed attempts that still hold their slot, until then at most

    @property
    def address(self) -> str:
        """Of its rpc, for people and clients."""
        return (
            f"[{self.host}]:{self.rpc_port}" if ":" in self.host else f"{self.host}:{self.rpc_port}"
        )

    @property
    def busy(self) -> int:
        return len(self.running) + len(self.dying)

    @property
    def free(self) -> int:
        return 0 if self.dead or self.stream is None else max(0, self.slots - self.busy)

    @property
    def state(self) -> str:
        return "dead" if self.dead else "live" if self.stream is not None else "detached"


@dataclass(slots=True)
class Watcher:
    reply_to: Any
    job_id: str
    interval_us: int
    next_us: int = 0
    owed: bool = True


class LiveState:
    def __init__(self, options: Options, rng: random.Random) -> None:
        self.options, self.rng = options, rng
        self.ledger = Ledger(options.keep_finished)
        self.jobs: dict[str, LiveJob] = {}  # of unfinished jobs, oldest first
        self.workers: dict[str, Worker] = {}
        self.watchers: dict[Any, Watcher] = {}
        self.cleanups: dict[
            str, int
        ] = {}  # finished jobs whose staging is to be removed, at the latest then
        # those of them whose removal waits until then: somebody may still be writing, and nobody
        # says so
        self.strays: dict[str, None] = {}
        self.epoch = 0
        self.ceiling = 0  # the highest epoch that the coordinator has handed out, as far as we know
        self.now = Instant(0, 0)
        self.effects = Effects()
        self.changed: dict[str, None] = {}  # jobs whose status is not what it was

    def begin(self, now: Instant) -> None:
        self.now, self.effects = now, Effects()

    def commit(self, op: Any) -> None:
        """Applies one durable change; nothing said in this step leaves before it is on disk."""
        edit = Edit(self.ledger.txid + 1, self.epoch, self.now.wall_us, op)
        self.ledger.apply(edit)
        self.effects.journal.append(edit)

    def send(self, to: Any, message: Any) -> None:
        self.effects.sends.append(Send(to, message))

    def order(self, worker_id: str, message: Any) -> None:
        """An order for a worker that does not attend is dropped: when it attends again its
        inventory tells what it missed."""
        worker = self.workers.get(worker_id)
        if worker is not None and worker.stream is not None:
            self.send(worker.stream, message)

    def in_us(self, after_us: int) -> int:
        return self.now.mono_us + after_us


# ── opening and closing attempts ──


def open_run(live: LiveState, work: LiveJob, attempt: AttemptId, worker_id: str) -> Run:
    run = Run(attempt, worker_id)
    work.add_run(run)
    work.unwant(attempt.task)
    worker = live.workers.get(worker_id)
    if worker is not None:
        worker.running[str(attempt)] = None
    live.changed[work.job.job_id] = None
    return run


def close_run(live: LiveState, work: LiveJob, run: Run) -> None:
    """The attempt is over and has given its slot back."""
    work.drop_run(run)
    worker = live.workers.get(run.worker_id)
    if worker is not None:
        worker.running.pop(str(run.attempt), None)
    live.changed[work.job.job_id] = None


def end_run(live: LiveState, work: LiveJob, run: Run, state: str, message: str) -> None:
    """The attempt came to nothing; durably so."""
    close_run(live, work, run)
    live.commit(edits.AttemptEnded(str(run.attempt), run.worker_id, state, message[:200]))


def kill_run(live: LiveState, work: LiveJob, run: Run, reason: str) -> None:
    """Ends the attempt now; its slot is free when the worker says that the process is gone."""
    end_run(live, work, run, KILLED, reason)
    worker = live.workers.get(run.worker_id)
    if worker is not None and not worker.dead:
        worker.dying[str(run.attempt)] = live.in_us(live.options.kill_grace_us)
    live.order(run.worker_id, KillAttempt(str(run.attempt), reason))


def running_rows(work: LiveJob) -> list[AttemptRow]:
    return [AttemptRow(name, run.worker_id, RUNNING) for name, run in sorted(work.runs.items())]
