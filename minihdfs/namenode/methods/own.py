"""Our own calls, under a protocol name of their own on the same port: what the tracker's publish
and `mrc status` need."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.core.tree.publish import ResetTrackerEpoch
from minihdfs.namenode.methods.changes import CHANGES
from minihdfs.namenode.methods.reads import READS
from minihdfs.namenode.methods.system import SYSTEM
from minihdfs.namenode.methods.table import Facts, Method, MethodTable, answered
from minihdfs.pb import mrcluster_namenode_pb2 as own
from minihdfs.wire import messages as to


def _publish(caller: Caller, r: own.PublishRequest) -> ev.Publish:
    return ev.Publish(caller, r.staging, r.destination, r.replaced_inode_id, r.tracker_epoch)


def _rename_many(caller: Caller, r: own.RenameManyRequest) -> ev.RenameMany:
    return ev.RenameMany(caller, tuple((pair.source, pair.destination) for pair in r.pairs))


def _status(values: list[Any], _request: Any, facts: Facts) -> Message:
    stats, rows = map(answered, values)
    return own.GetStatusResponse(
        capacity_bytes=stats.capacity_bytes,
        used_bytes=stats.used_bytes,
        remaining_bytes=stats.remaining_bytes,
        under_replicated_blocks=stats.under_replicated_blocks,
        corrupt_blocks=stats.corrupt_blocks,
        missing_blocks=stats.missing_blocks,
        files=stats.files,
        directories=stats.directories,
        blocks=stats.blocks,
        safe_mode=stats.safe_mode,
        pending_deletion_blocks=stats.pending_deletion_blocks,
        epoch=facts.epoch,
        cluster_id=facts.cluster_id,
        datanodes=[to.row_to_pb(row) for row in rows],
    )


OWN: dict[str, Method] = {
    "publish": Method(
        own.PublishRequest,
        (_publish,),
        lambda inode_id, _request, _facts: own.PublishResponse(inode_id=inode_id),
        changes=True,
    ),
    "renameMany": Method(
        own.RenameManyRequest,
        (_rename_many,),
        lambda _value, _request, _facts: own.RenameManyResponse(),
        changes=True,
    ),
    "abandonFile": Method(
        own.AbandonFileRequest,
        (lambda caller, request: ev.AbandonFile(caller, request.inode_id, request.client_name),),
        lambda removed, _request, _facts: own.AbandonFileResponse(removed=bool(removed)),
        changes=True,
    ),
    "resetTrackerEpoch": Method(
        own.ResetTrackerEpochRequest,
        (lambda caller, _request: ResetTrackerEpoch(caller),),
        lambda value, _request, _facts: own.ResetTrackerEpochResponse(was=value[0], now=value[1]),
    ),
    "whoLeads": Method(
        own.WhoLeadsRequest,
        (),
        lambda _value, _request, facts: own.WhoLeadsResponse(epoch=facts.epoch),
    ),
    "getStatus": Method(
        own.GetStatusRequest,
        (
            lambda caller, _request: ev.GetFsStats(caller),
            lambda caller, _request: ev.GetDatanodeReport(caller, "all"),
        ),
        _status,
    ),
}


def method_table() -> MethodTable:
    """Every call this namenode answers."""
    return MethodTable(hadoop=(READS, CHANGES, SYSTEM), own=(OWN,))
