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

from dataclasses import dataclass

from minihdfs.errors import PathIsNotAFile
from minihdfs.namenode.core.files import edits
from minihdfs.namenode.core.records import BUILDING, COMPLETE, Block, Inode
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree.permissions import WRITE


@dataclass(frozen=True, slots=True)
class RenewLease(Request):
    client_name: str


def renew_lease(state: State, event: RenewLease) -> None:
    state.leases.renew(event.client_name, state.now.mono_us)


@dataclass(frozen=True, slots=True)
class RecoverLease(Request):
    retried = True

    path: str
    client_name: str


def recover_lease(state: State, event: RecoverLease) -> bool:
    """Answer: the file is closed now. False: it is being recovered; ask again."""
    state.safemode.require_off(f"recover the lease of {event.path}")
    inode = state.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        raise PathIsNotAFile(f"Path is not a file: {event.path}")
    state.permissions.check(event.caller, inode, WRITE, event.path)
    return inode.client_name == "" or close_for_writer(state, inode)


FILES_TRIED_MAX = 100
"""Files that one tick tries to close."""


def take_over_silent(state: State) -> None:
    """One tick's share of the files whose writers are gone, and of those that were asked for before
    and could not be closed yet."""
    state.leases.take_over_silent(state.options.lease_hard_us, state.now.mono_us, FILES_TRIED_MAX)
    for inode_id in state.leases.next_taken_over(FILES_TRIED_MAX):
        inode = state.namespace.require(inode_id)
        if state.namespace.is_attached(inode):
            close_for_writer(state, inode)


def close_for_writer(state: State, inode: Inode) -> bool:
    """Closes a file whose writer is gone, with what its replicas say. False while that is not
    known: it is tried again with every tick.

    An open last block ends at the longest finished replica of its newest stamp."""
    since_us = state.leases.take_over_since(inode.id, state.now.mono_us)
    waited_us = state.now.mono_us - since_us
    last = state.blocks.require(inode.blocks[-1]) if inode.blocks else None
    if last is not None and last.state == BUILDING:
        reported = state.blocks.building.get(last.id, {}).values()
        least = max(last.length, 1)
        found = [
            ref
            for ref in reported
            if last.stamp <= ref.stamp
            and not state.given.never(ref)
            and least <= ref.length <= inode.block_bytes
        ]
        if found:
            stamp, length = max((ref.stamp, ref.length) for ref in found)
            state.commit(edits.BlockCommitted(inode.id, last.id, stamp, length))
        elif _may_be_held(state, last, waited_us):
            return False
        else:
            state.commit(edits.BlockDropped(inode.id, last.id))
    elif (
        last is not None
        and last.state != COMPLETE
        and not state.blocks.holders(last.id)
        and waited_us < state.options.lease_hard_us
    ):
        return False
    close_file(state, state.namespace.require(inode.id))
    return True


def _may_be_held(state: State, last: Block, waited_us: int) -> bool:
    """Bytes that the writer was promised wait for their holders however long it takes; others as
    long as a living datanode may be late."""
    return last.flushed or state.settling() or waited_us < state.options.dead_after_us


def why_open(state: State, inode: Inode) -> str:
    """What the recovery of this file waits for, in words."""
    last = state.blocks.require(inode.blocks[-1]) if inode.blocks else None
    if last is None or last.state == COMPLETE:
        return "it is about to be closed"
    if last.flushed:
        return (
            f"{last.length or 'some'} bytes of its last block {last.id} were flushed, and no "
            "datanode has reported a finished replica of it"
        )
    return f"datanodes may still report its last block {last.id}"


def close_file(state: State, inode: Inode) -> None:
    if inode.blocks:
        state.replication.settle(inode.blocks[-1], state.now)
    state.commit(edits.FileClosed(inode.id))


CALLS: Calls = {
    RenewLease: Call(renew_lease),
    RecoverLease: Call(recover_lease),
}
