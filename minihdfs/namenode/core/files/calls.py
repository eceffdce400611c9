"""A file is created, closed, or given up by its writer, each request followed by its handler.

One writer per file, by lease. A repeated request finds what the first one did and is told the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from minihdfs.errors import (
    AlreadyBeingCreated,
    FileAlreadyExists,
    FileNotFound,
    FsError,
    InvalidArgument,
    LeaseExpired,
    PathIsNotAFile,
)
from minihdfs.model import MAX_BLOCK_BYTES, MIN_BLOCK_BYTES, BlockRef, FileStatus
from minihdfs.namenode.core.commands import Answer
from minihdfs.namenode.core.files import edits
from minihdfs.namenode.core.files.lease_recovery import close_file, close_for_writer, why_open
from minihdfs.namenode.core.files.writing import await_replica, commit_last, open_file
from minihdfs.namenode.core.parking import Then
from minihdfs.namenode.core.records import BUILDING, Inode
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import bounds
from minihdfs.namenode.core.tree.edits import Deleted
from minihdfs.namenode.core.tree.permissions import WRITE
from minihdfs.namenode.core.tree.places import place_for


@dataclass(frozen=True, slots=True)
class Create(Request):
    """Answer: FileStatus. `overwrite` and `create` are Hadoop's create flags; without `create` the
    file must exist."""

    retried = True

    path: str
    client_name: str
    permission: int
    overwrite: bool
    create_parents: bool
    replication: int  # 0 = the default
    block_bytes: int  # 0 = the default
    create: bool = True


def create(state: State, event: Create) -> FileStatus:
    caller, path = event.caller, event.path
    state.safemode.require_off(f"create file {path}")
    if not event.client_name:
        raise InvalidArgument(f"create of {path} without a client name")
    if not (event.create or event.overwrite):
        raise InvalidArgument(f"create of {path} with neither of the flags CREATE and OVERWRITE")
    bounds.check_text("client name", event.client_name, bounds.CLIENT_NAME_BYTES_MAX)
    defaults = state.options.defaults
    replication = check_replication(state, event.replication or defaults.replication, path)
    block_bytes = event.block_bytes or defaults.block_bytes
    _check_block_bytes(block_bytes, path)
    place = place_for(state, caller, path, create_parents=event.create_parents)
    found = place.existing
    if found is not None:
        if found.is_directory:
            raise FileAlreadyExists(f"{path} already exists as a directory")
        if not event.overwrite:
            raise _taken(state, event, found)
        state.permissions.check(caller, found, WRITE, path)
    elif not event.create:
        raise FileNotFound(
            f"{path} does not exist, so it cannot be overwritten: the call does not ask to "
            "create it"
        )
    directory = place.make_parents(0o755)
    now_us = state.now.wall_us // 1000 * 1000
    inode_id = state.last_inode_id + 1
    state.commit(
        edits.FileCreated(
            directory.id,
            place.name,
            inode_id,
            event.permission,
            caller.user,
            directory.group,
            replication,
            block_bytes,
            event.client_name,
            0 if found is None else found.id,
        ),
        caller,
        inode_id,
    )
    state.leases.renew(event.client_name, state.now.mono_us)
    return FileStatus(
        inode_id=inode_id,
        name=b"",
        is_directory=False,
        length=0,
        replication=replication,
        block_bytes=block_bytes,
        permission=event.permission,
        owner=caller.user,
        group=directory.group,
        modified_us=now_us,
        accessed_us=now_us,
        under_construction=True,
    )


def _check_block_bytes(block_bytes: int, path: str) -> None:
    if block_bytes < MIN_BLOCK_BYTES:
        raise InvalidArgument(
            f"block size {block_bytes} of {path} is below the minimum of {MIN_BLOCK_BYTES}"
        )
    if block_bytes > MAX_BLOCK_BYTES:
        raise InvalidArgument(
            f"block size {block_bytes} of {path} is above the maximum of {MAX_BLOCK_BYTES}"
        )


def created_before(state: State, event: Create, inode_id: int) -> FileStatus:
    """What the repetition of a create is told. Only the same call counts, by client id and call id:
    a name, a path and equal parameters are what another thread of the same program says when it
    loses the race for the file."""
    inode = state.namespace.inode(inode_id)
    if inode is None or not state.namespace.is_attached(inode):
        raise FileNotFound(
            f"{event.path} was created by this call (inode {inode_id}), and deleted since"
        )
    return replace(state.namespace.status(inode), length=0, under_construction=True)


def _taken(state: State, event: Create, found: Inode) -> FsError:
    """Why a file that exists cannot be created; a writer silent past the soft limit loses it on the
    way."""
    if found.client_name == "":
        return FileAlreadyExists(
            f"{event.path} already exists", next_command=f"mrc fs ls -d {event.path}"
        )
    being = f"{event.path} is already being created by {found.client_name}"
    if found.client_name == event.client_name:
        return AlreadyBeingCreated(f"{being}, which is the same client")
    silent = (
        state.leases.age_us(found.client_name, state.now.mono_us) >= state.options.lease_soft_us
    )
    if not silent and not state.leases.is_taken_over(found.id):
        return AlreadyBeingCreated(being)
    if close_for_writer(state, found):
        return FileAlreadyExists(
            f"{event.path} already exists: its writer {found.client_name} went silent and the "
            "file was closed"
        )
    return AlreadyBeingCreated(f"{being}, and is being recovered: {why_open(state, found)}")


def check_replication(state: State, replication: int, path: str) -> int:
    if not 1 <= replication <= state.options.replication_max:
        raise InvalidArgument(
            f"replication {replication} of {path} is not within 1…{state.options.replication_max}"
        )
    return replication


@dataclass(frozen=True, slots=True)
class Complete(Request):
    """Answer: bool. Parks until every block has its minimum of replicas (≤ 3 s), then False."""

    retried = True

    path: str
    client_name: str
    inode_id: int
    last: BlockRef | None


def complete(state: State, event: Complete) -> bool | Then:
    state.safemode.require_off(f"complete file {event.path}")
    if _is_closed(state, event):
        return True
    inode = open_file(state, event.path, event.inode_id, event.client_name, event.caller)
    inode = _without_stray(state, inode, event.last)
    last_id = inode.blocks[-1] if inode.blocks else 0
    if event.last is not None and last_id and event.last.id == last_id:
        commit_last(state, inode, event.last)
        inode = state.namespace.require(inode.id)
    elif event.last is not None and event.last.length:
        raise InvalidArgument(
            f"{event.path}: block {event.last.id} was said to be its last, but that is {last_id}"
        )
    if inode.blocks and state.blocks.require(inode.blocks[-1]).state == BUILDING:
        raise InvalidArgument(
            f"{event.path} cannot be closed: the final length of block {inode.blocks[-1]} was "
            "not said"
        )
    return Then(_close)


def _close(state: State, event: Complete) -> bool:
    """Every block has its final length; the last needs a replica. Somebody else may have closed the
    file while it was awaited."""
    state.safemode.require_off(f"complete file {event.path}")
    if _is_closed(state, event):
        return True
    inode = open_file(state, event.path, event.inode_id, event.client_name, event.caller)
    await_replica(state, inode, Answer(False))
    close_file(state, inode)
    return True


def _is_closed(state: State, event: Complete) -> bool:
    """Is the file closed, with the end that its writer says? Raises LeaseExpired when it ends
    otherwise."""
    closed = (
        state.namespace.inode(event.inode_id)
        if event.inode_id
        else state.namespace.find(event.caller, event.path)
    )
    if (
        closed is not None
        and not closed.is_directory
        and closed.client_name == ""
        and state.namespace.is_attached(closed)
    ):
        if _ends_as_said(state, closed, event.last):
            return True
        end = event.last
        said = (
            f"block {end.id} (stamp {end.stamp}, {end.length} bytes)"
            if end is not None
            else "no block at all"
        )
        raise LeaseExpired(
            f"No lease on {event.path} (inode {closed.id}) for {event.client_name}: it is "
            f"closed, and does not end with {said}"
        )
    return False


def _ends_as_said(state: State, closed: Inode, last: BlockRef | None) -> bool:
    """Does a closed file end with the block that its writer says? Whoever closed it, all bytes are
    there then. Another stamp or length is what a recovery made of it."""
    last_id = closed.blocks[-1] if closed.blocks else 0
    if last is None:
        return not last_id
    if last.id == last_id:
        block = state.blocks.require(last_id)
        return (block.stamp, block.length) == (last.stamp, last.length)
    return last.length == 0 and last.id > last_id  # an empty last block was dropped


def _without_stray(state: State, inode: Inode, last: BlockRef | None) -> Inode:
    """A repeated addBlock that was overtaken may have added a block its writer never heard of:
    nothing of it exists, so it goes."""
    if not inode.blocks:
        return inode
    block = state.blocks.require(inode.blocks[-1])
    before = inode.blocks[-2] if len(inode.blocks) > 1 else 0
    unheard = (
        block.state == BUILDING and block.length == 0 and block.id not in state.blocks.building
    )
    if not unheard or (0 if last is None else last.id) != before:
        return inode
    state.commit(edits.BlockDropped(inode.id, block.id))
    return state.namespace.require(inode.id)


@dataclass(frozen=True, slots=True)
class AbandonFile(Request):
    """Ours: takes away a file that this client is writing. Answer: bool, False when it is not (any
    more)."""

    retried = True

    inode_id: int
    client_name: str


def abandon_file(state: State, event: AbandonFile) -> bool:
    """False, and nothing happens, unless the file is still this client's to write: who lost it, or
    never knew that close succeeded, takes nothing away."""
    state.safemode.require_off(f"abandon file {event.inode_id}")
    inode = state.namespace.inode(event.inode_id)
    if (
        inode is None
        or not event.client_name
        or inode.client_name != event.client_name
        or not state.namespace.is_attached(inode)
    ):
        return False
    if event.caller.user != inode.owner:
        path, directory = state.namespace.path_of(inode), state.namespace.require(inode.parent_id)
        state.permissions.check_names(event.caller, directory, path, inode)
    state.commit(Deleted(inode.id), event.caller, True)
    return True


@dataclass(frozen=True, slots=True)
class IsFileClosed(Request):
    path: str


def is_file_closed(state: State, event: IsFileClosed) -> bool:
    inode = state.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        raise PathIsNotAFile(f"Path is not a file: {event.path}")
    return inode.client_name == ""


CALLS: Calls = {
    Create: Call(create, again=created_before),
    Complete: Call(complete),
    AbandonFile: Call(abandon_file),
    IsFileClosed: Call(is_file_closed),
}
