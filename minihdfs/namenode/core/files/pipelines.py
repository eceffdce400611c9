"""A pipeline that broke goes on: a new stamp, other datanodes. Each request followed by its
handler."""

from __future__ import annotations

from dataclasses import dataclass

from minihdfs.errors import FileNotFound, InvalidArgument, LeaseExpired, NoDatanodes
from minihdfs.model import BlockRef, LocatedBlock
from minihdfs.namenode.core.blocks.edits import StampAllocated
from minihdfs.namenode.core.blocks.locations import locate
from minihdfs.namenode.core.files import edits
from minihdfs.namenode.core.files.writing import check_length, open_file
from minihdfs.namenode.core.records import BUILDING, Block, Inode
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import bounds


@dataclass(frozen=True, slots=True)
class UpdateBlockForPipeline(Request):
    """Answer: LocatedBlock with a new generation stamp (not yet journaled as the block's own)."""

    retried = True

    client_name: str
    block: BlockRef


def update_block_for_pipeline(state: State, event: UpdateBlockForPipeline) -> LocatedBlock:
    state.safemode.require_off("get a new generation stamp")
    inode, block = _open_block(state, event.block, event.client_name)
    stamp = state.last_stamp + 1
    state.commit(StampAllocated(stamp))
    located = locate(state, block, inode.length - block.length, event.caller.host)
    return LocatedBlock(
        BlockRef(block.id, stamp, event.block.length), located.offset, located.locations
    )


@dataclass(frozen=True, slots=True)
class UpdatePipeline(Request):
    retried = True
    void = True

    client_name: str
    old: BlockRef
    new: BlockRef
    datanodes: tuple[str, ...]


def update_pipeline(state: State, event: UpdatePipeline) -> None:
    state.safemode.require_off("update a pipeline")
    bounds.check_count("datanodes in a pipeline", len(event.datanodes), bounds.PIPELINE_MAX)
    inode, block = _open_block(state, event.old, event.client_name)
    if (
        event.new.id != block.id
        or not block.stamp <= event.new.stamp <= state.last_stamp
        or event.new.length < block.length
    ):
        raise InvalidArgument(
            f"pipeline of block {block.id} (stamp {block.stamp}, {block.length} bytes) cannot go "
            f"on as block {event.new.id} "
            f"(stamp {event.new.stamp}, {event.new.length} bytes)"
        )
    check_length(inode, event.new)
    if event.new.stamp != block.stamp and state.given.is_skipped_stamp(event.new.stamp):
        raise InvalidArgument(
            f"stamp {event.new.stamp} was never given: ask for one with updateBlockForPipeline"
        )
    if event.new.stamp != block.stamp:
        state.commit(
            edits.PipelineUpdated(inode.id, block.id, event.new.stamp, event.new.length),
            event.caller,
            True,
        )
    state.blocks.begin_pipeline(block.id, event.datanodes)


@dataclass(frozen=True, slots=True)
class GetAdditionalDatanode(Request):
    """Answer: LocatedBlock whose locations are existing + new."""

    retried = True

    path: str
    client_name: str
    inode_id: int
    block: BlockRef
    existing: tuple[str, ...]
    exclude: tuple[str, ...]
    count: int


def get_additional_datanode(state: State, event: GetAdditionalDatanode) -> LocatedBlock:
    state.safemode.require_off("add a datanode to a pipeline")
    inode = open_file(state, event.path, event.inode_id, event.client_name, event.caller)
    existing = tuple(
        node for uuid in event.existing if (node := state.datanodes.get(uuid)) is not None
    )
    exclude = {*event.exclude, *event.existing}
    nodes = state.placement.choose(
        max(0, event.count), inode.block_bytes, state.now, exclude=exclude, existing=existing
    )
    if not nodes:
        raise NoDatanodes(
            f"no further datanode for {event.path}: "
            f"{state.placement.explain(inode.block_bytes, exclude)}"
        )
    for node in nodes:
        state.datanodes.promise(node, event.block.id, inode.block_bytes, state.now)
    return LocatedBlock(
        event.block, inode.length, tuple(node.address for node in [*existing, *nodes])
    )


def _open_block(state: State, ref: BlockRef, client_name: str) -> tuple[Inode, Block]:
    block = state.blocks.get(ref.id)
    inode = None if block is None else state.namespace.inode(block.inode_id)
    if block is None or inode is None or not state.namespace.is_attached(inode):
        raise FileNotFound(f"block {ref.id} belongs to no file")
    if inode.client_name != client_name:
        raise LeaseExpired(
            f"No lease on {state.namespace.path_of(inode)} (inode {inode.id}) for {client_name}"
        )
    if block.state != BUILDING:
        raise InvalidArgument(
            f"block {ref.id} of {state.namespace.path_of(inode)} is not under construction"
        )
    state.leases.renew(client_name, state.now.mono_us)
    return inode, block


CALLS: Calls = {
    UpdateBlockForPipeline: Call(update_block_for_pipeline),
    UpdatePipeline: Call(update_pipeline),
    GetAdditionalDatanode: Call(get_additional_datanode),
}
