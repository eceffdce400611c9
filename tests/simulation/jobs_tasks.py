"""Tasks without processes: what a worker's warm server and task processes would do, as timers of
the worker's incarnation.

What a task makes is a text that depends only on the job's plan, the stage and the task, so that
every attempt makes the same; a task that reads others joins the texts it has fetched, in the order
of its inputs. The world compares the published files with what they must be.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mapreduce.exchange import Input, Launch, OutputLocation
from mapreduce.model import (
    FETCHED,
    RESULT,
    Failure,
    FileResult,
    Stage,
    TaskId,
    TaskOutput,
    is_of_job,
)
from mapreduce.storage.manifest import staging_directory
from mapreduce.worker.core import commands as cmd
from mapreduce.worker.core import events as ev
from mapreduce.worker.core.fetch_plan import Want, wants
from tests.simulation.kernel import MS, SECOND, Process


def text_of_task(job_id: str, stages: tuple[Stage, ...], task: TaskId) -> str:
    """What this task makes, everywhere and always."""
    stage = stages[task.stage]
    head = f"{job_id} {stage.name} {task.index}\n"
    inputs = fetched_inputs(stages, stage)
    parts = [
        text_of_task(job_id, stages, TaskId(one.stage, one.task))
        for one in wants(inputs, task.index)
    ]
    results = [
        result_of_task(TaskId(edge.stage, index)).decode()
        for edge in stage.inputs
        if edge.kind == RESULT
        for index in range(stages[edge.stage].tasks)
    ]
    return head + "".join(parts) + "".join(results)


def result_of_task(task: TaskId) -> bytes:
    return f"result of {task.stage}/{task.index}\n".encode()


def fetched_inputs(stages: tuple[Stage, ...], stage: Stage) -> tuple[Input, ...]:
    return tuple(
        Input(
            edge=position,
            tag=edge.tag,
            stage=edge.stage,
            kind=edge.kind,
            first=edge.first,
            tasks=stages[edge.stage].tasks,
            partitions=stages[edge.stage].partitions,
        )
        for position, edge in enumerate(stage.inputs)
        if edge.kind in FETCHED
    )


@dataclass(slots=True)
class Task:
    launch: Launch
    places: dict[TaskId, OutputLocation] = field(default_factory=dict)
    fetched: dict[Want, str] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    complained_us: int = 0
    asked: bool = False
    paths: list[str] = field(default_factory=list)


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
                    for path in task.paths:
                        self._storage.delete(path)
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

    def _start(self, launch: Launch) -> None:
        self.tasks[launch.attempt_id] = task = Task(launch)
        facts = json.loads(launch.spec)
        poisoned = launch.stage == 0 and launch.index == facts["poison"]
        chance = self._rng.random()
        delay = self._rng.randrange(20 * MS, 600 * MS)
        if poisoned:
            self._after(
                task, delay, lambda: self._fail(task, Failure("raised", "ValueError: poison"))
            )
        elif chance < 0.03:
            self._after(task, delay, lambda: self._exit(task, -11, "SIGSEGV"))
        elif chance < 0.05:
            self._after(
                task,
                delay,
                lambda: self._fail(task, Failure("storage", "nobody answers"), killed=True),
            )
        elif not launch.inputs:
            self._after(task, delay // 2, lambda: self._progress(task, 0.5, "map"))
            self._after(task, delay, lambda: self._finish(task, self._text(task)))
        else:
            self._learn(task, launch.known)
            self._after(task, delay // 10, lambda: self._fetch(task))

    def _text(self, task: Task) -> str:
        """Its own line, what it has fetched, in the order of its inputs, and what it was given."""
        launch = task.launch
        name = json.loads(launch.spec)["names"][launch.stage]
        head = f"{launch.job_id} {name} {launch.index}\n"
        parts = [task.fetched[want] for want in wants(launch.inputs, launch.index)]
        return head + "".join(parts) + "".join(one.result.decode() for one in launch.results)

    def _finish(self, task: Task, text: str) -> None:
        launch = task.launch
        if launch.targets:
            self._write(task, text)
            return
        self.made[launch.attempt_id] = text
        sizes = tuple(len(text) for _ in range(launch.partitions))
        self.tell(
            ev.TaskFinished(
                attempt_id=launch.attempt_id,
                output=TaskOutput(sizes, sizes),
                counters=(("job", "map_input_records", 1),),
                result=result_of_task(TaskId(launch.stage, launch.index)),
            )
        )
        self._after(task, self._rng.randrange(MS, 20 * MS), lambda: self._exit(task, 0))

    def _learn(self, task: Task, places: tuple[OutputLocation, ...]) -> None:
        for place in places:
            key = TaskId(place.stage, place.task)
            known = task.places.get(key)
            if not place.lost:
                task.places[key] = place
            elif known is not None and known.attempt_id == place.attempt_id:
                del task.places[key]

    def _fetch(self, task: Task) -> None:
        """One round over what is known and not fetched; a segment is taken once, whole, from one
        attempt."""
        wanted = list(wants(task.launch.inputs, task.launch.index))
        for want in wanted:
            place = task.places.get(TaskId(want.stage, want.task))
            if want in task.fetched or place is None:
                continue
            outcome, text = self._ask_peer(place)
            if outcome == "ok":
                task.fetched[want] = text
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
        if len(task.fetched) < len(wanted):
            self._progress(task, 0.3 * len(task.fetched) / len(wanted), "shuffle")
            self._after(task, self._rng.randrange(50 * MS, 300 * MS), lambda: self._fetch(task))
            return
        self._progress(task, 0.5, "reduce")
        whole = self._text(task)
        self._after(task, self._rng.randrange(10 * MS, 400 * MS), lambda: self._finish(task, whole))

    def _ask_peer(self, place: OutputLocation) -> tuple[str, str]:
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

    def _write(self, task: Task, text: str) -> None:
        launch, name = task.launch, task.launch.attempt_id
        files = []
        for target in launch.targets:
            directory = staging_directory(target.path, launch.job_id)
            info = self._storage.put(f"{directory}/attempts/{target.name}.{name}", text.encode())
            task.paths.append(info.path)
            files.append(
                FileResult(
                    path=info.path,
                    file_id=info.file_id,
                    length=info.length,
                    crc32c=1,
                    output=target.output,
                    records=1,
                )
            )
        task.asked = True
        result = result_of_task(TaskId(launch.stage, launch.index))
        counters = (("job", "reduce_output_records", 1),)
        self.tell(ev.CommitAsked(name, tuple(files), counters, result))
        if self._rng.random() < 0.05:  # it dies after it has asked: the agent goes on asking for it
            self._after(task, self._rng.randrange(SECOND), lambda: self._exit(task, -9, "SIGKILL"))

    def _progress(self, task: Task, fraction: float, phase: str) -> None:
        self.tell(ev.TaskProgressed(task.launch.attempt_id, fraction, phase, "", ()))

    def _fail(self, task: Task, failure: Failure, *, killed: bool = False) -> None:
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
