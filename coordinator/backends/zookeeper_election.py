"""Election over ZooKeeper: our own recipe, because its locks are not mutual exclusion and kazoo's
trust them.

To lead is to own the ephemeral node `leaders/SERVICE`. It is made in one transaction with the bump
of the counter `epochs/SERVICE`, so an epoch belongs to exactly one leader and two candidates cannot
both succeed. When the outcome of that transaction is unknown (the connection broke), reading the
node back tells: it carries the attempt's GUID. A node of the same candidate id *and place* is
replaced at once: the lock of the data directory proves its process dead. The same id from elsewhere
(a copied directory) waits until that session ends. Candidates that lost watch the node and look
again at least once a second.

The lease: a thread commits a transaction that only checks: nobody was elected since (the counter's
version), and our node stands. Unlike a read, even one after `sync`, it needs a quorum, so a server
that was cut off, or deposed and has not noticed, cannot answer it (measured: a leading server
without followers answered `sync` for 2.5 s); unlike a write it wakes no watch. Each success moves
the deadline to two thirds of the granted session timeout after the moment *before* it was sent. The
last third covers that a follower passes on a client's sign of life only every half tick, and a
session lasts at least two. The deadline passes by itself, whatever kazoo says or does not say. It
is not moved while the leader itself does not work (`alive`); once it has passed, the node is taken
away, so that somebody else can lead.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from clusterkit import errors
from clusterkit.clock import Clock
from clusterkit.errors import ClusterError, CorruptRecord
from coordinator.api import Candidate, Leader
from coordinator.backends.zookeeper_session import (
    Check,
    Create,
    Delete,
    Node,
    Replace,
    ZooKeeperSession,
)
from coordinator.errors import MAX_EPOCH, check_epoch, check_name

log = logging.getLogger(__name__)
LOOK_AGAIN_S = 1.0
RETRY_S = 0.1
ANY_VERSION = -1
SILENT, DEAD = (
    "no word from ZooKeeper",
    "this process does not work: its loop has not turned for too long",
)
MAX_EPOCH_DIGITS = len(str(MAX_EPOCH))


class LeaderRecord(msgspec.Struct, frozen=True):
    """What `leaders/SERVICE` holds, as JSON."""

    id: str
    address: str
    epoch: int
    guid: str
    place: str = ""


class Hooks(NamedTuple):
    """What a leadership calls: `on_lost` once it is over for sure, `alive` before each renewal."""

    on_lost: Callable[[], None]
    alive: Callable[[], bool]


class ZooKeeperLeadership:
    """Ours until `deadline_us`; ends for good when it is lost, resigned or runs out."""

    def __init__(
        self,
        session: ZooKeeperSession,
        clock: Clock,
        path: str,
        record: LeaderRecord,
        epoch_node: tuple[str, int],
        hooks: Hooks,
    ) -> None:
        self.epoch = record.epoch
        self._session, self._clock, self._path = session, clock, path
        self._epoch_node, self._hooks = epoch_node, hooks
        self._deadline_us = 0
        self._ended, self._look = threading.Event(), threading.Event()
        self._end_lock = threading.Lock()

    def deadline_us(self) -> int | None:
        return self._deadline_us

    def begin(self) -> bool:
        """Takes the first lease; False when the node is not ours after all."""
        if not self._renew(self._clock.now().mono_us, self._session.timeout_us / 1e6):
            return False
        self._session.on_change(self._look.set)
        threading.Thread(target=self._keep, name=f"lease {self._path}", daemon=True).start()
        return True

    def resign(self) -> None:
        """Only the node of this very election goes: each election bumps the epoch's version."""
        if not self._end():
            return
        try:
            self._take_away()
        except ClusterError as error:
            log.warning("%s is given up, but ZooKeeper does not know it yet: %s", self._path, error)

    def _take_away(self) -> None:
        self._session.transact([Check(*self._epoch_node), Delete(self._path, ANY_VERSION)])

    def _keep(self) -> None:
        timeout_s = self._session.timeout_us / 1e6
        pause_s, last = timeout_s / 8, SILENT
        while not self._ended.is_set():
            self._look.wait(
                min(pause_s, max(0.0, (self._deadline_us - self._clock.now().mono_us) / 1e6))
            )
            self._look.clear()
            sent_us = self._clock.now().mono_us
            left_s = (self._deadline_us - sent_us) / 1e6
            if left_s <= 0:
                self._lose(f"its lease ran out: {last}")
                self._give_up_node()
                return
            if not self._hooks.alive():
                if last != DEAD:
                    log.warning(
                        "lease of %s is not renewed (%.2f s left): %s", self._path, left_s, DEAD
                    )
                last, pause_s = DEAD, timeout_s / 20
                continue
            last = SILENT
            try:
                ours = self._renew(sent_us, min(left_s, timeout_s / 4))
            except ClusterError as error:
                log.info("lease of %s is not renewed (%.2f s left): %s", self._path, left_s, error)
                pause_s = min(timeout_s / 20, left_s)
                continue
            pause_s = timeout_s / 8
            if not ours:
                self._lose("another leads, or the session ended")

    def _give_up_node(self) -> None:
        """The session may be well, and this process, which does not work, keeps its node for ever:
        nobody else would be elected. Tried for as long as the session can still be ours; then the
        node has gone with it."""
        until_us = self._clock.now().mono_us + self._session.timeout_us
        while self._clock.now().mono_us < until_us:
            try:
                self._take_away()
                return
            except ClusterError as error:
                log.info("%s is not given up yet: %s", self._path, error)
                self._look.wait(RETRY_S)
                self._look.clear()

    def _renew(self, sent_us: int, timeout_s: float) -> bool:
        if not self._session.transact(
            [Check(*self._epoch_node), Check(self._path, ANY_VERSION)], timeout_s
        ):
            return False
        lease_us = sent_us + self._session.timeout_us * 2 // 3
        with self._end_lock:
            if not self._ended.is_set():
                self._deadline_us = lease_us
        return True

    def _lose(self, why: str) -> None:
        if self._end():
            log.warning("leadership of %s (epoch %d) is lost: %s", self._path, self.epoch, why)
            self._hooks.on_lost()

    def _end(self) -> bool:
        with self._end_lock:
            if self._ended.is_set():
                return False
            self._ended.set()
            self._deadline_us = 0
        self._look.set()
        return True


class ZooKeeperElection:
    def __init__(self, session: ZooKeeperSession, root: str, clock: Clock) -> None:
        self._session, self._root, self._clock = session, root, clock
        self.closed = threading.Event()
        self._led: list[ZooKeeperLeadership] = []

    def leader(self, service: str) -> Leader | None:
        record = parse(self._session.get(self._path("leaders", service)))
        return Leader(record.id, record.address, record.epoch) if record else None

    def highest_epoch(self, service: str) -> int:
        path = self._path("epochs", service)
        node = self._session.get(path)
        return _number(path, node) if node is not None else 0

    def campaign(
        self,
        service: str,
        candidate: Candidate,
        *,
        at_least_epoch: int = 0,
        on_lost: Callable[[], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> ZooKeeperLeadership:
        path, epochs = self._path("leaders", service), self._path("epochs", service)
        check_epoch(at_least_epoch)
        guid, look, hooks = uuid.uuid4().hex, threading.Event(), Hooks(on_lost, alive)
        self._session.on_change(look.set)
        prepared = False

        def wake(_event: object) -> None:
            look.set()

        while not self.closed.is_set():
            look.clear()
            try:
                if not prepared:
                    self._session.create(self._path("leaders"), b"")
                    self._session.create(epochs, b"0")
                    prepared = True
                leadership = self._attempt(
                    path, epochs, candidate, guid, at_least_epoch, hooks, wake
                )
                if leadership is not None:
                    self._led.append(leadership)
                    return leadership
            except ClusterError as error:
                if not error.retryable:
                    raise
                log.info("campaign for %s goes on: %s", service, error)
                prepared = False  # ZooKeeper may have lost its data
                self.closed.wait(RETRY_S)
                continue
            look.wait(LOOK_AGAIN_S)
        raise errors.Cancelled(
            f"the campaign for {service} ended: this session with ZooKeeper was closed"
        )

    def _attempt(
        self,
        path: str,
        epochs: str,
        candidate: Candidate,
        guid: str,
        at_least: int,
        hooks: Hooks,
        wake: Callable[[object], None],
    ) -> ZooKeeperLeadership | None:
        """One look and, where nobody else leads, one transaction. None: look again when woken."""
        counter, node = self._session.get(epochs), self._session.get(path, wake)
        if counter is None:
            raise errors.TryAgain(f"{epochs} vanished from ZooKeeper; looking again")
        record = parse(node)
        if (
            record is not None
            and node is not None
            and record.guid == guid
            and node.owner == self._session.session_id
        ):
            # An earlier transaction of ours succeeded although its answer was lost.
            if _number(epochs, counter) != record.epoch:
                raise errors.TryAgain(f"{epochs} changed while it was read; looking again")
            leadership = ZooKeeperLeadership(
                self._session, self._clock, path, record, (epochs, counter.version), hooks
            )
            return leadership if leadership.begin() else None
        if record is not None and (record.id, record.place) != (candidate.id, candidate.place):
            if record.id == candidate.id:
                log.warning(
                    "%s is led by another process called %s, at %s: waiting until its session ends",
                    path,
                    record.id,
                    record.address,
                )
            return None
        if node is not None and record is None:
            log.warning(
                "%s holds something that is no leader's record (%d bytes): replacing it",
                path,
                len(node.data),
            )
        number = check_epoch(max(_number(epochs, counter), at_least) + 1)
        mine = LeaderRecord(candidate.id, candidate.address, number, guid, candidate.place)
        away = [Delete(path, node.version)] if node is not None else []
        won = self._session.transact(
            [
                *away,
                Replace(epochs, b"%d" % number, counter.version),
                Create(path, msgspec.json.encode(mine), ephemeral=True),
            ]
        )
        if not won:
            raise errors.TryAgain("another candidate was faster; looking again")
        leadership = ZooKeeperLeadership(
            self._session, self._clock, path, mine, (epochs, counter.version + 1), hooks
        )
        return leadership if leadership.begin() else None

    def close(self) -> None:
        self.closed.set()
        for leadership in self._led:
            leadership.resign()

    def _path(self, *parts: str) -> str:
        return "/".join([self._root, *(check_name("service", part) for part in parts)])


def parse(node: Node | None) -> LeaderRecord | None:
    """None for no node, and for foreign bytes."""
    if node is None or not node.owner:
        return None  # a lasting node in that place was not made by a candidate
    try:
        return msgspec.json.decode(node.data, type=LeaderRecord)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _number(path: str, node: Node) -> int:
    digits = node.data[: MAX_EPOCH_DIGITS + 1]
    if not digits.isdigit() or int(digits) > MAX_EPOCH:  # of bytes, `isdigit` knows 0 to 9 only
        raise CorruptRecord(
            f"{path} in ZooKeeper holds {node.data[:40]!r}, not an epoch",
            next_command=f"zkCli.sh get {path}",
        )
    return int(digits)
