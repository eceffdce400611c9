"""The tracker's core on a stage: the real driver and codec, a journal in memory, workers that are
only names.

Attempts are written JOB:m0_0 (job, stage letter and index, number), jobs by their number. Workers
that were not silenced report twice a second while time passes. Lines that come back: `+ edit`, `w1
← order`, `publisher ← order`, `reply`.
"""

from __future__ import annotations

import dataclasses
import json
import random
from typing import Any

from clusterkit.driver import Driver
from clusterkit.effects import Edit, Instant, Send
from clusterkit.journal_memory import MemoryJournal
from mapreduce import exchange as ex
from mapreduce.jobtracker.core import edits, events
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.core.tracker import JobTracker
from mapreduce.jobtracker.edit_codec import edit_codec
from mapreduce.model import (
    ALL,
    PART,
    RESULT,
    SAME,
    SPLITS,
    Edge,
    Failure,
    FileResult,
    JobOutput,
    JobPlan,
    TaskOutput,
    TaskSplit,
)
from mapreduce.model import (
    Stage as PlanStage,
)

START_WALL_US = 1_795_305_600_000_000  # 2026-11-22
DAY = "20261122"
HEARTBEAT_US = 500_000


class StageClock:
    def __init__(self) -> None:
        self.mono_us = 1_000_000

    def now(self) -> Instant:
        return Instant(self.mono_us, START_WALL_US + self.mono_us)


class Stage:
    def __init__(self, **options: int | float) -> None:
        self.options = Options(**options)  # type: ignore[arg-type]
        self.clock, self.journal, self.codec = StageClock(), MemoryJournal(), edit_codec()
        self.epoch = 0
        self.workers: dict[str, dict[str, Any]] = {}
        self.silent: set[str] = set()
        self.sends: list[Send] = []
        self.edits: list[Edit] = []
        self.tokens = 0
        self.start()

    # ── the machinery ─────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """A tracker process begins: replay, then leadership under the next epoch."""
        self.epoch += 1
        self.core = JobTracker(self.options, random.Random(1))
        self.driver = Driver(
            self.core,
            self.journal,
            self.codec,
            self.sends.append,
            self.clock,
            durable=self.edits.extend,
        )
        self.driver.replay()
        self.tell(events.BecameLeader(self.epoch))

    def tell(self, *told: Any) -> list[Send]:
        """Steps the events and returns what was sent."""
        before = len(self.sends)
        self.driver.turn(told)
        self.core.check_invariants()
        self.check_replay()
        return self.sends[before:]

    def check_replay(self) -> None:
        """What the journal would rebuild is what the core believes (6)."""
        if not self.edits:
            return
        twin = JobTracker(self.options, random.Random(1))
        Driver(twin, self.journal, self.codec, lambda _send: None, self.clock).replay()
        assert twin.live.ledger.image() == self.core.live.ledger.image(), (
            "replay differs from memory"
        )

    def advance(self, us: int) -> None:
        """Time passes: heartbeats and deadlines happen in their order."""
        until = self.clock.mono_us + us
        while self.clock.mono_us < until:
            deadline = self.core.next_deadline()
            beats = [
                w["beat_us"] + HEARTBEAT_US
                for name, w in self.workers.items()
                if name not in self.silent
            ]
            self.clock.mono_us = min(
                [
                    until,
                    *beats,
                    *([max(deadline, self.clock.mono_us)] if deadline is not None else []),
                ]
            )
            beating = [
                n
                for n, w in self.workers.items()
                if n not in self.silent and w["beat_us"] + HEARTBEAT_US <= self.clock.mono_us
            ]
            self.tell(*[self.report(name) for name in sorted(beating)])
        if us == 0:
            self.tell()

    def report(self, name: str, *news: Any) -> events.WorkerReported:
        worker = self.workers[name]
        worker["sequence"] += 1
        worker["beat_us"] = self.clock.mono_us
        report = ex.Report(worker["sequence"], news, worker["no_room"])
        return events.WorkerReported(f"{name}?", name, worker["incarnation"], report)

    # ── the script's commands ─────────────────────────────────────────────────────────────────────

    def run(self, verb: str, words: list[str], options: dict[str, str]) -> list[str]:
        self.sends.clear()
        self.edits.clear()
        getattr(self, f"do_{verb}")(*words, **options)
        return [show_edit(edit.op) for edit in self.edits] + [
            line for send in self.sends if (line := show_send(send))
        ]

    def do_restart(self) -> None:
        """The tracker is killed and started again. Workers' streams are gone."""
        self.journal.crash()
        for worker in self.workers.values():
            worker["beat_us"] = self.clock.mono_us
        self.silent.update(self.workers)
        self.start()

    def do_another(self) -> None:
        """Another tracker takes over, whose journal is empty: another machine's, or a data
        directory that was lost."""
        self.journal = MemoryJournal()
        self.do_restart()

    def do_attend(
        self,
        name: str,
        slots: str = "1",
        host: str = "h1",
        incarnation: str = "1",
        runs: str = "",
        holds: str = "",
        ended: str = "",
        no_room: str = "",
    ) -> None:
        worker = self.workers.setdefault(name, {"sequence": 0, "streams": 0})
        if worker.get("incarnation") != incarnation:
            worker["sequence"] = 0
        worker.update(
            incarnation=incarnation,
            beat_us=self.clock.mono_us,
            streams=worker["streams"] + 1,
            no_room=no_room,
        )
        self.silent.discard(name)
        held = [ex.HeldAttempt(long(a), ex.RUNNING) for a in runs.split(",") if a]
        held += [ex.HeldAttempt(long(a), ex.ENDED) for a in ended.split(",") if a]
        held += [
            ex.HeldAttempt(long(a), ex.SUCCEEDED, MADE, READ_FIVE) for a in holds.split(",") if a
        ]
        stream = f"{name}#{worker['streams']}"
        hello = ex.Hello(
            worker_id=name,
            incarnation=incarnation,
            host=host,
            rpc_port=1,
            shuffle_port=2,
            slots=int(slots),
            inventory=tuple(held),
            no_room=no_room,
        )
        self.tell(events.WorkerAttended(stream, hello))

    def do_room(self, name: str, no_room: str = "") -> None:
        self.workers[name]["no_room"] = no_room
        self.tell(self.report(name))

    def do_detach(self, name: str) -> None:
        self.tell(events.StreamEnded(name, f"{name}#{self.workers[name]['streams']}"))

    def do_silence(self, *names: str) -> None:
        self.silent.update(names)

    def do_unsilence(self, name: str) -> None:
        self.silent.discard(name)

    def do_submit(
        self,
        name: str,
        maps: str = "1",
        reduces: str = "1",
        attempts: str = "4",
        hosts: str = "",
        output: str = "",
        token: str = "",
    ) -> None:
        self.tokens += 1
        where = tuple(hosts.split(",")) if hosts else ()
        splits = tuple(TaskSplit(0, b"{}", where) for _ in range(int(maps)))
        stages = classic(splits, int(reduces))
        plan = JobPlan(
            name=name,
            user="ann",
            stages=stages,
            outputs=(JobOutput(0, output or f"/{name}"),),
            spec=b"{}",
            max_attempts=int(attempts),
        )
        self.tell(events.SubmitJob("client", token or f"token{self.tokens}", plan))

    def do_plan(self, name: str, *stages: str, open: str = "", attempts: str = "4") -> None:
        """Submits a plan of its own: see `parsed`."""
        self.tokens += 1
        made, outputs = parsed(stages, 0, f"/{name}")
        plan = JobPlan(
            name=name,
            user="ann",
            stages=made,
            outputs=outputs,
            spec=b"{}",
            max_attempts=int(attempts),
            open=bool(open),
        )
        self.tell(events.SubmitJob("client", f"token{self.tokens}", plan))

    def do_extend(self, job: str, seq: str, *stages: str, first: str = "0") -> None:
        made, outputs = parsed(stages, int(first), f"/{job}-{seq}")
        self.tell(events.ExtendPlan("client", long_job(job), int(seq), made, outputs))

    def do_close(self, job: str) -> None:
        self.tell(events.ClosePlan("client", long_job(job)))

    def do_retire(self, job: str, up_to: str) -> None:
        self.tell(events.RetireStages("client", long_job(job), int(up_to)))

    def do_progress(self, worker: str, attempt: str, fraction: str, phase: str = "map") -> None:
        self.tell(self.report(worker, ex.Progressed(long(attempt), float(fraction), phase)))

    def do_made(self, worker: str, attempt: str, incarnation: str = "", result: str = "") -> None:
        done = ex.TaskDone(long(attempt), MADE, READ_FIVE, result.encode())
        told = self.report(worker, done)
        if incarnation:
            told = dataclasses.replace(told, incarnation=incarnation)
        self.tell(told)

    def do_again(self, worker: str, attempt: str) -> None:
        """The last report arrives once more, with other news in it: it must change nothing."""
        self.workers[worker]["sequence"] -= 1
        self.do_made(worker, attempt)

    def do_fail(
        self,
        worker: str,
        attempt: str,
        message: str = "boom",
        kind: str = "raised",
        killed: str = "",
    ) -> None:
        failure = Failure(kind, message, json.dumps({"kind": kind, "message": message}).encode())
        self.tell(self.report(worker, ex.AttemptFailed(long(attempt), failure, bool(killed))))

    def do_nofetch(
        self, worker: str, attempt: str, *maps: str, reason: str = "unreachable"
    ) -> None:
        self.tell(
            self.report(
                worker,
                ex.FetchFailed(long(attempt), tuple(long(name) for name in maps), reason),
            )
        )

    def do_commit(
        self, worker: str, attempt: str, file: str = "7", output: str = "0", result: str = ""
    ) -> None:
        made = FileResult(f"/.staging/{attempt}", int(file), 100, 1, output=int(output), records=3)
        counters = (("WordCount", "words", 2), ("job", "reduce_output_records", 3))
        ask = ex.AskCommit(long(attempt), (made,), counters, result.encode())
        self.tell(events.CommitRequested(f"{worker}?", worker, ask))

    def do_published(self, job: str, seq: str = "0", output: str = "0") -> None:
        self.tell(events.OutputAppeared(long_job(job), int(seq), int(output)))

    def do_unpublishable(self, job: str, reason: str) -> None:
        self.tell(events.PublishFailed(long_job(job), 0, 0, reason))

    def do_removed(self, job: str) -> None:
        self.tell(events.StagingRemoved(long_job(job)))

    def do_kill(self, job: str) -> None:
        self.tell(events.KillJob("client", long_job(job), "killed by ann"))

    def do_status(self, job: str) -> None:
        self.tell(events.GetJob("client", long_job(job)))

    def do_logs(self, job: str, task: str = "") -> None:
        self.tell(events.FindLogs("client", long_job(job), long(task) if ":" in task else task))

    def do_jobs(self) -> None:
        self.tell(events.ListJobs("client", True))

    def do_cluster(self) -> None:
        self.tell(events.GetCluster("client"))

    def do_watch(self, job: str, every: str = "200ms") -> None:
        self.tell(events.WatchJob("watcher", long_job(job), microseconds(every)))

    def do_unwatch(self) -> None:
        self.tell(events.WatchEnded("watcher"))

    def do_advance(self, duration: str) -> None:
        self.advance(microseconds(duration))

    def do_pause(self, duration: str) -> None:
        """The tracker's process stands still, its workers do not: their reports wait in its
        inbox."""
        self.clock.mono_us += microseconds(duration)
        self.tell(*[self.report(name) for name in sorted(self.workers) if name not in self.silent])


def microseconds(text: str) -> int:
    return (
        int(float(text[:-2]) * 1000)
        if text.endswith("ms")
        else int(float(text.removesuffix("s")) * 1_000_000)
    )


def long_job(ref: str) -> str:
    return f"job_{DAY}_{job_number(ref)}" if ref.replace(".", "").isdigit() else ref


def job_number(ref: str) -> int:
    """3 → the third job of epoch 1, 2.3 → of epoch 2"""
    epoch, _, count = ref.rpartition(".")
    return int(epoch or 1) * 1_000_000 + int(count)


def short_number(number: str) -> str:
    epoch, count = divmod(int(number), 1_000_000)
    return str(count) if epoch == 1 else f"{epoch}.{count}"


LETTERS = {0: "m", 1: "r"}


def long(attempt: str) -> str:
    """1:m0_0 → attempt_20261122_1000001_s0_000000_0; r is stage 1, and s2.3 task 3 of stage 2"""
    if ":" not in attempt:
        return attempt
    job, _, rest = attempt.partition(":")
    task, _, number = rest.partition("_")
    if task[0] == "s":
        stage, _, index = task[1:].partition(".")
    else:
        stage, index = ("0" if task[0] == "m" else "1"), task[1:]
    return f"attempt_{DAY}_{job_number(job)}_s{stage}_{int(index):06d}_{number}"


def short(name: str) -> str:
    if not name.startswith("attempt_"):
        return short_number(name.rsplit("_", 1)[1]) if name.startswith("job_") else name
    _, _, job, stage, index, number = name.split("_")
    task = LETTERS.get(int(stage[1:]), f"{stage}.")
    return f"{short_number(job)}:{task}{int(index)}_{number}"


MADE = TaskOutput((10, 10), (1, 1))
READ_FIVE = (("job", "map_input_records", 5),)


def classic(splits: tuple[TaskSplit, ...], reduces: int) -> tuple[PlanStage, ...]:
    maps = PlanStage(
        id=0,
        name="map",
        tasks=len(splits),
        inputs=(Edge(0, 0, SPLITS),),
        partitions=reduces,
        commits=() if reduces else (0,),
        splits=splits,
    )
    reduce = PlanStage(id=1, name="reduce", tasks=reduces, inputs=(Edge(0, 0, PART),), commits=(0,))
    return (maps, reduce) if reduces else (maps,)


KINDS = {"part": PART, "all": ALL, "same": SAME, "result": RESULT}


def parsed(
    texts: tuple[str, ...], first: int, path: str
) -> tuple[tuple[PlanStage, ...], tuple[JobOutput, ...]]:
    """Stages of `name:tasks:what it reads:what it makes`, with ids from `first` on. It reads
    `splits`, or `part0` `part0@2` `all1` `same1` `result0`, joined by +; it makes p3 (partitions),
    c0 (a file of output 0, published), d1 (of output 1, a durable cut), nothing, or is a driver."""
    stages, outputs = [], []
    for position, text in enumerate(texts, first):
        name, tasks, reads, makes = text.split(":")
        edges = []
        for tag, word in enumerate(reads.split("+") if reads else ()):
            if word == "splits":
                edges.append(Edge(tag, 0, SPLITS))
                continue
            kind, number = word.rstrip("0123456789@"), word.lstrip("abcdefghijklmnopqrstuvwxyz")
            stage, _, cut = number.partition("@")
            edges.append(Edge(tag, int(stage), KINDS[kind], int(cut or 0)))
        numbers = tuple(
            int(word[1:])
            for word in makes.split("+")
            if word[:1] in ("c", "d") and word != "driver"
        )
        outputs += [
            JobOutput(int(word[1:]), f"{path}/{word}", published=word[0] == "c")
            for word in makes.split("+")
            if word[:1] in ("c", "d") and word != "driver"
        ]
        stages.append(
            PlanStage(
                id=position,
                name=name,
                tasks=int(tasks),
                inputs=tuple(edges),
                partitions=int(makes[1:]) if makes[:1] == "p" else 0,
                commits=numbers,
                splits=tuple(TaskSplit(0, b"{}") for _ in range(int(tasks)))
                if "splits" in reads
                else (),
                driver=makes == "driver",
            )
        )
    return tuple(stages), tuple(outputs)


def show_edit(op: Any) -> str:
    kind = type(op).__name__
    match op:
        case edits.JobAccepted():
            return f"+ {kind} {short(op.job_id)} {op.plan.name}"
        case edits.AttemptEnded():
            return f"+ {kind} {short(op.attempt_id)} on {op.worker_id}: {op.state} ({op.message})"
        case edits.TaskDone():
            told = f" result {op.result.decode()}" if op.result else ""
            return f"+ {kind} {short(op.attempt_id)} on {op.worker_id}{told}"
        case edits.CommitGranted():
            files = " ".join(str(file.file_id) for file in op.files)
            return f"+ {kind} {short(op.attempt_id)} on {op.worker_id} file {files}"
        case edits.OutputLost():
            return f"+ {kind} {short(op.job_id)} stage {op.stage} task {op.task} ({op.reason})"
        case edits.PlanExtended():
            names = " ".join(f"{stage.id}:{stage.name}" for stage in op.stages)
            return f"+ {kind} {short(op.job_id)} {op.seq} {names}"
        case edits.StagesRetired():
            return f"+ {kind} {short(op.job_id)} {op.up_to}"
        case edits.OutputPublished():
            return f"+ {kind} {short(op.job_id)} {op.seq}/{op.output}"
        case edits.JobFinished():
            return f"+ {kind} {short(op.job_id)} {op.state}" + (
                f" ({op.error})" if op.error else ""
            )
        case edits.Checkpoint():
            return f"+ {kind} {len(op.jobs)} jobs"
        case _:
            return f"+ {kind} {short(op.job_id)}"


def show_send(send: Send) -> str:
    to, message = send.to, send.message
    kind = type(message).__name__
    if isinstance(message, ex.ReportReceived):
        return f"{to} hello again" if message.hello_again else ""
    address = f"{str(to).partition('#')[0]} ← {kind}"
    match message:
        case ex.Launch():
            known = " knowing " + places(message.known) if message.known else ""
            results = "".join(
                f" given s{one.stage}.{one.task}={one.result.decode()}" for one in message.results
            )
            return f"{address} {short(message.attempt_id)}{known}{results}"
        case ex.TellOutputs():
            return f"{address} {places(message.locations)}"
        case ex.KillAttempt():
            return f"{address} {short(message.attempt_id)} ({message.reason})"
        case ex.ForgetJob():
            return f"{address} {short(message.job_id)}"
        case events.PublishOutput():
            parts = " ".join(f"{part.name}={short(part.attempt_id)}" for part in message.parts)
            return f"{address} {short(message.job_id)} {message.path} {parts}".rstrip()
        case events.RemoveStaging():
            return f"{address} {short(message.job_id)}"
        case events.EndStream() | events.StepDown():
            return f"{address} ({message.reason})"
        case events.Accepted():
            seq = f" {message.seq}" if message.seq else ""
            return f"{to}: accepted {short(message.job_id)}{seq}"
        case events.Refusal():
            return f"{to}: {message.code} {message.message}"
        case ex.CommitAnswer():
            return f"{to} " + (
                f"granted {short(message.winner)}"
                if message.granted
                else f"denied ({message.reason})"
            )
        case events.JobStatus():
            return f"{to}: {show_status(message)}"
        case events.JobList():
            return (
                "\n".join(f"{to}: {short(job.id)} {job.name} {job.state}" for job in message.jobs)
                or f"{to}: no jobs"
            )
        case events.AttemptList():
            rows = [
                f"{to}: {short(a.attempt.attempt_id)} {a.attempt.state} {a.attempt.worker_id} "
                f"{a.worker_address}"
                for a in message.attempts
            ]
            return "\n".join(row.rstrip() for row in rows)
        case events.ClusterStatus():
            rows = [
                f"{to}: {w.worker_id} {w.state} {w.busy}/{w.slots} {w.no_room}".rstrip()
                for w in message.workers
            ]
            return "\n".join(
                [
                    *rows,
                    f"{to}: running {message.running} waiting {message.waiting} epoch "
                    f"{message.epoch}",
                ]
            )
    return f"{address} {message}"


def places(locations: tuple[ex.OutputLocation, ...]) -> str:
    return " ".join(
        f"{short(where.attempt_id)}@{'lost' if where.lost else where.worker_id}"
        for where in locations
    )


def show_status(status: events.JobStatus) -> str:
    stages = []
    names = {"map": "maps", "reduce": "reduces"}
    for stage in status.stages:
        name = names.get(stage.name, stage.name)
        counts = (
            f"{stage.done}/{stage.total} done {stage.running} running "
            f"{stage.failed_attempts} failed {stage.killed_attempts} killed"
        )
        stages.append(f"{name} {counts} {stage.fraction:g}")
    counters = " ".join(
        f"{group}.{name}={value}" for group, name, value in status.counters if value
    )
    return " · ".join(
        [
            f"{short(status.id)} {status.state}",
            *stages,
            *([counters] if counters else []),
            *([status.error] if status.error else []),
        ]
    )
