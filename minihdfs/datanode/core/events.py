"""What the datanode's agent is told, and what it asks for. Frozen, no wire types.

Facts come from two sides: the namenode's answers (each names the `call` it answers, so a late one
is recognised) and this datanode's own disk and streams. Requests to the namenode are
`Send(to=NAMENODE, ...)`; work for this datanode's shells is `Send(to=SHELL, ...)`.
"""

from __future__ import annotations

from dataclasses import dataclass

from clusterkit.records import Record
from minihdfs.model import BlockRef, CopyEnded, DatanodeAddress, Order

NAMENODE = "namenode"
SHELL = "shell"

# ── the namenode's answers ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Registered:
    call: int
    registration_id: int
    cluster_id: str
    epoch: int
    heartbeat_interval_ms: int


@dataclass(frozen=True, slots=True)
class RegistrationRefused:
    """For good: this directory belongs to another cluster. Everything that may pass is a
    CallFailed."""

    call: int
    message: str


@dataclass(frozen=True, slots=True)
class HeartbeatAnswered:
    call: int
    epoch: int
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class ReportTaken:
    call: int
    epoch: int
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class ReregisterAsked:
    """The namenode does not know our registration: it restarted, or had declared us dead."""

    call: int
    epoch: int


@dataclass(frozen=True, slots=True)
class CallFailed:
    """No answer, or one that says try again: nobody there, not leading, overloaded."""

    call: int
    message: str


# ── this datanode's own facts ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ReplicasListed:
    """The finalized replicas that a scan of the directories found at start: the first event of an
    agent's life."""

    replicas: tuple[BlockRef, ...]
    unfinished: tuple[BlockRef, ...] = ()  # what writers that are gone had written
    bad: tuple[
        BlockRef, ...
    ] = ()  # those of `replicas` that were known to have wrong bytes before the restart


@dataclass(frozen=True, slots=True)
class ReplicaLeft:
    """Its writer is gone: what was acknowledged stays, unfinished, until the namenode says what
    becomes of it."""

    block: BlockRef


@dataclass(frozen=True, slots=True)
class ReplicaFinalized:
    """A write, a copy or a repair ended: the replica is durable and can be read."""

    block: BlockRef


@dataclass(frozen=True, slots=True)
class ReplicasDeleted:
    """Replicas are out of the store's map: asked for by DeleteReplicas, or their files were found
    to be gone, or their disk has failed."""

    blocks: tuple[BlockRef, ...]


@dataclass(frozen=True, slots=True)
class ReplicaFoundBad:
    """The scanner, a copy or a checksum request met wrong bytes in a replica of ours."""

    block: BlockRef


@dataclass(frozen=True, slots=True)
class CopyFinished:
    """A CopyReplica ended, whether or not every target took it."""

    block: BlockRef
    targets: tuple[DatanodeAddress, ...]
    failed: tuple[tuple[str, str], ...] = ()  # (datanode uuid, reason)


@dataclass(frozen=True, slots=True)
class RepairFinished:
    """`sound`: verification found nothing wrong, or a sound copy was renamed over it. Not `known`:
    neither, the replica is as it was."""

    block: BlockRef
    sound: bool
    reason: str = ""
    known: bool = True


# ── requests to the namenode ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Register:
    """The shell adds the datanode's usage."""

    call: int
    address: DatanodeAddress
    cluster_id: str  # "" = a fresh directory


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The shell adds the datanode's usage."""

    call: int
    uuid: str
    registration_id: int


@dataclass(frozen=True, slots=True)
class FullReportChunk:
    call: int
    uuid: str
    registration_id: int
    report_id: int
    begun_sequence: int
    chunk: int
    last: bool
    replicas: tuple[BlockRef, ...]
    # with the last chunk: replicas whose writers are gone, so that leftovers can be ordered away
    unfinished: tuple[BlockRef, ...] = ()
    bad: tuple[BlockRef, ...] = ()  # held, known to have wrong bytes: not among `replicas`


@dataclass(frozen=True, slots=True)
class Changes:
    """A repetition after a lost answer keeps its sequence: the namenode takes it once."""

    call: int
    uuid: str
    registration_id: int
    sequence: int
    received: tuple[BlockRef, ...]
    deleted: tuple[BlockRef, ...]
    copied: tuple[CopyEnded, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundBad:
    call: int
    uuid: str
    registration_id: int
    blocks: tuple[BlockRef, ...]


Report = FullReportChunk | Changes | FoundBad
Request = Register | Heartbeat | Report

# ── orders to this datanode's shells ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class CopyReplica:
    """Push a copy, verified while it is read, to each target; answer CopyFinished (and
    ReplicaFoundBad when the source is bad)."""

    block: BlockRef
    targets: tuple[DatanodeAddress, ...]


@dataclass(frozen=True, slots=True)
class DeleteReplicas:
    """Take them out of the store's map, post ReplicasDeleted, then unlink the files. Those that the
    namenode does not know are kept for an hour instead."""

    blocks: tuple[BlockRef, ...]
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class BringBack:
    """A namenode begins a term: what earlier ones did not know and is still kept counts again; post
    ReplicaFinalized for each."""


@dataclass(frozen=True, slots=True)
class RepairReplica:
    """Verify; when it is bad fetch a sound copy from one of `sources` and rename it over; answer
    RepairFinished."""

    block: BlockRef
    sources: tuple[DatanodeAddress, ...]


@dataclass(frozen=True, slots=True)
class Halt:
    """This process must end: it belongs to another cluster."""

    message: str


ShellOrder = CopyReplica | DeleteReplicas | RepairReplica | BringBack | Halt

# ── durable edits ─────────────────────────────────────────────────────────────────────────────────


class EpochSeen(Record, frozen=True, tag=1):
    """The highest namenode epoch this datanode has obeyed: lower ones are refused for ever."""

    epoch: int


class ClusterAdopted(Record, frozen=True, tag=2):
    """A fresh directory now belongs to this cluster."""

    cluster_id: str
