"""What the namenode's core is told: requests of clients and reports of datanodes. Frozen, no wire
types.

A request carries `caller` and gets exactly one `Send(to=caller.reply_to, message=Answer |
Refusal)`, perhaps in a later step (parked).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minihdfs.model import BlockRef, CopyEnded, DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core.store_events import StoreFlushed as StoreFlushed
from minihdfs.namenode.core.store_events import StoreLags as StoreLags
from minihdfs.namenode.core.store_events import StoreSpaceChanged as StoreSpaceChanged


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. (client_id, call_id) identifies the call for the retry table when client_id is not
    empty."""

    reply_to: Any
    user: str
    groups: tuple[str, ...] = ()
    client_id: bytes = b""
    call_id: int = 0
    retry: bool = False
    host: str = ""  # address seen: a datanode there is "local" to this client


# ── reads ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class GetFileInfo:
    caller: Caller
    path: str


@dataclass(frozen=True, slots=True)
class GetListing:
    caller: Caller
    path: str
    start_after: bytes = b""
    need_location: bool = False


@dataclass(frozen=True, slots=True)
class GetBlockLocations:
    caller: Caller
    path: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class GetContentSummary:
    caller: Caller
    path: str


@dataclass(frozen=True, slots=True)
class GetFsStats:
    caller: Caller


@dataclass(frozen=True, slots=True)
class GetServerDefaults:
    caller: Caller


@dataclass(frozen=True, slots=True)
class GetDatanodeReport:
    caller: Caller
    which: str  # all | live | dead


@dataclass(frozen=True, slots=True)
class IsFileClosed:
    caller: Caller
    path: str


@dataclass(frozen=True, slots=True)
class CheckAccess:
    caller: Caller
    path: str
    mode: int  # rwx bits, 0–7


# ── namespace changes ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Mkdirs:
    caller: Caller
    path: str
    permission: int
    create_parents: bool


@dataclass(frozen=True, slots=True)
class Create:
    """Answer: FileStatus. `overwrite` and `create` are Hadoop's create flags; without `create` the
    file must exist."""

    caller: Caller
    path: str
    client_name: str
    permission: int
    overwrite: bool
    create_parents: bool
    replication: int  # 0 = the default
    block_bytes: int  # 0 = the default
    create: bool = True


@dataclass(frozen=True, slots=True)
class AddBlock:
    """Answer: LocatedBlock. Commits `previous` (its final length), then allocates; parks until
    previous is complete (≤ 3 s)."""

    caller: Caller
    path: str
    client_name: str
    inode_id: int  # 0 = by path
    previous: BlockRef | None
    exclude: tuple[str, ...] = ()  # datanode uuids
    favored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AbandonBlock:
    caller: Caller
    path: str
    client_name: str
    inode_id: int
    block: BlockRef


@dataclass(frozen=True, slots=True)
class Complete:
    """Answer: bool. Parks until every block has its minimum of replicas (≤ 3 s), then False."""

    caller: Caller
    path: str
    client_name: str
    inode_id: int
    last: BlockRef | None


@dataclass(frozen=True, slots=True)
class Fsync:
    caller: Caller
    path: str
    client_name: str
    inode_id: int
    last_block_length: int  # -1 = unknown


@dataclass(frozen=True, slots=True)
class AbandonFile:
    """Ours: takes away a file that this client is writing. Answer: bool, False when it is not (any
    more)."""

    caller: Caller
    inode_id: int
    client_name: str


@dataclass(frozen=True, slots=True)
class RenewLease:
    caller: Caller
    client_name: str


@dataclass(frozen=True, slots=True)
class RecoverLease:
    caller: Caller
    path: str
    client_name: str


@dataclass(frozen=True, slots=True)
class Rename:
    """The old call: Answer False instead of an error for a missing source or an existing
    destination file."""

    caller: Caller
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class Rename2:
    caller: Caller
    source: str
    destination: str
    overwrite: bool


@dataclass(frozen=True, slots=True)
class RenameMany:
    """Ours: up to 1,000 renames in one edit, all or none; a pair whose source is gone and whose
    destination exists counts as done."""

    caller: Caller
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Delete:
    caller: Caller
    path: str
    recursive: bool


@dataclass(frozen=True, slots=True)
class SetPermission:
    caller: Caller
    path: str
    permission: int


@dataclass(frozen=True, slots=True)
class SetOwner:
    caller: Caller
    path: str
    owner: str  # "" = unchanged
    group: str  # "" = unchanged


@dataclass(frozen=True, slots=True)
class SetTimes:
    caller: Caller
    path: str
    modified_ms: int | None  # None = unchanged
    accessed_ms: int | None


@dataclass(frozen=True, slots=True)
class SetReplication:
    """Answer: bool, False for a directory."""

    caller: Caller
    path: str
    replication: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Ours: renames directory `staging` to `destination` in one edit, fenced by the tracker's
    epoch.

    `replaced_inode_id` = the existing destination that the job was told to overwrite (0 = none may
    exist). Answer: inode id of the published directory. Repeating it after success (destination is
    the staging inode) gives the first answer.
    """

    caller: Caller
    staging: str
    destination: str
    replaced_inode_id: int
    tracker_epoch: int


@dataclass(frozen=True, slots=True)
class SetSafeMode:
    caller: Caller
    action: str  # enter | leave | get


@dataclass(frozen=True, slots=True)
class ReportBadBlocks:
    """A client met replicas with wrong bytes: (block, datanode uuid) each."""

    caller: Caller
    replicas: tuple[tuple[BlockRef, str], ...]


@dataclass(frozen=True, slots=True)
class UpdateBlockForPipeline:
    """Answer: LocatedBlock with a new generation stamp (not yet journaled as the block's own)."""

    caller: Caller
    client_name: str
    block: BlockRef


@dataclass(frozen=True, slots=True)
class UpdatePipeline:
    caller: Caller
    client_name: str
    old: BlockRef
    new: BlockRef
    datanodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetAdditionalDatanode:
    """Answer: LocatedBlock whose locations are existing + new."""

    caller: Caller
    path: str
    client_name: str
    inode_id: int
    block: BlockRef
    existing: tuple[str, ...]
    exclude: tuple[str, ...]
    count: int


# ── datanodes (answers go to reply_to as the replies of core/commands.py) ─────────────────────────


@dataclass(frozen=True, slots=True)
class RegisterDatanode:
    """Reply: Registered or Refusal (another cluster's, or a uuid that is live elsewhere)."""

    reply_to: Any
    address: DatanodeAddress
    cluster_id: str  # "" = a fresh directory
    usage: DatanodeUsage


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Reply: HeartbeatReply with the commands that wait for this datanode, or Reregister."""

    reply_to: Any
    uuid: str
    registration_id: int
    usage: DatanodeUsage


@dataclass(frozen=True, slots=True)
class FullBlockReport:
    """One chunk (≤ 10,000 replicas) of everything a datanode holds; `last` closes the report.
    Reply: ReportTaken or Reregister.

    `report_id` rises with every report of a registration, from 1; chunks count from 0. A late chunk
    of an earlier report is ignored.

    A replica that the namenode knows here and that no chunk of a finished report named is taken off
    this datanode, unless it was received (incremental report) after the report was begun
    (`begun_sequence`: the datanode's change sequence when it began to list). `bad` are held and
    known to have wrong bytes: they are never among `replicas`, and mended or replaced, never
    counted. `unfinished`, with the last chunk, is what writers that are gone left: never counted,
    ordered away when nobody can need it any more.
    """

    reply_to: Any
    uuid: str
    registration_id: int
    report_id: int
    begun_sequence: int
    chunk: int
    last: bool
    replicas: tuple[BlockRef, ...]
    unfinished: tuple[BlockRef, ...] = ()
    bad: tuple[BlockRef, ...] = ()


@dataclass(frozen=True, slots=True)
class BlocksChanged:
    """What a datanode finalized or deleted since its last message, in its own order. `sequence`
    rises by one per message."""

    reply_to: Any
    uuid: str
    registration_id: int
    sequence: int
    received: tuple[BlockRef, ...]
    deleted: tuple[BlockRef, ...]
    copied: tuple[CopyEnded, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplicasFoundBad:
    """A datanode found (or was told of and confirmed) replicas of its own with wrong bytes."""

    reply_to: Any
    uuid: str
    registration_id: int
    blocks: tuple[BlockRef, ...]


# ── others ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class LeadershipGained:
    """This process now leads with this epoch; until then every request is refused with Standby."""

    epoch: int


@dataclass(frozen=True, slots=True)
class EpochCeiling:
    """The highest epoch that the coordinator has handed out for this service: none above it was
    ever anybody's."""

    service: str
    number: int
