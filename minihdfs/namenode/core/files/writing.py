"""A file's blocks, one after the other: each request followed by its handler.

Before a block is added or the file is closed, the block before has its final length and at least
one reported replica; the request is parked until then.
"""

from __future__ import annotations

from dataclasses import dataclass

from minihdfs.errors import (
    FileNotFound,
    InvalidArgument,
    LeaseExpired,
    NoDatanodes,
    NotReplicatedYet,
    PathIsNotAFile,
)
from minihdfs.model import BlockRef, LocatedBlock
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.datanodes.datanodes import Datanode
from minihdfs.namenode.core.files import edits
from minihdfs.namenode.core.parking import DATANODE_COMES, ROOM_COMES, Then, Waits
from minihdfs.namenode.core.records import BUILDING, Inode
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Caller, Request
from minihdfs.namenode.core.state import State


def open_file(state: State, path: str, inode_id: int, client_name: str, caller: Caller) -> Inode:
    """The file its writer means, by id when it knows one (the file may have been renamed). Raises
    LeaseExpired when it is not theirs."""
    inode = state.namespace.inode(inode_id) if inode_id else state.namespace.find(caller, path)
    if inode is None or (inode_id and not state.namespace.is_attached(inode)):
        raise FileNotFound(
            f"File does not exist: {path} (inode {inode_id}); it was deleted while {client_name} "
            "wrote it"
        )
    if inode.is_directory:
        raise PathIsNotAFile(f"Path is not a file: {path}")
    if (
        inode.client_name != client_name or not client_name
    ):  # a closed file's is "", and nobody may go by that name
        holder = f"it is open by {inode.client_name}" if inode.client_name else "it is closed"
        raise LeaseExpired(f"No lease on {path} (inode {inode.id}) for {client_name}: {holder}")
    state.leases.renew(client_name, state.now.mono_us)
    return inode


def check_length(inode: Inode, block: BlockRef) -> None:
    """No block is longer than its file's blocks are: whoever says so would make numbers that no
    record can hold."""
    if not 0 <= block.length <= inode.block_bytes:
        raise InvalidArgument(
            f"block {block.id} was said to have {block.length} bytes; blocks of its file have "
            f"{inode.block_bytes}"
        )


def commit_last(state: State, inode: Inode, last: BlockRef) -> None:
    """Takes the writer's word for the final length of its last block."""
    block = state.blocks.require(inode.blocks[-1])
    if block.state != BUILDING:
        return
    check_length(inode, last)
    if last.stamp != block.stamp:
        raise InvalidArgument(
            f"block {last.id} was said to end with stamp {last.stamp}, length {last.length}; its "
            f"stamp is {block.stamp}"
        )
    if last.length == 0:
        state.commit(edits.BlockDropped(inode.id, block.id))
    else:
        state.commit(edits.BlockCommitted(inode.id, block.id, block.stamp, last.length))


def await_replica(state: State, inode: Inode, late: Answer | Refusal) -> None:
    """Raises Waits unless the file's last block has a sound replica."""
    if inode.blocks and not state.blocks.holders(inode.blocks[-1]):
        raise Waits(inode.blocks[-1], late)


@dataclass(frozen=True, slots=True)
class AddBlock(Request):
    """Answer: LocatedBlock. Commits `previous` (its final length), then allocates; parks until
    previous is complete (≤ 3 s)."""

    retried = True

    path: str
    client_name: str
    inode_id: int  # 0 = by path
    previous: BlockRef | None
    exclude: tuple[str, ...] = ()  # datanode uuids
    favored: tuple[str, ...] = ()


def add_block(state: State, event: AddBlock) -> LocatedBlock | Then:
    state.safemode.require_off(f"add a block to {event.path}")
    inode = open_file(state, event.path, event.inode_id, event.client_name, event.caller)
    previous, last_id = event.previous, inode.blocks[-1] if inode.blocks else 0
    if previous is not None and last_id and previous.id == last_id:
        commit_last(state, inode, previous)
    elif _dropped_before(state, inode, previous):
        return Then(_allocate)
    elif last_id:
        return _added_before(state, inode, event)
    elif previous is not None:
        raise InvalidArgument(
            f"{event.path}: block {previous.id} was said to be its last, but it has none"
        )
    return Then(_allocate)


def _allocate(state: State, event: AddBlock) -> LocatedBlock:
    """The blocks before have their final lengths; the last of them needs a replica."""
    state.safemode.require_off(f"add a block to {event.path}")
    inode = open_file(state, event.path, event.inode_id, event.client_name, event.caller)
    last_id = inode.blocks[-1] if inode.blocks else 0
    await_replica(
        state,
        inode,
        Refusal(
            NotReplicatedYet,
            f"Not replicated yet: {event.path}, block {last_id} has no reported replica",
        ),
    )
    if len(inode.blocks) >= state.options.blocks_per_file_max:
        most = (
            f"{event.path} has {len(inode.blocks)} blocks of {inode.block_bytes} bytes, and "
            "no file has more"
        )
        raise InvalidArgument(f"{most}: write it with a larger block size")
    nodes = state.placement.choose(
        inode.replication,
        inode.block_bytes,
        state.now,
        host=event.caller.host,
        exclude=event.exclude,
        favored=event.favored,
    )
    if not nodes:
        raise _nowhere(state, inode, event)
    block_id, stamp = state.last_block_id + 1, state.last_stamp + 1
    if inode.blocks:
        state.replication.settle(inode.blocks[-1], state.now)
    state.commit(edits.BlockAdded(inode.id, block_id, stamp))
    _give(state, inode, block_id, nodes)
    return LocatedBlock(
        BlockRef(block_id, stamp, 0), inode.length, tuple(node.address for node in nodes)
    )


def _give(state: State, inode: Inode, block_id: int, nodes: list[Datanode]) -> None:
    """The block is written there: its room is taken."""
    state.blocks.begin_pipeline(block_id, tuple(node.uuid for node in nodes))
    for node in nodes:
        state.datanodes.promise(node, block_id, inode.block_bytes, state.now)


def _nowhere(state: State, inode: Inode, event: AddBlock) -> Exception:
    """No datanode can take a block. While the term is young and none is here yet, one is awaited;
    if all room is promised, some of it."""
    why = state.placement.explain(inode.block_bytes, event.exclude)
    refused = NoDatanodes(
        f"no datanode can take a block of {event.path}: {why}", next_command="mrc status"
    )
    if state.settling() and not state.datanodes.live():
        return Waits(DATANODE_COMES, Refusal(NoDatanodes, refused.message))
    if event.caller.patient and state.placement.is_promised(inode.block_bytes, event.exclude):
        return Waits(ROOM_COMES, None)
    return refused


def _dropped_before(state: State, inode: Inode, previous: BlockRef | None) -> bool:
    """The first transmission dropped the empty block that its writer says is the last, and then
    waited for a replica of the one before, until this namenode was started again."""
    if previous is None or previous.length or previous.id > state.last_block_id:
        return False
    last_id = inode.blocks[-1] if inode.blocks else 0
    return previous.id > last_id > 0 and state.blocks.require(last_id).state != BUILDING


def _added_before(state: State, inode: Inode, event: AddBlock) -> LocatedBlock:
    """The request is a repetition if its `previous` is the block before the last and nothing was
    written to the last: same answer."""
    block = state.blocks.require(inode.blocks[-1])
    before = inode.blocks[-2] if len(inode.blocks) > 1 else 0
    previous = event.previous
    said = previous.id if previous is not None else 0
    dropped = previous is not None and previous.length == 0 and before < said < block.id
    if not (said == before or dropped) or block.state != BUILDING or block.length:
        last = f"block {said}" if said else "none"
        raise InvalidArgument(
            f"{event.path}: {last} was said to be its last block, but that is {block.id}"
        )
    uuids = state.blocks.pipelines.get(block.id, ())
    nodes = [node for uuid in uuids if (node := state.datanodes.get(uuid)) and node.alive]
    if not nodes:  # forgotten by a restart, or dead since: the writer never heard of it either
        nodes = state.placement.choose(
            inode.replication,
            inode.block_bytes,
            state.now,
            host=event.caller.host,
            exclude=event.exclude,
        )
        if not nodes:
            raise _nowhere(state, inode, event)
        _give(state, inode, block.id, nodes)
    addresses = tuple(node.address for node in nodes)
    return LocatedBlock(BlockRef(block.id, block.stamp, 0), inode.length, addresses)


@dataclass(frozen=True, slots=True)
class AbandonBlock(Request):
    retried = True

    path: str
    client_name: str
    inode_id: int
    block: BlockRef


def abandon_block(state: State, event: AbandonBlock) -> None:
    """Abandoning what is not the last open block any more is a repetition: nothing happens."""
    state.safemode.require_off(f"abandon a block of {event.path}")
    inode = open_file(state, event.path, event.inode_id, event.client_name, event.caller)
    if (
        inode.blocks
        and inode.blocks[-1] == event.block.id
        and state.blocks.require(event.block.id).state == BUILDING
    ):
        state.commit(edits.BlockDropped(inode.id, event.block.id))


@dataclass(frozen=True, slots=True)
class Fsync(Request):
    retried = True

    path: str
    client_name: str
    inode_id: int
    last_block_length: int  # -1 = unknown


def fsync(state: State, event: Fsync) -> None:
    state.safemode.require_off(f"fsync file {event.path}")
    inode = open_file(state, event.path, event.inode_id, event.client_name, event.caller)
    if inode.blocks:
        block = state.blocks.require(inode.blocks[-1])
        length = max(
            event.last_block_length, block.length
        )  # -1: Java's hflush, which says that there are bytes and not how many
        check_length(inode, BlockRef(block.id, block.stamp, length))
        if block.state == BUILDING and (length > block.length or not block.flushed):
            state.commit(edits.BlockLengthNoted(inode.id, block.id, length))


CALLS: Calls = {
    AddBlock: Call(add_block),
    AbandonBlock: Call(abandon_block),
    Fsync: Call(fsync),
}
