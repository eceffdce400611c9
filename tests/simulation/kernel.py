"""The simulator's kernel: one clock, one queue, one seed. Knows no file system and no job.

Everything that happens is an action in one queue, ordered by (simulated time, number). A *process*
is whatever can crash, stand still and start again; its memory ends with its incarnation, and so do
its timers and what was on its way to it. The *network* loses, doubles, delays and reorders, and
links can be cut in one direction. A *disk journal* keeps what was synced; of the rest a crash keeps
a random prefix. Chance comes from named streams of the seed, so that one part's draws do not shift
another's. `note` feeds a rolling hash: equal seeds, equal traces.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from clusterkit.driver import Driver
from clusterkit.effects import Event, Instant
from clusterkit.journal import JournalRecord
from tests.simulation.torn_disk import survivors

MS = 1_000
SECOND = 1_000_000
EPOCH_WALL_US = 1_700_000_000 * SECOND


class Violation(AssertionError):
    """The system broke a promise; the seed is the bug report."""


class ProcessDied(BaseException):
    """Unwinds a process that a fault ends in the middle of its work. Not an Exception: nothing in
    between may catch it."""


class Kernel:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_us = 1_000 * SECOND
        self.events = 0
        self.processes: dict[str, Process] = {}
        self.network = Network(self)
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self._hash = hashlib.blake2b(digest_size=8)
        self.recent: deque[str] = deque(maxlen=60)

    def stream(self, name: str) -> random.Random:
        """Its own source of chance. (Seeding by a string does not depend on PYTHONHASHSEED.)"""
        return random.Random(f"{self.seed}/{name}")

    def after(self, delay_us: int, action: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._queue, (self.now_us + max(0, delay_us), self._number, action))

    def note(self, text: str) -> None:
        line = f"{self.now_us} {text}"
        self._hash.update(line.encode())
        self.recent.append(line)

    def trace(self) -> str:
        return self._hash.hexdigest()

    def run(self, until_us: int, after_each: Callable[[], None]) -> None:
        """Lets everything happen that is due before `until_us`. `after_each` checks invariants."""
        while self._queue and self._queue[0][0] <= until_us:
            at, _number, action = heapq.heappop(self._queue)
            self.now_us = at
            self.events += 1
            action()
            after_each()
        self.now_us = max(self.now_us, until_us)


class Process:
    """Something with memory that a crash ends. Worlds write `boot`, `receive` and `lose_memory`."""

    # a power loss ends it; clients, whose memory is the ledger of what was promised, say no
    mortal = True

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel, self.name = kernel, name
        self.incarnation = 0
        self.up = False
        self.paused = False
        self._held: list[tuple[int, Callable[[], None]]] = []
        self._die_at = ""
        self._down_until_us = 0
        kernel.processes[name] = self

    # what a world writes

    def boot(self) -> None:
        """Memory is made anew from what the disk kept."""
        raise NotImplementedError

    def receive(self, source: str, message: Any) -> None:
        raise NotImplementedError

    def lose_memory(self) -> None:
        """The process has ended: disks decide what of the unsynced they kept."""

    # what faults do

    def start(self) -> None:
        if not self.up and self.kernel.now_us < self._down_until_us:
            self.kernel.after(self._down_until_us - self.kernel.now_us, self.start)
        elif not self.up:
            self.up = True
            self.incarnation += 1
            self.kernel.note(f"{self.name} starts")
            self.guarded(self.boot)

    def crash(self) -> None:
        if self.up:
            self.kernel.note(f"{self.name} crashes")
            self.up = self.paused = False
            self._held.clear()
            self._die_at = ""
            self.lose_memory()

    def keep_down(self, length_us: int) -> None:
        """What is down stays down at least so long, whoever starts it."""
        self._down_until_us = max(self._down_until_us, self.kernel.now_us + length_us)

    def pause(self) -> None:
        """Stands still: nothing of it happens until `resume`, then everything that came meanwhile,
        in order."""
        if self.up:
            self.kernel.note(f"{self.name} pauses")
            self.paused = True

    def resume(self) -> None:
        if self.paused:
            self.kernel.note(f"{self.name} resumes")
            self.paused = False
            held, self._held = self._held, []
            for incarnation, action in held:
                self.kernel.after(
                    0, lambda incarnation=incarnation, action=action: self._act(incarnation, action)
                )  # type: ignore[misc]

    def die_at(self, point: str) -> None:
        """Ends at the next `reach(point)`."""
        self._die_at = point

    def reach(self, point: str) -> None:
        if self._die_at == point:
            raise ProcessDied(point)

    # what a world uses

    def later(self, delay_us: int, action: Callable[[], None]) -> None:
        """A timer or work of this incarnation."""
        incarnation = self.incarnation
        self.kernel.after(delay_us, lambda: self._act(incarnation, action))

    def send(self, target: str, message: Any, late_us: int = 0) -> None:
        """`late_us`: how long it lies in some buffer on the way before anything else happens to
        it."""
        self.kernel.network.send(self, target, message, late_us)

    def guarded(self, action: Callable[[], None]) -> None:
        """Runs work of this process; a fault inside it, or an error a real process would exit on,
        ends the process."""
        try:
            action()
        except (ProcessDied, OSError) as ended:
            self.kernel.note(f"{self.name} died: {ended}")
            self.crash()

    def _act(self, incarnation: int, action: Callable[[], None]) -> None:
        if not self.up or incarnation != self.incarnation:
            return
        if self.paused:
            self._held.append((incarnation, action))
            return
        self.guarded(action)


class Network:
    """Unreliable messages between processes. Those for a receiver that has restarted since are lost
    with its connection."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._rng = kernel.stream("network")
        self.loss = self.duplication = self.slow = 0.0
        self.cuts: set[tuple[str, str]] = set()  # only asked for membership
        self.filter: Callable[[str, str, Any], Any] = lambda _source, _target, message: message
        """A world's own faults: may change a message, or answer None to swallow it."""

    def send(self, source: Process, target: str, message: Any, late_us: int = 0) -> None:
        receiver = self._kernel.processes[target]
        if (source.name, target) in self.cuts or not receiver.up or self._rng.random() < self.loss:
            return
        incarnation, name = receiver.incarnation, source.name
        for _ in range(2 if self._rng.random() < self.duplication else 1):
            delay = self._rng.randrange(100, 2 * MS)
            if self._rng.random() < self.slow:
                delay = self._rng.randrange(20 * MS, 3 * SECOND)
            self._kernel.after(
                late_us + delay, lambda: self._arrive(receiver, incarnation, name, message)
            )

    def _arrive(self, receiver: Process, incarnation: int, source: str, message: Any) -> None:
        if (source, receiver.name) in self.cuts:
            return
        passed = self.filter(source, receiver.name, message)
        if passed is None:
            return
        self._kernel.note(f"{source} → {receiver.name} {_kind(passed)}")
        receiver._act(incarnation, lambda: receiver.receive(source, passed))

    def heal(self) -> None:
        self.loss = self.duplication = self.slow = 0.0
        self.cuts.clear()
        self.filter = lambda _source, _target, message: message


def _kind(message: Any) -> str:
    if isinstance(message, tuple):
        return " ".join(_kind(part) for part in message)
    return str(message) if isinstance(message, int | str) else type(message).__name__


class DiskJournal:
    """A `clusterkit.journal.Journal` on a simulated disk. The object is the disk: it outlives the
    process that writes to it."""

    def __init__(self, owner: Process) -> None:
        self._owner = owner
        self._rng = owner.kernel.stream(f"{owner.name}/disk")
        self.durable: list[JournalRecord] = []
        self._pending: list[JournalRecord] = []
        self.fail_next_sync = False
        self.fail_next_append = False
        self.is_full = False

    def read(self, after_txid: int = 0) -> Iterator[JournalRecord]:
        yield from [record for record in self.durable if record.txid > after_txid]

    def append(self, records: Sequence[JournalRecord]) -> None:
        if self.is_full:
            raise Violation(
                f"{self._owner.name} decided {records[0]} although it was told that its disk has "
                "no room"
            )
        if self.fail_next_append:
            self.fail_next_append = False
            self._pending += records[: self._rng.randrange(len(records) + 1)]
            raise OSError("append failed")
        for record in records:
            if record.txid != self.last_txid() + 1:
                raise Violation(
                    f"{self._owner.name}: the journal got txid {record.txid} after "
                    f"{self.last_txid()}"
                )
            self._pending.append(record)

    def sync(self) -> None:
        self._owner.reach("append")
        if self.fail_next_sync:
            self.fail_next_sync = False
            raise OSError("fsync failed")
        self.durable += self._pending
        self._pending = []
        self._owner.reach("fsync")

    def last_txid(self) -> int:
        records = self._pending or self.durable
        return records[-1].txid if records else 0

    def forget(self, up_to_txid: int) -> None:
        pass

    def close(self) -> None:
        pass

    def crash(self) -> None:
        """Of what was not synced some may have reached the disk all the same: a prefix, or pages
        with holes between them, of which the real journal then makes out what is whole."""
        kept = self._rng.randrange(len(self._pending) + 1) if self._pending else 0
        if self._pending and self._rng.random() < 0.2:
            kept = survivors(self._rng, self.durable, self._pending)
        self.durable += self._pending[:kept]
        self._pending = []


class ProcessClock:
    """A process's view of time: its monotonic clock starts anywhere, its wall clock is off by up to
    a day."""

    def __init__(self, kernel: Kernel, rng: random.Random) -> None:
        self._kernel, self._rng = kernel, rng
        self._mono = rng.randrange(SECOND, 1_000 * SECOND)
        self.set_wall()

    def set_wall(self) -> None:
        """Somebody sets the wall clock (or another machine goes on with this one's work)."""
        self._wall = self._rng.randrange(-86_400, 86_400) * SECOND

    def now(self) -> Instant:
        return Instant(
            self._kernel.now_us + self._mono, EPOCH_WALL_US + self._kernel.now_us + self._wall
        )

    def until(self, mono_us: int) -> int:
        """Microseconds from now until this clock shows `mono_us`."""
        return mono_us - self._kernel.now_us - self._mono


class CoreProcess(Process):
    """A process that is a core behind the real `Driver`: `boot` makes `self.driver`, `turn` gives
    it events, deadlines wake it."""

    driver: Driver
    clock: ProcessClock

    def __init__(self, kernel: Kernel, name: str) -> None:
        super().__init__(kernel, name)
        self.journal = DiskJournal(self)
        self.clock = ProcessClock(kernel, kernel.stream(f"{name}/clock"))
        self._wakes_at: int | None = None

    def lose_memory(self) -> None:
        self._wakes_at = None
        self.journal.crash()
        if self.kernel.stream(f"{self.name}/wall/{self.incarnation}").random() < 0.3:
            self.clock.set_wall()

    def turn(self, *events: Event) -> None:
        self.driver.turn(events)
        self._arm()

    def set_full(self, full: bool) -> None:
        """The disk under the journal has no room any more, or has again. Worlds whose core is told
        of it override this."""

    def _arm(self) -> None:
        deadline = self.driver.core.next_deadline()
        if deadline is None:
            return
        at = self.kernel.now_us + max(0, self.clock.until(deadline))
        if self._wakes_at is not None and self.kernel.now_us < self._wakes_at <= at:
            return
        self._wakes_at = at
        self.later(at - self.kernel.now_us, lambda: self._wake(at))

    def _wake(self, at: int) -> None:
        if self._wakes_at == at:
            self._wakes_at = None
            self.turn()
