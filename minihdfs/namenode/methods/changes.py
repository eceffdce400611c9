"""Calls that change the namespace, write a file, or keep its lease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from minihdfs.errors import UnsupportedOperation
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.methods.table import Facts, Method
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import messages as to

_REPLICATED = ("", "replication", "REPLICATION")


def _create(caller: Caller, r: nn.CreateRequest) -> ev.Create:
    if r.createFlag & nn.APPEND:
        raise UnsupportedOperation("append is not supported by this namenode")
    if r.ecPolicyName not in _REPLICATED:
        raise UnsupportedOperation(
            f"erasure coding policy {r.ecPolicyName} is not supported: files are replicated"
        )
    overwrite, create = bool(r.createFlag & nn.OVERWRITE), bool(r.createFlag & nn.CREATE)
    permission = r.masked.perm & 0o7777
    return ev.Create(
        caller,
        r.src,
        r.clientName,
        permission,
        overwrite,
        r.createParent,
        r.replication,
        r.blockSize,
        create,
    )


def _add_block(caller: Caller, r: nn.AddBlockRequest) -> ev.AddBlock:
    previous = to.block_from_pb(r.previous) if r.HasField("previous") else None
    exclude = tuple(node.id.datanodeUuid for node in r.excludeNodes)
    return ev.AddBlock(
        caller, r.src, r.clientName, r.fileId, previous, exclude, tuple(r.favoredNodes)
    )


def _complete(caller: Caller, r: nn.CompleteRequest) -> ev.Complete:
    last = to.block_from_pb(r.last) if r.HasField("last") else None
    return ev.Complete(caller, r.src, r.clientName, r.fileId, last)


def _set_times(caller: Caller, r: nn.SetTimesRequest) -> ev.SetTimes:
    return ev.SetTimes(caller, r.src, to.time_ms(r.mtime), to.time_ms(r.atime))


def _additional(caller: Caller, r: nn.GetAdditionalDatanodeRequest) -> ev.GetAdditionalDatanode:
    existing = tuple(node.id.datanodeUuid for node in r.existings)
    exclude = tuple(node.id.datanodeUuid for node in r.excludes)
    block = to.block_from_pb(r.blk)
    return ev.GetAdditionalDatanode(
        caller, r.src, r.clientName, r.fileId, block, existing, exclude, r.numAdditionalNodes
    )


def _update_pipeline(caller: Caller, r: nn.UpdatePipelineRequest) -> ev.UpdatePipeline:
    nodes = tuple(node.datanodeUuid for node in r.newNodes)
    return ev.UpdatePipeline(
        caller, r.clientName, to.block_from_pb(r.oldBlock), to.block_from_pb(r.newBlock), nodes
    )


def _bad_blocks(caller: Caller, r: nn.ReportBadBlocksRequest) -> ev.ReportBadBlocks:
    replicas = tuple(
        (to.block_from_pb(located.b), node.id.datanodeUuid)
        for located in r.blocks
        for node in located.locs
    )
    return ev.ReportBadBlocks(caller, replicas)


def _nothing(response: type[Message]) -> Callable[[Any, Any, Facts], Message]:
    return lambda _value, _request, _facts: response()


def _flag(response: Callable[..., Message]) -> Callable[[Any, Any, Facts], Message]:
    return lambda value, _request, _facts: response(result=bool(value))


def _block(response: Callable[..., Message]) -> Callable[[Any, Any, Facts], Message]:
    return lambda value, _request, _facts: response(block=to.located_block_to_pb(value))


def _change(
    request: type[Message],
    event: Callable[[Caller, Any], Any],
    respond: Callable[[Any, Any, Facts], Message],
) -> Method:
    return Method(request, (event,), respond, changes=True)


CHANGES: dict[str, Method] = {
    "mkdirs": _change(
        nn.MkdirsRequest,
        lambda caller, r: ev.Mkdirs(caller, r.src, r.masked.perm & 0o7777, r.createParent),
        _flag(nn.MkdirsResponse),
    ),
    "create": _change(
        nn.CreateRequest,
        _create,
        lambda status, _request, _facts: nn.CreateResponse(fs=to.status_to_pb(status)),
    ),
    "addBlock": _change(nn.AddBlockRequest, _add_block, _block(nn.AddBlockResponse)),
    "abandonBlock": _change(
        nn.AbandonBlockRequest,
        lambda caller, r: ev.AbandonBlock(caller, r.src, r.holder, r.fileId, to.block_from_pb(r.b)),
        _nothing(nn.AbandonBlockResponse),
    ),
    "complete": _change(nn.CompleteRequest, _complete, _flag(nn.CompleteResponse)),
    "fsync": _change(
        nn.FsyncRequest,
        lambda caller, r: ev.Fsync(caller, r.src, r.client, r.fileId, r.lastBlockLength),
        _nothing(nn.FsyncResponse),
    ),
    "renewLease": _change(
        nn.RenewLeaseRequest,
        lambda caller, r: ev.RenewLease(caller, r.clientName),
        _nothing(nn.RenewLeaseResponse),
    ),
    "recoverLease": _change(
        nn.RecoverLeaseRequest,
        lambda caller, r: ev.RecoverLease(caller, r.src, r.clientName),
        _flag(nn.RecoverLeaseResponse),
    ),
    "rename": _change(
        nn.RenameRequest,
        lambda caller, r: ev.Rename(caller, r.src, r.dst),
        _flag(nn.RenameResponse),
    ),
    "rename2": _change(
        nn.Rename2Request,
        lambda caller, r: ev.Rename2(caller, r.src, r.dst, r.overwriteDest),
        _nothing(nn.Rename2Response),
    ),
    "delete": _change(
        nn.DeleteRequest,
        lambda caller, r: ev.Delete(caller, r.src, r.recursive),
        _flag(nn.DeleteResponse),
    ),
    "setPermission": _change(
        nn.SetPermissionRequest,
        lambda caller, r: ev.SetPermission(caller, r.src, r.permission.perm & 0o7777),
        _nothing(nn.SetPermissionResponse),
    ),
    "setOwner": _change(
        nn.SetOwnerRequest,
        lambda caller, r: ev.SetOwner(caller, r.src, r.username, r.groupname),
        _nothing(nn.SetOwnerResponse),
    ),
    "setTimes": _change(nn.SetTimesRequest, _set_times, _nothing(nn.SetTimesResponse)),
    "setReplication": _change(
        nn.SetReplicationRequest,
        lambda caller, r: ev.SetReplication(caller, r.src, r.replication),
        _flag(nn.SetReplicationResponse),
    ),
    "reportBadBlocks": _change(
        nn.ReportBadBlocksRequest, _bad_blocks, _nothing(nn.ReportBadBlocksResponse)
    ),
    "updateBlockForPipeline": _change(
        nn.UpdateBlockForPipelineRequest,
        lambda caller, r: ev.UpdateBlockForPipeline(
            caller, r.clientName, to.block_from_pb(r.block)
        ),
        _block(nn.UpdateBlockForPipelineResponse),
    ),
    "updatePipeline": _change(
        nn.UpdatePipelineRequest, _update_pipeline, _nothing(nn.UpdatePipelineResponse)
    ),
    "getAdditionalDatanode": _change(
        nn.GetAdditionalDatanodeRequest, _additional, _block(nn.GetAdditionalDatanodeResponse)
    ),
}
