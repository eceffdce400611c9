"""A worker's core: which launches start, when a task must die, and what the tracker hears of it.

Everything here is soft: a worker that restarts runs nothing and holds nothing, and says so with a
new incarnation. So its journal stays empty; the one fact that outlives it, the highest tracker
epoch, goes to the disk before the agent obeys under it.

* A launch waits until a slot is free. A slot is free when the process that held it, and all that
  process left behind, are gone.
* What an attempt comes to is said once: an output or result, a commit, or a failure. A kill is only
  reported when the process is gone, so nothing of a reported attempt still writes.
* A task that asked to commit has closed its files: its process may die from then on, the agent asks
  on its behalf until it is answered.
* `attempts.STATES` is the whole life of an attempt; what comes at a time it does not name is
  ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from clusterkit.effects import Edit, Effects, Event, Instant, Send
from mapreduce import exchange as ex
from mapreduce.model import Failure
from mapreduce.worker.core import commands as cmd
from mapreduce.worker.core import events as ev
from mapreduce.worker.core.attempts import (
    COMMITTING,
    DYING,
    FAILED,
    QUEUED,
    RUNNING,
    SUCCEEDED,
    Attempt,
    failure_of_exit,
    over_limit,
)
from mapreduce.worker.core.commands import DISK, POOL, TRACKER
from mapreduce.worker.core.options import AgentOptions
from mapreduce.worker.core.scratch_room import ScratchRoom
from mapreduce.worker.core.tracker_session import TrackerSession

MAX_TOMBSTONES = 1_000


@dataclass(slots=True)
class _Step:
    """What one step has gathered."""

    now_us: int
    sends: list[Send] = field(default_factory=list)


class WorkerAgent:
    def __init__(self, options: AgentOptions, rng: Random, *, highest_epoch: int = 0) -> None:
        self.options = options
        self.attempts: dict[str, Attempt] = {}
        self._tombstones: dict[str, None] = {}
        # of attempts to be launched next
        self._results: dict[str, tuple[ex.TaskResult, ...]] = {}
        self._session = TrackerSession(options.session, highest_epoch, self._inventory, rng)
        self._room = ScratchRoom(options.reserve_bytes)
        self._last_step_us: int | None = None

    # ── the Core face ──

    def step(self, event: Event, now: Instant) -> Effects:
        step = _Step(now.mono_us)
        self._credit_pause(step.now_us)
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, step)
        self._look_at_the_clock(step)
        self._start_queued(step)
        # The disk remembers a new epoch before anything is done under it.
        said = self._session.turn(step.now_us)
        return Effects(
            sends=[s for s in said if s.to == DISK] + step.sends + [s for s in said if s.to != DISK]
        )

    def next_deadline(self) -> int | None:
        if self._last_step_us is None:
            return None
        deadlines = [
            self._session.next_deadline(),
            self._last_step_us + self.options.session.heartbeat_us,
        ]
        for attempt in self.attempts.values():
            deadlines += [
                at
                for at in (attempt.die_by_us, attempt.commit_at_us, attempt.silent_at_us())
                if at is not None
            ]
        return min(deadlines)

    def apply(self, edit: Edit) -> None:
        raise AssertionError(f"a worker keeps no journal, yet found {edit.op!r} in it")

    def check_invariants(self) -> None:
        assert self.busy() <= self.options.slots, "more processes than slots"
        for attempt_id, attempt in sorted(self.attempts.items()):
            assert attempt.launch.attempt_id == attempt_id
            attempt.check_invariants()

    def busy(self) -> int:
        """Slots that are taken: a driver needs none."""
        return sum(a.has_process and not a.launch.driver for a in self.attempts.values())

    @property
    def highest_epoch(self) -> int:
        return self._session.highest_epoch

    # ── orders ──

    def _on_started(self, _event: ev.Started, step: _Step) -> None:
        self._session.begin(step.now_us)

    def _on_attend_ended(self, event: ev.AttendEnded, step: _Step) -> None:
        self._results = {}  # whose launch has not come with this stream: all is said again
        self._session.attend_ended(event, step.now_us)

    def _on_report_taken(self, event: ev.ReportTaken, step: _Step) -> None:
        """A result that the tracker has need not be said again."""
        for news in self._session.report_taken(event, step.now_us):
            attempt = self.attempts.get(news.attempt_id)
            if attempt is not None and isinstance(news, ex.TaskDone):
                attempt.result = b""

    def _on_order(self, event: ev.OrderReceived, step: _Step) -> None:
        if not self._session.hears(event.session, event.epoch, step.now_us):
            return
        order = event.order
        if isinstance(order, ex.TellResults):
            held = self._results.get(order.attempt_id, ())
            self._results[order.attempt_id] = held + order.results
        elif isinstance(order, ex.Launch):
            before, self._results = self._results.get(order.attempt_id, ()), {}
            self._launch(replace(order, results=before + order.results), event.epoch, step)
        elif isinstance(order, ex.KillAttempt):
            self._kill(order, step)
        elif isinstance(order, ex.ForgetJob):
            self._forget(order.job_id, step)
        elif isinstance(order, ex.TellOutputs):
            self._spread_news(order, step)

    def _launch(self, launch: ex.Launch, epoch: int, step: _Step) -> None:
        attempt_id = launch.attempt_id
        if attempt_id in self._tombstones:
            self._session.tell(
                ex.AttemptFailed(
                    attempt_id, Failure("killed", "killed before it was launched"), True
                )
            )
            return
        held = self.attempts.get(attempt_id)
        if held is None or (held.state == FAILED and held.epoch < epoch and not held.has_process):
            # A tracker that restarted may number its attempts anew: what an older one's attempt
            # came to is no answer to it.
            self.attempts[attempt_id] = Attempt(launch, epoch)
        elif held.state == SUCCEEDED and held.output is not None:
            self._session.tell(held.done())
        elif held.state == FAILED and held.verdict is not None:
            self._session.tell(ex.AttemptFailed(attempt_id, *held.verdict))

    def _kill(self, order: ex.KillAttempt, step: _Step) -> None:
        failure = Failure("killed", order.reason)
        attempt = self.attempts.get(order.attempt_id)
        if attempt is None:
            self._tombstones[order.attempt_id] = None
            while len(self._tombstones) > MAX_TOMBSTONES:
                self._tombstones.pop(next(iter(self._tombstones)))
            self._session.tell(ex.AttemptFailed(order.attempt_id, failure, True))
        elif attempt.state in (RUNNING, COMMITTING) and attempt.has_process:
            self._condemn(attempt, failure, True, step)
        elif attempt.state in (QUEUED, COMMITTING, SUCCEEDED):
            self._fail(attempt, failure, True, step)

    def _forget(self, job_id: str, step: _Step) -> None:
        of_job = {
            attempt_id: a
            for attempt_id, a in sorted(self.attempts.items())
            if a.launch.job_id == job_id
        }
        self._session.forget(set(of_job))
        for attempt_id, attempt in of_job.items():
            attempt.forgotten, attempt.commit_at_us = True, None
            if attempt.has_process:
                step.sends.append(Send(POOL, cmd.KillTask(attempt_id)))
            else:
                del self.attempts[attempt_id]
        if not any(attempt.has_process for attempt in of_job.values()):
            step.sends.append(Send(DISK, cmd.DropJob(job_id)))

    def _spread_news(self, news: ex.TellOutputs, step: _Step) -> None:
        for attempt_id, attempt in sorted(self.attempts.items()):
            places = () if attempt.forgotten else attempt.reads(news)
            if attempt.state == QUEUED:
                attempt.launch = replace(attempt.launch, known=attempt.launch.known + places)
            elif attempt.state == RUNNING and places:
                step.sends.append(Send(POOL, cmd.TellLocations(attempt_id, places)))

    # ── facts ──

    def _on_progress(self, event: ev.TaskProgressed, step: _Step) -> None:
        attempt = self._attempt(event.attempt_id, RUNNING)
        if attempt is not None:
            attempt.last_progress_us, attempt.counters = step.now_us, event.counters
            self._session.tell(
                ex.Progressed(
                    attempt_id=event.attempt_id,
                    fraction=event.fraction,
                    phase=event.phase,
                    status=event.status,
                    counters=event.counters,
                )
            )

    def _on_finished(self, event: ev.TaskFinished, step: _Step) -> None:
        attempt = self._attempt(event.attempt_id, RUNNING)
        if attempt is None or attempt.commits:
            return
        attempt.move("finish")
        attempt.output, attempt.counters = event.output, event.counters
        attempt.result = event.result
        attempt.die_by_us = step.now_us + self.options.linger_us
        if attempt.launch.partitions:
            step.sends.append(Send(DISK, cmd.OfferOutput(attempt.launch.job_id, event.attempt_id)))
        self._session.tell(attempt.done())

    def _on_commit_asked(self, event: ev.CommitAsked, step: _Step) -> None:
        attempt = self._attempt(event.attempt_id, RUNNING)
        if attempt is not None and event.files:
            attempt.move("ask")
            attempt.files, attempt.counters = event.files, event.counters
            attempt.result, attempt.commit_at_us = event.result, step.now_us

    def _on_commit_answered(self, event: ev.CommitAnswered, step: _Step) -> None:
        attempt, answer = self._attempt(event.attempt_id, COMMITTING), event.answer
        if attempt is None:
            return
        if not self._session.admits(event.epoch, step.now_us):
            attempt.commit_at_us = step.now_us + self.options.commit_retry_us
            return
        attempt.commit_at_us = None
        if attempt.has_process:
            attempt.die_by_us = step.now_us + self.options.linger_us
            told = cmd.TellCommit(event.attempt_id, answer.granted, answer.reason)
            step.sends.append(Send(POOL, told))
        if answer.granted:
            attempt.move("grant")
        else:
            superseded = f"superseded by {answer.winner}" if answer.winner else "refused"
            why = f"commit denied: {answer.reason or superseded}"
            self._fail(attempt, Failure("killed", why), True, step)

    def _on_commit_lost(self, event: ev.CommitLost, step: _Step) -> None:
        attempt = self._attempt(event.attempt_id, COMMITTING)
        if attempt is not None:
            attempt.commit_at_us = step.now_us + self.options.commit_retry_us

    def _on_task_failed(self, event: ev.TaskFailed, step: _Step) -> None:
        attempt = self._attempt(event.attempt_id, RUNNING)
        if attempt is not None:
            attempt.die_by_us = step.now_us + self.options.linger_us
            self._fail(attempt, event.failure, event.killed, step)
            self._look_at_the_disk(event.failure, step)

    def _on_fetches_failed(self, event: ev.FetchesFailed, step: _Step) -> None:
        attempt = self._attempt(event.attempt_id, RUNNING)
        if attempt is not None:
            attempt.last_progress_us = step.now_us
            self._session.tell(ex.FetchFailed(event.attempt_id, event.sources, event.reason))

    def _on_sampled(self, event: ev.TaskSampled, step: _Step) -> None:
        attempt = self._attempt(event.attempt_id, RUNNING)
        if attempt is None:
            return
        failure = over_limit(event, attempt, self.options.processes_per_task)
        if failure is not None:
            self._condemn(attempt, failure, False, step)

    def _on_exited(self, event: ev.TaskExited, step: _Step) -> None:
        attempt = self.attempts.get(event.attempt_id)
        if attempt is None or not attempt.has_process:
            return
        attempt.has_process, attempt.die_by_us = False, None
        if attempt.forgotten:
            self._bury(attempt, step)
        elif attempt.state == DYING and attempt.verdict is not None:
            failure, killed = attempt.verdict
            if failure.kind == "no_progress" and event.stack_top:
                failure = replace(
                    failure, message=f"{failure.message}; it was in {event.stack_top}"
                )
            self._fail(attempt, failure, killed, step)
        elif attempt.state == RUNNING:
            self._fail(attempt, failure_of_exit(event, attempt), False, step)

    def _on_not_started(self, event: ev.TaskNotStarted, step: _Step) -> None:
        attempt = self.attempts.get(event.attempt_id)
        if event.failure is not None and attempt is not None and attempt.has_process:
            attempt.verdict = attempt.verdict or (event.failure, False)
            self._look_at_the_disk(event.failure, step)
        self._lose(event.attempt_id, f"could not be started: {event.reason}", step)

    def _look_at_the_disk(self, failure: Failure, step: _Step) -> None:
        if failure.kind == "disk":
            step.sends.append(Send(DISK, cmd.MeasureRoom()))

    def _on_room(self, event: ev.RoomMeasured, step: _Step) -> None:
        if self._room.measured(event):
            self._session.tell_room(self._room.no_room, step.now_us)
            step.sends.append(Send(DISK, cmd.NoteRoom(self._room.no_room)))

    def _on_lost(self, event: ev.TaskLost, step: _Step) -> None:
        self._lose(event.attempt_id, event.reason, step)

    def _lose(self, attempt_id: str, reason: str, step: _Step) -> None:
        """There is no process, through no fault of the job. What it had asked to commit may still
        be granted."""
        attempt = self.attempts.get(attempt_id)
        if attempt is None or not attempt.has_process:
            return
        attempt.has_process, attempt.die_by_us = False, None
        if attempt.forgotten:
            self._bury(attempt, step)
        elif attempt.state in (RUNNING, DYING):
            self._fail(attempt, *(attempt.verdict or (Failure("killed", reason), True)), step)

    # ── time ──

    def _look_at_the_clock(self, step: _Step) -> None:
        for attempt_id, attempt in sorted(self.attempts.items()):
            if (
                attempt.commit_at_us is not None
                and attempt.commit_at_us <= step.now_us
                and attempt.files
            ):
                attempt.commit_at_us = step.now_us + self.options.commit_answer_us
                ask = ex.AskCommit(
                    attempt_id=attempt_id,
                    files=attempt.files,
                    counters=attempt.counters,
                    result=attempt.result,
                )
                step.sends.append(Send(TRACKER, ask))
            if attempt.die_by_us is not None and attempt.die_by_us <= step.now_us:
                attempt.die_by_us = step.now_us + self.options.linger_us
                step.sends.append(Send(POOL, cmd.KillTask(attempt_id)))
            silent_at = attempt.silent_at_us()
            if silent_at is not None and silent_at <= step.now_us:
                limit_s = attempt.launch.limits.no_progress_limit_us / 1e6
                self._condemn(
                    attempt,
                    Failure("no_progress", f"no progress for {limit_s:g} s"),
                    False,
                    step,
                )

    def _credit_pause(self, now_us: int) -> None:
        """When this process itself was stopped, its tasks' silence proves nothing: they were not
        heard."""
        last, self._last_step_us = self._last_step_us, now_us
        if last is not None and now_us - last > 4 * self.options.session.heartbeat_us:
            for attempt in self.attempts.values():
                attempt.last_progress_us += now_us - last

    def _start_queued(self, step: _Step) -> None:
        free = self.options.slots - self.busy()
        for attempt in self.attempts.values():  # in the order of their launch
            if attempt.state == QUEUED and (free > 0 or attempt.launch.driver):
                attempt.move("start")
                attempt.has_process, attempt.last_progress_us = True, step.now_us
                step.sends.append(Send(POOL, cmd.StartTask(attempt.launch)))
                free -= not attempt.launch.driver

    # ── shared ──

    def _attempt(self, attempt_id: str, state: str) -> Attempt | None:
        attempt = self.attempts.get(attempt_id)
        return (
            attempt
            if attempt is not None and attempt.state == state and not attempt.forgotten
            else None
        )

    def _condemn(self, attempt: Attempt, failure: Failure, killed: bool, step: _Step) -> None:
        """Kills the process; the failure is reported when it is gone."""
        attempt.move("condemn")
        attempt.verdict, attempt.commit_at_us = (failure, killed), None
        attempt.die_by_us = step.now_us + self.options.linger_us
        step.sends.append(
            Send(
                POOL,
                cmd.KillTask(attempt.launch.attempt_id, dump_stacks=failure.kind == "no_progress"),
            )
        )

    def _fail(self, attempt: Attempt, failure: Failure, killed: bool, step: _Step) -> None:
        attempt.move("fail")
        attempt.verdict, attempt.commit_at_us = (failure, killed), None
        self._session.tell(ex.AttemptFailed(attempt.launch.attempt_id, failure, killed))
        step.sends.append(
            Send(DISK, cmd.DropAttempt(attempt.launch.job_id, attempt.launch.attempt_id))
        )

    def _bury(self, attempt: Attempt, step: _Step) -> None:
        """The tracker hears that the slot is free; the last process of a forgotten job takes the
        job's directory with it."""
        attempt_id = attempt.launch.attempt_id
        if attempt.state in (RUNNING, COMMITTING, DYING):
            self._session.tell(
                ex.AttemptFailed(
                    attempt_id,
                    *(attempt.verdict or (Failure("killed", "its job has ended"), True)),
                )
            )
        del self.attempts[attempt_id]
        if not any(
            other.launch.job_id == attempt.launch.job_id for other in self.attempts.values()
        ):
            step.sends.append(Send(DISK, cmd.DropJob(attempt.launch.job_id)))

    def _inventory(self) -> tuple[ex.HeldAttempt, ...]:
        held = [one for _name, one in sorted(self.attempts.items()) if not one.forgotten]
        return tuple(attempt.held() for attempt in held)


_HANDLERS: dict[type, Callable[[WorkerAgent, Any, _Step], None]] = {
    ev.Started: WorkerAgent._on_started,
    ev.OrderReceived: WorkerAgent._on_order,
    ev.AttendEnded: WorkerAgent._on_attend_ended,
    ev.ReportTaken: WorkerAgent._on_report_taken,
    ev.ReportLost: lambda agent, event, step: agent._session.report_lost(event, step.now_us),
    ev.CommitAnswered: WorkerAgent._on_commit_answered,
    ev.CommitLost: WorkerAgent._on_commit_lost,
    ev.TaskProgressed: WorkerAgent._on_progress,
    ev.TaskFinished: WorkerAgent._on_finished,
    ev.CommitAsked: WorkerAgent._on_commit_asked,
    ev.TaskFailed: WorkerAgent._on_task_failed,
    ev.FetchesFailed: WorkerAgent._on_fetches_failed,
    ev.TaskSampled: WorkerAgent._on_sampled,
    ev.TaskExited: WorkerAgent._on_exited,
    ev.TaskNotStarted: WorkerAgent._on_not_started,
    ev.TaskLost: WorkerAgent._on_lost,
    ev.RoomMeasured: WorkerAgent._on_room,
}
