"""The coordinator's three interfaces. Backends: `backends.home` (one machine),
`backends.zookeeper`, `backends.memory` (tests).

Rules every backend keeps (tests/contract/test_coordinator.py):
* an epoch, once handed to a leader of a service, is never handed out again and only grows, across
  restarts of everything;
* a campaign by the id that already leads, from the same place, ends the older leadership at once:
  the data directory's lock proves the old process dead. From another place (a copied directory,
  another machine with the same id) it waits like anybody else;
* `Leadership.deadline_us()` is when the holder must have stopped speaking: counted from *before*
  the last confirmed renewal was sent, on the monotonic clock of clusterkit.clock. None = never
  (a home: nobody else can be elected while the holder's process lives).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from coordinator.errors import Conflict as Conflict  # what ConfigStore.set raises


@dataclass(frozen=True, slots=True)
class Candidate:
    """`address` is what clients of the service connect to: host:port, several separated by commas
    as the service defines. `place` is where the candidate's data directory is locked
    (clusterkit.service.DataDirectory.place): which machine since which boot, which file."""

    id: str
    address: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Leader:
    id: str
    address: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Member:
    role: str
    id: str
    address: str
    capabilities: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    value: bytes
    version: int


class Leadership(Protocol):
    @property
    def epoch(self) -> int: ...

    def deadline_us(self) -> int | None: ...

    def resign(self) -> None:
        """Gives leadership up in an orderly way; the process exits afterwards."""
        ...


class Election(Protocol):
    def campaign(
        self,
        service: str,
        candidate: Candidate,
        *,
        at_least_epoch: int = 0,
        on_lost: Callable[[], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> Leadership:
        """Blocks until elected. The epoch is above every earlier one and at least `at_least_epoch`
        + 1 (the highest found on disk: a coordinator that lost its memory must not hand out old
        epochs). `on_lost` is called (any thread) when leadership ended for sure.

        `alive` says whether what leads still works: a lease is only renewed while it does, and what
        ran out is given up, so that another can be elected although this process lives (its disk
        hangs, its loop is dead). Backends without deadlines do not ask."""
        ...

    def leader(self, service: str) -> Leader | None: ...

    def highest_epoch(self, service: str) -> int:
        """The highest epoch ever handed out, whoever leads now; 0 = none. A number above it was
        never anybody's."""
        ...


class Membership(Protocol):
    def join(self, member: Member) -> None:
        """Announces until `close`; re-announces after a lost session. The same (role, id) replaces
        its older row."""
        ...

    def members(self, role: str) -> list[Member]:
        """Sorted by id."""
        ...

    def watch(self, role: str, changed: Callable[[list[Member]], None]) -> None:
        """Calls `changed` with the full list now and after every change, from one thread."""
        ...


class ConfigStore(Protocol):
    def get(self, key: str) -> Setting | None: ...

    def set(self, key: str, value: bytes, *, version: int | None = None) -> int:
        """Returns the new version (the first is 1). `version` = the one it must replace, 0 = must
        not exist, None = any. Raises Conflict."""
        ...

    def watch(self, key: str, changed: Callable[[Setting | None], None]) -> None: ...


class Coordinator(Protocol):
    """One session with one backend."""

    @property
    def election(self) -> Election: ...

    @property
    def membership(self) -> Membership: ...

    @property
    def config(self) -> ConfigStore: ...

    def close(self) -> None:
        """Orderly: resigns what it leads, takes its members away; campaigns under way raise
        Cancelled."""
        ...
