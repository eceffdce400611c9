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
from mapreduce.exchange import KillAttempt
from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.edits import AttemptRow
from mapreduce.jobtracker.core.ledger import Ledger
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.core.records import DONE, KILLED, RUNNING, JobRecord
from mapreduce.model import FETCHED, FRAMES, RESULT, AttemptId, TaskId

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
class HeldOutput:
    """A done task's output on a worker's disk. It is known by the attempt that made it: whichever
    worker says that it holds that attempt's has it."""

    attempt_id: str
    worker_id: str
    bytes: int
    codec: int = FRAMES


class LiveJob:
    def __init__(self, job: JobRecord, recovering_until_us: int = 0) -> None:
        self.job = job
        # nothing is launched before: workers may still hold what seems to be missing
        self.recovering_until_us = recovering_until_us
        self.runs: dict[str, Run] = {}  # changed only by add_run and drop_run
        self.outputs: dict[TaskId, HeldOutput] = {}
        # tasks that are done, whose output nobody is known to hold
        self.missing: dict[TaskId, None] = {}
        self.fetch_reports: dict[TaskId, int] = {}
        # workers on which the task failed, and the kind of failure; "disk" stays whatever follows
        self.avoid: dict[TaskId, dict[str, str]] = {}
        # a task whose storage or worker failed it waits a little
        self.held_until_us: dict[TaskId, int] = {}
        # tasks that gave up a slot to one that could work: they begin when their inputs are done
        self.sent_back: set[TaskId] = set()
        self.passed_over_since_us = 0  # since when slots went by for want of locality
        self.ordered: set[tuple[int, int]] = set()  # outputs that the publisher is about
        self.readers: list[list[int]] = []  # by stage: those that fetch what it makes
        self._numbers: dict[TaskId, int] = {}
        self._runs_of: dict[TaskId, list[Run]] = {}
        self._runs_in: list[dict[str, Run]] = []
        self._pending: list[dict[int, None]] = []
        self._by_host: dict[tuple[int, str], deque[int]] = {}
        self.learn_stages()

    def learn_stages(self) -> None:
        """Takes in the stages of the job's record that are not known here yet."""
        for found in self.job.stages[len(self._pending) :]:
            self.readers.append([])
            self._runs_in.append({})
            self._pending.append({})
            stage = found.stage
            for source in {edge.stage for edge in stage.inputs if edge.kind in FETCHED}:
                self.readers[source].append(stage.id)
            for index, task in enumerate(found.tasks):
                if task.state != DONE:
                    self.want(TaskId(stage.id, index))
                elif stage.partitions:
                    self.missing[TaskId(stage.id, index)] = None

    def forget_stages(self, up_to: int) -> None:
        """Nobody reads what the stages up to this one made."""
        for task in [task for task in self.outputs if task.stage <= up_to]:
            del self.outputs[task]
        for task in [task for task in self.missing if task.stage <= up_to]:
            del self.missing[task]

    # ── stages ────────────────────────────────────────────────────────────────────────────────────

    def inputs_done(self, stage: int) -> bool:
        """Whether everything is there that a task of this stage reads."""
        stages = self.job.stages
        for edge in stages[stage].stage.inputs:
            if edge.kind in FETCHED and not stages[edge.stage].is_done:
                return False
            if edge.kind == RESULT and stages[edge.stage].made < stages[edge.stage].total:
                return False
        return True

    def may_begin_early(self, stage: int) -> bool:
        """Whether a task could fetch already while what it reads is still being made: only by tasks
        that wait for nothing themselves, or whole chains would wait in slots for each other."""
        stages = self.job.stages
        for edge in stages[stage].stage.inputs:
            source = stages[edge.stage]
            if edge.kind == RESULT and source.made < source.total:
                return False
            waits = edge.kind in FETCHED and not source.is_done
            if waits and not self.inputs_done(edge.stage):
                return False
        return True

    # ── waiting tasks ─────────────────────────────────────────────────────────────────────────────

    def want(self, task: TaskId) -> None:
        """The task needs a (new) attempt."""
        self._pending[task.stage][task.index] = None
        splits = self.job.stages[task.stage].stage.splits
        for host in splits[task.index].hosts if splits else ():
            self._by_host.setdefault((task.stage, host), deque()).append(task.index)

    def unwant(self, task: TaskId) -> None:
        self._pending[task.stage].pop(task.index, None)

    def unwant_all(self) -> None:
        for pending in self._pending:
            pending.clear()

    def pending(self, stage: int) -> dict[int, None]:
        return self._pending[stage]

    @property
    def waits(self) -> bool:
        """Whether any task waits for a slot, or for its inputs."""
        return any(self._pending)

    def local_tasks(self, stage: int, host: str) -> deque[int]:
        """Indices of tasks whose split lies on this host, waiting ones among them; the caller drops
        those that wait no more."""
        return self._by_host.get((stage, host), _NO_TASKS)

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
            job_id=self.job.job_id,
            stage=task.stage,
            index=task.index,
            number=(epoch - self.job.accepted_epoch) * NUMBERS_PER_EPOCH + number,
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

    def runs_in(self, stage: int) -> list[Run]:
        return list(self._runs_in[stage].values())

    def count_runs(self, stage: int) -> int:
        return len(self._runs_in[stage])


_NO_TASKS: deque[int] = deque()


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
    drivers: dict[str, None] = field(default_factory=dict)  # of those, the ones without a slot
    # killed attempts that still hold their slot, until then at most
    dying: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Of its rpc, for people and clients."""
        return (
            f"[{self.host}]:{self.rpc_port}" if ":" in self.host else f"{self.host}:{self.rpc_port}"
        )

    @property
    def busy(self) -> int:
        return len(self.running) + len(self.dying) - len(self.drivers)

    @property
    def free(self) -> int:
        return max(0, self.slots - self.busy) if self.attends else 0

    @property
    def attends(self) -> bool:
        return not self.dead and self.stream is not None

    @property
    def state(self) -> str:
        return "dead" if self.dead else "live" if self.stream is not None else "detached"

    def forget(self, attempt_id: str) -> None:
        """The attempt runs here no more."""
        self.running.pop(attempt_id, None)
        self.drivers.pop(attempt_id, None)


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
        # finished jobs whose staging is to be removed, at the latest then
        self.cleanups: dict[str, int] = {}
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


# ── opening and closing attempts ──────────────────────────────────────────────────────────────────


def open_run(live: LiveState, work: LiveJob, attempt: AttemptId, worker_id: str) -> Run:
    run = Run(attempt, worker_id)
    work.add_run(run)
    work.unwant(attempt.task)
    worker = live.workers.get(worker_id)
    if worker is not None:
        worker.running[str(attempt)] = None
        if work.job.stages[attempt.stage].stage.driver:
            worker.drivers[str(attempt)] = None
    live.changed[work.job.job_id] = None
    return run


def close_run(live: LiveState, work: LiveJob, run: Run) -> None:
    """The attempt is over and has given its slot back."""
    work.drop_run(run)
    worker = live.workers.get(run.worker_id)
    if worker is not None:
        worker.forget(str(run.attempt))
    live.changed[work.job.job_id] = None


def end_run(live: LiveState, work: LiveJob, run: Run, state: str, message: str) -> None:
    """The attempt came to nothing; durably so."""
    close_run(live, work, run)
    live.commit(
        edits.AttemptEnded(
            attempt_id=str(run.attempt),
            worker_id=run.worker_id,
            state=state,
            message=message[:200],
        )
    )


def kill_run(live: LiveState, work: LiveJob, run: Run, reason: str) -> None:
    """Ends the attempt now; its slot is free when the worker says that the process is gone."""
    held_a_slot = not work.job.stages[run.attempt.stage].stage.driver
    end_run(live, work, run, KILLED, reason)
    worker = live.workers.get(run.worker_id)
    if worker is not None and not worker.dead and held_a_slot:
        worker.dying[str(run.attempt)] = live.in_us(live.options.kill_grace_us)
    live.order(run.worker_id, KillAttempt(str(run.attempt), reason))


def running_rows(work: LiveJob) -> list[AttemptRow]:
    return [AttemptRow(name, run.worker_id, RUNNING) for name, run in sorted(work.runs.items())]
