"""Questions about names: nothing here changes anything durable. An unknown path is an empty answer
where HDFS's clients expect one."""

from __future__ import annotations

from dataclasses import dataclass

from minihdfs.errors import InvalidArgument
from minihdfs.model import ROOT_INODE_ID, ContentSummary, FileStatus, Listing, LocatedBlocks
from minihdfs.namenode.core.blocks.locations import await_replicas, located_blocks
from minihdfs.namenode.core.commands import Answer
from minihdfs.namenode.core.records import Inode
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree.permissions import EXECUTE, READ
from minihdfs.namenode.core.tree.reserved import SYSTEM


@dataclass(frozen=True, slots=True)
class GetFileInfo(Request):
    path: str


def get_file_info(state: State, event: GetFileInfo) -> FileStatus | None:
    inode = state.namespace.find(event.caller, event.path)
    return None if inode is None else state.namespace.status(inode)


@dataclass(frozen=True, slots=True)
class GetListing(Request):
    path: str
    start_after: bytes = b""
    need_location: bool = False


def get_listing(state: State, event: GetListing) -> Listing | None:
    """A file lists itself, under the empty name; a missing path lists as None."""
    inode = state.namespace.find(event.caller, event.path)
    if inode is None:
        return None
    if not inode.is_directory:
        located = (
            (located_blocks(state, inode, 0, inode.length, event.caller.host),)
            if event.need_location
            else ()
        )
        await_replicas(state, located, patient=event.caller.patient)
        return Listing((state.namespace.status(inode),), 0, located)
    state.permissions.check(event.caller, inode, READ | EXECUTE, event.path)
    try:
        after = event.start_after.decode()
    except UnicodeDecodeError:
        raise InvalidArgument(f"startAfter of the listing of {event.path} is not UTF-8") from None
    page = state.options.listing_page
    hidden = int(inode.id == ROOT_INODE_ID)
    found = [
        one
        for one in state.namespace.children(inode.id, after, page + 1 + hidden)
        if not hidden or one[0] != SYSTEM
    ]
    children = [state.namespace.glance(inode_id) for _name, inode_id in found[:page]]
    if event.need_location:
        children = _with_blocks_up_to(state.options.step_records, children)
    remaining = len(found) - len(children)
    if remaining and not after:
        remaining = inode.children - hidden - len(children)
    located_all: tuple[LocatedBlocks | None, ...] = ()
    if event.need_location:
        host = event.caller.host
        located_all = tuple(
            None if child.is_directory else located_blocks(state, child, 0, child.length, host)
            for child in children
        )
        await_replicas(state, located_all, patient=event.caller.patient)
    return Listing(
        tuple(state.namespace.status(child, child.name.encode()) for child in children),
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


@dataclass(frozen=True, slots=True)
class GetContentSummary(Request):
    path: str


def get_content_summary(state: State, event: GetContentSummary) -> Summary:
    """Needs r-x on the directory asked for. (HDFS asks it of every directory below too.)"""
    inode = state.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        state.permissions.check(event.caller, inode, READ | EXECUTE, event.path)
    return Summary(state, event, inode)


class Summary:
    """A content summary in slices: a stack of directories with how far each has been read."""

    def __init__(self, state: State, event: GetContentSummary, root: Inode) -> None:
        self._state, self._event = state, event
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
        budget = self._state.options.step_records
        while self._stack and budget > 0:
            directory_id, after = self._stack.pop()
            page = min(budget, self._state.options.listing_page)
            found = self._state.namespace.children(directory_id, after, page)
            budget -= max(1, len(found))
            if len(found) == page:
                self._stack.append((directory_id, found[-1][0]))
            for name, inode_id in found:
                if name == SYSTEM and directory_id == ROOT_INODE_ID:
                    continue
                child = self._state.namespace.glance(inode_id)
                self._count(child)
                if child.is_directory and child.children:
                    self._stack.append((child.id, ""))
        if self._stack:
            return False
        policy = "" if self._directories else "Replicated"
        summary = ContentSummary(
            self._length, self._files, self._directories, self._space, erasure_coding_policy=policy
        )
        self._state.send(self._event.caller.reply_to, Answer(summary))
        return True


@dataclass(frozen=True, slots=True)
class CheckAccess(Request):
    path: str
    mode: int  # rwx bits, 0–7


def check_access(state: State, event: CheckAccess) -> None:
    if not 0 <= event.mode <= 7:
        raise InvalidArgument(f"access mode {event.mode}: three bits, rwx")
    inode = state.namespace.existing(event.caller, event.path)
    state.permissions.check(event.caller, inode, event.mode, event.path)


CALLS: Calls = {
    GetFileInfo: Call(get_file_info),
    GetListing: Call(get_listing),
    GetContentSummary: Call(get_content_summary),
    CheckAccess: Call(check_access),
}
