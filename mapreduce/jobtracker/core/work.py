"""What is going on right now: running attempts, where map outputs lie, what waits for a slot. None
of it is durable.

A `JobWork` stands beside each unfinished job. It can be built from the job's record alone (a new
tracker does), and then learns from the workers' inventories what still runs and what they hold.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from mapreduce.jobtracker.core.model import MAP, REDUCE, AttemptId, TaskId
from mapreduce.jobtracker.core.records import JobRecord
from mapreduce.jobtracker.core.states import DONE

NUMBERS_PER_EPOCH = 1_000


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


class JobWork:
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
        self.avoid: dict[TaskId, list[str]] = {}  # workers on which the task failed
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
