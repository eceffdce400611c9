"""The coordinator on a real ZooKeeper: `leaders/SERVICE`, `epochs/SERVICE`, `members/ROLE/ID` and
`config/KEY` below the URL's path.

Watches are hints: every reader compares full lists, and reads again after each reconnect and at
least every few seconds. Members are ephemeral nodes, made again by ourselves when a session was
lost. Setting versions are ZooKeeper's plus one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, unquote

import msgspec

from clusterkit.clock import Clock, SystemClock
from clusterkit.errors import ClusterError, TryAgain
from coordinator.api import Member, Setting
from coordinator.backends.zookeeper_election import ZooKeeperElection
from coordinator.backends.zookeeper_session import ZooKeeperSession
from coordinator.errors import Conflict, check_name, check_value

log = logging.getLogger(__name__)
LOOK_AGAIN_S = 2.0
RETRY_S = 0.2
ATTEMPTS = 20
T = TypeVar("T")


class MemberRecord(msgspec.Struct, frozen=True):
    """What `members/ROLE/ID` holds, as JSON."""

    address: str
    capabilities: dict[str, str] = {}


class ZooKeeperMembership:
    def __init__(self, session: ZooKeeperSession, root: str, closed: threading.Event) -> None:
        self._session, self._root, self._closed = session, root, closed
        self._mine: dict[str, Member] = {}
        self._announced_in = 0  # the session that knows all of `_mine`
        self._lock = threading.Lock()
        self._check = threading.Event()
        session.on_change(self._check.set)
        threading.Thread(target=self._keep, name="zookeeper-members", daemon=True).start()

    def join(self, member: Member) -> None:
        path = f"{self._root}/members/{_name('role', member.role)}/{_name('member', member.id)}"
        with self._lock:
            self._mine[path] = member
            try:
                self._announce(path, member)
            except ClusterError as error:
                if not error.retryable:
                    raise
                log.info("%s is announced as soon as ZooKeeper answers: %s", path, error)
                self._announced_in = 0

    def members(self, role: str) -> list[Member]:
        return self._read(role, None)

    def watch(self, role: str, changed: Callable[[list[Member]], None]) -> None:
        _follow(
            self._session,
            self._closed,
            f"members of {role}",
            lambda wake: self._read(role, wake),
            changed,
        )

    def _read(self, role: str, wake: Callable[[object], None] | None) -> list[Member]:
        directory = f"{self._root}/members/{_name('role', role)}"
        found = []
        if wake is not None and self._session.get(directory) is None:
            self._session.create(directory, b"")  # a watch needs a node to hang on
        for name in self._session.children(directory, wake):
            node = self._session.get(f"{directory}/{name}", wake)
            if node is None:
                continue
            try:
                record = msgspec.json.decode(node.data, type=MemberRecord)
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning("%s/%s holds no member's record: ignored", directory, name)
                continue
            found.append(Member(role, unquote(name), record.address, record.capabilities))
        return sorted(found, key=lambda member: member.id)

    def _announce(self, path: str, member: Member) -> None:
        data = msgspec.json.encode(MemberRecord(member.address, dict(member.capabilities)))
        for _ in range(ATTEMPTS):
            node = self._session.get(path)
            if node is None:
                if self._session.create(path, data, ephemeral=True):
                    return
            elif node.owner != self._session.session_id:
                self._session.delete(
                    path, node.version
                )  # an older process of the same id: its data directory's lock proves it dead
            elif node.data == data or self._session.replace(path, data, node.version) is not None:
                return
        raise TryAgain(f"{path} keeps changing: does another process use this id?")

    def _keep(self) -> None:
        """Announces again whatever a new session does not know."""
        while not self._closed.is_set():
            self._check.wait(LOOK_AGAIN_S)
            self._check.clear()
            session_id = self._session.session_id
            if session_id in (0, self._announced_in):
                continue
            try:
                with self._lock:
                    for path, member in self._mine.items():
                        self._announce(path, member)
                self._announced_in = session_id
            except ClusterError as error:
                log.info("members are not announced yet: %s", error)
                self._closed.wait(RETRY_S)
                self._check.set()


class ZooKeeperConfigStore:
    def __init__(self, session: ZooKeeperSession, root: str, closed: threading.Event) -> None:
        self._session, self._root, self._closed = session, root, closed

    def get(self, key: str) -> Setting | None:
        return self._read(key, None)

    def set(self, key: str, value: bytes, *, version: int | None = None) -> int:
        path = self._path(key)
        check_value(key, value)
        for _ in range(ATTEMPTS):
            node = self._session.get(path)
            have = node.version + 1 if node is not None else 0
            if version is not None and version != have:
                cause = "it does not exist" if have == 0 else f"it is at version {have}"
                raise Conflict(f"setting {key} is not at version {version}: {cause}")
            if node is None:
                if self._session.create(path, value):
                    return 1
            elif (replaced := self._session.replace(path, value, node.version)) is not None:
                return replaced + 1
        raise TryAgain(f"setting {key} keeps changing")

    def watch(self, key: str, changed: Callable[[Setting | None], None]) -> None:
        _follow(
            self._session,
            self._closed,
            f"setting {key}",
            lambda wake: self._read(key, wake),
            changed,
        )

    def _read(self, key: str, wake: Callable[[object], None] | None) -> Setting | None:
        node = self._session.get(self._path(key), wake)
        return Setting(node.data, node.version + 1) if node is not None else None

    def _path(self, key: str) -> str:
        return f"{self._root}/config/{_name('key', key)}"


class ZooKeeperCoordinator:
    def __init__(
        self,
        hosts: str,
        root: str,
        session_timeout_s: float,
        patience_s: float,
        credentials: tuple[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`root` is "" or begins with a slash. Raises Unavailable when no ZooKeeper answers within
        `patience_s`."""
        self._session = ZooKeeperSession(hosts, session_timeout_s, patience_s, credentials)
        self._closed = threading.Event()
        self.election = ZooKeeperElection(self._session, root, clock or SystemClock())
        self.membership = ZooKeeperMembership(self._session, root, self._closed)
        self.config = ZooKeeperConfigStore(self._session, root, self._closed)

    def close(self) -> None:
        self._closed.set()
        self.election.close()
        self._session.stop()


def _name(kind: str, name: str) -> str:
    """As one node name: ZooKeeper splits at slashes and refuses dots alone."""
    quoted = quote(check_name(kind, name), safe=" :@,+=")
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted


def _follow(
    session: ZooKeeperSession,
    closed: threading.Event,
    what: str,
    read: Callable[[Callable[[object], None]], T],
    changed: Callable[[T], None],
) -> None:
    """A thread of its own reads when woken, after each change of the connection and every few
    seconds; it calls `changed` with news."""
    look = threading.Event()
    session.on_change(look.set)

    def wake(_event: object) -> None:
        look.set()

    def run() -> None:
        seen: list[T] = []
        while not closed.is_set():
            look.clear()
            try:
                found = read(wake)
            except ClusterError as error:
                if not closed.is_set():
                    log.info("watch of %s goes on: %s", what, error)
                closed.wait(RETRY_S)
                continue
            if seen != [found]:
                seen[:] = [found]
                changed(found)
            look.wait(LOOK_AGAIN_S)

    threading.Thread(target=run, name=f"watch {what}", daemon=True).start()
