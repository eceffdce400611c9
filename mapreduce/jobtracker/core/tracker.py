"""The job tracker's face: `JobTracker(options, rng).step(event, now) -> Effects`.

Rooms, bottom up: edits and events (what is durable, what is said) · records · ledger (`apply`) ·
live (what runs now) · publishing (how a job ends) · outputs · attempts · commit, workers, clients,
plans (what the outside says) · scheduler (who gets the next slot) · this file.

A step takes one event, then lets what time has brought happen, fills free slots, and tells
watchers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from clusterkit.effects import Edit, Effects, Event, Instant, Tick
from mapreduce.jobtracker.core import (
    clients,
    commit,
    events,
    invariants,
    outputs,
    plans,
    publishing,
    scheduler,
    workers,
)
from mapreduce.jobtracker.core.events import Refusal
from mapreduce.jobtracker.core.live import LiveJob, LiveState
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.core.records import PUBLISHING

PAUSE_US = 1_000_000
"""A step that comes this much later than the deadline we asked for means that we were paused, not
that the workers were silent."""

MAX_CHECKPOINT_TASKS, MAX_CHECKPOINT_RESULT_BYTES = 100_000, 256 << 20

_ROOMS: dict[type, Callable[[LiveState, Any], None]] = {
    events.SubmitJob: clients.submit,
    events.ExtendPlan: plans.extend,
    events.ClosePlan: plans.close,
    events.RetireStages: plans.retire,
    events.GetJob: clients.get,
    events.WatchJob: clients.watch,
    events.WatchEnded: clients.watch_ended,
    events.KillJob: clients.kill,
    events.ListJobs: clients.list_jobs,
    events.FindLogs: clients.find_logs,
    events.GetCluster: clients.cluster,
    events.WorkerAttended: workers.attended,
    events.EpochCeiling: workers.epoch_ceiling,
    events.StreamEnded: workers.stream_ended,
    events.WorkerReported: workers.reported,
    events.CommitRequested: commit.requested,
    events.OutputAppeared: publishing.output_appeared,
    events.PublishFailed: publishing.publish_failed,
}


class JobTracker:
    def __init__(self, options: Options, rng: random.Random) -> None:
        self.live = LiveState(options, rng)
        self._deadline_us: int | None = None
        self._own: dict[type, Callable[[Any], None]] = {
            events.BecameLeader: self._became_leader,
            events.StagingRemoved: self._staging_removed,
            Tick: lambda _event: None,
        }

    def step(self, event: Event, now: Instant) -> Effects:
        live = self.live
        live.begin(now)
        self._credit_pause(now)
        if not live.epoch and not isinstance(event, events.BecameLeader | Tick):
            reply_to = getattr(event, "reply_to", None)
            if reply_to is not None:
                live.send(
                    reply_to, Refusal("TRY_AGAIN", "this tracker does not lead yet", "mrc status")
                )
            return live.effects
        room = _ROOMS.get(type(event))
        if room is not None:
            room(live, event)
        else:
            self._own[type(event)](event)
        if self._deadline_us is not None and now.mono_us >= self._deadline_us:
            workers.bury_the_silent(live)
            self._end_recovery()
        scheduler.schedule(live)
        publishing.remove_staging(live)
        clients.tell_watchers(live)
        self._checkpoint_when_due()
        self._deadline_us = self._find_deadline()
        return live.effects

    def next_deadline(self) -> int | None:
        return self._deadline_us

    def apply(self, edit: Edit) -> None:
        self.live.ledger.apply(edit)

    def check_invariants(self) -> None:
        invariants.check(self.live)

    # ── leadership and the publisher's news ───────────────────────────────────────────────────────

    def _became_leader(self, event: events.BecameLeader) -> None:
        """Builds what is not durable beside the jobs of the journal; the workers will tell the rest
        when they attend."""
        live = self.live
        live.epoch = event.epoch
        grace_us = live.in_us(live.options.readopt_grace_us)
        for job in list(live.ledger.live()):
            work = live.jobs[job.job_id] = LiveJob(job, grace_us)
            publishing.publish_what_is_complete(live, work)
        for job in live.ledger.jobs.values():
            if job.finished and not job.staging_cleared:
                live.cleanups[job.job_id] = grace_us

    def _end_recovery(self) -> None:
        live = self.live
        for work in list(live.jobs.values()):
            if work.recovering_until_us and live.now.mono_us >= work.recovering_until_us:
                work.recovering_until_us = 0
                if work.job.state != PUBLISHING:
                    outputs.remake(
                        live, work, "its worker did not come back after the tracker's restart"
                    )

    def _staging_removed(self, event: events.StagingRemoved) -> None:
        publishing.staging_removed(self.live, event.job_id)

    def _checkpoint_when_due(self) -> None:
        """Not while giants run: a checkpoint is one journal record, and that has a largest size."""
        live = self.live
        if (
            live.ledger.edits_since_checkpoint >= live.options.checkpoint_edits
            and live.ledger.live_tasks() <= MAX_CHECKPOINT_TASKS
            and sum(job.result_bytes for job in live.ledger.live()) <= MAX_CHECKPOINT_RESULT_BYTES
        ):
            live.commit(live.ledger.image())

    # ── time ──────────────────────────────────────────────────────────────────────────────────────

    def _credit_pause(self, now: Instant) -> None:
        """A paused tracker must not take everybody for dead when it wakes: their reports are still
        in its inbox, so it counts anew."""
        if self._deadline_us is not None and now.mono_us > self._deadline_us + PAUSE_US:
            for worker in self.live.workers.values():
                worker.heard_us = now.mono_us

    def _find_deadline(self) -> int | None:
        live = self.live
        moments = [watcher.next_us for watcher in live.watchers.values() if watcher.owed]
        for worker in live.workers.values():
            if not worker.dead:
                moments.append(workers.death_us(live, worker))
            moments += worker.dying.values()
        for work in live.jobs.values():
            if work.recovering_until_us:
                moments.append(work.recovering_until_us)
            moments += scheduler.deadlines_us(live, work)
        moments += live.cleanups.values()
        return min(moments, default=None)
