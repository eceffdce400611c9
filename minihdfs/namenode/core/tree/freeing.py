"""What goes with a name: the inode, its lease, its blocks, and their replicas on datanodes that are
known.

This is where the tree and the blocks, which do not know each other, are joined by ids. During
replay there are no datanodes, and after it full reports bring up what is left over.
"""

from __future__ import annotations

from minihdfs.namenode.core.datanodes.datanodes import Deletion
from minihdfs.namenode.core.records import Inode
from minihdfs.namenode.core.state import State


def remove_name(state: State, inode_id: int, at_ms: int) -> None:
    free(state, state.namespace.detach(inode_id, at_ms))


def free(state: State, orphan: Inode) -> None:
    """Frees a nameless inode; a directory with children or a file with many blocks stays detached
    until they are reclaimed."""
    if orphan.is_directory:
        if orphan.children == 0:
            state.namespace.free(orphan)
        return
    if orphan.client_name:
        state.leases.end(orphan.id, orphan.client_name)
    if orphan.id in state.namespace.detached:
        state.namespace.put(orphan._replace(client_name=""))
        return
    for block_id in orphan.blocks:
        free_block(state, block_id)
    state.namespace.free(orphan)


def free_block(state: State, block_id: int) -> None:
    state.datanodes.room.block_gone(block_id)
    for uuid, ref in state.blocks.remove(block_id):
        node = state.datanodes.get(uuid)
        if node is not None:
            node.wish(Deletion(ref, excess=False))
