"""The durable changes of the tree, each followed by what it does to the state.

An edit is a fact in the past tense, resolved to ids, with every id inside. Applying it computes
nothing that is not in the edit or in the durable state before it: no clock, no chance. The live
path and replay both come through here. A field is only ever appended, with a default, and a number
is never used again.
"""

from __future__ import annotations

from clusterkit.records import Record
from minihdfs.model import ROOT_INODE_ID, SYSTEM_INODE_ID
from minihdfs.namenode.core.records import Inode
from minihdfs.namenode.core.registry import Edits
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import reserved
from minihdfs.namenode.core.tree.freeing import free, free_block, remove_name


class RootMade(Record, frozen=True, tag=1):
    """With it comes `/.system`, in which only the superuser may look."""

    owner: str
    group: str


def root_made(state: State, op: RootMade, at_ms: int) -> None:
    state.namespace.add(Inode(ROOT_INODE_ID, 0, "", True, 0o755, op.owner, op.group, at_ms, at_ms))
    system = Inode(
        SYSTEM_INODE_ID,
        ROOT_INODE_ID,
        reserved.SYSTEM,
        True,
        reserved.SYSTEM_MODE,
        op.owner,
        op.group,
        at_ms,
        at_ms,
    )
    state.namespace.add(system)


class DirectoryMade(Record, frozen=True, tag=3):
    parent_id: int
    name: str
    inode_id: int
    permission: int
    owner: str
    group: str


def directory_made(state: State, op: DirectoryMade, at_ms: int) -> None:
    state.last_inode_id = max(state.last_inode_id, op.inode_id)
    state.namespace.add(
        Inode(
            op.inode_id,
            op.parent_id,
            op.name,
            True,
            op.permission,
            op.owner,
            op.group,
            at_ms,
            at_ms,
        )
    )


class Renamed(Record, frozen=True, tag=4):
    inode_id: int
    to_parent_id: int
    to_name: str
    replaced_id: int


def renamed(state: State, op: Renamed, at_ms: int) -> None:
    if op.replaced_id:
        remove_name(state, op.replaced_id, at_ms)
    state.namespace.move(op.inode_id, op.to_parent_id, op.to_name, at_ms)


class RenamedMany(Record, frozen=True, tag=5):
    renames: tuple[Renamed, ...]


def renamed_many(state: State, op: RenamedMany, at_ms: int) -> None:
    for one in op.renames:
        renamed(state, one, at_ms)


class Published(Record, frozen=True, tag=6):
    renamed: Renamed
    staging: str
    tracker_epoch: int


def published(state: State, op: Published, at_ms: int) -> None:
    state.tracker_epoch = max(state.tracker_epoch, op.tracker_epoch)
    renamed(state, op.renamed, at_ms)
    state.namespace.put(
        state.namespace.require(op.renamed.inode_id)._replace(published_from=op.staging)
    )


class TrackerEpochReset(Record, frozen=True, tag=7):
    """Down to what the coordinator has handed out: a number that was nobody's fenced every
    tracker."""

    tracker_epoch: int


def tracker_epoch_reset(state: State, op: TrackerEpochReset, _at_ms: int) -> None:
    state.tracker_epoch = op.tracker_epoch


class Deleted(Record, frozen=True, tag=8):
    """The name is gone. A file or an empty directory is freed with it; a tree or a large file is
    detached, then reclaimed bit by bit."""

    inode_id: int


def deleted(state: State, op: Deleted, at_ms: int) -> None:
    remove_name(state, op.inode_id, at_ms)


class Reclaimed(Record, frozen=True, tag=9):
    """Children of a detached directory: files are freed, directories and large files become
    detached themselves. Or so many of the last blocks of a detached file. `emptied` frees the
    directory or file."""

    inode_id: int
    children: tuple[int, ...]
    emptied: bool
    blocks: int = 0


def reclaimed(state: State, op: Reclaimed, at_ms: int) -> None:
    for child_id in op.children:
        child = state.namespace.require(child_id)
        state.namespace.unlink_child(op.inode_id, child)
        free(state, state.namespace.orphan(child))
    if op.blocks:
        inode = state.namespace.require(op.inode_id)
        gone = inode.blocks[-op.blocks :]
        length = inode.length - sum(state.blocks.require(block_id).length for block_id in gone)
        state.namespace.put(inode._replace(blocks=inode.blocks[: -op.blocks], length=length))
        for block_id in gone:
            free_block(state, block_id)
    if op.emptied:
        state.namespace.free(state.namespace.require(op.inode_id))


EDITS: Edits = {
    RootMade: root_made,
    DirectoryMade: directory_made,
    Renamed: renamed,
    RenamedMany: renamed_many,
    Published: published,
    TrackerEpochReset: tracker_epoch_reset,
    Deleted: deleted,
    Reclaimed: reclaimed,
}
