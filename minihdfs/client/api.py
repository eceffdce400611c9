"""What the reader, the writer and the file system need of a namenode: one typed method per call.
`minihdfs.client.namenode_calls` implements it.

Every method raises the errors of `minihdfs.errors` (a refusal) or `clusterkit.errors.Unavailable`
(nobody answers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from minihdfs.model import (
    BlockRef,
    ContentSummary,
    DatanodeAddress,
    DatanodeReportRow,
    FileStatus,
    FsStats,
    Listing,
    LocatedBlock,
    LocatedBlocks,
    ServerDefaults,
)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Timeouts are those of one datanode: past them the next replica is tried, or the pipeline is
    given up."""

    connect_timeout_s: float = 3.0
    read_timeout_s: float = 6.0
    ack_timeout_s: float = 20.0  # of a packet in flight
    probe_timeout_s: float = 2.0  # for a trivial question, to tell who is silent in a pipeline
    close_timeout_s: float = (
        60.0  # of a block's last packet: the datanodes fsync 128 MiB before they acknowledge it
    )
    complete_timeout_s: float = 60.0
    suspect_s: float = 10.0  # how long a datanode that failed is asked last
    # times all replicas of a block are tried, with fresh locations and growing pauses, before
    # BlockMissing
    read_rounds: int = 5
    packets_in_flight: int = 32
    # of the current block are kept, so that a broken pipeline can be begun again without the caller
    resend_bytes: int = 32 << 20
    renew_lease_s: float = 15.0
    local_reads: bool = True  # take block files' descriptors from datanodes of this machine


class NamenodeCalls(Protocol):
    # reads
    def get_file_info(self, path: str) -> FileStatus | None: ...
    def get_listing(
        self, path: str, start_after: bytes = b"", need_location: bool = False
    ) -> Listing | None: ...
    def get_block_locations(self, path: str, offset: int, length: int) -> LocatedBlocks: ...
    def get_content_summary(self, path: str) -> ContentSummary: ...
    def get_fs_stats(self) -> FsStats: ...
    def get_server_defaults(self) -> ServerDefaults: ...
    def get_datanode_report(self, which: str = "all") -> Sequence[DatanodeReportRow]: ...
    def check_access(self, path: str, mode: int) -> None: ...

    # writing a file
    def create(
        self,
        path: str,
        client_name: str,
        *,
        permission: int = 0o644,
        overwrite: bool = False,
        create_parents: bool = True,
        replication: int = 0,
        block_bytes: int = 0,
    ) -> FileStatus: ...
    def add_block(
        self,
        path: str,
        client_name: str,
        inode_id: int = 0,
        previous: BlockRef | None = None,
        exclude: Sequence[DatanodeAddress] = (),
        favored: Sequence[str] = (),
    ) -> LocatedBlock: ...
    def abandon_block(
        self, path: str, client_name: str, inode_id: int, block: BlockRef
    ) -> None: ...
    def complete(
        self, path: str, client_name: str, inode_id: int = 0, last: BlockRef | None = None
    ) -> bool: ...
    def abandon_file(self, inode_id: int, client_name: str) -> bool: ...
    def renew_lease(self, client_name: str) -> None: ...
    def report_bad_blocks(self, replicas: Sequence[tuple[BlockRef, DatanodeAddress]]) -> None: ...

    # the namespace
    def mkdirs(self, path: str, permission: int = 0o755, create_parents: bool = True) -> bool: ...
    def rename(self, source: str, destination: str) -> bool: ...
    def rename2(self, source: str, destination: str, overwrite: bool = False) -> None: ...
    def rename_many(self, pairs: Sequence[tuple[str, str]]) -> None: ...
    def publish(
        self, staging: str, destination: str, replaced_inode_id: int, tracker_epoch: int
    ) -> int: ...
    def delete(self, path: str, recursive: bool = False) -> bool: ...
    def set_permission(self, path: str, permission: int) -> None: ...
    def set_owner(self, path: str, owner: str = "", group: str = "") -> None: ...
    def set_times(
        self, path: str, modified_us: int | None = None, accessed_us: int | None = None
    ) -> None: ...
    def set_replication(self, path: str, replication: int) -> bool: ...
    def close(self) -> None: ...
