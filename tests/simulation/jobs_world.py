"""Jobs under the simulator: the tracker's core and the workers' agents, real ones, with clients
that submit, look and kill.

Promises, with their numbers in the design: a task's commit is granted to one attempt, ever (19); a
part holds the text of every task it reads once, in order (20); what a client is told of a job only
moves forward, and a finished job never changes (21); attempts end once (22, the core's invariants);
at rest no worker runs anything (23), every job has finished (25), and an output is there, whole, if
and only if its job succeeded. A submission that is repeated gets the same job, an extension that is
repeated the same answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mapreduce.exchange import CommitAnswer
from mapreduce.jobtracker.core import events, records
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.core.tracker import JobTracker
from mapreduce.model import AttemptId, JobOutput, JobPlan, Limits, Stage, TaskId, part_name
from tests.simulation.jobs_plans import some_plan
from tests.simulation.jobs_processes import (
    CODEC,
    TRACKER,
    SharedFiles,
    TrackerProcess,
    WorkerProcess,
)
from tests.simulation.jobs_tasks import text_of_task
from tests.simulation.kernel import MS, SECOND, Kernel, Process, Violation

ORDER = {
    records.WAITING: 0,
    records.RUNNING: 1,
    records.SUCCEEDED: 2,
    records.FAILED: 2,
    records.KILLED: 2,
}
RESEND_US = 2 * SECOND


Extension = tuple[tuple[Stage, ...], tuple[JobOutput, ...]]


@dataclass(slots=True)
class Wish:
    """A job as its client wants it."""

    token: str
    plan: JobPlan
    poison: int  # the task of stage 0 that always fails; -1 = none
    kill_at_us: int  # 0 = not
    later: tuple[Extension, ...] = ()  # what an open job is extended by, in this order
    extended: int = 0
    closed: bool = False
    job_id: str = ""
    state: str = ""
    killing: bool = False


class Client(Process):
    """Submits jobs, asks for each until it has finished, and kills some. Its memory is the ledger
    of what was promised: it never dies."""

    mortal = False

    def __init__(self, kernel: Kernel, name: str, wishes: list[Wish]) -> None:
        super().__init__(kernel, name)
        self.wishes = wishes
        self._rng = kernel.stream(name)
        self._calls = 0

    def boot(self) -> None:
        for wish in self.wishes:
            self.later(self._rng.randrange(8 * SECOND), lambda wish=wish: self._pursue(wish))  # type: ignore[misc]

    def _pursue(self, wish: Wish) -> None:
        """Says again what was not answered; asks until the job has finished."""
        if wish.state in records.FINISHED:
            return
        if not wish.job_id or self._rng.random() < 0.1:
            self._ask(wish, lambda token: events.SubmitJob(token, wish.token, wish.plan))
        elif wish.plan.open and not wish.closed and self._rng.random() < 0.6:
            self._go_on(wish)
        elif wish.kill_at_us and self.kernel.now_us >= wish.kill_at_us:
            wish.killing = True
            self._ask(
                wish, lambda token: events.KillJob(token, wish.job_id, "killed by the client")
            )
        else:
            self._ask(wish, lambda token: events.GetJob(token, wish.job_id))
        self.later(self._rng.randrange(100 * MS, RESEND_US), lambda: self._pursue(wish))

    def _go_on(self, wish: Wish) -> None:
        """An open job gets its next stages, sometimes those it has already; then it is closed."""
        if wish.extended and self._rng.random() < 0.3:
            up_to = self._rng.randrange(2 + wish.extended)
            self._ask(wish, lambda token: events.RetireStages(token, wish.job_id, up_to))
        if wish.extended == len(wish.later):
            self._ask(wish, lambda token: events.ClosePlan(token, wish.job_id), "close")
            return
        seq = wish.extended + 1 if self._rng.random() < 0.8 else max(1, wish.extended)
        stages, outputs = wish.later[seq - 1]
        self._ask(
            wish, lambda token: events.ExtendPlan(token, wish.job_id, seq, stages, outputs), "more"
        )

    def _ask(self, wish: Wish, make: Any, what: str = "") -> None:
        self._calls += 1
        self.send(TRACKER, make((self.name, wish.token, self._calls, what)))

    def receive(self, source: str, message: Any) -> None:
        (_name, token, _call, what), _epoch, answer = message
        wish = next(wish for wish in self.wishes if wish.token == token)
        if isinstance(answer, events.Accepted):
            if what == "more":
                wish.extended = max(wish.extended, answer.seq)
            wish.closed = wish.closed or what == "close"
            if wish.job_id not in ("", answer.job_id):
                raise Violation(f"{token} was accepted as {wish.job_id} and as {answer.job_id}")
            wish.job_id = answer.job_id
        elif isinstance(answer, events.JobStatus):
            if answer.state in records.FINISHED:
                wish.state = answer.state
        elif answer.code == "NOT_FOUND":
            raise Violation(f"{wish.job_id} was accepted and is not known any more")


class JobsWorld:
    PLANTS = (
        "commit-granted-twice",
        "grant-before-fsync",
        "grant-without-its-stage",
        "inputs-not-made-again",
    )

    def __init__(self, kernel: Kernel, plant: str) -> None:
        self._kernel, rng = kernel, kernel.stream("world")
        self.options = Options(
            dead_after_us=rng.choice((2, 3)) * SECOND,
            detached_after_us=rng.choice((1, 2)) * SECOND,
            readopt_grace_us=rng.choice((1, 2)) * SECOND,
            kill_grace_us=3 * SECOND,
            staging_grace_us=2 * SECOND,
            max_losses=rng.choice((5, 50)),
            checkpoint_edits=rng.choice((15, 60, 20_000)),
        )
        self.files = SharedFiles()
        self.granted: dict[tuple[str, TaskId], str] = {}
        self.told: dict[str, events.JobStatus] = {}
        self.tracker = TrackerProcess(kernel, self.options, self.files, plant, self._hear)
        self.workers = [
            WorkerProcess(
                kernel, f"w{number}", rng.randrange(1, 3), self.files, self.tracker, self._runners
            )
            for number in range(1, rng.randrange(2, 5))
        ]
        self.clients = [
            Client(kernel, f"c{number}", self._wishes(number))
            for number in range(1, rng.randrange(1, 3) + 1)
        ]

    def _runners(self) -> dict[str, Any]:
        return {worker.name: worker.runner for worker in self.workers if worker.incarnation}

    def _wishes(self, client: int) -> list[Wish]:
        rng = self._kernel.stream(f"wishes/{client}")
        wishes = []
        for number in range(rng.randrange(1, 5)):
            token = f"{client}-{number}"
            stages, outputs, later = some_plan(rng, f"/out/{token}")
            splits = stages[0].tasks
            poison = rng.randrange(splits) if splits and rng.random() < 0.15 else -1
            names = [stage.name for stage in stages]
            names += [stage.name for more, _outputs in later for stage in more]
            plan = JobPlan(
                name=f"job-{token}",
                user="ann",
                stages=stages,
                outputs=outputs,
                spec=json.dumps({"names": names, "poison": poison}).encode(),
                limits=Limits(memory_limit_bytes=0, no_progress_limit_us=20 * SECOND),
                max_attempts=3,
                open=bool(later),
            )
            kill_at = (
                self._kernel.now_us + rng.randrange(SECOND, 12 * SECOND)
                if rng.random() < 0.15
                else 0
            )
            wishes.append(
                Wish(token=token, plan=plan, poison=poison, kill_at_us=kill_at, later=later)
            )
        return wishes

    def start(self) -> None:
        for process in (self.tracker, *self.workers, *self.clients):
            process.start()

    def targets(self) -> list[str]:
        return [TRACKER, *(worker.name for worker in self.workers)]

    def heal(self) -> None:
        pass

    # ── promises ──────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """Everything is looked at when it happens: the cores after each turn, answers as they
        leave."""

    def _hear(self, to: Any, message: Any) -> None:
        if isinstance(message, CommitAnswer) and message.granted:
            attempt = AttemptId.parse(to[2])
            assert attempt is not None
            task = (attempt.job_id, attempt.task)
            if self.granted.setdefault(task, to[2]) != to[2]:
                raise Violation(f"{task} was granted to {self.granted[task]} and to {to[2]} (19)")
        elif isinstance(message, events.JobStatus):
            before = self.told.get(message.id)
            if before is not None:
                self._check_forward(before, message)
            self.told[message.id] = message

    @staticmethod
    def _check_forward(before: events.JobStatus, now: events.JobStatus) -> None:
        if before.state in records.FINISHED and now != before:
            raise Violation(f"{now.id} was {before.state} and is {now.state} (21)")
        if ORDER[now.state] < ORDER[before.state]:
            raise Violation(f"{now.id} went back from {before.state} to {now.state} (21)")

    def unrest(self) -> str:
        waiting = [
            wish.token
            for client in self.clients
            for wish in client.wishes
            if wish.state not in records.FINISHED
        ]
        if waiting:
            return f"jobs {waiting} have not finished (25)"
        live = self.tracker.core.live
        if (
            live.jobs
            or live.cleanups
            or any(worker.running or worker.dying for worker in live.workers.values())
        ):
            return "the tracker is not done"
        busy = [
            worker.name
            for worker in self.workers
            if worker.agent.busy() or worker.runner.tasks or worker.agent.attempts
        ]
        return f"{busy} still have attempts (23)" if busy else ""

    def verify(self) -> None:
        self.tracker.core.check_invariants()
        jobs = self.tracker.core.live.ledger.jobs
        wishes = [wish for client in self.clients for wish in client.wishes]
        if sorted(jobs) != sorted({wish.job_id for wish in wishes}) or len(jobs) != len(wishes):
            raise Violation(
                f"the tracker has {sorted(jobs)}, the clients were given "
                f"{sorted(wish.job_id for wish in wishes)}"
            )
        for wish in wishes:
            self._verify_job(wish, jobs[wish.job_id])
        again = JobTracker(self.options, self._kernel.stream("again"))
        for record in self.tracker.journal.read(self.tracker.replay_from()):
            again.apply(CODEC.decode(record.payload))
        if again.live.ledger.image() != self.tracker.core.live.ledger.image():
            raise Violation("a restarted tracker knows something else")

    def _verify_job(self, wish: Wish, job: Any) -> None:
        if job.state != wish.state:
            raise Violation(f"{wish.job_id} is {job.state}, its client was told {wish.state}")
        if wish.state == records.KILLED and not wish.killing:
            raise Violation(f"{wish.job_id} was killed by nobody")
        if wish.state == records.SUCCEEDED and wish.poison >= 0:
            raise Violation(f"{wish.job_id} succeeded although task {wish.poison} cannot")
        excused = (
            wish.poison >= 0
            or "lost" in job.error
            or "tries" in job.error
            or "failed 3 times" in job.error
        )
        if wish.state == records.FAILED and not excused:
            raise Violation(f"{wish.job_id} failed without a reason: {job.error}")
        stages, outputs = self._whole_plan(wish)
        for seq, output in outputs:
            there = self.files.stat(output.path)
            wanted = wish.state == records.SUCCEEDED and output.published
            # an output of an open job appears when it is complete, whatever becomes of the job
            if (there is not None) != wanted and not (there and wish.later and output.published):
                raise Violation(
                    f"{wish.job_id} is {wish.state}, {output.path} is "
                    f"{'' if there else 'not '}there"
                )
            if there is not None:
                self._verify_output(wish, stages, seq, output)

    @staticmethod
    def _whole_plan(
        wish: Wish,
    ) -> tuple[tuple[Stage, ...], list[tuple[int, JobOutput]]]:
        stages, outputs = wish.plan.stages, [(0, output) for output in wish.plan.outputs]
        for seq, (more, made) in enumerate(wish.later, 1):
            stages += more
            outputs += [(seq, output) for output in made]
        return stages, outputs

    def _verify_output(
        self, wish: Wish, stages: tuple[Stage, ...], seq: int, output: JobOutput
    ) -> None:
        before = [wish.plan.stages, *(more for more, _outputs in wish.later)][seq]
        writer = next(stage for stage in before if output.number in stage.commits)
        wanted = {
            part_name(writer.letter, index): text_of_task(
                wish.job_id, stages, TaskId(writer.id, index)
            )
            for index in range(writer.tasks)
        }
        found = {info.path.rpartition("/")[2]: info for info in self.files.list(output.path)}
        if sorted(found) != sorted([*wanted, "_SUCCESS", ".manifest.json"]):
            raise Violation(f"{output.path} holds {sorted(found)}")
        for name, text in wanted.items():
            data = self.files.open(found[name].path).read_at(0, found[name].length).decode()
            if data != text:
                raise Violation(f"{output.path}/{name} holds {data!r}, must be {text!r} (20)")
        manifest = json.loads(self.files.open(found[".manifest.json"].path).read_at(0, 100_000))
        winners = {part["name"]: part["attempt_id"] for part in manifest["parts"]}
        for index in range(writer.tasks):
            granted = self.granted.get((wish.job_id, TaskId(writer.id, index)))
            winner = winners[part_name(writer.letter, index)]
            if granted is not None and winner != granted:
                raise Violation(
                    f"{output.path} part {index} is {winner}'s, granted was {granted} (19)"
                )
