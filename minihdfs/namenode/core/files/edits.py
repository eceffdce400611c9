"""The durable changes of one file and its blocks while it is written, each followed by what it does
to the state (rules: tree/edits)."""

from __future__ import annotations

from clusterkit.records import Record
from minihdfs.namenode.core.records import BUILDING, Block, Inode
from minihdfs.namenode.core.registry import Edits
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree.freeing import free_block, remove_name


class FileCreated(Record, frozen=True, tag=20):
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


def file_created(state: State, op: FileCreated, at_ms: int) -> None:
    if op.replaced_id:
        remove_name(state, op.replaced_id, at_ms)
    state.last_inode_id = max(state.last_inode_id, op.inode_id)
    state.namespace.add(
        Inode(
            op.inode_id,
            op.parent_id,
            op.name,
            False,
            op.permission,
            op.owner,
            op.group,
            at_ms,
            at_ms,
            0,
            op.replication,
            op.block_bytes,
            0,
            (),
            op.client_name,
        )
    )
    state.leases.begin(op.inode_id, op.client_name)


class BlockAdded(Record, frozen=True, tag=22):
    """The file's blocks before this one are complete."""

    inode_id: int
    block_id: int
    stamp: int


def block_added(state: State, op: BlockAdded, at_ms: int) -> None:
    inode = state.namespace.require(op.inode_id)
    if inode.blocks:
        state.blocks.complete(inode.blocks[-1])
    state.given.gave(op.block_id, op.stamp)
    state.blocks.add(Block(op.block_id, op.inode_id, op.stamp, 0, BUILDING, inode.replication))
    state.namespace.put(inode._replace(blocks=(*inode.blocks, op.block_id)))


class BlockCommitted(Record, frozen=True, tag=23):
    inode_id: int
    block_id: int
    stamp: int
    length: int


def block_committed(state: State, op: BlockCommitted, at_ms: int) -> None:
    _lengthen(state, op.inode_id, op.block_id, op.length)
    state.blocks.commit(op.block_id, op.stamp, op.length)


class BlockDropped(Record, frozen=True, tag=24):
    """The last block was abandoned by its writer, or nothing of it was ever reported."""

    inode_id: int
    block_id: int


def block_dropped(state: State, op: BlockDropped, at_ms: int) -> None:
    inode = state.namespace.require(op.inode_id)
    assert inode.blocks[-1] == op.block_id, (
        f"block {op.block_id} is not the last of inode {op.inode_id}"
    )
    length = inode.length - state.blocks.require(op.block_id).length
    state.namespace.put(inode._replace(blocks=inode.blocks[:-1], length=length))
    free_block(state, op.block_id)


class BlockLengthNoted(Record, frozen=True, tag=25):
    """The writer made bytes of the block visible (hflush, hsync): this many, or (0) some that
    nobody counted."""

    inode_id: int
    block_id: int
    length: int


def block_length_noted(state: State, op: BlockLengthNoted, at_ms: int) -> None:
    _lengthen(state, op.inode_id, op.block_id, op.length)
    state.blocks.note_length(op.block_id, op.length)


class FileClosed(Record, frozen=True, tag=21):
    inode_id: int


def file_closed(state: State, op: FileClosed, at_ms: int) -> None:
    inode = state.namespace.require(op.inode_id)
    if inode.blocks:
        state.blocks.complete(inode.blocks[-1])
    state.leases.end(inode.id, inode.client_name)
    state.namespace.put(inode._replace(client_name="", modified_ms=at_ms))


class PipelineUpdated(Record, frozen=True, tag=26):
    """The block goes on with this stamp: replicas with an older one are worth nothing."""

    inode_id: int
    block_id: int
    stamp: int
    length: int


def pipeline_updated(state: State, op: PipelineUpdated, at_ms: int) -> None:
    state.given.gave(0, op.stamp)
    _lengthen(
        state, op.inode_id, op.block_id, max(op.length, state.blocks.require(op.block_id).length)
    )
    state.blocks.restamp(op.block_id, op.stamp, op.length)


def _lengthen(state: State, inode_id: int, block_id: int, length: int) -> None:
    inode = state.namespace.require(inode_id)
    state.namespace.put(
        inode._replace(length=inode.length + length - state.blocks.require(block_id).length)
    )


EDITS: Edits = {
    FileCreated: file_created,
    FileClosed: file_closed,
    BlockAdded: block_added,
    BlockCommitted: block_committed,
    BlockDropped: block_dropped,
    BlockLengthNoted: block_length_noted,
    PipelineUpdated: pipeline_updated,
}
