"""The durable changes of the namespace: facts in the past tense, resolved to ids, with every id,
stamp and length inside.

`apply` of an edit computes nothing that is not in the edit or in the durable state before it: no
clock, no chance. The time of an edit is `Edit.wall_us`. A field is only ever appended, with a
default.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RootMade:
    """With it comes `/.system`, in which only the superuser may look."""

    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class LeadershipTaken:
    """A leader's first edit: nothing of a lower epoch follows it."""

    epoch: int


@dataclass(frozen=True, slots=True)
class DirectoryMade:
    parent_id: int
    name: str
    inode_id: int
    permission: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class FileCreated:
    """`replaced_id` (0 = none) stood at that name and is gone with this edit."""

    parent_id: int
    name: str
    inode_id: int
    permission: int
    owner: str
    group: str
    replication: int
    block_bytes: int
    client_name: str
    replaced_id: int


@dataclass(frozen=True, slots=True)
class BlockAdded:
    """The file's blocks before this one are complete."""

    inode_id: int
    block_id: int
    stamp: int


@dataclass(frozen=True, slots=True)
class BlockCommitted:
    inode_id: int
    block_id: int
    stamp: int
    length: int


@dataclass(frozen=True, slots=True)
class BlockDropped:
    """The last block was abandoned by its writer, or nothing of it was ever reported."""

    inode_id: int
    block_id: int


@dataclass(frozen=True, slots=True)
class BlockLengthNoted:
    """The writer made bytes of the block visible (hflush, hsync): this many, or (0) some that
    nobody counted."""

    inode_id: int
    block_id: int
    length: int


@dataclass(frozen=True, slots=True)
class FileClosed:
    inode_id: int


@dataclass(frozen=True, slots=True)
class Renamed:
    inode_id: int
    to_parent_id: int
    to_name: str
    replaced_id: int


@dataclass(frozen=True, slots=True)
class RenamedMany:
    renames: tuple[Renamed, ...]


@dataclass(frozen=True, slots=True)
class Published:
    renamed: Renamed
    staging: str
    tracker_epoch: int


@dataclass(frozen=True, slots=True)
class TrackerEpochReset:
    """Down to what the coordinator has handed out: a number that was nobody's fenced every
    tracker."""

    tracker_epoch: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """The name is gone. A file or an empty directory is freed with it; a tree or a large file is
    detached, then reclaimed bit by bit."""

    inode_id: int


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """Children of a detached directory: files are freed, directories and large files become
    detached themselves. Or so many of the last blocks of a detached file. `emptied` frees the
    directory or file."""

    inode_id: int
    children: tuple[int, ...]
    emptied: bool
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class PermissionSet:
    inode_id: int
    permission: int


@dataclass(frozen=True, slots=True)
class OwnerSet:
    inode_id: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class TimesSet:
    inode_id: int
    modified_ms: int
    accessed_ms: int


@dataclass(frozen=True, slots=True)
class ReplicationSet:
    inode_id: int
    replication: int


@dataclass(frozen=True, slots=True)
class StampAllocated:
    stamp: int


@dataclass(frozen=True, slots=True)
class PipelineUpdated:
    """The block goes on with this stamp: replicas with an older one are worth nothing."""

    inode_id: int
    block_id: int
    stamp: int
    length: int


@dataclass(frozen=True, slots=True)
class IdsSkipped:
    """Datanodes hold replicas with ids and stamps up to these, and this namespace did not give
    them: they are never given."""

    block_id: int
    stamp: int


@dataclass(frozen=True, slots=True)
class DatanodeMet:
    """It registered for the first time: a safe mode waits for it. `forgotten` ("" = none) makes
    room for it."""

    uuid: str
    forgotten: str


OPS: tuple[type, ...] = (
    RootMade,
    LeadershipTaken,
    DirectoryMade,
    FileCreated,
    BlockAdded,
    BlockCommitted,
    BlockDropped,
    BlockLengthNoted,
    FileClosed,
    Renamed,
    RenamedMany,
    Published,
    TrackerEpochReset,
    Deleted,
    Reclaimed,
    PermissionSet,
    OwnerSet,
    TimesSet,
    ReplicationSet,
    StampAllocated,
    PipelineUpdated,
    IdsSkipped,
    DatanodeMet,
)
