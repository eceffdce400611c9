"""Tasks without processes: what a worker's warm server and task processes would do, as timers of
the worker's incarnation.

A map's output is a text that depends only on its job and index, so that every attempt makes the
same; a reduce writes the texts it has fetched into its private file, and the world compares the
published file with what it must be.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mapreduce.jobtracker.core.model import is_of_job
from mapreduce.storage.manifest import part_name, staging_directory
from mapreduce.worker.core import commands as cmd
from mapreduce.worker.core import events as ev
from tests.simulation.kernel import MS, SECOND, Process


def text_of_map(job_id: str, index: int) -> str:
    return f"{job_id} map {index}\n"


def text_of_part(job_id: str, maps: int, reduces: int, index: int) -> str:
    """What the part file must hold: a map-only job's parts are its maps' texts."""
    if not reduces:
        return text_of_map(job_id, index)
    return f"{job_id} reduce {index}\n" + "".join(
        text_of_map(job_id, number) for number in range(maps)
    )


@dataclass(slots=True)
class Task:
    launch: ev.Launch
    places: dict[int, ev.MapLocation] = field(default_factory=dict)
    fetched: dict[int, str] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    complained_us: int = 0
    asked: bool = False
    path: str = ""


class TaskRunner:
    """One incarnation's tasks and map outputs."""

    def __init__(
        self,
        worker: Process,
        tell: Callable[[Any], None],
        peers: Callable[[], dict[str, TaskRunner]],
        storage: Any,
    ) -> None:
        """`tell` gives an event to the agent. `peers` are the task runners of all workers as they
        are now."""
        self.worker, self.tell, self._peers, self._storage = worker, tell, peers, storage
        self.incarnation = worker.incarnation
        self._rng: random.Random = worker.kernel.stream(f"{worker.name}/{worker.incarnation}/tasks")
        self.tasks: dict[str, Task] = {}
        self.made: dict[str, str] = {}  # on disk, not served before the agent says so
        self.outputs: dict[str, str] = {}  # served
        self.corrupt: dict[str, None] = {}

    # ── orders of the agent ───────────────────────────────────────────────────────────────────────

    def pool(self, order: Any) -> None:
        if isinstance(order, cmd.StartTask):
            self._start(order.launch)
        elif isinstance(order, cmd.KillTask):
            if order.attempt_id in self.tasks:
                dying = self.tasks[order.attempt_id]
                self._after(
                    dying,
                    self._rng.randrange(MS, 200 * MS),
                    lambda: self._exit(dying, -9, "SIGKILL"),
                )
        elif order.attempt_id in self.tasks:
            task = self.tasks[order.attempt_id]
            if isinstance(order, cmd.TellLocations):
                self._learn(task, order.locations)
            else:
                if not order.granted:
                    self._storage.delete(task.path)
                self._after(task, self._rng.randrange(MS, 50 * MS), lambda: self._exit(task, 0))

    def disk(self, order: Any) -> None:
        if isinstance(order, cmd.OfferOutput):
            self.outputs[order.attempt_id] = self.made[order.attempt_id]
            if self._rng.random() < 0.03:
                self.corrupt[order.attempt_id] = None
        elif isinstance(order, cmd.DropAttempt):
            self._drop([order.attempt_id])
        elif isinstance(order, cmd.DropJob):
            self._drop(
                [name for name in [*self.outputs, *self.made] if is_of_job(name, order.job_id)]
            )

    def _drop(self, names: list[str]) -> None:
        for name in names:
            self.outputs.pop(name, None)
            self.made.pop(name, None)

    # ── a task's life ─────────────────────────────────────────────────────────────────────────────

    def _start(self, launch: ev.Launch) -> None:
        self.tasks[launch.attempt_id] = task = Task(launch)
        facts = json.loads(launch.work)
        poisoned = launch.kind == "map" and launch.index == facts["poison"]
        chance = self._rng.random()
        delay = self._rng.randrange(20 * MS, 600 * MS)
        if poisoned:
            self._after(
                task, delay, lambda: self._fail(task, ev.Failure("raised", "ValueError: poison"))
            )
        elif chance < 0.03:
            self._after(task, delay, lambda: self._exit(task, -11, "SIGSEGV"))
        elif chance < 0.05:
            self._after(
                task,
                delay,
                lambda: self._fail(task, ev.Failure("storage", "nobody answers"), killed=True),
            )
        elif launch.kind == "map":
            self._after(task, delay // 2, lambda: self._progress(task, 0.5, "map"))
            self._after(task, delay, lambda: self._finish_map(task, facts))
        else:
            self._learn(task, launch.known)
            self._after(task, delay // 10, lambda: self._fetch(task, facts))

    def _finish_map(self, task: Task, facts: dict[str, Any]) -> None:
        name, text = task.launch.attempt_id, text_of_map(task.launch.job_id, task.launch.index)
        if not facts["reduces"]:
            self._write(task, facts, text)
            return
        self.made[name] = text
        sizes = tuple(len(text) for _ in range(facts["reduces"]))
        self.tell(
            ev.MapFinished(name, ev.MapOutput(sizes, sizes), (("job", "map_input_records", 1),))
        )
        self._after(task, self._rng.randrange(MS, 20 * MS), lambda: self._exit(task, 0))

    def _learn(self, task: Task, places: tuple[ev.MapLocation, ...]) -> None:
        for place in places:
            known = task.places.get(place.map_index)
            if not place.lost:
                task.places[place.map_index] = place
            elif known is not None and known.attempt_id == place.attempt_id:
                del task.places[place.map_index]

    def _fetch(self, task: Task, facts: dict[str, Any]) -> None:
        """One round over what is known and not fetched; a map's text is taken once, whole, from one
        attempt."""
        for index in sorted(set(task.places) - set(task.fetched)):
            place = task.places[index]
            outcome, text = self._ask_peer(place)
            if outcome == "ok":
                task.fetched[index] = text
                continue
            count = task.failures[place.attempt_id] = task.failures.get(place.attempt_id, 0) + 1
            patient = outcome == "unreachable" and count < 3
            if not patient and self.worker.kernel.now_us - task.complained_us > 300 * MS:
                task.complained_us = self.worker.kernel.now_us
                self.tell(
                    ev.FetchesFailed(
                        task.launch.attempt_id, (place.attempt_id,), f"{outcome}: by the simulator"
                    )
                )
        if len(task.fetched) < facts["maps"]:
            self._progress(task, 0.3 * len(task.fetched) / facts["maps"], "shuffle")
            self._after(
                task, self._rng.randrange(50 * MS, 300 * MS), lambda: self._fetch(task, facts)
            )
            return
        self._progress(task, 0.5, "reduce")
        head = f"{task.launch.job_id} reduce {task.launch.index}\n"
        whole = head + "".join(task.fetched[index] for index in sorted(task.fetched))
        self._after(
            task, self._rng.randrange(10 * MS, 400 * MS), lambda: self._write(task, facts, whole)
        )

    def _ask_peer(self, place: ev.MapLocation) -> tuple[str, str]:
        peer = self._peers().get(place.worker_id)
        cuts = self.worker.kernel.network.cuts
        if (
            peer is None
            or not peer.worker.up
            or peer.worker.paused
            or peer.incarnation != place.shuffle_port
        ):
            return "unreachable", ""
        if {(self.worker.name, place.worker_id), (place.worker_id, self.worker.name)} & cuts:
            return "unreachable", ""
        if place.attempt_id not in peer.outputs:
            return "missing", ""
        return (
            ("corrupt", "")
            if place.attempt_id in peer.corrupt
            else ("ok", peer.outputs[place.attempt_id])
        )

    def _write(self, task: Task, facts: dict[str, Any], text: str) -> None:
        name = task.launch.attempt_id
        part = part_name("r" if facts["reduces"] else "m", task.launch.index)
        info = self._storage.put(
            f"{staging_directory(facts['output'], task.launch.job_id)}/attempts/{part}.{name}",
            text.encode(),
        )
        task.asked, task.path = True, info.path
        counters = (("job", "reduce_output_records", 1),)
        self.tell(
            ev.CommitAsked(name, ev.FileResult(info.path, info.file_id, info.length, 1), counters)
        )
        if self._rng.random() < 0.05:  # it dies after it has asked: the agent goes on asking for it
            self._after(task, self._rng.randrange(SECOND), lambda: self._exit(task, -9, "SIGKILL"))

    def _progress(self, task: Task, fraction: float, phase: str) -> None:
        self.tell(ev.TaskProgressed(task.launch.attempt_id, fraction, phase, "", ()))

    def _fail(self, task: Task, failure: ev.Failure, *, killed: bool = False) -> None:
        self.tell(ev.TaskFailed(task.launch.attempt_id, failure, killed))
        self._after(task, MS, lambda: self._exit(task, 1))

    def _exit(self, task: Task, status: int, signal: str = "") -> None:
        del self.tasks[task.launch.attempt_id]
        self.tell(ev.TaskExited(task.launch.attempt_id, status, signal))

    def _after(self, task: Task, delay_us: int, action: Callable[[], None]) -> None:
        """What a task does later it does only if its process still lives."""
        self.worker.later(
            delay_us, lambda: action() if self.tasks.get(task.launch.attempt_id) is task else None
        )
