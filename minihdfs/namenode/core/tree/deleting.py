"""May a tree be deleted? It goes with one edit and is reclaimed later, in slices; whether it may go
is asked of every directory in it, as HDFS does."""

from __future__ import annotations

from minihdfs.errors import AccessDenied
from minihdfs.namenode.core.records import BLOCKS_AT_ONCE, Inode
from minihdfs.namenode.core.request import Caller
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import edits
from minihdfs.namenode.core.tree.permissions import EXECUTE, READ, STICKY, WRITE


def check_tree(state: State, caller: Caller, top: Inode, path: str) -> None:
    """May the caller delete everything below? rwx on every directory that holds something, and in a
    sticky one only what is theirs. Looked at are the directories, and others only where directories
    may be among them: at most as many as one step may touch."""
    if state.permissions.is_super(caller):
        return
    left, pending = state.options.step_records, [top]
    while pending:
        directory = pending.pop()
        if not directory.children:
            continue
        where = path if directory is top else state.namespace.path_of(directory)
        state.permissions.check(caller, directory, READ | WRITE | EXECUTE, where)
        sticky = bool(directory.permission & STICKY) and caller.user != directory.owner
        left, found = _children_of_interest(state, directory, left, everybody=sticky)
        if left < 0:
            raise AccessDenied(
                f"{path} holds more than {state.options.step_records} names, too many to ask of "
                f"all whether {caller.user} may delete them: "
                "delete what is in it directory by directory, or as the superuser",
                next_command=f"mrc fs ls {path}",
            )
        for child in found:
            if sticky:
                state.permissions.check_names(caller, directory, f"{where}/{child.name}", child)
            if child.is_directory:
                pending.append(child)


def _children_of_interest(
    state: State, directory: Inode, left: int, *, everybody: bool
) -> tuple[int, list[Inode]]:
    """(what is left of the budget, negative when it did not suffice; the children found until all
    directories were among them)"""
    found: list[Inode] = []
    after, directories = "", 0
    while everybody or directories < directory.directories:
        page = state.namespace.children(directory.id, after, state.options.listing_page)
        left -= len(page)
        if left < 0 or not page:
            break
        after = page[-1][0]
        for _name, inode_id in page:
            child = state.namespace.glance(inode_id)
            directories += child.is_directory
            found.append(child)
    return left, found


class Reclaim:
    """Frees deleted trees and large files: some children or blocks of one that is detached per
    slice. Stops while nothing may be edited; the monitor starts it again."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __call__(self) -> bool:
        state = self._state
        if not state.safemode.may_edit or not state.namespace.detached:
            state.reclaiming = False
            return True
        inode = state.namespace.require(next(iter(state.namespace.detached)))
        state.commit(self._some_children(inode) if inode.is_directory else self._some_blocks(inode))
        return False

    def _some_children(self, directory: Inode) -> edits.Reclaimed:
        """What they take with them counts: the budget is one of records."""
        limit = self._state.options.reclaim_records
        found = self._state.namespace.children(directory.id, "", limit)
        taken: list[int] = []
        records = 0
        for _name, inode_id in found:
            blocks = len(self._state.namespace.require(inode_id).blocks)
            records += 1 + (blocks if blocks <= BLOCKS_AT_ONCE else 0)
            if taken and records > limit:
                break
            taken.append(inode_id)
        return edits.Reclaimed(directory.id, tuple(taken), len(taken) == len(found) < limit)

    def _some_blocks(self, file: Inode) -> edits.Reclaimed:
        count = min(len(file.blocks), self._state.options.reclaim_records)
        return edits.Reclaimed(file.id, (), count == len(file.blocks), count)
