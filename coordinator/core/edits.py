"""What outlives the embedded coordinator: epochs, who led last, settings. Sessions and members do
not: they are announced again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaderElected:
    service: str
    epoch: int
    id: str
    address: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class LeaderLeft:
    """It resigned, or its session ended."""

    service: str
    epoch: int


@dataclass(frozen=True, slots=True)
class SettingStored:
    key: str
    value: bytes
    version: int


EDITS = (LeaderElected, LeaderLeft, SettingStored)
