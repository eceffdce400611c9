"""Questions: nothing here changes anything durable. An unknown path is an empty answer where HDFS's
clients expect one."""

from __future__ import annotations

from collections.abc import Iterable

from minihdfs.errors import InvalidArgument, PathIsNotAFile
from minihdfs.model import (
    ROOT_INODE_ID,
    BlockRef,
    ContentSummary,
    DatanodeReportRow,
    FileStatus,
    FsStats,
    Listing,
    LocatedBlock,
    LocatedBlocks,
    ServerDefaults,
)
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import Answer
from minihdfs.namenode.core.parking import SAFE_MODE_ENDS, Waits
from minihdfs.namenode.core.permissions import EXECUTE, READ
from minihdfs.namenode.core.records import BUILDING, Block, Inode
from minihdfs.namenode.core.reserved import SYSTEM
from minihdfs.namenode.core.room import total
from minihdfs.namenode.core.rooms import Rooms


def get_file_info(rooms: Rooms, event: events.GetFileInfo) -> FileStatus | None:
    inode = rooms.namespace.find(event.caller, event.path)
    return None if inode is None else rooms.namespace.status(inode)


def get_listing(rooms: Rooms, event: events.GetListing) -> Listing | None:
    """A file lists itself, under the empty name; a missing path lists as None."""
    inode = rooms.namespace.find(event.caller, event.path)
    if inode is None:
        return None
    if not inode.is_directory:
        located = (
            (_located(rooms, inode, 0, inode.length, event.caller.host),)
            if event.need_location
            else ()
        )
        _await_replicas(rooms, located)
        return Listing((rooms.namespace.status(inode),), 0, located)
    rooms.permissions.check(event.caller, inode, READ | EXECUTE, event.path)
    try:
        after = event.start_after.decode()
    except UnicodeDecodeError:
        raise InvalidArgument(f"startAfter of the listing of {event.path} is not UTF-8") from None
    page = rooms.options.listing_page
    hidden = int(inode.id == ROOT_INODE_ID)
    found = [
        one
        for one in rooms.namespace.children(inode.id, after, page + 1 + hidden)
        if not hidden or one[0] != SYSTEM
    ]
    children = [rooms.namespace.glance(inode_id) for _name, inode_id in found[:page]]
    if event.need_location:
        children = _with_blocks_up_to(rooms.options.step_records, children)
    remaining = len(found) - len(children)
    if remaining and not after:
        remaining = inode.children - hidden - len(children)
    located_all: tuple[LocatedBlocks | None, ...] = ()
    if event.need_location:
        host = event.caller.host
        located_all = tuple(
            None if child.is_directory else _located(rooms, child, 0, child.length, host)
            for child in children
        )
        _await_replicas(rooms, located_all)
    return Listing(
        tuple(rooms.namespace.status(child, child.name.encode()) for child in children),
        remaining,
        located_all,
    )


def _with_blocks_up_to(limit: int, children: list[Inode]) -> list[Inode]:
    """The first of them, as many as have so many blocks together: a page of locations is bounded by
    what has to be looked up."""
    blocks = 0
    for number, child in enumerate(children):
        blocks += len(child.blocks)
        if number and blocks > limit:
            return children[:number]
    return children


def get_block_locations(rooms: Rooms, event: events.GetBlockLocations) -> LocatedBlocks:
    if event.offset < 0 or event.length < 0:
        raise InvalidArgument(
            f"Negative offset or length: {event.offset}, {event.length} of {event.path}"
        )
    inode = rooms.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        raise PathIsNotAFile(f"Path is not a file: {event.path}")
    rooms.permissions.check(event.caller, inode, READ, event.path)
    located = _located(rooms, inode, event.offset, event.length, event.caller.host)
    _await_replicas(rooms, (located,))
    return located


def _await_replicas(rooms: Rooms, files: Iterable[LocatedBlocks | None]) -> None:
    """Raises Waits when a block has no known replica and one may be about to be reported: readers
    take "nowhere" for "lost".

    During the safe mode of a start its end is awaited, not each block in turn: an answer of many
    blocks would be made many times. What is nowhere after the wait is answered so, as HDFS's own
    clients ask again for it (a SafeModeException would end their read)."""
    if not rooms.patient:
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
            if one.locations or one.corrupt or not (rooms.safemode.starting or rooms.settling()):
                continue
            raise Waits(SAFE_MODE_ENDS if rooms.safemode.starting else one.block.id, None)


def _located(rooms: Rooms, inode: Inode, offset: int, length: int, host: str) -> LocatedBlocks:
    """Blocks that overlap [offset, offset + length); the last block beside them, because an open
    one has no final length: as HDFS does, it is not in the file's length (its readers ask a
    datanode and add), and among the blocks with what its writer made visible."""
    located: list[LocatedBlock] = []
    at, end = 0, offset + length
    last: LocatedBlock | None = None
    last_complete = True
    for number, block_id in enumerate(inode.blocks, 1):
        block = rooms.blocks.require(block_id)
        is_last = number == len(inode.blocks)
        wanted = at < end and at + block.length > offset and block.length > 0
        if wanted or is_last:
            one = locate(rooms, block, at, host)
            if wanted:
                located.append(one)
            if is_last:
                last, last_complete = one, block.state != BUILDING
        at += block.length
        if at >= end and number + 1 < len(inode.blocks):
            return _with_last(rooms, inode, located, host)
    return _of(inode, located, last, last_complete)


def _with_last(rooms: Rooms, inode: Inode, located: list[LocatedBlock], host: str) -> LocatedBlocks:
    """The short way for the front of a long file: the last block's offset is what remains."""
    block = rooms.blocks.require(inode.blocks[-1])
    last = locate(rooms, block, inode.length - block.length, host)
    return _of(inode, located, last, block.state != BUILDING)


def _of(
    inode: Inode, located: list[LocatedBlock], last: LocatedBlock | None, last_complete: bool
) -> LocatedBlocks:
    open_bytes = last.block.length if last is not None and not last_complete else 0
    return LocatedBlocks(
        inode.length - open_bytes, tuple(located), inode.client_name != "", last, last_complete
    )


def locate(rooms: Rooms, block: Block, offset: int, host: str) -> LocatedBlock:
    """Sound replicas; for a block being written its pipeline; when only bad ones are left, those,
    marked corrupt."""
    corrupt = False
    uuids: tuple[str, ...] = rooms.blocks.holders(block.id)
    if block.state == BUILDING:
        uuids = rooms.blocks.pipelines.get(block.id) or tuple(
            sorted(rooms.blocks.building.get(block.id, {}))
        )
    elif not uuids and block.id in rooms.blocks.bad:
        uuids, corrupt = tuple(sorted(rooms.blocks.bad[block.id])), True
    addresses = rooms.datanodes.locations(uuids, host, rooms.now)
    return LocatedBlock(BlockRef(block.id, block.stamp, block.length), offset, addresses, corrupt)


def get_fs_stats(rooms: Rooms, event: events.GetFsStats) -> FsStats:
    capacity, used, remaining = total((node.address, node.usage) for node in rooms.datanodes.live())
    blocks = rooms.blocks
    return FsStats(
        capacity,
        used,
        remaining,
        blocks.under_total,
        len(blocks.bad),
        blocks.missing,
        rooms.namespace.files,
        rooms.namespace.directories - 1,
        blocks.total,
        rooms.safemode.on,
        rooms.datanodes.deleting_total(),
        len(blocks.future),
    )


def get_server_defaults(rooms: Rooms, event: events.GetServerDefaults) -> ServerDefaults:
    return rooms.options.defaults


def get_datanode_report(
    rooms: Rooms, event: events.GetDatanodeReport
) -> tuple[DatanodeReportRow, ...]:
    if event.which not in ("all", "live", "dead"):
        raise InvalidArgument(f"a report of {event.which!r} datanodes: all, live or dead")
    return rooms.datanodes.rows(event.which, rooms.now)


def is_file_closed(rooms: Rooms, event: events.IsFileClosed) -> bool:
    inode = rooms.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        raise PathIsNotAFile(f"Path is not a file: {event.path}")
    return inode.client_name == ""


def check_access(rooms: Rooms, event: events.CheckAccess) -> None:
    if not 0 <= event.mode <= 7:
        raise InvalidArgument(f"access mode {event.mode}: three bits, rwx")
    inode = rooms.namespace.existing(event.caller, event.path)
    rooms.permissions.check(event.caller, inode, event.mode, event.path)


def safe_mode(rooms: Rooms, event: events.SetSafeMode) -> bool:
    """Soft: a restart decides anew."""
    if event.action not in ("enter", "leave", "get"):
        raise InvalidArgument(f"safe mode action {event.action!r}: enter, leave or get")
    if event.action != "get":
        rooms.permissions.check_superuser(event.caller, f"safe mode {event.action}")
    if event.action == "enter":
        rooms.safemode.enter()
    elif event.action == "leave":
        rooms.safemode.leave(rooms.now)
    return rooms.safemode.on


class Summary:
    """A content summary in slices: a stack of directories with how far each has been read."""

    def __init__(self, rooms: Rooms, event: events.GetContentSummary, root: Inode) -> None:
        self._rooms, self._event = rooms, event
        self._stack: list[tuple[int, str]] = [(root.id, "")] if root.is_directory else []
        self._length = self._files = self._directories = self._space = 0
        self._count(root)

    def _count(self, inode: Inode) -> None:
        if inode.is_directory:
            self._directories += 1
        else:
            self._files += 1
            self._length += inode.length
            self._space += inode.length * inode.replication

    def __call__(self) -> bool:
        budget = self._rooms.options.step_records
        while self._stack and budget > 0:
            directory_id, after = self._stack.pop()
            page = min(budget, self._rooms.options.listing_page)
            found = self._rooms.namespace.children(directory_id, after, page)
            budget -= max(1, len(found))
            if len(found) == page:
                self._stack.append((directory_id, found[-1][0]))
            for name, inode_id in found:
                if name == SYSTEM and directory_id == ROOT_INODE_ID:
                    continue
                child = self._rooms.namespace.glance(inode_id)
                self._count(child)
                if child.is_directory and child.children:
                    self._stack.append((child.id, ""))
        if self._stack:
            return False
        policy = "" if self._directories else "Replicated"
        summary = ContentSummary(
            self._length, self._files, self._directories, self._space, erasure_coding_policy=policy
        )
        self._rooms.send(self._event.caller.reply_to, Answer(summary))
        return True


def get_content_summary(rooms: Rooms, event: events.GetContentSummary) -> Summary:
    """Needs r-x on the directory asked for. (HDFS asks it of every directory below too.)"""
    inode = rooms.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        rooms.permissions.check(event.caller, inode, READ | EXECUTE, event.path)
    return Summary(rooms, event, inode)
