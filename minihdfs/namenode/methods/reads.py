"""Calls that only look: one file or directory at a time."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from minihdfs.errors import FileNotFound, FsError
from minihdfs.model import FileStatus, Listing
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.methods.table import Facts, Method, answered
from minihdfs.pb import hadoop_hdfs_pb2 as hdfs
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import messages as to

_EVERYTHING = (1 << 63) - 1


def existing(status: FileStatus | None, path: str) -> FileStatus:
    """Calls other than getFileInfo and getListing say that a path is missing by an error."""
    if status is None:
        raise FileNotFound(f"File does not exist: {path}")
    return status


def _file_info(status: FileStatus | None, _request: Any, _facts: Facts) -> Message:
    # An empty response is how HDFS says that a path is missing.
    return (
        nn.GetFileInfoResponse()
        if status is None
        else nn.GetFileInfoResponse(fs=to.status_to_pb(status))
    )


def _link_info(status: FileStatus | None, _request: Any, _facts: Facts) -> Message:
    return (
        nn.GetFileLinkInfoResponse()
        if status is None
        else nn.GetFileLinkInfoResponse(fs=to.status_to_pb(status))
    )


def _located_file_info(values: list[Any], _request: Any, _facts: Facts) -> Message:
    status, located = answered(values[0]), values[1]
    if status is None:
        return nn.GetLocatedFileInfoResponse()
    if status.is_directory or isinstance(located, Refusal):
        return nn.GetLocatedFileInfoResponse(fs=to.status_to_pb(status))
    return nn.GetLocatedFileInfoResponse(fs=to.status_to_pb(status, located))


def _listing(listing: Listing | None, _request: Any, _facts: Facts) -> Message:
    return (
        nn.GetListingResponse()
        if listing is None
        else nn.GetListingResponse(dirList=to.listing_to_pb(listing))
    )


def _quota_usage(summary: Any, _request: Any, _facts: Facts) -> Message:
    return nn.GetQuotaUsageResponse(
        usage=hdfs.QuotaUsage(
            fileAndDirectoryCount=summary.files + summary.directories,
            quota=to.unsigned(summary.quota),
            spaceConsumed=summary.space_consumed,
            spaceQuota=to.unsigned(summary.space_quota),
        )
    )


def _acl_status(status: FileStatus | None, request: Any, _facts: Facts) -> Message:
    # No file has ACL entries beyond its permission bits.
    found = existing(status, request.src)
    permission = hdfs.FsPermission(perm=found.permission)
    acl = hdfs.AclStatus(
        owner=found.owner,
        group=found.group,
        sticky=bool(found.permission & 0o1000),
        permission=permission,
    )
    return nn.GetAclStatusResponse(result=acl)


def _xattrs(status: FileStatus | None, request: Any, _facts: Facts) -> Message:
    existing(status, request.src)
    if request.xAttrs:
        raise FsError("At least one of the attributes provided was not found.")
    return nn.GetXAttrsResponse()


def _none_of(response: type[Message]) -> Any:
    """Answers "none", once the path is known to exist."""

    def respond(status: FileStatus | None, request: Any, _facts: Facts) -> Message:
        existing(status, request.src)
        return response()

    return respond


def _preferred_block_size(status: FileStatus | None, request: Any, _facts: Facts) -> Message:
    return nn.GetPreferredBlockSizeResponse(bsize=existing(status, request.filename).block_bytes)


def _info(caller: ev.Caller, request: Any) -> ev.GetFileInfo:
    return ev.GetFileInfo(caller, request.src)


def _info_of(field: str) -> Any:
    return lambda caller, request: ev.GetFileInfo(caller, getattr(request, field))


READS: dict[str, Method] = {
    "getFileInfo": Method(nn.GetFileInfoRequest, (_info,), _file_info),
    "getFileLinkInfo": Method(nn.GetFileLinkInfoRequest, (_info,), _link_info),
    "getLocatedFileInfo": Method(
        nn.GetLocatedFileInfoRequest,
        (_info, lambda caller, request: ev.GetBlockLocations(caller, request.src, 0, _EVERYTHING)),
        _located_file_info,
        lenient=True,
    ),
    "getListing": Method(
        nn.GetListingRequest,
        (
            lambda caller, request: ev.GetListing(
                caller, request.src, request.startAfter, request.needLocation
            ),
        ),
        _listing,
    ),
    "getBlockLocations": Method(
        nn.GetBlockLocationsRequest,
        (
            lambda caller, r: ev.GetBlockLocations(
                caller, r.src, min(r.offset, _EVERYTHING), min(r.length, _EVERYTHING)
            ),
        ),
        lambda located, _request, _facts: nn.GetBlockLocationsResponse(
            locations=to.located_blocks_to_pb(located)
        ),
    ),
    "getContentSummary": Method(
        nn.GetContentSummaryRequest,
        (lambda caller, request: ev.GetContentSummary(caller, request.path),),
        lambda summary, _request, _facts: nn.GetContentSummaryResponse(
            summary=to.summary_to_pb(summary)
        ),
    ),
    "getQuotaUsage": Method(
        nn.GetQuotaUsageRequest,
        (lambda caller, request: ev.GetContentSummary(caller, request.path),),
        _quota_usage,
    ),
    "isFileClosed": Method(
        nn.IsFileClosedRequest,
        (lambda caller, request: ev.IsFileClosed(caller, request.src),),
        lambda closed, _request, _facts: nn.IsFileClosedResponse(result=bool(closed)),
    ),
    "checkAccess": Method(
        nn.CheckAccessRequest,
        (lambda caller, request: ev.CheckAccess(caller, request.path, request.mode),),
        lambda _value, _request, _facts: nn.CheckAccessResponse(),
    ),
    "getPreferredBlockSize": Method(
        nn.GetPreferredBlockSizeRequest, (_info_of("filename"),), _preferred_block_size
    ),
    "getAclStatus": Method(nn.GetAclStatusRequest, (_info,), _acl_status),
    "getXAttrs": Method(nn.GetXAttrsRequest, (_info,), _xattrs),
    "listXAttrs": Method(nn.ListXAttrsRequest, (_info,), _none_of(nn.ListXAttrsResponse)),
    "getErasureCodingPolicy": Method(
        nn.GetErasureCodingPolicyRequest, (_info,), _none_of(nn.GetErasureCodingPolicyResponse)
    ),
    "getEZForPath": Method(nn.GetEZForPathRequest, (_info,), _none_of(nn.GetEZForPathResponse)),
}
