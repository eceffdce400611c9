"""The datanode's mind: when to register, to beat, to report, and what to do with the namenode's
orders.

              Registered               ReregisterAsked, or an answer of an older epoch
    LOST ──────────────────▶ SERVING ──────────────────────────────────────────────────▶ LOST
      ▲ CallFailed: back off       CallFailed: keep the registration, beat and repeat the report
                                   after a back-off

The highest namenode epoch is durable (edit EpochSeen) before any order under it is obeyed; answers
with a lower one change nothing. Two calls may be under way at once, one heartbeat and one report.
An agent holds the map of finalized replicas as it was told of them; it knows no file, socket or
clock. `usage` and addresses of the namenode are the shell's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from clusterkit.effects import Edit, Effects, Instant, Send, Tick
from minihdfs.datanode.core import events as e
from minihdfs.datanode.core.orders import Orders
from minihdfs.datanode.core.reports import Reports
from minihdfs.model import CopyEnded, DatanodeAddress

FAILURE_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class AgentOptions:
    address: DatanodeAddress
    full_report_interval_us: int = (
        600_000_000  # ± `full_report_jitter` of it; 0 = only at registration
    )
    full_report_jitter: float = 0.1
    report_chunk_replicas: int = 10_000
    call_timeout_us: int = 10_000_000
    backoff_first_us: int = 20_000
    backoff_last_us: int = 2_000_000
    copies_max: int = 2
    repairs_max: int = 1


class Agent:
    def __init__(
        self, options: AgentOptions, rng: Random, *, cluster_id: str = "", epoch: int = 0
    ) -> None:
        """`cluster_id` and `epoch` are what this directory has made durable; a replayed journal of
        edits gives the same."""
        self.options = options
        self.cluster_id, self.epoch = cluster_id, epoch
        self._rng = rng
        self._txid = 0
        self._call = 0
        self.registration_id = 0
        self.registered = False
        self._register_call: int | None = None
        self._register_due = 0
        self._beat_call: int | None = None
        self._beat_due = 0
        self._beat_interval_us = 0
        self._report_call: int | None = None
        self._report_due = 0
        self._full_report_due = 0
        self._timeouts: dict[int, int] = {}  # call -> mono_us at which it counts as failed
        self._failures = 0
        self._halted = False
        self.reports = Reports(options.address.uuid, options.report_chunk_replicas)
        self.orders = Orders(options.copies_max, options.repairs_max)
        self._handlers: dict[type, Callable[[Any, Instant, Effects], None]] = {
            Tick: self._tick,
            e.Registered: self._registered,
            e.RegistrationRefused: self._registration_refused,
            e.HeartbeatAnswered: self._heartbeat_answered,
            e.ReportTaken: self._report_taken,
            e.ReregisterAsked: self._reregister_asked,
            e.CallFailed: self._call_failed,
            e.ReplicasListed: self._replicas_listed,
            e.ReplicaLeft: self._replica_left,
            e.ReplicaFinalized: self._replica_finalized,
            e.ReplicasDeleted: self._replicas_deleted,
            e.ReplicaFoundBad: self._replica_found_bad,
            e.CopyFinished: self._copy_finished,
            e.RepairFinished: self._repair_finished,
        }

    # ── the face ──────────────────────────────────────────────────────────────────────────────────

    def step(self, event: Any, now: Instant) -> Effects:
        effects = Effects()
        if not self._halted:
            self._handlers[type(event)](event, now, effects)
            self._expire(now)
            self._speak(now, effects)
        return effects

    def next_deadline(self) -> int | None:
        if self._halted:
            return None
        due = list(self._timeouts.values())
        if not self.registered:
            if self._register_call is None:
                due.append(self._register_due)
        else:
            if self._beat_call is None:
                due.append(self._beat_due)
            if self._report_call is None and self.reports.something_to_tell():
                due.append(self._report_due)
            if self.options.full_report_interval_us and not self.reports.full_report_under_way:
                due.append(self._full_report_due)
        return min(due, default=None)

    def apply(self, edit: Edit) -> None:
        self._txid = edit.txid
        if isinstance(edit.op, e.EpochSeen):
            self.epoch = edit.op.epoch
        elif isinstance(edit.op, e.ClusterAdopted):
            self.cluster_id = edit.op.cluster_id

    def check_invariants(self) -> None:
        self.reports.check_invariants()
        self.orders.check_invariants()
        under_way = {
            call
            for call in (self._register_call, self._beat_call, self._report_call)
            if call is not None
        }
        assert under_way == set(self._timeouts), (
            f"calls {sorted(under_way)} but timeouts {sorted(self._timeouts)}"
        )
        assert not (self.registered and self._register_call is not None), (
            "registers while registered"
        )

    # ── the namenode's answers ────────────────────────────────────────────────────────────────────

    def _registered(self, event: e.Registered, now: Instant, effects: Effects) -> None:
        if event.call != self._register_call:
            return
        if self.cluster_id and event.cluster_id != self.cluster_id:
            return self._halt(
                f"this datanode belongs to cluster {self.cluster_id}, the namenode to "
                f"{event.cluster_id}",
                effects,
            )
        if event.epoch < self.epoch:
            return self._call_failed(
                e.CallFailed(event.call, f"epoch {event.epoch} is older than {self.epoch}"),
                now,
                effects,
            )
        self._done(event.call)
        if not self.cluster_id:
            self._edit(e.ClusterAdopted(event.cluster_id), now, effects)
        if self.registration_id and event.epoch > self.epoch:
            effects.sends.append(Send(e.SHELL, e.BringBack()))
        self._saw_epoch(event.epoch, now, effects)
        self.registered, self.registration_id = True, event.registration_id
        self._failures = 0
        self._beat_interval_us = event.heartbeat_interval_ms * 1000
        self._beat_due = self._report_due = now.mono_us
        self.orders.forget_deletions()
        self.reports.restart()

    def _registration_refused(
        self, event: e.RegistrationRefused, _now: Instant, effects: Effects
    ) -> None:
        if event.call == self._register_call:
            self._halt(event.message, effects)

    def _heartbeat_answered(
        self, event: e.HeartbeatAnswered, now: Instant, effects: Effects
    ) -> None:
        if event.call != self._beat_call or not self._current_epoch(
            event.epoch, event.call, now, effects
        ):
            return
        self._beat_due = now.mono_us + self._beat_interval_us
        for order in event.orders:
            self.orders.take(order, self.reports)

    def _report_taken(self, event: e.ReportTaken, now: Instant, effects: Effects) -> None:
        if event.call != self._report_call or not self._current_epoch(
            event.epoch, event.call, now, effects
        ):
            return
        self._report_due = now.mono_us
        for order in event.orders:
            self.orders.take(order, self.reports)
        if self.reports.taken():
            self._schedule_full_report(now)

    def _reregister_asked(self, event: e.ReregisterAsked, now: Instant, effects: Effects) -> None:
        if event.call in (self._beat_call, self._report_call) and event.epoch >= self.epoch:
            self._done(event.call)
            self._lose_registration(now.mono_us)

    def _call_failed(self, event: e.CallFailed, now: Instant, _effects: Effects) -> None:
        if event.call in self._timeouts:
            self._fail(event.call, now)

    # ── our own facts ─────────────────────────────────────────────────────────────────────────────

    def _tick(self, _event: Tick, now: Instant, _effects: Effects) -> None:
        due = (
            self.options.full_report_interval_us
            and self.registered
            and now.mono_us >= self._full_report_due
        )
        if due and not self.reports.full_report_under_way:
            self.reports.begin_full_report()

    def _replicas_listed(self, event: e.ReplicasListed, _now: Instant, _effects: Effects) -> None:
        self.reports.list(event.replicas, event.bad)
        for block in event.unfinished:
            self.reports.left(block)

    def _replica_left(self, event: e.ReplicaLeft, _now: Instant, _effects: Effects) -> None:
        self.reports.left(event.block)

    def _replica_finalized(
        self, event: e.ReplicaFinalized, _now: Instant, _effects: Effects
    ) -> None:
        self.reports.received(event.block)

    def _replicas_deleted(self, event: e.ReplicasDeleted, _now: Instant, _effects: Effects) -> None:
        for block in event.blocks:
            self.reports.deleted(block)

    def _replica_found_bad(
        self, event: e.ReplicaFoundBad, _now: Instant, _effects: Effects
    ) -> None:
        self.reports.found_bad(event.block)

    def _copy_finished(self, event: e.CopyFinished, _now: Instant, _effects: Effects) -> None:
        self.orders.copy_finished(event.block, event.targets)
        failures = dict(event.failed)
        for target in event.targets:
            failure = failures.get(target.uuid, "")[:FAILURE_CHARS_MAX]
            self.reports.copied(CopyEnded(event.block.id, target.uuid, failure))

    def _repair_finished(self, event: e.RepairFinished, _now: Instant, _effects: Effects) -> None:
        self.orders.repair_finished(event.block)
        if event.sound:
            self.reports.received(event.block)
        elif event.known:
            self.reports.found_bad(event.block)

    # ── what leaves ───────────────────────────────────────────────────────────────────────────────

    def _speak(self, now: Instant, effects: Effects) -> None:
        for order in self.orders.ready(self.reports):
            effects.sends.append(Send(e.SHELL, order))
        if self._halted:
            return
        uuid = self.options.address.uuid
        if not self.registered:
            if self._register_call is None and now.mono_us >= self._register_due:
                self._register_call = self._new_call(now)
                effects.sends.append(
                    Send(
                        e.NAMENODE,
                        e.Register(self._register_call, self.options.address, self.cluster_id),
                    )
                )
            return
        if self._beat_call is None and now.mono_us >= self._beat_due:
            self._beat_call = self._new_call(now)
            effects.sends.append(
                Send(e.NAMENODE, e.Heartbeat(self._beat_call, uuid, self.registration_id))
            )
        if (
            self._report_call is None
            and now.mono_us >= self._report_due
            and self.reports.something_to_tell()
        ):
            self._report_call = self._new_call(now)
            report = self.reports.next(self._report_call, self.registration_id)
            effects.sends.append(Send(e.NAMENODE, report))

    def _halt(self, message: str, effects: Effects) -> None:
        self._halted = True
        self._timeouts.clear()
        self._register_call = self._beat_call = self._report_call = None
        effects.sends.append(Send(e.SHELL, e.Halt(message)))

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────

    def _new_call(self, now: Instant) -> int:
        self._call += 1
        self._timeouts[self._call] = now.mono_us + self.options.call_timeout_us
        return self._call

    def _done(self, call: int) -> None:
        """The call is over, one way or the other."""
        self._timeouts.pop(call, None)
        if call == self._register_call:
            self._register_call = None
        elif call == self._beat_call:
            self._beat_call = None
        elif call == self._report_call:
            self._report_call = None

    def _expire(self, now: Instant) -> None:
        for call in [call for call, due in self._timeouts.items() if due <= now.mono_us]:
            self._fail(call, now)

    def _fail(self, call: int, now: Instant) -> None:
        self._failures += 1
        most = min(
            self.options.backoff_last_us, self.options.backoff_first_us << min(self._failures, 20)
        )
        retry = now.mono_us + int(most * self._rng.uniform(0.5, 1.0))
        if call == self._register_call:
            self._register_due = retry
        elif call == self._beat_call:
            self._beat_due = (
                retry
                if not self._beat_interval_us
                else min(retry, now.mono_us + self._beat_interval_us)
            )
        elif call == self._report_call:
            self._report_due = retry
        self._done(call)

    def _current_epoch(self, epoch: int, call: int, now: Instant, effects: Effects) -> bool:
        """Ends the call; False when it was answered under an older epoch, and then the registration
        is given up too."""
        self._done(call)
        if epoch < self.epoch:
            self._lose_registration(now.mono_us + self.options.backoff_first_us)
            return False
        self._saw_epoch(epoch, now, effects)
        self._failures = 0
        return True

    def _lose_registration(self, register_due: int) -> None:
        for call in [call for call in (self._beat_call, self._report_call) if call is not None]:
            self._done(call)
        self.registered = False
        self._register_due = register_due

    def _schedule_full_report(self, now: Instant) -> None:
        jitter = self._rng.uniform(
            1 - self.options.full_report_jitter, 1 + self.options.full_report_jitter
        )
        self._full_report_due = now.mono_us + int(self.options.full_report_interval_us * jitter)

    # ── durable state ─────────────────────────────────────────────────────────────────────────────

    def _saw_epoch(self, epoch: int, now: Instant, effects: Effects) -> None:
        if epoch > self.epoch:
            self._edit(e.EpochSeen(epoch), now, effects)

    def _edit(self, op: e.EpochSeen | e.ClusterAdopted, now: Instant, effects: Effects) -> None:
        edit = Edit(self._txid + 1, self.epoch, now.wall_us, op)
        self.apply(edit)
        effects.journal.append(edit)
