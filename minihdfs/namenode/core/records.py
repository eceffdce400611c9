"""The durable state's records: what the tables of the namespace hold. Tuples, so they are cheap,
immutable and shared with the flusher.

Tables: *dentry* (parent id, name) → inode id; *inode* id → Inode; *block* id → Block; *retry*
(client id, call id) → Retry; *answered* txid → Answered (when and for whom a Retry was made, in the
order of their making); *lease* inode id → client name; *detached* inode id → True (deleted subtrees
and large files that are still to be reclaimed); *datanode* uuid → True (those that have ever
registered); and one Counters. A field is only ever appended, with a default: old stores are read by
newer code.
"""

from __future__ import annotations

from typing import NamedTuple

from minihdfs.model import ROOT_INODE_ID

DENTRY, INODE, BLOCK, RETRY, ANSWERED, LEASE, DETACHED = (
    "dentry",
    "inode",
    "block",
    "retry",
    "answered",
    "lease",
    "detached",
)
DATANODE = "datanode"
TABLES = (DENTRY, INODE, BLOCK, RETRY, ANSWERED, LEASE, DETACHED, DATANODE)

Ranges = tuple[tuple[int, int], ...]
"""(first, last) of each, ascending."""

BLOCKS_AT_ONCE = 1_000
"""A file with more blocks is not freed in one edit: nameless, it lies among the detached until it
is reclaimed. Part of what edits mean."""

BUILDING, COMMITTED, COMPLETE = 0, 1, 2
"""A block is being written → its writer said its final length → a replica of that length has been
reported and the writer went on."""


class Inode(NamedTuple):
    id: int
    parent_id: int  # 0: detached, to be reclaimed
    name: str
    is_directory: bool
    permission: int
    owner: str
    group: str
    modified_ms: int  # milliseconds, as Hadoop's protocol has them: whatever it can say is kept
    accessed_ms: int
    children: int = 0
    replication: int = 0
    block_bytes: int = 0
    length: int = 0
    blocks: tuple[int, ...] = ()
    client_name: str = ""  # who writes it; "" = closed
    published_from: str = ""  # the staging directory that a publish made this of
    directories: int = 0  # among the children


class Block(NamedTuple):
    id: int
    inode_id: int
    stamp: int
    length: int
    state: int
    replication: int
    # its writer was told that bytes of it are visible, `length` of them or a number nobody said
    flushed: bool = False


class Retry(NamedTuple):
    """What a call was told, as little as the answer can be made of again: True, False, or an inode
    id. `asked` is a checksum of what it asked for."""

    txid: int
    answer: bool | int
    asked: int = 0  # 0 = written by a version that kept none


class Answered(NamedTuple):
    log_us: int
    client_id: bytes
    call_id: int


class Counters(NamedTuple):
    """Everything durable that is one number, or a few."""

    txid: int = 0
    epoch: int = 0
    tracker_epoch: int = 0
    last_inode_id: int = ROOT_INODE_ID
    last_block_id: int = (1 << 30) - 1
    last_stamp: int = 999
    files: int = 0
    directories: int = 0
    blocks: int = 0
    complete_blocks: int = 0
    log_us: int = 0
    answers: int = 0
    skipped_ids: Ranges = ()
    skipped_stamps: Ranges = ()
