"""Taking a file from a writer who went silent, or from whom somebody else wants it: closing it with
what its datanodes hold.

Datanodes report replicas that are finished. Until they can be asked for the others (block
recovery), nothing that its writer was told to be visible is ever given up: a file whose last block
has such bytes and no finished replica stays open, the asker is told that it is being recovered, and
every tick tries again. An unfinished block nobody was told anything of is dropped, but only when
all who were to hold it have had the time to say that they finished it: their reports may be
milliseconds away.
"""

from __future__ import annotations

from minihdfs.errors import PathIsNotAFile
from minihdfs.namenode.core import edits, events
from minihdfs.namenode.core.permissions import WRITE
from minihdfs.namenode.core.records import BUILDING, COMPLETE, Block, Inode
from minihdfs.namenode.core.rooms import Rooms

FILES_TRIED_MAX = 100
"""Files that one tick tries to close."""


def recover_lease(rooms: Rooms, event: events.RecoverLease) -> bool:
    """Answer: the file is closed now. False: it is being recovered; ask again."""
    rooms.safemode.require_off(f"recover the lease of {event.path}")
    inode = rooms.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        raise PathIsNotAFile(f"Path is not a file: {event.path}")
    rooms.permissions.check(event.caller, inode, WRITE, event.path)
    return inode.client_name == "" or close_for_writer(rooms, inode)


def take_over_silent(rooms: Rooms) -> None:
    """One tick's share of the files whose writers are gone, and of those that were asked for before
    and could not be closed yet."""
    rooms.leases.take_over_silent(rooms.options.lease_hard_us, rooms.now.mono_us, FILES_TRIED_MAX)
    for inode_id in rooms.leases.next_taken_over(FILES_TRIED_MAX):
        inode = rooms.namespace.require(inode_id)
        if rooms.namespace.is_attached(inode):
            close_for_writer(rooms, inode)


def close_for_writer(rooms: Rooms, inode: Inode) -> bool:
    """Closes a file whose writer is gone, with what its replicas say. False while that is not
    known: it is tried again with every tick.

    An open last block ends at the longest finished replica of its newest stamp."""
    since_us = rooms.leases.take_over_since(inode.id, rooms.now.mono_us)
    waited_us = rooms.now.mono_us - since_us
    last = rooms.blocks.require(inode.blocks[-1]) if inode.blocks else None
    if last is not None and last.state == BUILDING:
        reported = rooms.blocks.building.get(last.id, {}).values()
        least = max(last.length, 1)
        found = [
            ref
            for ref in reported
            if last.stamp <= ref.stamp
            and not rooms.given.never(ref)
            and least <= ref.length <= inode.block_bytes
        ]
        if found:
            stamp, length = max((ref.stamp, ref.length) for ref in found)
            rooms.commit(edits.BlockCommitted(inode.id, last.id, stamp, length))
        elif _may_be_held(rooms, last, waited_us):
            return False
        else:
            rooms.commit(edits.BlockDropped(inode.id, last.id))
    elif (
        last is not None
        and last.state != COMPLETE
        and not rooms.blocks.holders(last.id)
        and waited_us < rooms.options.lease_hard_us
    ):
        return False
    close_file(rooms, rooms.namespace.require(inode.id))
    return True


def _may_be_held(rooms: Rooms, last: Block, waited_us: int) -> bool:
    """Bytes that the writer was promised wait for their holders however long it takes; others as
    long as a living datanode may be late."""
    return last.flushed or rooms.settling() or waited_us < rooms.options.dead_after_us


def why_open(rooms: Rooms, inode: Inode) -> str:
    """What the recovery of this file waits for, in words."""
    last = rooms.blocks.require(inode.blocks[-1]) if inode.blocks else None
    if last is None or last.state == COMPLETE:
        return "it is about to be closed"
    if last.flushed:
        return (
            f"{last.length or 'some'} bytes of its last block {last.id} were flushed, and no "
            "datanode has reported a finished replica of it"
        )
    return f"datanodes may still report its last block {last.id}"


def close_file(rooms: Rooms, inode: Inode) -> None:
    if inode.blocks:
        rooms.replication.settle(inode.blocks[-1], rooms.now)
    rooms.commit(edits.FileClosed(inode.id))
