"""The file system's nouns to and from Hadoop's messages, for the namenode and its client. Pure;
knows no call and no socket.

Units differ: Hadoop's times are milliseconds, its times and quotas unsigned on the wire, so a year
before 1970 travels as a number near 2^64 and -1 ("none") as 2^64 - 1. A located block must carry a
token even where security is off, and its storage types run parallel to its locations.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from minihdfs.model import (
    BLOCK_POOL,
    BlockRef,
    ContentSummary,
    DatanodeAddress,
    DatanodeReportRow,
    DatanodeUsage,
    FileStatus,
    Listing,
    LocatedBlock,
    LocatedBlocks,
    ServerDefaults,
)
from minihdfs.pb import hadoop_hdfs_pb2 as pb

_UNSIGNED_64 = (1 << 64) - 1
_NO_TOKEN = pb.Token(identifier=b"", password=b"", kind="", service="")
_ADMIN_STATES = {
    "draining": pb.DatanodeInfo.DECOMMISSION_INPROGRESS,
    "decommissioned": pb.DatanodeInfo.DECOMMISSIONED,
}


def millis(micros: int) -> int:
    return micros // 1000


def time_ms(millis_unsigned: int) -> int | None:
    """Milliseconds before or after 1970; None for 2^64 - 1 (-1), which is Hadoop's "unchanged"."""
    return None if millis_unsigned == _UNSIGNED_64 else signed(millis_unsigned)


def signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def unsigned(value: int) -> int:
    return value & _UNSIGNED_64


# ── blocks and datanodes ──────────────────────────────────────────────────────────────────────────


def block_to_pb(block: BlockRef) -> pb.ExtendedBlock:
    return pb.ExtendedBlock(
        poolId=BLOCK_POOL, blockId=block.id, generationStamp=block.stamp, numBytes=block.length
    )


def block_from_pb(message: pb.ExtendedBlock) -> BlockRef:
    return BlockRef(message.blockId, message.generationStamp, message.numBytes)


@functools.lru_cache(maxsize=4096)
def address_to_pb(address: DatanodeAddress) -> pb.DatanodeInfo:
    """Shared between answers: never change what this returns."""
    identity = pb.DatanodeID(
        ipAddr=address.host,
        hostName=address.hostname,
        datanodeUuid=address.uuid,
        xferPort=address.xfer_port,
        infoPort=0,
        ipcPort=address.ipc_port,
    )
    if address.domain_socket:
        identity.domainSocket = address.domain_socket
    return pb.DatanodeInfo(id=identity, location=address.rack)


def address_from_pb(message: pb.DatanodeInfo) -> DatanodeAddress:
    identity = message.id
    return DatanodeAddress(
        uuid=identity.datanodeUuid,
        host=identity.ipAddr,
        hostname=identity.hostName,
        xfer_port=identity.xferPort,
        ipc_port=identity.ipcPort,
        rack=message.location or "/default-rack",
        domain_socket=identity.domainSocket,
    )


def row_to_pb(row: DatanodeReportRow) -> pb.DatanodeInfo:
    message = pb.DatanodeInfo()
    message.CopyFrom(address_to_pb(row.address))
    usage = row.usage
    message.capacity, message.dfsUsed, message.remaining = (
        usage.capacity_bytes,
        usage.used_bytes,
        usage.remaining_bytes,
    )
    message.blockPoolUsed, message.xceiverCount, message.numBlocks = (
        usage.used_bytes,
        usage.transfers,
        usage.blocks,
    )
    message.nonDfsUsed = max(0, usage.capacity_bytes - usage.used_bytes - usage.remaining_bytes)
    message.lastUpdate = millis(row.last_contact_us)
    message.adminState = _ADMIN_STATES.get(row.state, pb.DatanodeInfo.NORMAL)
    message.state = row.state
    return message


def row_from_pb(message: pb.DatanodeInfo) -> DatanodeReportRow:
    usage = DatanodeUsage(
        message.capacity,
        message.dfsUsed,
        message.remaining,
        message.xceiverCount,
        message.numBlocks,
    )
    return DatanodeReportRow(
        address_from_pb(message), usage, message.state or "live", message.lastUpdate * 1000
    )


def located_block_to_pb(located: LocatedBlock) -> pb.LocatedBlock:
    return pb.LocatedBlock(
        b=block_to_pb(located.block),
        offset=located.offset,
        locs=[address_to_pb(address) for address in located.locations],
        corrupt=located.corrupt,
        blockToken=_NO_TOKEN,
        storageTypes=[pb.DISK] * len(located.locations),
        storageIDs=[address.uuid for address in located.locations],
    )


def located_block_from_pb(message: pb.LocatedBlock) -> LocatedBlock:
    locations = tuple(address_from_pb(location) for location in message.locs)
    return LocatedBlock(block_from_pb(message.b), message.offset, locations, message.corrupt)


def located_blocks_to_pb(located: LocatedBlocks) -> pb.LocatedBlocks:
    message = pb.LocatedBlocks(
        fileLength=located.file_length,
        blocks=[located_block_to_pb(block) for block in located.blocks],
        underConstruction=located.under_construction,
        isLastBlockComplete=located.last_block_complete,
    )
    if located.last_block is not None:
        message.lastBlock.CopyFrom(located_block_to_pb(located.last_block))
    return message


def located_blocks_from_pb(message: pb.LocatedBlocks) -> LocatedBlocks:
    last = located_block_from_pb(message.lastBlock) if message.HasField("lastBlock") else None
    blocks = tuple(located_block_from_pb(block) for block in message.blocks)
    return LocatedBlocks(
        message.fileLength, blocks, message.underConstruction, last, message.isLastBlockComplete
    )


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def status_to_pb(status: FileStatus, locations: LocatedBlocks | None = None) -> pb.HdfsFileStatus:
    message = pb.HdfsFileStatus(
        fileType=pb.HdfsFileStatus.IS_DIR if status.is_directory else pb.HdfsFileStatus.IS_FILE,
        path=status.name,
        length=status.length,
        permission=pb.FsPermission(perm=status.permission),
        owner=status.owner,
        group=status.group,
        modification_time=unsigned(millis(status.modified_us)),
        access_time=unsigned(millis(status.accessed_us)),
        block_replication=status.replication,
        blocksize=status.block_bytes,
        fileId=status.inode_id,
        childrenNum=status.children,
    )
    if status.under_construction:
        message.underConstruction = True
    if locations is not None:
        message.locations.CopyFrom(located_blocks_to_pb(locations))
    return message


def status_from_pb(message: pb.HdfsFileStatus) -> FileStatus:
    return FileStatus(
        inode_id=message.fileId,
        name=message.path,
        is_directory=message.fileType == pb.HdfsFileStatus.IS_DIR,
        length=message.length,
        replication=message.block_replication,
        block_bytes=message.blocksize,
        permission=message.permission.perm & 0o7777,
        owner=message.owner,
        group=message.group,
        modified_us=signed(message.modification_time) * 1000,
        accessed_us=signed(message.access_time) * 1000,
        children=max(0, message.childrenNum),
        under_construction=message.underConstruction,
    )


def listing_to_pb(listing: Listing) -> pb.DirectoryListing:
    locations: Iterable[LocatedBlocks | None] = listing.locations or (None,) * len(listing.entries)
    entries = [
        status_to_pb(entry, located)
        for entry, located in zip(listing.entries, locations, strict=True)
    ]
    return pb.DirectoryListing(partialListing=entries, remainingEntries=listing.remaining)


def listing_from_pb(message: pb.DirectoryListing, *, with_locations: bool) -> Listing:
    entries = tuple(status_from_pb(entry) for entry in message.partialListing)
    if not with_locations:
        return Listing(entries, message.remainingEntries)
    locations = tuple(
        located_blocks_from_pb(e.locations) if e.HasField("locations") else None
        for e in message.partialListing
    )
    return Listing(entries, message.remainingEntries, locations)


def summary_to_pb(summary: ContentSummary) -> pb.ContentSummary:
    return pb.ContentSummary(
        length=summary.length,
        fileCount=summary.files,
        directoryCount=summary.directories,
        quota=unsigned(summary.quota),
        spaceConsumed=summary.space_consumed,
        spaceQuota=unsigned(summary.space_quota),
        erasureCodingPolicy=summary.erasure_coding_policy,
    )


def summary_from_pb(message: pb.ContentSummary) -> ContentSummary:
    quotas = signed(message.quota), signed(message.spaceQuota)
    counts = message.length, message.fileCount, message.directoryCount, message.spaceConsumed
    return ContentSummary(*counts, *quotas, message.erasureCodingPolicy)


def defaults_to_pb(defaults: ServerDefaults) -> pb.FsServerDefaults:
    return pb.FsServerDefaults(
        blockSize=defaults.block_bytes,
        bytesPerChecksum=defaults.bytes_per_checksum,
        writePacketSize=defaults.packet_bytes,
        replication=defaults.replication,
        fileBufferSize=defaults.file_buffer_bytes,
        trashInterval=-(
            -defaults.trash_interval_s // 60
        ),  # Hadoop's are minutes; a part of one is no 0, which would mean "no trash"
        checksumType=pb.CHECKSUM_CRC32C,
    )


def defaults_from_pb(message: pb.FsServerDefaults) -> ServerDefaults:
    sizes = message.blockSize, message.bytesPerChecksum, message.writePacketSize
    return ServerDefaults(
        *sizes, message.replication, message.fileBufferSize, message.trashInterval * 60
    )
