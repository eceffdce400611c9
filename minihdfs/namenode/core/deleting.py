"""Deleting names. A tree goes with one edit and is reclaimed later; whether it may go is asked of
every directory in it, as HDFS does."""

from __future__ import annotations

from minihdfs import paths
from minihdfs.errors import AccessDenied, DirectoryNotEmpty
from minihdfs.namenode.core import edits, events, reserved
from minihdfs.namenode.core.permissions import EXECUTE, READ, STICKY, WRITE
from minihdfs.namenode.core.records import Inode
from minihdfs.namenode.core.rooms import Rooms


def delete(rooms: Rooms, event: events.Delete) -> bool:
    """False for a missing path, and for the root, which is never removed."""
    rooms.safemode.require_off(f"delete {event.path}")
    names = paths.components(event.path)
    inode = rooms.namespace.find(event.caller, event.path)
    if inode is None:
        return False
    reserved.check_taken(names)
    if inode.is_directory and not event.recursive and rooms.namespace.status(inode).children:
        raise DirectoryNotEmpty(
            f"{event.path} is not empty", next_command=f"mrc fs ls {event.path}"
        )
    if not names:
        return False
    if inode.is_directory:
        check_tree(rooms, event.caller, inode, event.path)
    rooms.permissions.check_names(
        event.caller, rooms.namespace.require(inode.parent_id), event.path, inode
    )
    rooms.commit(edits.Deleted(inode.id), event.caller, True)
    return True


def check_tree(rooms: Rooms, caller: events.Caller, top: Inode, path: str) -> None:
    """May the caller delete everything below? rwx on every directory that holds something, and in a
    sticky one only what is theirs. Looked at are the directories, and others only where directories
    may be among them: at most as many as one step may touch."""
    if rooms.permissions.is_super(caller):
        return
    left, pending = rooms.options.step_records, [top]
    while pending:
        directory = pending.pop()
        if not directory.children:
            continue
        where = path if directory is top else rooms.namespace.path_of(directory)
        rooms.permissions.check(caller, directory, READ | WRITE | EXECUTE, where)
        sticky = bool(directory.permission & STICKY) and caller.user != directory.owner
        left, found = _children_of_interest(rooms, directory, left, everybody=sticky)
        if left < 0:
            raise AccessDenied(
                f"{path} holds more than {rooms.options.step_records} names, too many to ask of "
                f"all whether {caller.user} may delete them: "
                "delete what is in it directory by directory, or as the superuser",
                next_command=f"mrc fs ls {path}",
            )
        for child in found:
            if sticky:
                rooms.permissions.check_names(caller, directory, f"{where}/{child.name}", child)
            if child.is_directory:
                pending.append(child)


def _children_of_interest(
    rooms: Rooms, directory: Inode, left: int, *, everybody: bool
) -> tuple[int, list[Inode]]:
    """(what is left of the budget, negative when it did not suffice; the children found until all
    directories were among them)"""
    found: list[Inode] = []
    after, directories = "", 0
    while everybody or directories < directory.directories:
        page = rooms.namespace.children(directory.id, after, rooms.options.listing_page)
        left -= len(page)
        if left < 0 or not page:
            break
        after = page[-1][0]
        for _name, inode_id in page:
            child = rooms.namespace.glance(inode_id)
            directories += child.is_directory
            found.append(child)
    return left, found
