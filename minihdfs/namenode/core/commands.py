"""What the namenode's core says: answers to clients, replies and orders to datanodes. Frozen, no wire types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minihdfs.errors import FsError
from minihdfs.model import BlockRef, DatanodeAddress


@dataclass(frozen=True, slots=True)
class Answer:
    """A request's success: `value` is the model object that the event's docstring names, bool, or None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request's failure, as data: the shell turns it into an exception on its wire."""

    error: type[FsError]
    message: str


@dataclass(frozen=True, slots=True)
class Replicate:
    """Order: copy your replica of `block` to `targets` (each gets one)."""

    block: BlockRef
    targets: tuple[DatanodeAddress, ...]


@dataclass(frozen=True, slots=True)
class Invalidate:
    """Order: take these replicas out of your map, tell, then delete them."""

    blocks: tuple[BlockRef, ...]


@dataclass(frozen=True, slots=True)
class Repair:
    """Order: your replica of `block` is said to be bad. Verify it; if it is, fetch a sound copy beside it from one of `sources` and
    rename over it, then report it received."""

    block: BlockRef
    sources: tuple[DatanodeAddress, ...]


Order = Replicate | Invalidate | Repair


@dataclass(frozen=True, slots=True)
class Registered:
    registration_id: int
    cluster_id: str
    epoch: int
    heartbeat_interval_ms: int


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    epoch: int
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class ReportTaken:
    epoch: int


@dataclass(frozen=True, slots=True)
class Reregister:
    """The namenode does not know this registration (it restarted, or declared the datanode dead): register, then report everything."""

    epoch: int
