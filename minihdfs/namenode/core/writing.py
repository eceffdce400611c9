"""The write path of one file: create, its blocks one after the other, close. (Who takes it from a
silent writer: `lease_recovery`.)

One writer per file, by lease. Before a block is added or the file is closed, the block before has
its final length and at least one reported replica; the request is parked until then. A repeated
request finds what the first one did and is told the same.
"""

from __future__ import annotations

from dataclasses import replace

from minihdfs.errors import (
    AlreadyBeingCreated,
    FileAlreadyExists,
    FileNotFound,
    FsError,
    InvalidArgument,
    LeaseExpired,
    NoDatanodes,
    NotReplicatedYet,
    PathIsNotAFile,
)
from minihdfs.model import MAX_BLOCK_BYTES, MIN_BLOCK_BYTES, BlockRef, FileStatus, LocatedBlock
from minihdfs.namenode.core import bounds, edits, events
from minihdfs.namenode.core.changes import place_for
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.datanodes import Datanode
from minihdfs.namenode.core.lease_recovery import close_file, close_for_writer, why_open
from minihdfs.namenode.core.parking import DATANODE_COMES, ROOM_COMES, Waits
from minihdfs.namenode.core.permissions import WRITE
from minihdfs.namenode.core.reads import locate
from minihdfs.namenode.core.records import BUILDING, Block, Inode
from minihdfs.namenode.core.rooms import Rooms


def create(rooms: Rooms, event: events.Create) -> FileStatus:
    caller, path = event.caller, event.path
    rooms.safemode.require_off(f"create file {path}")
    if not event.client_name:
        raise InvalidArgument(f"create of {path} without a client name")
    if not (event.create or event.overwrite):
        raise InvalidArgument(f"create of {path} with neither of the flags CREATE and OVERWRITE")
    bounds.check_text("client name", event.client_name, bounds.CLIENT_NAME_BYTES_MAX)
    defaults = rooms.options.defaults
    replication = check_replication(rooms, event.replication or defaults.replication, path)
    block_bytes = event.block_bytes or defaults.block_bytes
    _check_block_bytes(block_bytes, path)
    place = place_for(rooms, caller, path, create_parents=event.create_parents)
    found = place.existing
    if found is not None:
        if found.is_directory:
            raise FileAlreadyExists(f"{path} already exists as a directory")
        if not event.overwrite:
            raise _taken(rooms, event, found)
        rooms.permissions.check(caller, found, WRITE, path)
    elif not event.create:
        raise FileNotFound(
            f"{path} does not exist, so it cannot be overwritten: the call does not ask to "
            "create it"
        )
    directory = place.make_parents(0o755)
    now_us = rooms.now.wall_us // 1000 * 1000
    inode_id = rooms.last_inode_id + 1
    rooms.commit(
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
    rooms.leases.renew(event.client_name, rooms.now.mono_us)
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


def created_before(rooms: Rooms, event: events.Create, inode_id: int) -> FileStatus:
    """What the repetition of a create is told. Only the same call counts, by client id and call id:
    a name, a path and equal parameters are what another thread of the same program says when it
    loses the race for the file."""
    inode = rooms.namespace.inode(inode_id)
    if inode is None or not rooms.namespace.is_attached(inode):
        raise FileNotFound(
            f"{event.path} was created by this call (inode {inode_id}), and deleted since"
        )
    return replace(rooms.namespace.status(inode), length=0, under_construction=True)


def _taken(rooms: Rooms, event: events.Create, found: Inode) -> FsError:
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
        rooms.leases.age_us(found.client_name, rooms.now.mono_us) >= rooms.options.lease_soft_us
    )
    if not silent and not rooms.leases.is_taken_over(found.id):
        return AlreadyBeingCreated(being)
    if close_for_writer(rooms, found):
        return FileAlreadyExists(
            f"{event.path} already exists: its writer {found.client_name} went silent and the "
            "file was closed"
        )
    return AlreadyBeingCreated(f"{being}, and is being recovered: {why_open(rooms, found)}")


def check_replication(rooms: Rooms, replication: int, path: str) -> int:
    if not 1 <= replication <= rooms.options.replication_max:
        raise InvalidArgument(
            f"replication {replication} of {path} is not within 1…{rooms.options.replication_max}"
        )
    return replication


def _open_file(
    rooms: Rooms, path: str, inode_id: int, client_name: str, caller: events.Caller
) -> Inode:
    """The file its writer means, by id when it knows one (the file may have been renamed). Raises
    LeaseExpired when it is not theirs."""
    inode = rooms.namespace.inode(inode_id) if inode_id else rooms.namespace.find(caller, path)
    if inode is None or (inode_id and not rooms.namespace.is_attached(inode)):
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
    rooms.leases.renew(client_name, rooms.now.mono_us)
    return inode


def _commit_last(rooms: Rooms, inode: Inode, last: BlockRef) -> None:
    """Takes the writer's word for the final length of its last block."""
    block = rooms.blocks.require(inode.blocks[-1])
    if block.state != BUILDING:
        return
    _check_length(inode, last)
    if last.stamp != block.stamp:
        raise InvalidArgument(
            f"block {last.id} was said to end with stamp {last.stamp}, length {last.length}; its "
            f"stamp is {block.stamp}"
        )
    if last.length == 0:
        rooms.commit(edits.BlockDropped(inode.id, block.id))
    else:
        rooms.commit(edits.BlockCommitted(inode.id, block.id, block.stamp, last.length))


def _check_length(inode: Inode, block: BlockRef) -> None:
    """No block is longer than its file's blocks are: whoever says so would make numbers that no
    record can hold."""
    if not 0 <= block.length <= inode.block_bytes:
        raise InvalidArgument(
            f"block {block.id} was said to have {block.length} bytes; blocks of its file have "
            f"{inode.block_bytes}"
        )


def _await_replica(rooms: Rooms, inode: Inode, late: Answer | Refusal) -> None:
    """Raises Waits unless the file's last block has a sound replica."""
    if inode.blocks and not rooms.blocks.holders(inode.blocks[-1]):
        raise Waits(inode.blocks[-1], late)


def add_block(rooms: Rooms, event: events.AddBlock) -> LocatedBlock:
    rooms.safemode.require_off(f"add a block to {event.path}")
    inode = _open_file(rooms, event.path, event.inode_id, event.client_name, event.caller)
    previous, last_id = event.previous, inode.blocks[-1] if inode.blocks else 0
    if previous is not None and last_id and previous.id == last_id:
        _commit_last(rooms, inode, previous)
        inode = rooms.namespace.require(inode.id)
    elif last_id:
        return _added_before(rooms, inode, event)
    elif previous is not None:
        raise InvalidArgument(
            f"{event.path}: block {previous.id} was said to be its last, but it has none"
        )
    _await_replica(
        rooms,
        inode,
        Refusal(
            NotReplicatedYet,
            f"Not replicated yet: {event.path}, block {last_id} has no reported replica",
        ),
    )
    if len(inode.blocks) >= rooms.options.blocks_per_file_max:
        most = (
            f"{event.path} has {len(inode.blocks)} blocks of {inode.block_bytes} bytes, and "
            "no file has more"
        )
        raise InvalidArgument(f"{most}: write it with a larger block size")
    nodes = rooms.placement.choose(
        inode.replication,
        inode.block_bytes,
        rooms.now,
        host=event.caller.host,
        exclude=event.exclude,
        favored=event.favored,
    )
    if not nodes:
        raise _nowhere(rooms, inode, event)
    block_id, stamp = rooms.last_block_id + 1, rooms.last_stamp + 1
    if inode.blocks:
        rooms.replication.settle(inode.blocks[-1], rooms.now)
    rooms.commit(edits.BlockAdded(inode.id, block_id, stamp))
    _give(rooms, inode, block_id, nodes)
    return LocatedBlock(
        BlockRef(block_id, stamp, 0), inode.length, tuple(node.address for node in nodes)
    )


def _give(rooms: Rooms, inode: Inode, block_id: int, nodes: list[Datanode]) -> None:
    """The block is written there: its room is taken."""
    rooms.blocks.pipelines[block_id] = tuple(node.uuid for node in nodes)
    for node in nodes:
        rooms.datanodes.promise(node, block_id, inode.block_bytes, rooms.now)


def _nowhere(rooms: Rooms, inode: Inode, event: events.AddBlock) -> Exception:
    """No datanode can take a block. While the term is young and none is here yet, one is awaited;
    if all room is promised, some of it."""
    why = rooms.placement.explain(inode.block_bytes, event.exclude)
    refused = NoDatanodes(
        f"no datanode can take a block of {event.path}: {why}", next_command="mrc status"
    )
    if rooms.settling() and not rooms.datanodes.live():
        return Waits(DATANODE_COMES, Refusal(NoDatanodes, refused.message))
    if rooms.patient and rooms.placement.is_promised(inode.block_bytes, event.exclude):
        return Waits(ROOM_COMES, None)
    return refused


def _added_before(rooms: Rooms, inode: Inode, event: events.AddBlock) -> LocatedBlock:
    """The request is a repetition if its `previous` is the block before the last and nothing was
    written to the last: same answer."""
    block = rooms.blocks.require(inode.blocks[-1])
    before = inode.blocks[-2] if len(inode.blocks) > 1 else 0
    if (
        (event.previous.id if event.previous else 0) != before
        or block.state != BUILDING
        or block.length
    ):
        said = f"block {event.previous.id}" if event.previous else "none"
        raise InvalidArgument(
            f"{event.path}: {said} was said to be its last block, but that is {block.id}"
        )
    if not rooms.blocks.pipelines.get(
        block.id
    ):  # forgotten by a restart: the writer never heard of it either
        nodes = rooms.placement.choose(
            inode.replication,
            inode.block_bytes,
            rooms.now,
            host=event.caller.host,
            exclude=event.exclude,
        )
        if not nodes:
            raise _nowhere(rooms, inode, event)
        _give(rooms, inode, block.id, nodes)
    uuids = rooms.blocks.pipelines[block.id]
    addresses = tuple(
        node.address for uuid in uuids if (node := rooms.datanodes.get(uuid)) is not None
    )
    return LocatedBlock(BlockRef(block.id, block.stamp, 0), inode.length, addresses)


def abandon_block(rooms: Rooms, event: events.AbandonBlock) -> None:
    """Abandoning what is not the last open block any more is a repetition: nothing happens."""
    rooms.safemode.require_off(f"abandon a block of {event.path}")
    inode = _open_file(rooms, event.path, event.inode_id, event.client_name, event.caller)
    if (
        inode.blocks
        and inode.blocks[-1] == event.block.id
        and rooms.blocks.require(event.block.id).state == BUILDING
    ):
        rooms.commit(edits.BlockDropped(inode.id, event.block.id))


def complete(rooms: Rooms, event: events.Complete) -> bool:
    rooms.safemode.require_off(f"complete file {event.path}")
    closed = (
        rooms.namespace.inode(event.inode_id)
        if event.inode_id
        else rooms.namespace.find(event.caller, event.path)
    )
    if (
        closed is not None
        and not closed.is_directory
        and closed.client_name == ""
        and rooms.namespace.is_attached(closed)
    ):
        if _ends_as_said(rooms, closed, event.last):
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
    inode = _open_file(rooms, event.path, event.inode_id, event.client_name, event.caller)
    inode = _without_stray(rooms, inode, event.last)
    last_id = inode.blocks[-1] if inode.blocks else 0
    if event.last is not None and last_id and event.last.id == last_id:
        _commit_last(rooms, inode, event.last)
        inode = rooms.namespace.require(inode.id)
    elif event.last is not None and event.last.length:
        raise InvalidArgument(
            f"{event.path}: block {event.last.id} was said to be its last, but that is {last_id}"
        )
    if inode.blocks and rooms.blocks.require(inode.blocks[-1]).state == BUILDING:
        raise InvalidArgument(
            f"{event.path} cannot be closed: the final length of block {inode.blocks[-1]} was "
            "not said"
        )
    _await_replica(rooms, inode, Answer(False))
    close_file(rooms, inode)
    return True


def _ends_as_said(rooms: Rooms, closed: Inode, last: BlockRef | None) -> bool:
    """Does a closed file end with the block that its writer says? Whoever closed it, all bytes are
    there then. Another stamp or length is what a recovery made of it."""
    last_id = closed.blocks[-1] if closed.blocks else 0
    if last is None:
        return not last_id
    if last.id == last_id:
        block = rooms.blocks.require(last_id)
        return (block.stamp, block.length) == (last.stamp, last.length)
    return last.length == 0 and last.id > last_id  # an empty last block was dropped


def _without_stray(rooms: Rooms, inode: Inode, last: BlockRef | None) -> Inode:
    """A repeated addBlock that was overtaken may have added a block its writer never heard of:
    nothing of it exists, so it goes."""
    if not inode.blocks:
        return inode
    block = rooms.blocks.require(inode.blocks[-1])
    before = inode.blocks[-2] if len(inode.blocks) > 1 else 0
    unheard = (
        block.state == BUILDING and block.length == 0 and block.id not in rooms.blocks.building
    )
    if not unheard or (0 if last is None else last.id) != before:
        return inode
    rooms.commit(edits.BlockDropped(inode.id, block.id))
    return rooms.namespace.require(inode.id)


def fsync(rooms: Rooms, event: events.Fsync) -> None:
    rooms.safemode.require_off(f"fsync file {event.path}")
    inode = _open_file(rooms, event.path, event.inode_id, event.client_name, event.caller)
    if inode.blocks:
        block = rooms.blocks.require(inode.blocks[-1])
        length = max(
            event.last_block_length, block.length
        )  # -1: Java's hflush, which says that there are bytes and not how many
        _check_length(inode, BlockRef(block.id, block.stamp, length))
        if block.state == BUILDING and (length > block.length or not block.flushed):
            rooms.commit(edits.BlockLengthNoted(inode.id, block.id, length))


def abandon_file(rooms: Rooms, event: events.AbandonFile) -> bool:
    """False, and nothing happens, unless the file is still this client's to write: who lost it, or
    never knew that close succeeded, takes nothing away."""
    rooms.safemode.require_off(f"abandon file {event.inode_id}")
    inode = rooms.namespace.inode(event.inode_id)
    if (
        inode is None
        or not event.client_name
        or inode.client_name != event.client_name
        or not rooms.namespace.is_attached(inode)
    ):
        return False
    if event.caller.user != inode.owner:
        path, directory = rooms.namespace.path_of(inode), rooms.namespace.require(inode.parent_id)
        rooms.permissions.check_names(event.caller, directory, path, inode)
    rooms.commit(edits.Deleted(inode.id), event.caller, True)
    return True


def renew_lease(rooms: Rooms, event: events.RenewLease) -> None:
    rooms.leases.renew(event.client_name, rooms.now.mono_us)


# ── recovery of a broken pipeline ─────────────────────────────────────────────────────────────────


def _open_block(rooms: Rooms, ref: BlockRef, client_name: str) -> tuple[Inode, Block]:
    block = rooms.blocks.get(ref.id)
    inode = None if block is None else rooms.namespace.inode(block.inode_id)
    if block is None or inode is None or not rooms.namespace.is_attached(inode):
        raise FileNotFound(f"block {ref.id} belongs to no file")
    if inode.client_name != client_name:
        raise LeaseExpired(
            f"No lease on {rooms.namespace.path_of(inode)} (inode {inode.id}) for {client_name}"
        )
    if block.state != BUILDING:
        raise InvalidArgument(
            f"block {ref.id} of {rooms.namespace.path_of(inode)} is not under construction"
        )
    rooms.leases.renew(client_name, rooms.now.mono_us)
    return inode, block


def update_block_for_pipeline(rooms: Rooms, event: events.UpdateBlockForPipeline) -> LocatedBlock:
    rooms.safemode.require_off("get a new generation stamp")
    inode, block = _open_block(rooms, event.block, event.client_name)
    stamp = rooms.last_stamp + 1
    rooms.commit(edits.StampAllocated(stamp))
    located = locate(rooms, block, inode.length - block.length, event.caller.host)
    return LocatedBlock(
        BlockRef(block.id, stamp, event.block.length), located.offset, located.locations
    )


def update_pipeline(rooms: Rooms, event: events.UpdatePipeline) -> None:
    rooms.safemode.require_off("update a pipeline")
    bounds.check_count("datanodes in a pipeline", len(event.datanodes), bounds.PIPELINE_MAX)
    inode, block = _open_block(rooms, event.old, event.client_name)
    if (
        event.new.id != block.id
        or not block.stamp <= event.new.stamp <= rooms.last_stamp
        or event.new.length < block.length
    ):
        raise InvalidArgument(
            f"pipeline of block {block.id} (stamp {block.stamp}, {block.length} bytes) cannot go "
            f"on as block {event.new.id} "
            f"(stamp {event.new.stamp}, {event.new.length} bytes)"
        )
    _check_length(inode, event.new)
    if event.new.stamp != block.stamp and rooms.given.is_skipped_stamp(event.new.stamp):
        raise InvalidArgument(
            f"stamp {event.new.stamp} was never given: ask for one with updateBlockForPipeline"
        )
    if event.new.stamp != block.stamp:
        rooms.commit(
            edits.PipelineUpdated(inode.id, block.id, event.new.stamp, event.new.length),
            event.caller,
            True,
        )
    rooms.blocks.pipelines[block.id] = event.datanodes


def get_additional_datanode(rooms: Rooms, event: events.GetAdditionalDatanode) -> LocatedBlock:
    rooms.safemode.require_off("add a datanode to a pipeline")
    inode = _open_file(rooms, event.path, event.inode_id, event.client_name, event.caller)
    existing = tuple(
        node for uuid in event.existing if (node := rooms.datanodes.get(uuid)) is not None
    )
    exclude = {*event.exclude, *event.existing}
    nodes = rooms.placement.choose(
        max(0, event.count), inode.block_bytes, rooms.now, exclude=exclude, existing=existing
    )
    if not nodes:
        raise NoDatanodes(
            f"no further datanode for {event.path}: "
            f"{rooms.placement.explain(inode.block_bytes, exclude)}"
        )
    for node in nodes:
        rooms.datanodes.promise(node, event.block.id, inode.block_bytes, rooms.now)
    return LocatedBlock(
        event.block, inode.length, tuple(node.address for node in [*existing, *nodes])
    )
