"""A coordinator in memory that outlives the services of a test: always elects, remembers epochs and
settings, can end a leadership."""

from __future__ import annotations

from collections.abc import Callable

from coordinator.api import Candidate, Leader, Member, Setting


class SoleLeadership:
    def __init__(self, epoch: int, on_lost: Callable[[], None]) -> None:
        self.epoch, self.on_lost, self.deadline, self.resigned = epoch, on_lost, None, False
        self.deadline: int | None = None

    def deadline_us(self) -> int | None:
        return self.deadline

    def resign(self) -> None:
        self.resigned = True


class SoleCoordinator:
    def __init__(self) -> None:
        self.election = self.membership = self.config = self
        self.leadership: SoleLeadership | None = None
        self.epochs: dict[str, int] = {}
        self.leaders: dict[str, Leader] = {}
        self.settings: dict[str, Setting] = {}

    def campaign(
        self,
        service: str,
        candidate: Candidate,
        *,
        at_least_epoch: int = 0,
        on_lost: Callable[[], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> SoleLeadership:
        self.alive = alive
        epoch = max(self.epochs.get(service, 0), at_least_epoch) + 1
        self.epochs[service] = epoch
        self.leaders[service] = Leader(candidate.id, candidate.address, epoch)
        self.leadership = SoleLeadership(epoch, on_lost)
        return self.leadership

    def leader(self, service: str) -> Leader | None:
        return self.leaders.get(service)

    def highest_epoch(self, service: str) -> int:
        return self.epochs.get(service, 0)

    def join(self, member: Member) -> None: ...

    def members(self, role: str) -> list[Member]:
        return []

    def get(self, key: str) -> Setting | None:
        return self.settings.get(key)

    def set(self, key: str, value: bytes, *, version: int | None = None) -> int:
        old = self.settings.get(key)
        assert version is None or version == (old.version if old else 0)
        self.settings[key] = Setting(value, (old.version if old else 0) + 1)
        return self.settings[key].version

    def watch(self, *_arguments: object) -> None: ...

    def close(self) -> None: ...
