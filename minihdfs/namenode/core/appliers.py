"""What each edit does to the durable state. The live path and replay both come through here, so
recovery is tested by every test.

This is where `namespace` and `blocks`, which do not know each other, are joined by ids. Freed
replicas are queued for deletion on datanodes that are known; during replay there are none, and
after it full reports bring up what is left over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minihdfs.model import ROOT_INODE_ID, SYSTEM_INODE_ID
from minihdfs.namenode.core import edits, reserved
from minihdfs.namenode.core.datanodes import Deletion
from minihdfs.namenode.core.records import BUILDING, Block, Inode
from minihdfs.namenode.core.rooms import Rooms


def root_made(rooms: Rooms, op: edits.RootMade, at_ms: int) -> None:
    rooms.namespace.add(Inode(ROOT_INODE_ID, 0, "", True, 0o755, op.owner, op.group, at_ms, at_ms))
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
    rooms.namespace.add(system)


def leadership_taken(rooms: Rooms, op: edits.LeadershipTaken, at_ms: int) -> None:
    rooms.epoch = op.epoch


def directory_made(rooms: Rooms, op: edits.DirectoryMade, at_ms: int) -> None:
    rooms.last_inode_id = max(rooms.last_inode_id, op.inode_id)
    rooms.namespace.add(
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


def file_created(rooms: Rooms, op: edits.FileCreated, at_ms: int) -> None:
    if op.replaced_id:
        _remove(rooms, op.replaced_id, at_ms)
    rooms.last_inode_id = max(rooms.last_inode_id, op.inode_id)
    rooms.namespace.add(
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
    rooms.leases.begin(op.inode_id, op.client_name)


def block_added(rooms: Rooms, op: edits.BlockAdded, at_ms: int) -> None:
    inode = rooms.namespace.require(op.inode_id)
    if inode.blocks:
        rooms.blocks.complete(inode.blocks[-1])
    rooms.given.gave(op.block_id, op.stamp)
    rooms.blocks.add(Block(op.block_id, op.inode_id, op.stamp, 0, BUILDING, inode.replication))
    rooms.namespace.put(inode._replace(blocks=(*inode.blocks, op.block_id)))


def block_committed(rooms: Rooms, op: edits.BlockCommitted, at_ms: int) -> None:
    _lengthen(rooms, op.inode_id, op.block_id, op.length)
    rooms.blocks.commit(op.block_id, op.stamp, op.length)


def block_length_noted(rooms: Rooms, op: edits.BlockLengthNoted, at_ms: int) -> None:
    _lengthen(rooms, op.inode_id, op.block_id, op.length)
    rooms.blocks.note_length(op.block_id, op.length)


def pipeline_updated(rooms: Rooms, op: edits.PipelineUpdated, at_ms: int) -> None:
    rooms.given.gave(0, op.stamp)
    _lengthen(
        rooms, op.inode_id, op.block_id, max(op.length, rooms.blocks.require(op.block_id).length)
    )
    rooms.blocks.restamp(op.block_id, op.stamp, op.length)


def block_dropped(rooms: Rooms, op: edits.BlockDropped, at_ms: int) -> None:
    inode = rooms.namespace.require(op.inode_id)
    assert inode.blocks[-1] == op.block_id, (
        f"block {op.block_id} is not the last of inode {op.inode_id}"
    )
    length = inode.length - rooms.blocks.require(op.block_id).length
    rooms.namespace.put(inode._replace(blocks=inode.blocks[:-1], length=length))
    _free_block(rooms, op.block_id)


def file_closed(rooms: Rooms, op: edits.FileClosed, at_ms: int) -> None:
    inode = rooms.namespace.require(op.inode_id)
    if inode.blocks:
        rooms.blocks.complete(inode.blocks[-1])
    rooms.leases.end(inode.id, inode.client_name)
    rooms.namespace.put(inode._replace(client_name="", modified_ms=at_ms))


def renamed(rooms: Rooms, op: edits.Renamed, at_ms: int) -> None:
    if op.replaced_id:
        _remove(rooms, op.replaced_id, at_ms)
    rooms.namespace.move(op.inode_id, op.to_parent_id, op.to_name, at_ms)


def renamed_many(rooms: Rooms, op: edits.RenamedMany, at_ms: int) -> None:
    for one in op.renames:
        renamed(rooms, one, at_ms)


def tracker_epoch_reset(rooms: Rooms, op: edits.TrackerEpochReset, _at_ms: int) -> None:
    rooms.tracker_epoch = op.tracker_epoch


def published(rooms: Rooms, op: edits.Published, at_ms: int) -> None:
    rooms.tracker_epoch = max(rooms.tracker_epoch, op.tracker_epoch)
    renamed(rooms, op.renamed, at_ms)
    rooms.namespace.put(
        rooms.namespace.require(op.renamed.inode_id)._replace(published_from=op.staging)
    )


def deleted(rooms: Rooms, op: edits.Deleted, at_ms: int) -> None:
    _remove(rooms, op.inode_id, at_ms)


def reclaimed(rooms: Rooms, op: edits.Reclaimed, at_ms: int) -> None:
    for child_id in op.children:
        child = rooms.namespace.require(child_id)
        rooms.namespace.unlink_child(op.inode_id, child)
        _free(rooms, rooms.namespace.orphan(child))
    if op.blocks:
        inode = rooms.namespace.require(op.inode_id)
        gone = inode.blocks[-op.blocks :]
        length = inode.length - sum(rooms.blocks.require(block_id).length for block_id in gone)
        rooms.namespace.put(inode._replace(blocks=inode.blocks[: -op.blocks], length=length))
        for block_id in gone:
            _free_block(rooms, block_id)
    if op.emptied:
        rooms.namespace.free(rooms.namespace.require(op.inode_id))


def permission_set(rooms: Rooms, op: edits.PermissionSet, at_ms: int) -> None:
    rooms.namespace.put(rooms.namespace.require(op.inode_id)._replace(permission=op.permission))


def owner_set(rooms: Rooms, op: edits.OwnerSet, at_ms: int) -> None:
    rooms.namespace.put(
        rooms.namespace.require(op.inode_id)._replace(owner=op.owner, group=op.group)
    )


def times_set(rooms: Rooms, op: edits.TimesSet, at_ms: int) -> None:
    rooms.namespace.put(
        rooms.namespace.require(op.inode_id)._replace(
            modified_ms=op.modified_ms, accessed_ms=op.accessed_ms
        )
    )


def replication_set(rooms: Rooms, op: edits.ReplicationSet, at_ms: int) -> None:
    inode = rooms.namespace.require(op.inode_id)
    rooms.namespace.put(inode._replace(replication=op.replication))
    for block_id in inode.blocks:
        rooms.blocks.set_replication(block_id, op.replication)


def stamp_allocated(rooms: Rooms, op: edits.StampAllocated, at_ms: int) -> None:
    rooms.given.gave(0, op.stamp)


def ids_skipped(rooms: Rooms, op: edits.IdsSkipped, at_ms: int) -> None:
    rooms.given.skip(op.block_id, op.stamp)


def datanode_met(rooms: Rooms, op: edits.DatanodeMet, at_ms: int) -> None:
    if op.forgotten:
        rooms.overlay.datanode.remove(op.forgotten)
        rooms.datanodes.forget(op.forgotten)
    rooms.overlay.datanode.put(op.uuid, True)
    rooms.datanodes.meet(op.uuid)


def _lengthen(rooms: Rooms, inode_id: int, block_id: int, length: int) -> None:
    inode = rooms.namespace.require(inode_id)
    rooms.namespace.put(
        inode._replace(length=inode.length + length - rooms.blocks.require(block_id).length)
    )


def _remove(rooms: Rooms, inode_id: int, at_ms: int) -> None:
    _free(rooms, rooms.namespace.detach(inode_id, at_ms))


def _free(rooms: Rooms, orphan: Inode) -> None:
    """Frees a nameless inode; a directory with children or a file with many blocks stays detached
    until they are reclaimed."""
    if orphan.is_directory:
        if orphan.children == 0:
            rooms.namespace.free(orphan)
        return
    if orphan.client_name:
        rooms.leases.end(orphan.id, orphan.client_name)
    if orphan.id in rooms.namespace.detached:
        rooms.namespace.put(orphan._replace(client_name=""))
        return
    for block_id in orphan.blocks:
        _free_block(rooms, block_id)
    rooms.namespace.free(orphan)


def _free_block(rooms: Rooms, block_id: int) -> None:
    rooms.datanodes.room.block_gone(block_id)
    for uuid, ref in rooms.blocks.remove(block_id):
        node = rooms.datanodes.get(uuid)
        if node is not None:
            node.wish(Deletion(ref, excess=False))


APPLIERS: dict[type, Callable[[Rooms, Any, int], None]] = {
    edits.RootMade: root_made,
    edits.LeadershipTaken: leadership_taken,
    edits.DirectoryMade: directory_made,
    edits.FileCreated: file_created,
    edits.BlockAdded: block_added,
    edits.BlockCommitted: block_committed,
    edits.BlockDropped: block_dropped,
    edits.BlockLengthNoted: block_length_noted,
    edits.FileClosed: file_closed,
    edits.Renamed: renamed,
    edits.RenamedMany: renamed_many,
    edits.Published: published,
    edits.TrackerEpochReset: tracker_epoch_reset,
    edits.Deleted: deleted,
    edits.Reclaimed: reclaimed,
    edits.PermissionSet: permission_set,
    edits.OwnerSet: owner_set,
    edits.TimesSet: times_set,
    edits.ReplicationSet: replication_set,
    edits.StampAllocated: stamp_allocated,
    edits.PipelineUpdated: pipeline_updated,
    edits.IdsSkipped: ids_skipped,
    edits.DatanodeMet: datanode_met,
}
