"""The client's side of the namenode: one typed method per call, over Hadoop RPC; see
`minihdfs.client.api.NamenodeCalls`.

Safe to share between threads (calls are pipelined on one connection) and across a fork; imports
neither gRPC nor anything that starts threads. Every method raises the errors of `minihdfs.errors`,
or `Unavailable` when nobody answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from minihdfs.client.namenode_failover import Caller, CallOptions
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
from minihdfs.pb import hadoop_hdfs_pb2 as hdfs
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.pb import mrcluster_namenode_pb2 as own
from minihdfs.wire import messages as to
from minihdfs.wire.hadoop_rpc import CLIENT_PROTOCOL, OWN_PROTOCOL

R = TypeVar("R", bound=Message)
_REPORT_TYPES = {"all": nn.ALL, "live": nn.LIVE, "dead": nn.DEAD}
_SAFE_MODE = {"enter": nn.SAFEMODE_ENTER, "leave": nn.SAFEMODE_LEAVE, "get": nn.SAFEMODE_GET}


@dataclass(frozen=True, slots=True)
class NamenodeStatus:
    """What `mrc status` shows: counts, who answers with which epoch, and every datanode."""

    stats: FsStats
    epoch: int
    cluster_id: str
    datanodes: tuple[DatanodeReportRow, ...]


class NamenodeClient:
    def __init__(
        self,
        addresses: str | Iterable[str],
        user: str,
        client_id: bytes = b"",
        *,
        options: CallOptions | None = None,
        waiting: Callable[[str], None] | None = None,
    ) -> None:
        """`addresses`: "host:port", several separated by commas or as a sequence. Connects at the
        first call. `waiting`: see Caller."""
        given = addresses.split(",") if isinstance(addresses, str) else addresses
        self._caller = Caller(
            [address.strip() for address in given],
            user,
            client_id,
            options or CallOptions(),
            waiting,
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        return self._caller.addresses

    @property
    def user(self) -> str:
        return self._caller.user

    def close(self) -> None:
        """Gives the connection back; a later call opens another."""
        self._caller.close()

    def _ask(self, method: str, request: Message, response: type[R]) -> R:
        return self._caller.call(CLIENT_PROTOCOL, method, request, response)

    # ── reads ─────────────────────────────────────────────────────────────────────────────────────

    def get_file_info(self, path: str) -> FileStatus | None:
        """None for a path that is not there."""
        answer = self._ask("getFileInfo", nn.GetFileInfoRequest(src=path), nn.GetFileInfoResponse)
        return to.status_from_pb(answer.fs) if answer.HasField("fs") else None

    def get_listing(
        self, path: str, start_after: bytes = b"", need_location: bool = False
    ) -> Listing | None:
        """One page (about 1,000 entries), in byte order of names; None for a path that is not
        there."""
        request = nn.GetListingRequest(src=path, startAfter=start_after, needLocation=need_location)
        answer = self._ask("getListing", request, nn.GetListingResponse)
        return (
            to.listing_from_pb(answer.dirList, with_locations=need_location)
            if answer.HasField("dirList")
            else None
        )

    def get_block_locations(self, path: str, offset: int, length: int) -> LocatedBlocks:
        request = nn.GetBlockLocationsRequest(src=path, offset=offset, length=length)
        return to.located_blocks_from_pb(
            self._ask("getBlockLocations", request, nn.GetBlockLocationsResponse).locations
        )

    def get_content_summary(self, path: str) -> ContentSummary:
        answer = self._ask(
            "getContentSummary",
            nn.GetContentSummaryRequest(path=path),
            nn.GetContentSummaryResponse,
        )
        return to.summary_from_pb(answer.summary)

    def get_server_defaults(self) -> ServerDefaults:
        answer = self._ask(
            "getServerDefaults", nn.GetServerDefaultsRequest(), nn.GetServerDefaultsResponse
        )
        return to.defaults_from_pb(answer.serverDefaults)

    def is_file_closed(self, path: str) -> bool:
        return self._ask(
            "isFileClosed", nn.IsFileClosedRequest(src=path), nn.IsFileClosedResponse
        ).result

    def check_access(self, path: str, mode: int) -> None:
        """`mode`: rwx bits, 0 to 7. Raises AccessDenied."""
        request = nn.CheckAccessRequest(path=path, mode=mode)  # type: ignore[arg-type]
        self._ask("checkAccess", request, nn.CheckAccessResponse)

    # ── the file system as a whole ────────────────────────────────────────────────────────────────

    def get_fs_stats(self) -> FsStats:
        """Hadoop's own counts; `get_status` has those of files, directories and blocks too."""
        answer = self._ask("getFsStats", nn.GetFsStatsRequest(), nn.GetFsStatsResponse)
        sizes = answer.capacity, answer.used, answer.remaining
        bad = answer.under_replicated, answer.corrupt_blocks, answer.missing_blocks
        return FsStats(*sizes, *bad, pending_deletion_blocks=answer.pending_deletion_blocks)

    def get_status(self) -> NamenodeStatus:
        answer = self._caller.call(
            OWN_PROTOCOL, "getStatus", own.GetStatusRequest(), own.GetStatusResponse
        )
        stats = FsStats(
            capacity_bytes=answer.capacity_bytes,
            used_bytes=answer.used_bytes,
            remaining_bytes=answer.remaining_bytes,
            under_replicated_blocks=answer.under_replicated_blocks,
            corrupt_blocks=answer.corrupt_blocks,
            missing_blocks=answer.missing_blocks,
            files=answer.files,
            directories=answer.directories,
            blocks=answer.blocks,
            safe_mode=answer.safe_mode,
            pending_deletion_blocks=answer.pending_deletion_blocks,
        )
        return NamenodeStatus(
            stats,
            answer.epoch,
            answer.cluster_id,
            tuple(to.row_from_pb(row) for row in answer.datanodes),
        )

    def get_datanode_report(self, which: str = "all") -> tuple[DatanodeReportRow, ...]:
        """`which`: all, live or dead."""
        request = nn.GetDatanodeReportRequest(type=_REPORT_TYPES[which])
        answer = self._ask("getDatanodeReport", request, nn.GetDatanodeReportResponse)
        return tuple(to.row_from_pb(row) for row in answer.di)

    def set_safe_mode(self, action: str) -> bool:
        """`action`: enter, leave or get. Is safe mode on now?"""
        request = nn.SetSafeModeRequest(action=_SAFE_MODE[action])
        return self._ask("setSafeMode", request, nn.SetSafeModeResponse).result

    # ── writing a file ────────────────────────────────────────────────────────────────────────────

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
    ) -> FileStatus:
        """`replication` and `block_bytes`: 0 = the namenode's default."""
        request = nn.CreateRequest(
            src=path,
            masked=hdfs.FsPermission(perm=permission),
            clientName=client_name,
            createFlag=nn.CREATE | (nn.OVERWRITE if overwrite else 0),
            createParent=create_parents,
            replication=replication,
            blockSize=block_bytes,
        )
        return to.status_from_pb(self._ask("create", request, nn.CreateResponse).fs)

    def add_block(
        self,
        path: str,
        client_name: str,
        inode_id: int = 0,
        previous: BlockRef | None = None,
        exclude: Sequence[DatanodeAddress] = (),
        favored: Sequence[str] = (),
    ) -> LocatedBlock:
        request = nn.AddBlockRequest(
            src=path, clientName=client_name, fileId=inode_id, favoredNodes=favored
        )
        request.excludeNodes.extend(to.address_to_pb(address) for address in exclude)
        if previous is not None:
            request.previous.CopyFrom(to.block_to_pb(previous))
        return to.located_block_from_pb(self._ask("addBlock", request, nn.AddBlockResponse).block)

    def abandon_block(self, path: str, client_name: str, inode_id: int, block: BlockRef) -> None:
        request = nn.AbandonBlockRequest(
            b=to.block_to_pb(block), src=path, holder=client_name, fileId=inode_id
        )
        self._ask("abandonBlock", request, nn.AbandonBlockResponse)

    def complete(
        self, path: str, client_name: str, inode_id: int = 0, last: BlockRef | None = None
    ) -> bool:
        """False: the last block has no replica yet; ask again."""
        request = nn.CompleteRequest(src=path, clientName=client_name, fileId=inode_id)
        if last is not None:
            request.last.CopyFrom(to.block_to_pb(last))
        return self._ask("complete", request, nn.CompleteResponse).result

    def abandon_file(self, inode_id: int, client_name: str) -> bool:
        """Takes the file away if this client still writes it. False: it does not, and nothing
        happened."""
        request = own.AbandonFileRequest(inode_id=inode_id, client_name=client_name)
        return self._caller.call(
            OWN_PROTOCOL, "abandonFile", request, own.AbandonFileResponse
        ).removed

    def fsync(
        self, path: str, client_name: str, inode_id: int = 0, last_block_length: int = -1
    ) -> None:
        request = nn.FsyncRequest(
            src=path, client=client_name, lastBlockLength=last_block_length, fileId=inode_id
        )
        self._ask("fsync", request, nn.FsyncResponse)

    def renew_lease(self, client_name: str) -> None:
        self._ask("renewLease", nn.RenewLeaseRequest(clientName=client_name), nn.RenewLeaseResponse)

    def recover_lease(self, path: str, client_name: str) -> bool:
        """True when the file is closed now."""
        request = nn.RecoverLeaseRequest(src=path, clientName=client_name)
        return self._ask("recoverLease", request, nn.RecoverLeaseResponse).result

    def report_bad_blocks(self, replicas: Sequence[tuple[BlockRef, DatanodeAddress]]) -> None:
        located = [
            to.located_block_to_pb(LocatedBlock(block, 0, (address,), corrupt=True))
            for block, address in replicas
        ]
        self._ask(
            "reportBadBlocks", nn.ReportBadBlocksRequest(blocks=located), nn.ReportBadBlocksResponse
        )

    def update_block_for_pipeline(self, client_name: str, block: BlockRef) -> LocatedBlock:
        request = nn.UpdateBlockForPipelineRequest(
            block=to.block_to_pb(block), clientName=client_name
        )
        return to.located_block_from_pb(
            self._ask("updateBlockForPipeline", request, nn.UpdateBlockForPipelineResponse).block
        )

    def update_pipeline(
        self, client_name: str, old: BlockRef, new: BlockRef, datanodes: Sequence[DatanodeAddress]
    ) -> None:
        request = nn.UpdatePipelineRequest(
            clientName=client_name, oldBlock=to.block_to_pb(old), newBlock=to.block_to_pb(new)
        )
        request.newNodes.extend(to.address_to_pb(address).id for address in datanodes)
        request.storageIDs.extend(address.uuid for address in datanodes)
        self._ask("updatePipeline", request, nn.UpdatePipelineResponse)

    def get_additional_datanode(
        self,
        path: str,
        client_name: str,
        inode_id: int,
        block: BlockRef,
        existing: Sequence[DatanodeAddress],
        exclude: Sequence[DatanodeAddress] = (),
        count: int = 1,
    ) -> LocatedBlock:
        request = nn.GetAdditionalDatanodeRequest(
            src=path,
            blk=to.block_to_pb(block),
            numAdditionalNodes=count,
            clientName=client_name,
            fileId=inode_id,
        )
        request.existings.extend(to.address_to_pb(address) for address in existing)
        request.excludes.extend(to.address_to_pb(address) for address in exclude)
        return to.located_block_from_pb(
            self._ask("getAdditionalDatanode", request, nn.GetAdditionalDatanodeResponse).block
        )

    # ── the namespace ─────────────────────────────────────────────────────────────────────────────

    def mkdirs(self, path: str, permission: int = 0o755, create_parents: bool = True) -> bool:
        request = nn.MkdirsRequest(
            src=path, masked=hdfs.FsPermission(perm=permission), createParent=create_parents
        )
        return self._ask("mkdirs", request, nn.MkdirsResponse).result

    def rename(self, source: str, destination: str) -> bool:
        """The old call: False for a missing source or an existing destination file; into an
        existing directory."""
        return self._ask(
            "rename", nn.RenameRequest(src=source, dst=destination), nn.RenameResponse
        ).result

    def rename2(self, source: str, destination: str, overwrite: bool = False) -> None:
        self._ask(
            "rename2",
            nn.Rename2Request(src=source, dst=destination, overwriteDest=overwrite),
            nn.Rename2Response,
        )

    def rename_many(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Up to RENAMES_MAX renames, all or none; repeating it after success does nothing."""
        request = own.RenameManyRequest(
            pairs=[
                own.Pair(source=source, destination=destination) for source, destination in pairs
            ]
        )
        self._caller.call(OWN_PROTOCOL, "renameMany", request, own.RenameManyResponse)

    def publish(
        self, staging: str, destination: str, replaced_inode_id: int, tracker_epoch: int
    ) -> int:
        """The inode id of what is now at `destination`. Raises FencedWriter for an epoch lower than
        the highest seen."""
        request = own.PublishRequest(
            staging=staging,
            destination=destination,
            replaced_inode_id=replaced_inode_id,
            tracker_epoch=tracker_epoch,
        )
        return self._caller.call(OWN_PROTOCOL, "publish", request, own.PublishResponse).inode_id

    def reset_tracker_epoch(self) -> tuple[int, int]:
        """(what it was, what it is now)"""
        answer = self._caller.call(
            OWN_PROTOCOL,
            "resetTrackerEpoch",
            own.ResetTrackerEpochRequest(),
            own.ResetTrackerEpochResponse,
        )
        return answer.was, answer.now

    def delete(self, path: str, recursive: bool = False) -> bool:
        """False for a path that is not there."""
        return self._ask(
            "delete", nn.DeleteRequest(src=path, recursive=recursive), nn.DeleteResponse
        ).result

    def set_permission(self, path: str, permission: int) -> None:
        request = nn.SetPermissionRequest(src=path, permission=hdfs.FsPermission(perm=permission))
        self._ask("setPermission", request, nn.SetPermissionResponse)

    def set_owner(self, path: str, owner: str = "", group: str = "") -> None:
        """ "" leaves the owner or group as it is."""
        request = nn.SetOwnerRequest(src=path, username=owner or None, groupname=group or None)
        self._ask("setOwner", request, nn.SetOwnerResponse)

    def set_times(
        self, path: str, modified_us: int | None = None, accessed_us: int | None = None
    ) -> None:
        """Milliseconds are kept, from before 1970 too; None leaves a time as it is (and so does -1
        ms, which means that on the wire)."""
        times = (
            to.unsigned(-1 if us is None else to.millis(us)) for us in (modified_us, accessed_us)
        )
        mtime, atime = times
        self._ask(
            "setTimes", nn.SetTimesRequest(src=path, mtime=mtime, atime=atime), nn.SetTimesResponse
        )

    def set_replication(self, path: str, replication: int) -> bool:
        """False for a directory."""
        request = nn.SetReplicationRequest(src=path, replication=replication)
        return self._ask("setReplication", request, nn.SetReplicationResponse).result
