"""What the embedded coordinator answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class SessionOpened:
    session: str
    timeout_us: int


@dataclass(frozen=True, slots=True)
class SessionRenewed:
    held: tuple[tuple[str, int], ...]
    """(service, epoch) of everything this session leads."""


@dataclass(frozen=True, slots=True)
class Elected:
    epoch: int


@dataclass(frozen=True, slots=True)
class NotElected:
    """Another leads; the caller may ask again."""

    leader_id: str
    leader_address: str


@dataclass(frozen=True, slots=True)
class LeaderIs:
    known: bool
    id: str = ""
    address: str = ""
    epoch: int = 0  # the highest ever handed out, also when nobody leads


@dataclass(frozen=True, slots=True)
class MemberRow:
    role: str
    id: str
    address: str
    capabilities: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MembersAre:
    version: int
    members: tuple[MemberRow, ...]


@dataclass(frozen=True, slots=True)
class SettingIs:
    value: bytes | None
    version: int


@dataclass(frozen=True, slots=True)
class Stored:
    version: int


@dataclass(frozen=True, slots=True)
class Refused:
    """`code` is a ClusterError's."""

    code: str
    message: str
