"""A coordinator inside the process, for tests: the hub is the shared truth, each MemoryCoordinator
one session of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from clusterkit import errors
from coordinator.api import Candidate, Leader, Member, Setting
from coordinator.errors import Conflict, check_epoch, check_name, check_value


class MemoryHub:
    """What all sessions see. Survives them, as a coordinator's disk would."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.epochs: dict[str, int] = {}
        self.leaders: dict[str, MemoryLeadership] = {}
        self.members: dict[str, dict[str, tuple[MemoryCoordinator, Member]]] = {}
        self.settings: dict[str, Setting] = {}


class MemoryLeadership:
    def __init__(
        self,
        session: MemoryCoordinator,
        service: str,
        candidate: Candidate,
        epoch: int,
        on_lost: Callable[[], None],
    ) -> None:
        self.epoch, self.session, self.service, self.candidate, self.on_lost = (
            epoch,
            session,
            service,
            candidate,
            on_lost,
        )

    def deadline_us(self) -> int | None:
        hub = self.session.hub
        with hub.changed:
            return None if hub.leaders.get(self.service) is self else 0

    def resign(self) -> None:
        hub = self.session.hub
        with hub.changed:
            if hub.leaders.get(self.service) is self:
                del hub.leaders[self.service]
                hub.changed.notify_all()


@dataclass
class MemoryElection:
    session: MemoryCoordinator

    def campaign(
        self,
        service: str,
        candidate: Candidate,
        *,
        at_least_epoch: int = 0,
        on_lost: Callable[[], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> MemoryLeadership:
        check_name("service", service)
        check_epoch(at_least_epoch)
        hub = self.session.hub
        with hub.changed:
            hub.changed.wait_for(
                lambda: (
                    self.session.closed
                    or service not in hub.leaders
                    or _same(hub.leaders[service].candidate, candidate)
                )
            )
            if self.session.closed:
                raise errors.Cancelled(
                    f"the campaign for {service} ended: this session with the coordinator was "
                    "closed"
                )
            older = hub.leaders.get(service)
            hub.epochs[service] = max(hub.epochs.get(service, 0), at_least_epoch) + 1
            leadership = MemoryLeadership(
                self.session, service, candidate, hub.epochs[service], on_lost
            )
            hub.leaders[service] = leadership
            hub.changed.notify_all()
        if older is not None:
            older.on_lost()
        return leadership

    def leader(self, service: str) -> Leader | None:
        with self.session.hub.changed:
            found = self.session.hub.leaders.get(service)
            return (
                Leader(found.candidate.id, found.candidate.address, found.epoch) if found else None
            )

    def highest_epoch(self, service: str) -> int:
        with self.session.hub.changed:
            return self.session.hub.epochs.get(service, 0)


def _same(one: Candidate, other: Candidate) -> bool:
    return (one.id, one.place) == (other.id, other.place)


@dataclass
class MemoryMembership:
    session: MemoryCoordinator

    def join(self, member: Member) -> None:
        hub = self.session.hub
        check_name("member", member.id)
        with hub.changed:
            hub.members.setdefault(check_name("role", member.role), {})[member.id] = (
                self.session,
                member,
            )
            hub.changed.notify_all()

    def members(self, role: str) -> list[Member]:
        with self.session.hub.changed:
            rows = self.session.hub.members.get(role, {})
            return [rows[id_][1] for id_ in sorted(rows)]

    def watch(self, role: str, changed: Callable[[list[Member]], None]) -> None:
        _follow(self.session, lambda: self.members(role), changed)


@dataclass
class MemoryConfigStore:
    session: MemoryCoordinator

    def get(self, key: str) -> Setting | None:
        with self.session.hub.changed:
            return self.session.hub.settings.get(check_name("key", key))

    def set(self, key: str, value: bytes, *, version: int | None = None) -> int:
        check_value(check_name("key", key), value)
        hub = self.session.hub
        with hub.changed:
            have = hub.settings[key].version if key in hub.settings else 0
            if version is not None and version != have:
                cause = "it does not exist" if have == 0 else f"it is at version {have}"
                raise Conflict(f"setting {key} is not at version {version}: {cause}")
            hub.settings[key] = Setting(value, have + 1)
            hub.changed.notify_all()
            return have + 1

    def watch(self, key: str, changed: Callable[[Setting | None], None]) -> None:
        _follow(self.session, lambda: self.get(key), changed)


class MemoryCoordinator:
    def __init__(self, hub: MemoryHub) -> None:
        self.hub, self.closed = hub, False
        self.election, self.membership, self.config = (
            MemoryElection(self),
            MemoryMembership(self),
            MemoryConfigStore(self),
        )

    def close(self) -> None:
        self._end()

    def expire(self) -> None:
        """What a lost session does to its leaderships, in a test."""
        for leadership in self._end():
            leadership.on_lost()

    def _end(self) -> list[MemoryLeadership]:
        with self.hub.changed:
            self.closed = True
            led = [
                leadership for leadership in self.hub.leaders.values() if leadership.session is self
            ]
            for leadership in led:
                del self.hub.leaders[leadership.service]
            for rows in self.hub.members.values():
                for id_ in [id_ for id_, (session, _) in rows.items() if session is self]:
                    del rows[id_]
            self.hub.changed.notify_all()
        return led


T = TypeVar("T")


def _follow(
    session: MemoryCoordinator, look: Callable[[], T], changed: Callable[[T], None]
) -> None:
    def run() -> None:
        seen: list[T] = []
        while not session.closed:
            with session.hub.changed:
                session.hub.changed.wait_for(lambda: session.closed or seen != [look()])
                if session.closed:
                    return
                seen[:] = [look()]
            changed(seen[0])

    threading.Thread(target=run, name="watch", daemon=True).start()
