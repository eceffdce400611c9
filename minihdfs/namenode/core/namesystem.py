"""The namenode's core behind its one face: `step(event, now)` → edits (already applied) and
messages (to be released once those are durable).

Requests get exactly one `Answer` or `Refusal`; datanodes get their replies. A refusal is raised as
an `FsError` inside and leaves as data. Until `LeadershipGained` everything is refused with Standby.
Long work (content summaries, burying a datanode, reclaiming a deleted tree) is done in slices
between events: `next_deadline` is "now" while any is left.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from clusterkit.effects import Edit, Effects, Event, Instant, Send, Tick
from minihdfs.errors import FsError
from minihdfs.namenode.core import events, term
from minihdfs.namenode.core.attributes import calls as attributes
from minihdfs.namenode.core.attributes import edits as attribute_edits
from minihdfs.namenode.core.blocks import calls as blocks
from minihdfs.namenode.core.blocks import edits as block_edits
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.datanodes import calls as datanodes
from minihdfs.namenode.core.datanodes import edits as datanode_edits
from minihdfs.namenode.core.datanodes.replicas import skip_ids
from minihdfs.namenode.core.files import calls as files
from minihdfs.namenode.core.files import edits as file_edits
from minihdfs.namenode.core.files import lease_recovery, pipelines, writing
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
    Then,
    Waits,
)
from minihdfs.namenode.core.registry import Call, merged_calls, merged_edits
from minihdfs.namenode.core.request import Caller
from minihdfs.namenode.core.retries import asked_by
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import calls as tree
from minihdfs.namenode.core.tree import edits as tree_edits
from minihdfs.namenode.core.tree import publish, reads
from minihdfs.namenode.core.tree.elected import TRACKER

REQUESTS = merged_calls(
    tree.CALLS,
    reads.CALLS,
    publish.CALLS,
    files.CALLS,
    writing.CALLS,
    pipelines.CALLS,
    lease_recovery.CALLS,
    blocks.CALLS,
    datanodes.CALLS,
    attributes.CALLS,
)
EDITS = merged_edits(
    term.EDITS,
    tree_edits.EDITS,
    file_edits.EDITS,
    block_edits.EDITS,
    datanode_edits.EDITS,
    attribute_edits.EDITS,
)


class Namesystem:
    def __init__(self, options: Options, store: Store, rng: random.Random) -> None:
        """Opens on what the store holds; the journal after `self.txid` is then replayed through
        `apply`."""
        self.state = State(options, store, rng, EDITS)
        self._monitor = Monitor(self.state)

    @property
    def txid(self) -> int:
        """Of the last edit applied (at first: of the store)."""
        return self.state.txid

    @property
    def epoch(self) -> int:
        return self.state.epoch

    # ── the core's face ───────────────────────────────────────────────────────────────────────────

    def step(self, event: Event, now: Instant) -> Effects:
        state = self.state
        state.now = now
        effects = state.effects = Effects()
        if state.leading:
            self._monitor.credit_pause()
        kind = type(event)
        call = REQUESTS.get(kind)
        if call is not None:
            self._request(call, event)
        elif kind in datanodes.MESSAGES:
            handler = datanodes.MESSAGES[kind]
            state.send(
                event.reply_to,
                handler(state, event) if state.leading else term.not_leading(state),
            )
        elif kind is Tick:
            if state.leading:
                self._tick()
        elif kind is events.LeadershipGained:
            self._lead(event)
        elif kind is events.EpochCeiling:
            self._ceiling(event)
        elif kind is events.StoreFlushed:
            self.flushed(event.txid)
        elif kind is events.StoreLags:
            state.safemode.store_lags = event.reason
            if not event.reason:
                self._wake(STORE_CATCHES_UP)
        elif kind is events.StoreSpaceChanged:
            state.safemode.no_space = event.reason
            if state.leading:
                skip_ids(state)
        else:
            raise TypeError(f"the namenode knows no event {kind.__name__}")
        while state.came:
            self._wake(state.came.popleft())
        if not state.safemode.on and state.parking.is_awaited(SAFE_MODE_ENDS):
            self._wake(SAFE_MODE_ENDS)
        return effects

    def next_deadline(self) -> int | None:
        if not self.state.leading:
            return None
        if self.state.work:
            return 0
        parked = self.state.parking.next_deadline()
        due = self._monitor.next_deadline()
        return due if parked is None else min(due, parked)

    def apply(self, edit: Edit) -> None:
        self.state.apply(edit)

    def check_invariants(self) -> None:
        check_all(self.state)

    # ── the store behind it ───────────────────────────────────────────────────────────────────────

    def freeze(self) -> Batch | None:
        """What changed since the last batch, up to the last edit applied: call it when all of those
        are durable, between steps.

        None while the last batch has not come back as StoreFlushed, or when nothing changed."""
        return self.state.overlay.freeze(self.state.counters())

    def flushed(self, txid: int) -> None:
        """The store holds every edit up to this one. Usually said by the event StoreFlushed;
        directly only after the last step."""
        self.state.overlay.flushed(txid)

    def dirty_records(self) -> int:
        """Records in memory that the store on disk lacks: the shell bounds it by waiting for the
        flusher."""
        return self.state.overlay.dirty_records()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    def _request(self, call: Call, event: Any, parked: Parked | None = None) -> None:
        """One request, or (`parked`) what is left of one that waited."""
        state = self.state
        kept = event.retried and bool(event.caller.client_id)
        state.asked = asked = asked_by(event) if kept else 0
        before = state.txid
        try:
            if not state.leading:
                value: Any = term.not_leading(state)
            elif kept and (known := state.retries.find(event.caller, asked)):
                value, kept = _told_before(state, call, event, known.answer), False
            elif kept and (told := state.retries.find_soft(event.caller, asked)):
                state.effects.sends.append(Send(event.caller.reply_to, told))
                return
            else:
                value = self._carried_out(
                    call.handler if parked is None else parked.handler, event, parked
                )
                if value is PARKED:
                    return
        except FsError as refused:
            value = Refusal(type(refused), refused.message)
        if type(value) is reads.Summary:
            if not value():
                state.work.append(value)
            return
        message = value if type(value) is Refusal else Answer(value)
        if kept:
            self._tell_again(event.caller, asked, message, before)
        state.effects.sends.append(Send(event.caller.reply_to, message))

    def _carried_out(self, handler: Any, event: Any, parked: Parked | None) -> Any:
        """The handler's value, or PARKED. A handler that parks will be called again from its first
        line, so it may have committed nothing: what has, and must wait, says with `Then` which
        handler goes on."""
        state = self.state
        while True:
            before = state.txid
            try:
                value = handler(state, event)
            except Waits as waits:
                assert state.txid == before, (
                    f"{type(event).__name__} waits for {waits.awaited} after it committed an edit"
                )
                deadline_us = (
                    state.now.mono_us + state.options.park_us
                    if parked is None
                    else parked.deadline_us
                )
                state.parking.add(event, waits, deadline_us, handler)
                return PARKED
            if type(value) is not Then:
                return value
            handler = value.handler

    def _tell_again(
        self, caller: Caller, asked: int, message: Answer | Refusal, before: int
    ) -> None:
        """An answer that no edit carries is kept here; but "come back later" is no answer: the call
        is meant to be repeated."""
        state = self.state
        later = type(message) is Refusal and message.error.retryable
        if not later and (state.txid == before or state.retries.find(caller, asked) is None):
            state.retries.remember_soft(caller, asked, message)

    def _wake(self, awaited: int) -> None:
        """It came: those who waited for it are stepped again, with what is left of their
        patience."""
        for parked in self.state.parking.take(awaited):
            self._request(REQUESTS[type(parked.event)], parked.event, parked)

    def _ceiling(self, event: events.EpochCeiling) -> None:
        """The coordinator's word: whom it was asked for is answered now, who came since asks anew
        where need be."""
        if event.service != TRACKER:
            return
        known = self.state.elected
        known.ceiling, known.asking = max(known.ceiling, event.number), False
        for parked in self.state.parking.take(EPOCH_ASKED):
            self._impatiently(parked)
        self._wake(EPOCH_NEXT)

    def _tick(self) -> None:
        state = self.state
        for parked in state.parking.overdue(state.now.mono_us):
            self._too_late(parked)
        if state.work:
            piece = state.work.popleft()
            if not piece():
                state.work.append(piece)
        self._monitor.run()

    def _too_late(self, parked: Parked) -> None:
        if parked.late is not None:
            self.state.send(parked.event.caller.reply_to, parked.late)
            return
        self._impatiently(parked)

    def _impatiently(self, parked: Parked) -> None:
        event = parked.event
        event = replace(event, caller=replace(event.caller, patient=False))
        now_us = self.state.now.mono_us + self.state.options.park_us
        self._request(REQUESTS[type(event)], event, parked._replace(deadline_us=now_us))

    def _lead(self, event: term.LeadershipGained) -> None:
        """The first edits of a term: its epoch, and on a fresh store the root."""
        state = self.state
        assert event.epoch > state.epoch or (event.epoch == state.epoch and not state.leading), (
            f"epoch {event.epoch} after {state.epoch}"
        )
        state.begin_term(event.epoch)
        state.commit(term.LeadershipTaken(event.epoch))
        if not state.has_root():
            state.commit(tree_edits.RootMade(state.options.superuser, state.options.supergroup))
        state.led_us = state.now.mono_us
        state.safemode.start(state.now)
        state.leases.start(state.now.mono_us)
        self._monitor.start()


PARKED = object()


def _told_before(state: State, call: Call, event: Any, answer: Any) -> Any:
    """A repetition's answer, of what the retry table kept."""
    if event.void:
        return None
    return answer if call.again is None else call.again(state, event, answer)
