"""Calls about the file system as a whole, and those whose honest answer is "none": no erasure
coding, no encryption, no snapshots.

A call with nothing to ask still goes through the core (as GetServerDefaults), so that a standby
refuses it like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from minihdfs.errors import UnsupportedOperation
from minihdfs.model import DatanodeReportRow, FsStats
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.methods.reads import existing
from minihdfs.namenode.methods.table import Facts, Method
from minihdfs.pb import hadoop_hdfs_pb2 as hdfs
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import messages as to

_WHICH = {nn.ALL: "all", nn.LIVE: "live", nn.DEAD: "dead"}
_STATE_OF_TYPE = {nn.DECOMMISSIONING: "draining"}
_SAFE_MODE = {
    nn.SAFEMODE_LEAVE: "leave",
    nn.SAFEMODE_ENTER: "enter",
    nn.SAFEMODE_GET: "get",
    nn.SAFEMODE_FORCE_EXIT: "leave",
}
_HOT = hdfs.BlockStoragePolicy(
    policyId=7, name="HOT", creationPolicy=hdfs.StorageTypes(storageTypes=[hdfs.DISK])
)


def _stats(stats: FsStats, _request: Any, _facts: Facts) -> Message:
    return nn.GetFsStatsResponse(
        capacity=stats.capacity_bytes,
        used=stats.used_bytes,
        remaining=stats.remaining_bytes,
        under_replicated=stats.under_replicated_blocks,
        corrupt_blocks=stats.corrupt_blocks,
        missing_blocks=stats.missing_blocks,
        missing_repl_one_blocks=0,
        blocks_in_future=stats.blocks_in_future,
        pending_deletion_blocks=stats.pending_deletion_blocks,
    )


def _replicated_stats(stats: FsStats, _request: Any, _facts: Facts) -> Message:
    return nn.GetFsReplicatedBlockStatsResponse(
        low_redundancy=stats.under_replicated_blocks,
        corrupt_blocks=stats.corrupt_blocks,
        missing_blocks=stats.missing_blocks,
        missing_repl_one_blocks=0,
        blocks_in_future=stats.blocks_in_future,
        pending_deletion_blocks=stats.pending_deletion_blocks,
    )


def _no_ec_groups(_value: Any, _request: Any, _facts: Facts) -> Message:
    return nn.GetFsEcBlockGroupStatsResponse(
        low_redundancy=0,
        corrupt_blocks=0,
        missing_blocks=0,
        blocks_in_future=0,
        pending_deletion_blocks=0,
    )


def _report_event(caller: Caller, request: Any) -> ev.GetDatanodeReport:
    return ev.GetDatanodeReport(caller, _WHICH.get(request.type, "all"))


def _rows(rows: tuple[DatanodeReportRow, ...], request: Any) -> list[hdfs.DatanodeInfo]:
    if request.type not in _WHICH:
        rows = tuple(row for row in rows if row.state == _STATE_OF_TYPE.get(request.type))
    return [to.row_to_pb(row) for row in rows]


def _report(rows: tuple[DatanodeReportRow, ...], request: Any, _facts: Facts) -> Message:
    return nn.GetDatanodeReportResponse(di=_rows(rows, request))


def _storage_report(rows: tuple[DatanodeReportRow, ...], request: Any, _facts: Facts) -> Message:
    reports = []
    for info in _rows(rows, request):
        storage = hdfs.StorageReport(
            storageUuid=info.id.datanodeUuid,
            capacity=info.capacity,
            dfsUsed=info.dfsUsed,
            remaining=info.remaining,
            blockPoolUsed=info.blockPoolUsed,
            storage=hdfs.DatanodeStorage(storageUuid=info.id.datanodeUuid),
        )
        reports.append(nn.DatanodeStorageReport(datanodeInfo=info, storageReports=[storage]))
    return nn.GetDatanodeStorageReportResponse(datanodeStorageReports=reports)


def _rolling_upgrade(_value: Any, request: Any, _facts: Facts) -> Message:
    if request.action != nn.QUERY:
        raise UnsupportedOperation("rolling upgrades are not supported by this namenode")
    return nn.RollingUpgradeResponse()


def _storage_policy(status: Any, request: Any, _facts: Facts) -> Message:
    existing(status, request.path)
    return nn.GetStoragePolicyResponse(storagePolicy=_HOT)


def _ha_state(_value: Any, _request: Any, facts: Facts) -> Message:
    return nn.HAServiceStateResponse(state=hdfs.ACTIVE if facts.epoch else hdfs.STANDBY)


def _ask(caller: Caller, _request: Any) -> ev.GetServerDefaults:
    return ev.GetServerDefaults(caller)


def _always(request: type[Message], response: Callable[[], Message]) -> Method:
    return Method(request, (_ask,), lambda _value, _request, _facts: response())


SYSTEM: dict[str, Method] = {
    "getServerDefaults": Method(
        nn.GetServerDefaultsRequest,
        (_ask,),
        lambda defaults, _request, _facts: nn.GetServerDefaultsResponse(
            serverDefaults=to.defaults_to_pb(defaults)
        ),
    ),
    "getFsStats": Method(
        nn.GetFsStatsRequest, (lambda caller, _request: ev.GetFsStats(caller),), _stats
    ),
    "getFsReplicatedBlockStats": Method(
        nn.GetFsReplicatedBlockStatsRequest,
        (lambda caller, _request: ev.GetFsStats(caller),),
        _replicated_stats,
    ),
    "getFsECBlockGroupStats": Method(nn.GetFsEcBlockGroupStatsRequest, (_ask,), _no_ec_groups),
    "getDatanodeReport": Method(nn.GetDatanodeReportRequest, (_report_event,), _report),
    "getDatanodeStorageReport": Method(
        nn.GetDatanodeStorageReportRequest, (_report_event,), _storage_report
    ),
    "setSafeMode": Method(
        nn.SetSafeModeRequest,
        (lambda caller, request: ev.SetSafeMode(caller, _SAFE_MODE[request.action]),),
        lambda value, _request, _facts: nn.SetSafeModeResponse(result=bool(value)),
        changes=True,
    ),
    "rollingUpgrade": Method(nn.RollingUpgradeRequest, (_ask,), _rolling_upgrade),
    "getStoragePolicy": Method(
        nn.GetStoragePolicyRequest,
        (lambda caller, request: ev.GetFileInfo(caller, request.path),),
        _storage_policy,
    ),
    "getHAServiceState": Method(nn.HAServiceStateRequest, (), _ha_state),
    "msync": _always(nn.MsyncRequest, nn.MsyncResponse),
    "upgradeStatus": _always(
        nn.UpgradeStatusRequest, lambda: nn.UpgradeStatusResponse(upgradeFinalized=True)
    ),
    "getSlowDatanodeReport": _always(
        nn.GetSlowDatanodeReportRequest, nn.GetSlowDatanodeReportResponse
    ),
    "getStoragePolicies": _always(
        nn.GetStoragePoliciesRequest, lambda: nn.GetStoragePoliciesResponse(policies=[_HOT])
    ),
    "getErasureCodingPolicies": _always(
        nn.GetErasureCodingPoliciesRequest, nn.GetErasureCodingPoliciesResponse
    ),
    "getDataEncryptionKey": _always(
        nn.GetDataEncryptionKeyRequest, nn.GetDataEncryptionKeyResponse
    ),
    "getDelegationToken": _always(nn.GetDelegationTokenRequest, nn.GetDelegationTokenResponse),
    "listEncryptionZones": _always(
        nn.ListEncryptionZonesRequest, lambda: nn.ListEncryptionZonesResponse(hasMore=False)
    ),
    "getEnclosingRoot": Method(
        nn.GetEnclosingRootRequest,
        (lambda caller, request: ev.GetFileInfo(caller, request.filename),),
        lambda _status, _request, _facts: nn.GetEnclosingRootResponse(enclosingRootPath="/"),
    ),
    "getSnapshottableDirListing": _always(
        nn.GetSnapshottableDirListingRequest, nn.GetSnapshottableDirListingResponse
    ),
}
