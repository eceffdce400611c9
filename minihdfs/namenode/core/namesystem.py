"""The namenode's core behind its one face: `step(event, now)` → edits (already applied) and
messages (to be released once those are durable).

Requests get exactly one `Answer` or `Refusal`; datanodes get their replies. A refusal is raised as
an `FsError` inside and leaves as data. Until `LeadershipGained` everything is refused with Standby.
Long work (content summaries, burying a datanode, reclaiming a deleted tree) is done in slices
between events: `next_deadline` is "now" while any is left.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from clusterkit.effects import Edit, Effects, Event, Instant, Send, Tick
from minihdfs.errors import FsError
from minihdfs.namenode.core import (
    changes,
    deleting,
    edits,
    elected,
    events,
    lease_recovery,
    reads,
    reports,
    writing,
)
from minihdfs.namenode.core.appliers import APPLIERS
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.invariants import check_all
from minihdfs.namenode.core.monitor import Monitor
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.overlay import Batch, Store
from minihdfs.namenode.core.parking import (
    EPOCH_ASKED,
    EPOCH_NEXT,
    SAFE_MODE_ENDS,
    STORE_CATCHES_UP,
    Parked,
    Waits,
)
from minihdfs.namenode.core.rooms import Rooms

Handler = Callable[[Rooms, Any], Any]

REQUESTS: dict[type, Handler] = {
    events.GetFileInfo: reads.get_file_info,
    events.GetListing: reads.get_listing,
    events.GetBlockLocations: reads.get_block_locations,
    events.GetContentSummary: reads.get_content_summary,
    events.GetFsStats: reads.get_fs_stats,
    events.GetServerDefaults: reads.get_server_defaults,
    events.GetDatanodeReport: reads.get_datanode_report,
    events.IsFileClosed: reads.is_file_closed,
    events.CheckAccess: reads.check_access,
    events.SetSafeMode: reads.safe_mode,
    events.Mkdirs: changes.mkdirs,
    events.Create: writing.create,
    events.AddBlock: writing.add_block,
    events.AbandonBlock: writing.abandon_block,
    events.Complete: writing.complete,
    events.Fsync: writing.fsync,
    events.RenewLease: writing.renew_lease,
    events.RecoverLease: lease_recovery.recover_lease,
    events.AbandonFile: writing.abandon_file,
    events.Rename: changes.rename,
    events.Rename2: changes.rename2,
    events.RenameMany: changes.rename_many,
    events.Delete: deleting.delete,
    events.SetPermission: changes.set_permission,
    events.SetOwner: changes.set_owner,
    events.SetTimes: changes.set_times,
    events.SetReplication: changes.set_replication,
    events.Publish: changes.publish,
    elected.ResetTrackerEpoch: elected.reset_tracker_epoch,
    events.ReportBadBlocks: reports.report_bad_blocks,
    events.UpdateBlockForPipeline: writing.update_block_for_pipeline,
    events.UpdatePipeline: writing.update_pipeline,
    events.GetAdditionalDatanode: writing.get_additional_datanode,
}

Again = Callable[[Rooms, Any, Any], Any]


def _void(_rooms: Rooms, _event: Any, _answer: Any) -> None:
    return None


def _itself(_rooms: Rooms, _event: Any, answer: Any) -> Any:
    return answer


AT_MOST_ONCE: dict[type, Again] = {
    events.Create: writing.created_before,
    events.Mkdirs: _itself,
    events.Rename: _itself,
    events.Rename2: _void,
    events.RenameMany: _void,
    events.Delete: _itself,
    events.Publish: _itself,
    events.SetPermission: _void,
    events.SetOwner: _void,
    events.SetTimes: _void,
    events.SetReplication: _itself,
    events.UpdatePipeline: _void,
    events.AbandonFile: _itself,
    # Those below never have an entry in the table: what their edits changed answers for them, or
    # nothing durable was changed.
    events.AddBlock: _itself,
    events.AbandonBlock: _itself,
    events.Complete: _itself,
    events.Fsync: _itself,
    events.RecoverLease: _itself,
    events.SetSafeMode: _itself,
    events.UpdateBlockForPipeline: _itself,
    events.GetAdditionalDatanode: _itself,
}
"""Calls whose repetition is told what the first transmission was told and does nothing, and how a
kept answer becomes the value that was given. HDFS calls some of them idempotent, but one that was
overtaken by the caller's next change would undo it: a mkdirs or a recoverLease that arrives again
after the delete or the next create, a deletion of nothing after something came there."""

DATANODE_EVENTS: dict[type, Handler] = {
    events.RegisterDatanode: reports.registered,
    events.Heartbeat: reports.heartbeat,
    events.FullBlockReport: reports.full_block_report,
    events.BlocksChanged: reports.blocks_changed,
    events.ReplicasFoundBad: reports.replicas_found_bad,
}


class Namesystem:
    def __init__(self, options: Options, store: Store, rng: random.Random) -> None:
        """Opens on what the store holds; the journal after `self.txid` is then replayed through
        `apply`."""
        self.rooms = Rooms(options, store, rng)
        self.rooms.apply = self.apply
        self.rooms.wake = self._wake
        self._monitor = Monitor(self.rooms)

    @property
    def txid(self) -> int:
        """Of the last edit applied (at first: of the store)."""
        return self.rooms.txid

    @property
    def epoch(self) -> int:
        return self.rooms.epoch

    # ── the core's face ───────────────────────────────────────────────────────────────────────────

    def step(self, event: Event, now: Instant) -> Effects:
        rooms = self.rooms
        rooms.now = now
        effects = rooms.effects = Effects()
        if rooms.leading:
            self._monitor.credit_pause()
        kind = type(event)
        handler = REQUESTS.get(kind)
        if handler is not None:
            self._request(kind, handler, event)
        elif kind in DATANODE_EVENTS:
            reply = (
                DATANODE_EVENTS[kind](rooms, event) if rooms.leading else reports.not_leading(rooms)
            )
            rooms.send(event.reply_to, reply)
        elif kind is Tick:
            if rooms.leading:
                self._tick()
        elif kind is events.LeadershipGained:
            self._lead(event)
        elif kind is events.EpochCeiling:
            self._ceiling(event)
        elif kind is events.StoreFlushed:
            self.flushed(event.txid)
        elif kind is events.StoreLags:
            rooms.safemode.store_lags = event.reason
            if not event.reason:
                self._wake(STORE_CATCHES_UP)
        elif kind is events.StoreSpaceChanged:
            rooms.safemode.no_space = event.reason
            if rooms.leading:
                reports.skip_ids(rooms)
        else:
            raise TypeError(f"the namenode knows no event {kind.__name__}")
        if not rooms.safemode.on and rooms.parking.is_awaited(SAFE_MODE_ENDS):
            self._wake(SAFE_MODE_ENDS)
        return effects

    def next_deadline(self) -> int | None:
        if not self.rooms.leading:
            return None
        if self.rooms.work:
            return 0
        parked = self.rooms.parking.next_deadline()
        due = self._monitor.next_deadline()
        return due if parked is None else min(due, parked)

    def apply(self, edit: Edit) -> None:
        rooms = self.rooms
        assert edit.txid == rooms.txid + 1, f"edit {edit.txid} follows {rooms.txid}"
        APPLIERS[type(edit.op)](rooms, edit.op, edit.wall_us // 1000)
        rooms.txid, rooms.log_us = edit.txid, edit.log_us
        rooms.retries.remember(edit)

    def check_invariants(self) -> None:
        check_all(self.rooms)

    # ── the store behind it ───────────────────────────────────────────────────────────────────────

    def freeze(self) -> Batch | None:
        """What changed since the last batch, up to the last edit applied: call it when all of those
        are durable, between steps.

        None while the last batch has not come back as StoreFlushed, or when nothing changed."""
        return self.rooms.overlay.freeze(self.rooms.counters())

    def flushed(self, txid: int) -> None:
        """The store holds every edit up to this one. Usually said by the event StoreFlushed;
        directly only after the last step."""
        self.rooms.overlay.flushed(txid)

    def dirty_records(self) -> int:
        """Records in memory that the store on disk lacks: the shell bounds it by waiting for the
        flusher."""
        return self.rooms.overlay.dirty_records()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    def _request(
        self, kind: type, handler: Handler, event: Any, deadline_us: int | None = None
    ) -> None:
        rooms = self.rooms
        again = AT_MOST_ONCE.get(kind) if event.caller.client_id else None
        before = rooms.txid
        try:
            if not rooms.leading:
                value: Any = reports.not_leading(rooms)
            elif again is not None and (known := rooms.retries.find(event.caller)) is not None:
                value, again = again(rooms, event, known.answer), None
            elif again is not None and (told := rooms.retries.find_soft(event.caller)) is not None:
                rooms.effects.sends.append(Send(event.caller.reply_to, told))
                return
            else:
                value = handler(rooms, event)
        except FsError as refused:
            value = Refusal(type(refused), refused.message)
        except Waits as waits:
            rooms.parking.add(
                event,
                waits,
                rooms.now.mono_us + rooms.options.park_us if deadline_us is None else deadline_us,
            )
            return
        if type(value) is reads.Summary:
            if not value():
                rooms.work.append(value)
            return
        message = value if type(value) is Refusal else Answer(value)
        if again is not None:
            self._tell_again(event.caller, message, before)
        rooms.effects.sends.append(Send(event.caller.reply_to, message))

    def _tell_again(self, caller: events.Caller, message: Answer | Refusal, before: int) -> None:
        """An answer that no edit carries is kept here; but "come back later" is no answer: the call
        is meant to be repeated."""
        rooms = self.rooms
        later = type(message) is Refusal and message.error.retryable
        if not later and (rooms.txid == before or rooms.retries.find(caller) is None):
            rooms.retries.remember_soft(caller, message)

    def _wake(self, awaited: int) -> None:
        """It came: those who waited for it are stepped again, with what is left of their
        patience."""
        for parked in self.rooms.parking.take(awaited):
            self._request(
                type(parked.event), REQUESTS[type(parked.event)], parked.event, parked.deadline_us
            )

    def _ceiling(self, event: events.EpochCeiling) -> None:
        """The coordinator's word: whom it was asked for is answered now, who came since asks anew
        where need be."""
        if event.service != elected.TRACKER:
            return
        known = self.rooms.elected
        known.ceiling, known.asking = max(known.ceiling, event.number), False
        for parked in self.rooms.parking.take(EPOCH_ASKED):
            self._impatiently(parked.event)
        self._wake(EPOCH_NEXT)

    def _tick(self) -> None:
        rooms = self.rooms
        for parked in rooms.parking.overdue(rooms.now.mono_us):
            self._too_late(parked)
        if rooms.work:
            piece = rooms.work.popleft()
            if not piece():
                rooms.work.append(piece)
        self._monitor.run()

    def _too_late(self, parked: Parked) -> None:
        if parked.late is not None:
            self.rooms.send(parked.event.caller.reply_to, parked.late)
            return
        self._impatiently(parked.event)

    def _impatiently(self, event: Any) -> None:
        self.rooms.patient = False
        try:
            self._request(type(event), REQUESTS[type(event)], event)
        finally:
            self.rooms.patient = True

    def _lead(self, event: events.LeadershipGained) -> None:
        """The first edits of a term: its epoch, and on a fresh store the root."""
        rooms = self.rooms
        assert event.epoch > rooms.epoch or (event.epoch == rooms.epoch and not rooms.leading), (
            f"epoch {event.epoch} after {rooms.epoch}"
        )
        rooms.begin_term(event.epoch)
        rooms.commit(edits.LeadershipTaken(event.epoch))
        if not rooms.has_root():
            rooms.commit(edits.RootMade(rooms.options.superuser, rooms.options.supergroup))
        rooms.led_us = rooms.now.mono_us
        rooms.safemode.start(rooms.now)
        rooms.leases.start(rooms.now.mono_us)
        self._monitor.start()
