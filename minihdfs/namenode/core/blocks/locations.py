"""Where a file's blocks are, as a reader is told."""

from __future__ import annotations

from collections.abc import Iterable

from minihdfs.model import BlockRef, LocatedBlock, LocatedBlocks
from minihdfs.namenode.core.parking import SAFE_MODE_ENDS, Waits
from minihdfs.namenode.core.records import BUILDING, Block, Inode
from minihdfs.namenode.core.state import State


def await_replicas(state: State, files: Iterable[LocatedBlocks | None], *, patient: bool) -> None:
    """Raises Waits when a block has no known replica and one may be about to be reported: readers
    take "nowhere" for "lost".

    During the safe mode of a start its end is awaited, not each block in turn: an answer of many
    blocks would be made many times. What is nowhere after the wait is answered so, as HDFS's own
    clients ask again for it (a SafeModeException would end their read)."""
    if not patient:
        return
    for located in files:
        for one in located.blocks if located is not None else ():
            if (
                located is not None
                and one is located.last_block
                and not located.last_block_complete
            ):
                # datanodes report what is finished: nobody will say where this one is being written
                continue
            if one.locations or one.corrupt or not (state.safemode.starting or state.settling()):
                continue
            raise Waits(SAFE_MODE_ENDS if state.safemode.starting else one.block.id, None)


def located_blocks(
    state: State, inode: Inode, offset: int, length: int, host: str
) -> LocatedBlocks:
    """Blocks that overlap [offset, offset + length); the last block beside them, because an open
    one has no final length: as HDFS does, it is not in the file's length (its readers ask a
    datanode and add), and among the blocks with what its writer made visible."""
    located: list[LocatedBlock] = []
    at, end = 0, offset + length
    last: LocatedBlock | None = None
    last_complete = True
    for number, block_id in enumerate(inode.blocks, 1):
        block = state.blocks.require(block_id)
        is_last = number == len(inode.blocks)
        wanted = at < end and at + block.length > offset and block.length > 0
        if wanted or is_last:
            one = locate(state, block, at, host)
            if wanted:
                located.append(one)
            if is_last:
                last, last_complete = one, block.state != BUILDING
        at += block.length
        if at >= end and number + 1 < len(inode.blocks):
            return _with_last(state, inode, located, host)
    return _of(inode, located, last, last_complete)


def _with_last(state: State, inode: Inode, located: list[LocatedBlock], host: str) -> LocatedBlocks:
    """The short way for the front of a long file: the last block's offset is what remains."""
    block = state.blocks.require(inode.blocks[-1])
    last = locate(state, block, inode.length - block.length, host)
    return _of(inode, located, last, block.state != BUILDING)


def _of(
    inode: Inode, located: list[LocatedBlock], last: LocatedBlock | None, last_complete: bool
) -> LocatedBlocks:
    open_bytes = last.block.length if last is not None and not last_complete else 0
    return LocatedBlocks(
        inode.length - open_bytes, tuple(located), inode.client_name != "", last, last_complete
    )


def locate(state: State, block: Block, offset: int, host: str) -> LocatedBlock:
    """Sound replicas; for a block being written its pipeline; when only bad ones are left, those,
    marked corrupt."""
    corrupt = False
    uuids: tuple[str, ...] = state.blocks.holders(block.id)
    if block.state == BUILDING:
        uuids = state.blocks.pipelines.get(block.id) or tuple(
            sorted(state.blocks.building.get(block.id, {}))
        )
    elif not uuids and block.id in state.blocks.bad:
        uuids, corrupt = tuple(sorted(state.blocks.bad[block.id])), True
    addresses = state.datanodes.locations(uuids, host, state.now)
    return LocatedBlock(BlockRef(block.id, block.stamp, block.length), offset, addresses, corrupt)
