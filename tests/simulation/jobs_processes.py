"""The tracker's and the workers' real cores behind the real driver; what their shells do is done
here in a few lines each.

Reports and commits are calls over the unreliable network, answered by token; orders come over
streams (jobs_streams.py). The publisher is the real one, on files that everybody sees, and may be
cut off by a crash at any call of the storage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

from clusterkit.driver import Driver
from clusterkit.effects import Effects, Event, Instant, Send
from clusterkit.records import EditCodec
from mapreduce import exchange as ex
from mapreduce.errors import PublishRefused
from mapreduce.jobtracker.core import events, outputs
from mapreduce.jobtracker.core.edits import Checkpoint
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.core.tracker import JobTracker
from mapreduce.jobtracker.edit_codec import edit_codec
from mapreduce.jobtracker.publisher import publish
from mapreduce.model import AttemptId
from mapreduce.storage.manifest import staging_directory
from mapreduce.storage.memory import MemoryStorage
from mapreduce.worker.core import commands as cmd
from mapreduce.worker.core import events as ev
from mapreduce.worker.core.agent import WorkerAgent
from mapreduce.worker.core.options import AgentOptions
from mapreduce.worker.core.tracker_session import SessionOptions
from tests.simulation.fs_processes import EarlyDriver
from tests.simulation.jobs_streams import OrderStream
from tests.simulation.jobs_tasks import TaskRunner
from tests.simulation.kernel import MS, SECOND, CoreProcess, Kernel, ProcessDied

TRACKER = "jt"
CODEC = edit_codec()


class SharedFiles(MemoryStorage):
    """The file system: durable, and fenced by the tracker's epoch. `strike` may end the caller
    before or after any change."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 0
        self.strike: Callable[[], None] = lambda: None

    def mkdirs(self, path: str) -> None:
        self.strike()
        super().mkdirs(path)

    def rename_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.strike()
        super().rename_many(pairs)
        self.strike()

    def publish(
        self, staging: str, output: str, *, replaced_file_id: int = 0, epoch: int = 0
    ) -> None:
        self.strike()
        assert epoch >= self.epoch, f"a tracker of epoch {epoch} publishes after {self.epoch}"
        self.epoch = epoch
        super().publish(staging, output, replaced_file_id=replaced_file_id, epoch=epoch)
        self.strike()


class GenerousTracker(JobTracker):
    """The planted bug "commit-granted-twice": whoever asks for a task that somebody else has
    committed is told yes as well."""

    def step(self, event: Event, now: Instant) -> Effects:
        effects = super().step(event, now)
        if isinstance(event, events.CommitRequested):
            effects.sends = [
                Send(send.to, ex.CommitAnswer(True, event.ask.attempt_id))
                if isinstance(send.message, ex.CommitAnswer) and not send.message.granted
                else send
                for send in effects.sends
            ]
        return effects


class StagelessTracker(JobTracker):
    """The planted bug "grant-without-its-stage": a grant is known by the task's number alone, so
    that task 0 of one stage stands in the way of task 0 of the next."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._winners: dict[tuple[str, int], str] = {}

    def step(self, event: Event, now: Instant) -> Effects:
        effects = super().step(event, now)
        for number, send in enumerate(effects.sends):
            answer = send.message
            if isinstance(answer, ex.CommitAnswer) and answer.granted:
                attempt = AttemptId.parse(answer.winner)
                assert attempt is not None
                first = self._winners.setdefault((attempt.job_id, attempt.index), answer.winner)
                if first != answer.winner:
                    denied = ex.CommitAnswer(False, first, "committed already")
                    effects.sends[number] = Send(send.to, denied)
        return effects


class ShallowTracker(JobTracker):
    """The planted bug "inputs-not-made-again": only what a running task fetches is made again, not
    what a task needs that has to begin again itself."""

    def step(self, event: Event, now: Instant) -> Effects:
        def needed(work: Any, stage: int, missing: list[Any]) -> list[Any]:
            running = any(
                run.phase != outputs.PAST_SHUFFLE
                for reader in work.readers[stage]
                for run in work.runs_in(reader)
            )
            return missing if running else []

        with mock.patch.object(outputs, "_needed", needed):
            return super().step(event, now)


PLANTED = {
    "commit-granted-twice": GenerousTracker,
    "grant-without-its-stage": StagelessTracker,
    "inputs-not-made-again": ShallowTracker,
}


class TrackerProcess(CoreProcess):
    def __init__(
        self,
        kernel: Kernel,
        options: Options,
        files: SharedFiles,
        plant: str,
        heard: Callable[[Any, Any], None],
    ) -> None:
        """`heard(to, message)` is told what leaves."""
        super().__init__(kernel, TRACKER)
        self._options, self._files, self._plant, self._heard = options, files, plant, heard
        self._rng = kernel.stream("jt/publisher")
        self.epochs = 0
        self.core: JobTracker

    def boot(self) -> None:
        kind = PLANTED.get(self._plant, JobTracker)
        self.core = kind(self._options, self.kernel.stream(f"jt/{self.incarnation}"))
        driver = EarlyDriver if self._plant == "grant-before-fsync" else Driver
        self.driver = driver(self.core, self.journal, CODEC, self._deliver, self.clock)
        self.driver.replay(self.replay_from())
        self.epochs += 1  # the coordinator's: it rises whatever happens here
        self.turn(events.BecameLeader(self.epochs))

    def replay_from(self) -> int:
        """The edit before the last checkpoint."""
        checkpoints = [
            record.txid
            for record in self.journal.read()
            if isinstance(CODEC.decode(record.payload).op, Checkpoint)
        ]
        return checkpoints[-1] - 1 if checkpoints else 0

    def receive(self, source: str, message: Any) -> None:
        self.turn(message)

    def turn(self, *told: Event) -> None:
        super().turn(*told)
        self.core.check_invariants()

    def attend(
        self, worker: WorkerProcess, stream: OrderStream, hello: events.WorkerAttended
    ) -> None:
        """The call that opens a stream has arrived."""
        stream.tell_tracker = lambda: self.turn(events.StreamEnded(worker.name, stream))
        stream.send(self.epochs)
        self.turn(hello)

    def _deliver(self, send: Send) -> None:
        self._heard(send.to, send.message)
        if isinstance(send.to, OrderStream):
            if isinstance(send.message, events.EndStream):
                send.to.close()
            else:
                send.to.send((self.epochs, send.message))
        elif send.to == events.PUBLISHER:
            self.later(
                self._rng.randrange(MS, 300 * MS),
                lambda: self._carry_out(send.message, self.epochs),
            )
        elif send.to == events.ROOT:
            raise AssertionError(f"the only tracker was told to step down: {send.message.reason}")
        else:
            self.send(send.to[0], (send.to, self.epochs, send.message))

    def _carry_out(self, order: Any, epoch: int) -> None:
        self._files.strike = self._strike
        try:
            if isinstance(order, events.RemoveStaging):
                for output in order.outputs:
                    self._files.delete(staging_directory(output, order.job_id))
                self.turn(events.StagingRemoved(order.job_id))
                return
            key = (order.job_id, order.seq, order.output)
            try:
                publish(self._files, order, epoch)
            except (FileExistsError, PublishRefused) as error:
                self.turn(events.PublishFailed(*key, str(error)))
            else:
                self.turn(events.OutputAppeared(*key))
        finally:
            self._files.strike = lambda: None

    def _strike(self) -> None:
        if self.kernel.network.slow and self._rng.random() < 0.02:
            self.kernel.after(self._rng.randrange(SECOND), self.start)
            raise ProcessDied("publishing")


class WorkerProcess(CoreProcess):
    def __init__(
        self,
        kernel: Kernel,
        name: str,
        slots: int,
        files: SharedFiles,
        tracker: TrackerProcess,
        peers: Callable[[], dict[str, TaskRunner]],
    ) -> None:
        super().__init__(kernel, name)
        self._slots, self._files, self._tracker, self._peers = slots, files, tracker, peers
        self.highest_epoch = 0  # on its disk
        self.agent: WorkerAgent
        self.runner: TaskRunner
        self._session = 0

    def boot(self) -> None:
        session = SessionOptions(
            heartbeat_us=300 * MS,
            answer_timeout_us=SECOND,
            hello_grace_us=100 * MS,
            retry_first_us=50 * MS,
            retry_last_us=500 * MS,
        )
        options = AgentOptions(
            self.name, self._slots, session, linger_us=SECOND, commit_answer_us=SECOND
        )
        self.agent = WorkerAgent(
            options,
            self.kernel.stream(f"{self.name}/{self.incarnation}/agent"),
            highest_epoch=self.highest_epoch,
        )
        self.runner = TaskRunner(self, self.turn, self._peers, self._files)
        self.driver = Driver(self.agent, self.journal, EditCodec([]), self._deliver, self.clock)
        self.turn(ev.Started())

    def turn(self, *told: Event) -> None:
        super().turn(*told)
        self.agent.check_invariants()

    def _deliver(self, send: Send) -> None:
        message = send.message
        if send.to == cmd.POOL:
            self.later(0, lambda: self.runner.pool(message))
        elif send.to == cmd.DISK:
            if isinstance(message, cmd.RememberEpoch):
                self.highest_epoch = message.epoch
            else:
                self.runner.disk(message)
        elif isinstance(message, cmd.Attend):
            self._attend(message)
        elif isinstance(message, ex.Report):
            token = (self.name, self.incarnation, message.sequence)
            incarnation = str(self.incarnation)
            self.send(TRACKER, events.WorkerReported(token, self.name, incarnation, message))
        else:
            token = (self.name, self.incarnation, message.attempt_id)
            self.send(TRACKER, events.CommitRequested(token, self.name, message))

    def receive(self, source: str, message: Any) -> None:
        (_name, incarnation, what), epoch, answer = message
        if incarnation != self.incarnation:
            return
        if isinstance(answer, ex.ReportReceived):
            self.turn(ev.ReportTaken(what, epoch, answer.hello_again))
        elif isinstance(answer, ex.CommitAnswer):
            self.turn(ev.CommitAnswered(what, epoch, answer))
        else:  # a refusal of a tracker that does not lead yet
            self.turn(
                ev.CommitLost(what, "refused")
                if isinstance(what, str)
                else ev.ReportLost(what, "refused")
            )

    # ── the stream of orders ──────────────────────────────────────────────────────────────────────

    def _attend(self, attend: cmd.Attend) -> None:
        session, self._session = attend.session, attend.session
        stream = OrderStream(
            self.kernel,
            self._tracker,
            self,
            session,
            lambda order: self._ordered(session, order),
            lambda: self.turn(ev.AttendEnded(session, "broken")),
        )
        hello = events.WorkerAttended(
            stream,
            ex.Hello(
                worker_id=self.name,
                incarnation=str(self.incarnation),
                host=f"h{int(self.name[1:]) % 2}",
                rpc_port=1,
                shuffle_port=self.incarnation,
                slots=self._slots,
                highest_epoch=attend.highest_epoch,
                inventory=attend.inventory,
            ),
        )
        rng = self.kernel.stream(f"{self.name}/{self.incarnation}/hello/{session}")
        incarnation = self._tracker.incarnation
        lost = (
            not self._tracker.up
            or stream.broken
            or not stream._is_whole()
            or rng.random() < self.kernel.network.loss
        )
        if lost:
            stream.break_off()
            return
        self.kernel.after(
            rng.randrange(100, 5 * MS),
            lambda: self._tracker._act(
                incarnation,
                lambda: None if stream.broken else self._tracker.attend(self, stream, hello),
            ),
        )

    def _ordered(self, session: int, message: Any) -> None:
        if isinstance(message, int):
            self.turn(ev.OrderReceived(session, message, ex.Ping()))
            return
        epoch, order = message
        self.turn(ev.OrderReceived(session, epoch, order))
