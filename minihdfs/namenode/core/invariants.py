"""What must hold between any two steps. Called under test and by the simulator; scans everything,
so never in production.

Numbers in the messages are ids. A failure here means the state contradicts itself: the step before
it is the culprit.
"""

from __future__ import annotations

from minihdfs.model import ROOT_INODE_ID
from minihdfs.namenode.core.records import BUILDING, COMMITTED, COMPLETE, Block, Inode
from minihdfs.namenode.core.state import State


def check_all(state: State) -> None:
    inodes: dict[int, Inode] = dict(state.overlay.inode.items())
    blocks: dict[int, Block] = dict(state.overlay.block.items())
    check_tree(state, inodes)
    check_files(state, inodes, blocks)
    check_replicas(state, blocks)
    check_counts(state, inodes, blocks)


def check_tree(state: State, inodes: dict[int, Inode]) -> None:
    """Every inode hangs by exactly one name under a directory, or is detached; directories know how
    many children they have."""
    children: dict[int, int] = {}
    named: dict[int, tuple[int, str]] = {}
    for (parent_id, name), inode_id in state.overlay.dentry.items():
        assert inode_id in inodes, (
            f"({parent_id}, {name!r}) names inode {inode_id}, which does not exist"
        )
        assert inode_id not in named, f"inode {inode_id} has two names"
        assert parent_id in inodes and inodes[parent_id].is_directory, (
            f"inode {inode_id} lies under {parent_id}, no directory"
        )
        named[inode_id] = (parent_id, name)
        children[parent_id] = children.get(parent_id, 0) + 1
    for inode in inodes.values():
        if inode.id == ROOT_INODE_ID:
            continue
        if inode.parent_id == 0:
            assert inode.id in state.namespace.detached, f"inode {inode.id} hangs nowhere"
            assert inode.id not in named, f"detached inode {inode.id} has a name"
        else:
            here = (inode.parent_id, inode.name)
            assert named.get(inode.id) == here, f"inode {inode.id} thinks it is {here}"
    for inode in inodes.values():
        if inode.is_directory and inode.id not in state.namespace.detached:
            assert inode.children == children.get(inode.id, 0), (
                f"directory {inode.id} counts {inode.children} children"
            )
        seen = set()
        at: Inode | None = inode
        while at is not None and at.parent_id:
            assert at.id not in seen, f"inode {inode.id} lies in a cycle"
            seen.add(at.id)
            at = inodes.get(at.parent_id)
    assert sorted(state.namespace.detached) == [
        key for key, _true in state.overlay.detached.items()
    ], "detached inodes differ"


def check_files(state: State, inodes: dict[int, Inode], blocks: dict[int, Block]) -> None:
    """Each block belongs to one file; only the last block of an open file may be unfinished;
    lengths add up; leases match open files."""
    owner: dict[int, int] = {}
    for inode in inodes.values():
        for number, block_id in enumerate(inode.blocks, 1):
            assert block_id in blocks, (
                f"inode {inode.id} has block {block_id}, which does not exist"
            )
            assert block_id not in owner, (
                f"block {block_id} belongs to inodes {owner[block_id]} and {inode.id}"
            )
            owner[block_id] = inode.id
            block = blocks[block_id]
            assert block.inode_id == inode.id and block.replication == inode.replication, (
                f"block {block_id} differs from inode {inode.id}"
            )
            may_be_unfinished = (
                inode.client_name or inode.id in state.namespace.detached
            ) and number == len(inode.blocks)
            assert block.state == COMPLETE or may_be_unfinished, (
                f"block {block_id} is unfinished in inode {inode.id}"
            )
        assert inode.length == sum(blocks[block_id].length for block_id in inode.blocks), (
            f"inode {inode.id} is {inode.length} bytes long"
        )
    assert owner.keys() == blocks.keys(), "a block belongs to no file"
    open_files = sorted(
        (inode.id, inode.client_name) for inode in inodes.values() if inode.client_name
    )
    assert open_files == state.leases.files() == list(state.overlay.lease.items()), (
        "leases and open files differ"
    )
    assert (
        max(blocks, default=0) <= state.last_block_id
        and max(inodes, default=0) <= state.last_inode_id
    ), "an id was not counted"
    assert max((block.stamp for block in blocks.values()), default=0) <= state.last_stamp, (
        "a stamp was not counted"
    )


def check_replicas(state: State, blocks: dict[int, Block]) -> None:
    """The map of replicas agrees with itself and with the incremental counts."""
    soft = state.blocks
    held: dict[str, set[int]] = {}
    for kind in (soft.sound, soft.building, soft.bad, soft.future):
        for block_id, by_datanode in kind.items():
            assert (block_id in blocks) != (kind is soft.future), (
                f"a replica of block {block_id} is known, which does not exist"
            )
            assert by_datanode, f"block {block_id} is known to have no replicas"
            for uuid in by_datanode:
                assert block_id not in held.setdefault(uuid, set()), (
                    f"block {block_id} stands twice for {uuid}"
                )
                held[uuid].add(block_id)
    known = {uuid: set(ids) for uuid, ids in soft.held.items() if ids}
    assert {uuid: ids for uuid, ids in held.items() if ids} == known, (
        "what datanodes hold differs from what blocks are held by"
    )
    for block_id in soft.building:
        assert blocks[block_id].state == BUILDING, (
            f"block {block_id} is finished and has replicas being built"
        )
    for block_id in soft.sound:
        assert blocks[block_id].state in (COMMITTED, COMPLETE), (
            f"block {block_id} is being written and has sound replicas"
        )
    complete = [
        (block, len(soft.sound.get(block.id, ())))
        for block in blocks.values()
        if block.state == COMPLETE
    ]
    assert soft.reported == sum(1 for _block, count in complete if count), (
        "reported blocks are miscounted"
    )
    under = {block.id: count for block, count in complete if 0 < count < block.replication}
    assert {
        block_id: count for count, queue in soft.under.items() for block_id in queue
    } == under, "under-replicated blocks are misfiled"
    assert soft.under_total == len(under), "under-replicated blocks are miscounted"
    assert set(soft.over) == {block.id for block, count in complete if count > block.replication}, (
        "excess blocks are miscounted"
    )
    state.replication.copies.check_invariants()
    state.datanodes.room.check_invariants()
    for node in state.datanodes.by_uuid.values():
        assert not (set(soft.held.get(node.uuid, {})) & set(node.ordered)), (
            f"{node.uuid} holds what it was ordered to delete"
        )


def check_counts(state: State, inodes: dict[int, Inode], blocks: dict[int, Block]) -> None:
    directories = sum(1 for inode in inodes.values() if inode.is_directory)
    counted = (
        state.namespace.directories,
        state.namespace.files,
        state.blocks.total,
        state.blocks.complete_total,
    )
    actual = (
        directories,
        len(inodes) - directories,
        len(blocks),
        sum(1 for block in blocks.values() if block.state == COMPLETE),
    )
    assert counted == actual, (
        f"counters say {counted}, the tables {actual} (directories, files, blocks, complete blocks)"
    )
