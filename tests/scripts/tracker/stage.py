"""The tracker's core on a stage: the real driver and codec, a journal in memory, workers that are
only names.

Attempts are written JOB:m0_0 (job, stage letter and index, number), jobs by their number. Workers
that were not silenced report twice a second while time passes. Lines that come back: `+ edit`, `w1
← order`, `publisher ← order`, `reply`.
"""

from __future__ import annotations

import json
import random
from typing import Any

from clusterkit.driver import Driver
from clusterkit.effects import Edit, Instant, Send
from clusterkit.journal_memory import MemoryJournal
from mapreduce.jobtracker.core import edits, events, orders
from mapreduce.jobtracker.core.model import Failure, FileResult, JobPlan, MapInput
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.core.tracker import JobTracker
from mapreduce.jobtracker.edit_codec import edit_codec

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
        return events.WorkerReported(
            f"{name}?", name, worker["incarnation"], worker["sequence"], news, worker["no_room"]
        )

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
        held = [events.HeldAttempt(long(a), "running") for a in runs.split(",") if a]
        held += [events.HeldAttempt(long(a), "ended") for a in ended.split(",") if a]
        held += [
            events.HeldAttempt(
                long(a), "succeeded", (10, 10), (1, 1), (("job", "map_input_records", 5),)
            )
            for a in holds.split(",")
            if a
        ]
        stream = f"{name}#{worker['streams']}"
        self.tell(
            events.WorkerAttended(
                stream, name, incarnation, host, 1, 2, int(slots), 0, tuple(held), no_room
            )
        )

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
        inputs = tuple(
            MapInput(b"{}", tuple(hosts.split(",")) if hosts else ()) for _ in range(int(maps))
        )
        plan = JobPlan(
            name, "ann", output or f"/{name}", inputs, int(reduces), b"{}", int(attempts)
        )
        self.tell(events.SubmitJob("client", token or f"token{self.tokens}", plan))

    def do_progress(self, worker: str, attempt: str, fraction: str, phase: str = "map") -> None:
        self.tell(
            self.report(worker, events.AttemptProgressed(long(attempt), float(fraction), phase))
        )

    def do_made(self, worker: str, attempt: str, incarnation: str = "") -> None:
        report = self.report(
            worker,
            events.MapSucceeded(
                long(attempt), (10, 10), (1, 1), (("job", "map_input_records", 5),)
            ),
        )
        if incarnation:
            report = events.WorkerReported(
                report.reply_to, worker, incarnation, report.sequence, report.news
            )
        self.tell(report)

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
        self.tell(self.report(worker, events.AttemptFailed(long(attempt), failure, bool(killed))))

    def do_nofetch(
        self, worker: str, attempt: str, *maps: str, reason: str = "unreachable"
    ) -> None:
        self.tell(
            self.report(
                worker,
                events.FetchFailed(long(attempt), tuple(long(name) for name in maps), reason),
            )
        )

    def do_commit(self, worker: str, attempt: str, file: str = "7") -> None:
        result = FileResult(f"/.staging/{attempt}", int(file), 100, 1)
        counters = (("WordCount", "words", 2), ("job", "reduce_output_records", 3))
        self.tell(events.CommitRequested(f"{worker}?", long(attempt), worker, result, counters))

    def do_published(self, job: str) -> None:
        self.tell(events.OutputPublished(long_job(job)))

    def do_unpublishable(self, job: str, reason: str) -> None:
        self.tell(events.PublishFailed(long_job(job), reason))

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


def long(attempt: str) -> str:
    """1:m0_0 → attempt_20261122_1000001_m_000000_0"""
    if ":" not in attempt:
        return attempt
    job, _, rest = attempt.partition(":")
    task, _, number = rest.partition("_")
    return f"attempt_{DAY}_{job_number(job)}_{task[0]}_{int(task[1:]):06d}_{number}"


def short(name: str) -> str:
    if not name.startswith("attempt_"):
        return short_number(name.rsplit("_", 1)[1]) if name.startswith("job_") else name
    _, _, job, letter, index, number = name.split("_")
    return f"{short_number(job)}:{letter}{int(index)}_{number}"


def show_edit(op: Any) -> str:
    kind = type(op).__name__
    match op:
        case edits.JobAccepted():
            return f"+ {kind} {short(op.job_id)} {op.plan.name}"
        case edits.AttemptEnded():
            return f"+ {kind} {short(op.attempt_id)} on {op.worker_id}: {op.state} ({op.message})"
        case edits.MapMade():
            return f"+ {kind} {short(op.attempt_id)} on {op.worker_id}"
        case edits.CommitGranted():
            return f"+ {kind} {short(op.attempt_id)} on {op.worker_id} file {op.file.file_id}"
        case edits.MapOutputLost():
            return f"+ {kind} {short(op.job_id)} map/{op.index} ({op.reason})"
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
    if isinstance(message, orders.ReportReceived):
        return f"{to} hello again" if message.hello_again else ""
    address = f"{str(to).partition('#')[0]} ← {kind}"
    match message:
        case orders.Launch():
            known = " knowing " + places(message.known) if message.known else ""
            return f"{address} {short(message.attempt_id)}{known}"
        case orders.TellMapOutputs():
            return f"{address} {places(message.locations)}"
        case orders.KillAttempt():
            return f"{address} {short(message.attempt_id)} ({message.reason})"
        case orders.ForgetJob():
            return f"{address} {short(message.job_id)}"
        case orders.PublishOutput():
            parts = " ".join(f"{part.name}={short(part.attempt_id)}" for part in message.parts)
            return f"{address} {short(message.job_id)} {message.output} {parts}".rstrip()
        case orders.RemoveStaging():
            return f"{address} {short(message.job_id)}"
        case orders.EndStream() | orders.StepDown():
            return f"{address} ({message.reason})"
        case orders.JobAccepted():
            return f"{to}: accepted {short(message.job_id)}"
        case orders.Refusal():
            return f"{to}: {message.code} {message.message}"
        case orders.CommitAnswer():
            return f"{to} " + (
                f"granted {short(message.winner)}"
                if message.granted
                else f"denied ({message.reason})"
            )
        case orders.JobStatus():
            return f"{to}: {show_status(message)}"
        case orders.JobList():
            return (
                "\n".join(f"{to}: {short(job.id)} {job.name} {job.state}" for job in message.jobs)
                or f"{to}: no jobs"
            )
        case orders.AttemptList():
            rows = [
                f"{to}: {short(a.attempt.attempt_id)} {a.attempt.state} {a.attempt.worker_id} "
                f"{a.worker_address}"
                for a in message.attempts
            ]
            return "\n".join(row.rstrip() for row in rows)
        case orders.ClusterStatus():
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


def places(locations: tuple[orders.MapLocation, ...]) -> str:
    return " ".join(
        f"{short(where.attempt_id)}@{'lost' if where.lost else where.worker_id}"
        for where in locations
    )


def show_status(status: orders.JobStatus) -> str:
    stages = []
    for name, stage in (("maps", status.maps), ("reduces", status.reduces)):
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
