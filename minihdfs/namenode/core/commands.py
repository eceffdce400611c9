"""What the namenode's core says: answers to clients, replies and orders to datanodes. Frozen, no
wire types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minihdfs.errors import FsError
from minihdfs.model import Invalidate as Invalidate
from minihdfs.model import Order as Order
from minihdfs.model import Repair as Repair
from minihdfs.model import Replicate as Replicate


@dataclass(frozen=True, slots=True)
class Answer:
    """A request's success: `value` is the model object that the event's docstring names, bool, or
    None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request's failure, as data: the shell turns it into an exception on its wire."""

    error: type[FsError]
    message: str


@dataclass(frozen=True, slots=True)
class AskEpochCeiling:
    """To the coordinator: which is the highest epoch that it has handed out? Answered by the event
    EpochCeiling."""

    service: str


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
    orders: tuple[Order, ...] = ()
    """Copies and repairs: what the datanode's word has made room for need not wait for its next
    heartbeat."""


@dataclass(frozen=True, slots=True)
class Reregister:
    """The namenode does not know this registration (it restarted, or declared the datanode dead):
    register, then report everything."""

    epoch: int
