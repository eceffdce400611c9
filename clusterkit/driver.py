"""The one loop that runs every core: step each event, append every edit, one fsync, then release
what was held behind it.

A `Driver` owns the only reference to its core while it runs. `turn` is one round and can be called
by a loop that has its own way to wait (the namenode's selector, the simulator); `run` waits on an
inbox that any thread may `post` to. An append or fsync that fails raises out of the loop, and the
root exits: memory is discarded, never undone.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from clusterkit.clock import Clock
from clusterkit.effects import Core, Edit, Event, Send, Tick
from clusterkit.errors import CorruptRecord, Fenced
from clusterkit.journal import Journal, JournalRecord

MAX_BATCH = 512
TURN_US = 20_000
"""One turn takes so many events, or as many as were stepped in so long: bounds how long the first
reply waits for the last step."""
STUCK_US = 1_000_000
"""A turn that lasts longer does not count as life: the lease is not renewed meanwhile. (Half of the
shortest session that makes sense; a disk that stalls for less than the rest of the lease costs
nothing.)"""


def within_a_turn(take: Callable[[], Event | None], clock: Clock) -> Iterator[Event]:
    """What one turn may take from a source that gives None when it is empty. The clock is asked
    after each step."""
    began_us = clock.now().mono_us
    for _ in range(MAX_BATCH):
        event = take()
        if event is None:
            return
        yield event
        if clock.now().mono_us - began_us >= TURN_US:
            return


class EditCodec(Protocol):
    def encode(self, value: Any) -> bytes: ...
    def decode(self, data: bytes) -> Any: ...


class Driver:
    def __init__(
        self,
        core: Core,
        journal: Journal,
        codec: EditCodec,
        deliver: Callable[[Send], None],
        clock: Clock,
        *,
        durable: Callable[[list[Edit]], None] = lambda _edits: None,
        lease_deadline_us: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`durable` hears of edits after their fsync (a namespace store takes them from there).
        `lease_deadline_us` is the moment, in mono_us, until which this process may speak; None
        means for ever. Past it the driver raises Fenced instead of writing or speaking: a deposed
        leader that only ticks ends too."""
        self.core = core
        self._journal, self._codec, self._deliver, self._clock = journal, codec, deliver, clock
        self._durable, self._lease_deadline_us = durable, lease_deadline_us
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._stopping = False
        self._turn_began_us: int | None = None
        self.holds = False  # this turn's answers wait for an fsync

    def replay(self, after_txid: int = 0) -> int:
        """Applies every journaled edit above `after_txid` (what a store beside the journal holds
        already); returns how many.

        Raises CorruptRecord when edits between the two are missing: a journal that was cut, or is
        not this store's.
        """
        last = self._journal.last_txid()
        if last < after_txid:
            raise CorruptRecord(
                f"edit log ends at txid {last}, but its store holds edits up to txid "
                f"{after_txid}: edits {last + 1} on are missing"
            )
        count = 0
        for record in self._journal.read(after_txid):
            if record.txid != after_txid + count + 1:
                raise CorruptRecord(
                    f"edit log begins at txid {record.txid}, but its store ends at {after_txid}: "
                    "edits between are missing"
                )
            self.core.apply(self._codec.decode(record.payload))
            count += 1
        return count

    def post(self, event: Event) -> None:
        """Queues an event from any thread."""
        self._inbox.put(event)

    def stop(self) -> None:
        """Ends `run` after the turn it is in. Any thread or signal handler may call it."""
        self._stopping = True
        self._inbox.put(None)

    def alive(self) -> bool:
        """False while a turn lasts too long (a disk that hangs, a step without end) and after one
        has raised. Any thread may ask."""
        began_us = self._turn_began_us
        return began_us is None or self._clock.now().mono_us - began_us < STUCK_US

    def run(self) -> None:
        while not self._stopping:
            first = self._wait()
            self.turn([] if first is None else within_a_turn(self._taker(first), self._clock))

    def _wait(self) -> Event | None:
        """Blocks until an event or the core's deadline."""
        deadline = self.core.next_deadline()
        timeout_s = (
            None if deadline is None else max(0.0, (deadline - self._clock.now().mono_us) / 1e6)
        )
        try:
            return self._inbox.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _taker(self, first: Event) -> Callable[[], Event | None]:
        waiting = [first]

        def take() -> Event | None:
            try:
                return waiting.pop() if waiting else self._inbox.get_nowait()
            except queue.Empty:
                return None

        return take

    def turn(self, events: Iterable[Event]) -> int:
        """One round; adds a Tick when the core's deadline has passed. Returns the number of sends
        released."""
        self._turn_began_us, self.holds = self._clock.now().mono_us, False
        edits: list[Edit] = []
        sends: list[Send] = []
        released = 0
        for event in events:
            effects = self.core.step(event, self._clock.now())
            edits += effects.journal
            sends += effects.sends
            self.holds = bool(edits)
            if not edits:  # nothing that these answers may know of is not durable yet
                released += self._release(sends)
        deadline = self.core.next_deadline()
        if deadline is not None and deadline <= self._clock.now().mono_us:
            effects = self.core.step(Tick(), self._clock.now())
            edits += effects.journal
            sends += effects.sends
        if edits:
            self._check_lease("its edits were written")
            self._journal.append(
                [JournalRecord(edit.txid, edit.epoch, self._codec.encode(edit)) for edit in edits]
            )
            self._journal.sync()
            self._durable(edits)
        released += self._release(sends)
        self._turn_began_us = None
        return released

    def _release(self, sends: list[Send]) -> int:
        count = len(sends)
        for send in sends:
            self._check_lease("its answers could leave")
            self._deliver(send)
        sends.clear()
        return count

    def _check_lease(self, what: str) -> None:
        deadline = self._lease_deadline_us()
        if deadline is not None and self._clock.now().mono_us >= deadline:
            raise Fenced(f"the leader's lease ran out before {what}", next_command="mrc status")
