"""The job tracker's face: `JobTracker(options, rng).step(event, now) -> Effects`.

Rooms, bottom up: model and states (nouns, tables) · ledger (durable, `apply`) · work and desk (what
runs now) · runs · finishing · outputs · attempts · commit, attendance, clients (what the outside
says) · scheduler (who gets the next slot) · this file.

A step takes one event, then lets what time has brought happen, fills free slots, and tells
watchers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from clusterkit.effects import Edit, Effects, Event, Instant, Tick
from mapreduce.jobtracker.core import (
    attendance,
    clients,
    commit,
    events,
    finishing,
    invariants,
    outputs,
    scheduler,
    states,
)
from mapreduce.jobtracker.core.desk import Desk
from mapreduce.jobtracker.core.model import Options
from mapreduce.jobtracker.core.orders import Refusal
from mapreduce.jobtracker.core.work import JobWork

PAUSE_US = 1_000_000
"""A step that comes this much later than the deadline we asked for means that we were paused, not
that the workers were silent."""

MAX_CHECKPOINT_TASKS = 100_000

_ROOMS: dict[type, Callable[[Desk, Any], None]] = {
    events.SubmitJob: clients.submit,
    events.GetJob: clients.get,
    events.WatchJob: clients.watch,
    events.WatchEnded: clients.watch_ended,
    events.KillJob: clients.kill,
    events.ListJobs: clients.list_jobs,
    events.FindLogs: clients.find_logs,
    events.GetCluster: clients.cluster,
    events.WorkerAttended: attendance.attended,
    events.EpochCeiling: attendance.epoch_ceiling,
    events.StreamEnded: attendance.stream_ended,
    events.WorkerReported: attendance.reported,
    events.CommitRequested: commit.requested,
}


class JobTracker:
    def __init__(self, options: Options, rng: random.Random) -> None:
        self._desk = Desk(options, rng)
        self._deadline_us: int | None = None
        self._own: dict[type, Callable[[Any], None]] = {
            events.BecameLeader: self._became_leader,
            events.OutputPublished: self._output_published,
            events.PublishFailed: self._publish_failed,
            events.StagingRemoved: self._staging_removed,
            Tick: lambda _event: None,
        }

    def step(self, event: Event, now: Instant) -> Effects:
        desk = self._desk
        desk.begin(now)
        self._credit_pause(now)
        if not desk.epoch and not isinstance(event, events.BecameLeader | Tick):
            reply_to = getattr(event, "reply_to", None)
            if reply_to is not None:
                desk.send(
                    reply_to, Refusal("TRY_AGAIN", "this tracker does not lead yet", "mrc status")
                )
            return desk.effects
        room = _ROOMS.get(type(event))
        if room is not None:
            room(desk, event)
        else:
            self._own[type(event)](event)
        if self._deadline_us is not None and now.mono_us >= self._deadline_us:
            attendance.bury_the_silent(desk)
            self._end_recovery()
        scheduler.schedule(desk)
        finishing.remove_staging(desk)
        clients.tell_watchers(desk)
        self._checkpoint_when_due()
        self._deadline_us = self._find_deadline()
        return desk.effects

    def next_deadline(self) -> int | None:
        return self._deadline_us

    def apply(self, edit: Edit) -> None:
        self._desk.ledger.apply(edit)

    def check_invariants(self) -> None:
        invariants.check(self._desk)

    # ── leadership and the publisher's news ───────────────────────────────────────────────────────

    def _became_leader(self, event: events.BecameLeader) -> None:
        """Builds what is not durable beside the jobs of the journal; the workers will tell the rest
        when they attend."""
        desk = self._desk
        desk.epoch = event.epoch
        grace_us = desk.in_us(desk.options.readopt_grace_us)
        for job in desk.ledger.live():
            work = desk.works[job.job_id] = JobWork(job, grace_us)
            if job.state == states.PUBLISHING:
                finishing.publish(desk, work)
        for job in desk.ledger.jobs.values():
            if job.finished and not job.staging_cleared:
                desk.cleanups[job.job_id] = grace_us

    def _end_recovery(self) -> None:
        desk = self._desk
        for work in list(desk.works.values()):
            if work.recovering_until_us and desk.now.mono_us >= work.recovering_until_us:
                work.recovering_until_us = 0
                if work.job.state != states.PUBLISHING:
                    outputs.remake(
                        desk, work, "its worker did not come back after the tracker's restart"
                    )

    def _output_published(self, event: events.OutputPublished) -> None:
        work = self._desk.works.get(event.job_id)
        if work is not None and work.job.state == states.PUBLISHING:
            finishing.succeed_job(self._desk, work)

    def _publish_failed(self, event: events.PublishFailed) -> None:
        work = self._desk.works.get(event.job_id)
        if work is not None and work.job.state == states.PUBLISHING:
            finishing.fail_job(self._desk, work, event.message)

    def _staging_removed(self, event: events.StagingRemoved) -> None:
        finishing.staging_removed(self._desk, event.job_id)

    def _checkpoint_when_due(self) -> None:
        """Not while giants run: a checkpoint is one journal record, and that has a largest size."""
        desk = self._desk
        if (
            desk.ledger.edits_since_checkpoint >= desk.options.checkpoint_edits
            and desk.ledger.live_tasks() <= MAX_CHECKPOINT_TASKS
        ):
            desk.record(desk.ledger.image())

    # ── time ──────────────────────────────────────────────────────────────────────────────────────

    def _credit_pause(self, now: Instant) -> None:
        """A paused tracker must not take everybody for dead when it wakes: their reports are still
        in its inbox, so it counts anew."""
        if self._deadline_us is not None and now.mono_us > self._deadline_us + PAUSE_US:
            for worker in self._desk.workers.values():
                worker.heard_us = now.mono_us

    def _find_deadline(self) -> int | None:
        desk = self._desk
        moments = [watcher.next_us for watcher in desk.watchers.values() if watcher.owed]
        for worker in desk.workers.values():
            if not worker.dead:
                moments.append(attendance.death_us(desk, worker))
            moments += worker.dying.values()
        for work in desk.works.values():
            if work.recovering_until_us:
                moments.append(work.recovering_until_us)
            moments += scheduler.deadlines_us(desk, work)
        moments += desk.cleanups.values()
        return min(moments, default=None)
