"""What the embedded coordinator is asked. `to` is the reply token of the caller; a `session` names
who asks.

Names of sessions come from the shell, so that the core stays deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OpenSession:
    to: Any
    session: str
    member_id: str
    timeout_us: int
    previous: str = ""


@dataclass(frozen=True, slots=True)
class RenewSession:
    to: Any
    session: str


@dataclass(frozen=True, slots=True)
class CloseSession:
    to: Any
    session: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """`held_epoch` > 0: the asker led with that epoch when it lost its session, and wants to be
    told whether it still does."""

    to: Any
    session: str
    service: str
    id: str
    address: str
    at_least_epoch: int = 0
    held_epoch: int = 0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Resign:
    to: Any
    session: str
    service: str


@dataclass(frozen=True, slots=True)
class AskLeader:
    to: Any
    service: str


@dataclass(frozen=True, slots=True)
class Join:
    to: Any
    session: str
    role: str
    id: str
    address: str
    capabilities: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AskMembers:
    """`seen_version` > 0: answer only once the members differ from that version, or after a
    while."""

    to: Any
    role: str
    seen_version: int = 0


@dataclass(frozen=True, slots=True)
class AskSetting:
    """`seen` > 0: the caller knows version `seen - 1` (0 = missing); answer only once it differs,
    or after a while."""

    to: Any
    key: str
    seen: int = 0


@dataclass(frozen=True, slots=True)
class StoreSetting:
    """`version`: the one to replace, 0 = must not exist, None = any."""

    to: Any
    key: str
    value: bytes
    version: int | None = None
