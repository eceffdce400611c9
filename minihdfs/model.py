"""The file system's nouns, shared by namenode, datanodes and client. Frozen, pure stdlib, no IO.

Units: lengths and sizes in bytes, `*_us` microseconds, permissions as the low 12 bits of a Unix
mode.
"""

from __future__ import annotations

from dataclasses import dataclass

ROOT_INODE_ID = 16385  # Hadoop's; foreign clients print it
SYSTEM_INODE_ID = (
    ROOT_INODE_ID - 1
)  # /.system, which no listing shows and no count of children counts
DEFAULT_BLOCK_BYTES = 128 << 20
RENAMES_MAX = 250
"""In one call of ours: what 4 ms of the namenode's one thread can do, so that nobody waits for a
job that publishes thousands of parts."""
MIN_BLOCK_BYTES = 1 << 10
MAX_BLOCK_BYTES = 1 << 40
MAX_COMPONENT_BYTES = 255
MAX_PATH_BYTES = 8000
BLOCK_POOL = "mrcluster"  # HDFS's block pool id; one pool per cluster here, so it is only echoed


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block at one generation stamp. `length` is what the speaker believes it holds."""

    id: int
    stamp: int
    length: int


@dataclass(frozen=True, slots=True)
class DatanodeAddress:
    """Where a datanode serves, as it registered. `host` is an address clients connect to,
    `hostname` its name for people and locality."""

    uuid: str
    host: str
    hostname: str
    xfer_port: int  # DataTransferProtocol
    ipc_port: int  # ClientDatanodeProtocol over Hadoop RPC
    rack: str = "/default-rack"
    # unix socket that passes block files' descriptors to clients of the same machine; "" = none
    domain_socket: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system that a datanode's volumes lie on. `id` tells it from others of the same
    host."""

    id: str
    capacity_bytes: int
    remaining_bytes: int


@dataclass(frozen=True, slots=True)
class DatanodeUsage:
    capacity_bytes: int = 0
    used_bytes: int = 0
    remaining_bytes: int = 0
    transfers: int = 0  # block streams open now
    blocks: int = 0
    disks: tuple[Disk, ...] = ()  # each once, however many volumes lie on it; () = one of its own


@dataclass(frozen=True, slots=True)
class DatanodeReportRow:
    address: DatanodeAddress
    usage: DatanodeUsage
    state: str  # live | stale | dead | draining | decommissioned
    last_contact_us: int  # wall clock of the last heartbeat


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What getFileInfo and getListing say of one inode. `name` is the last component as bytes, b""
    when asked for by its own path."""

    inode_id: int
    name: bytes
    is_directory: bool
    length: int
    replication: int
    block_bytes: int
    permission: int
    owner: str
    group: str
    modified_us: int
    accessed_us: int
    children: int = 0
    under_construction: bool = False


@dataclass(frozen=True, slots=True)
class LocatedBlock:
    block: BlockRef
    offset: int
    locations: tuple[DatanodeAddress, ...]
    corrupt: bool = False


@dataclass(frozen=True, slots=True)
class LocatedBlocks:
    file_length: int
    blocks: tuple[LocatedBlock, ...]
    under_construction: bool
    last_block: LocatedBlock | None
    last_block_complete: bool


@dataclass(frozen=True, slots=True)
class Listing:
    entries: tuple[FileStatus, ...]
    remaining: int
    locations: tuple[LocatedBlocks | None, ...] = ()  # parallel to entries when asked for


@dataclass(frozen=True, slots=True)
class ContentSummary:
    length: int
    files: int
    directories: int
    space_consumed: int
    quota: int = -1
    space_quota: int = -1
    erasure_coding_policy: str = ""  # of a file: "Replicated"; of a directory: what is set there


@dataclass(frozen=True, slots=True)
class FsStats:
    capacity_bytes: int
    used_bytes: int
    remaining_bytes: int
    under_replicated_blocks: int
    corrupt_blocks: int
    missing_blocks: int
    files: int = 0  # files only; `directories` counts the rest
    directories: int = 0
    blocks: int = 0
    safe_mode: bool = False
    pending_deletion_blocks: int = 0
    blocks_in_future: int = 0  # ids or stamps that this namespace never gave: is it an older copy?


@dataclass(frozen=True, slots=True)
class ServerDefaults:
    block_bytes: int = DEFAULT_BLOCK_BYTES
    bytes_per_checksum: int = 16 << 10  # see docs/ARCHITECTURE.md, "Checksums"
    packet_bytes: int = 1 << 20
    replication: int = 3
    file_buffer_bytes: int = 64 << 10
    trash_interval_s: int = (
        0  # how long deleted files are to stay in the trash; 0 = shells delete at once
    )


# ── orders: what a namenode tells a datanode, on heartbeat replies; both cores speak them ─────────


@dataclass(frozen=True, slots=True)
class Replicate:
    """Order: copy your replica of `block` to `targets` (each gets one)."""

    block: BlockRef
    targets: tuple[DatanodeAddress, ...]


@dataclass(frozen=True, slots=True)
class CopyEnded:
    """What became of a Replicate, for one of its targets."""

    block_id: int
    target: str  # uuid
    failure: str = ""  # "" = the target has it


@dataclass(frozen=True, slots=True)
class Invalidate:
    """Order: take these replicas out of your map, tell, then delete them. `unknown`: not because
    they are too many or their file is gone, but because this namespace has no such blocks; it may
    be an old one, so they are kept for an hour."""

    blocks: tuple[BlockRef, ...]
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """Order: your replica of `block` is said to be bad. Verify it; if it is, fetch a sound copy
    beside it from one of `sources` and rename over it, then report it received."""

    block: BlockRef
    sources: tuple[DatanodeAddress, ...]


Order = Replicate | Invalidate | Repair
