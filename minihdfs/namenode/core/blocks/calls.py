"""Questions about blocks and the file system as a whole, each request followed by its handler."""

from __future__ import annotations

from dataclasses import dataclass

from minihdfs.errors import InvalidArgument, PathIsNotAFile
from minihdfs.model import BlockRef, FsStats, LocatedBlocks, ServerDefaults
from minihdfs.namenode.core.blocks.locations import await_replicas, located_blocks
from minihdfs.namenode.core.datanodes.room import total
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree.permissions import READ


@dataclass(frozen=True, slots=True)
class GetBlockLocations(Request):
    path: str
    offset: int
    length: int


def get_block_locations(state: State, event: GetBlockLocations) -> LocatedBlocks:
    if event.offset < 0 or event.length < 0:
        raise InvalidArgument(
            f"Negative offset or length: {event.offset}, {event.length} of {event.path}"
        )
    inode = state.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        raise PathIsNotAFile(f"Path is not a file: {event.path}")
    state.permissions.check(event.caller, inode, READ, event.path)
    located = located_blocks(state, inode, event.offset, event.length, event.caller.host)
    await_replicas(state, (located,), patient=event.caller.patient)
    return located


@dataclass(frozen=True, slots=True)
class GetFsStats(Request):
    """Answer: see its handler."""


def get_fs_stats(state: State, event: GetFsStats) -> FsStats:
    capacity, used, remaining = total((node.address, node.usage) for node in state.datanodes.live())
    blocks = state.blocks
    return FsStats(
        capacity,
        used,
        remaining,
        blocks.under_total,
        len(blocks.bad),
        blocks.missing,
        state.namespace.files,
        state.namespace.directories - 1,
        blocks.total,
        state.safemode.on,
        state.datanodes.deleting_total(),
        len(blocks.future),
    )


@dataclass(frozen=True, slots=True)
class GetServerDefaults(Request):
    """Answer: see its handler."""


def get_server_defaults(state: State, event: GetServerDefaults) -> ServerDefaults:
    return state.options.defaults


@dataclass(frozen=True, slots=True)
class SetSafeMode(Request):
    retried = True

    action: str  # enter | leave | get


def safe_mode(state: State, event: SetSafeMode) -> bool:
    """Soft: a restart decides anew."""
    if event.action not in ("enter", "leave", "get"):
        raise InvalidArgument(f"safe mode action {event.action!r}: enter, leave or get")
    if event.action != "get":
        state.permissions.check_superuser(event.caller, f"safe mode {event.action}")
    if event.action == "enter":
        state.safemode.enter()
    elif event.action == "leave":
        state.safemode.leave(state.now)
    return state.safemode.on


@dataclass(frozen=True, slots=True)
class ReportBadBlocks(Request):
    """A client met replicas with wrong bytes: (block, datanode uuid) each."""

    replicas: tuple[tuple[BlockRef, str], ...]


SAID_BAD_MAX = 100
"""Replicas that one call may complain of: a reader complains of one."""


def report_bad_blocks(state: State, event: ReportBadBlocks) -> None:
    """A client's word: whoever holds that very replica is told to verify it, and says what it
    found. Until then it is served like the others: anybody can say anything, and readers skip a bad
    replica by themselves. Whoever may not read a file has nothing to say of it."""
    for ref, uuid in event.replicas[:SAID_BAD_MAX]:
        node, block = state.datanodes.get(uuid), state.blocks.get(ref.id)
        if (
            node is None
            or block is None
            or block.stamp != ref.stamp
            or uuid not in state.blocks.holders(ref.id)
        ):
            continue
        inode = state.namespace.inode(block.inode_id)
        if inode is not None and (
            state.permissions.is_super(event.caller)
            or state.permissions.allowed(event.caller, inode, READ)
        ):
            node.doubt(ref, state.now.mono_us)


CALLS: Calls = {
    GetBlockLocations: Call(get_block_locations),
    GetFsStats: Call(get_fs_stats),
    GetServerDefaults: Call(get_server_defaults),
    SetSafeMode: Call(safe_mode),
    ReportBadBlocks: Call(report_bad_blocks),
}
