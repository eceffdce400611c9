"""The wire to the namenode: the agent's requests as gRPC calls, the answers as events.

Two lanes with a thread each, one for registering and beating, one for reports, so a long report
never delays a heartbeat. After any failure the channel is dropped and the namenode looked for
again: it may have restarted, moved or lost its leadership. Pauses are the agent's.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

from clusterkit.errors import ClusterError
from clusterkit.rpc import Channel, make_channel
from minihdfs.datanode.core import events as e
from minihdfs.errors import WrongCluster
from minihdfs.model import (
    BlockRef,
    DatanodeAddress,
    DatanodeUsage,
    Invalidate,
    Order,
    Repair,
    Replicate,
)
from minihdfs.pb import datanode_pb2 as pb
from minihdfs.pb import datanode_pb2_grpc

log = logging.getLogger(__name__)

SOFTWARE_VERSION = 1


class NamenodeLink:
    def __init__(
        self,
        find_namenode: Callable[[], str],
        usage: Callable[[], DatanodeUsage],
        post: Callable[[Any], None],
        timeout_s: float,
    ):
        """`find_namenode` gives "host:port" of the leading namenode's gRPC, or raises ClusterError
        when nobody leads."""
        self._find_namenode, self._usage, self._post, self._timeout_s = (
            find_namenode,
            usage,
            post,
            timeout_s,
        )
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._answering = False  # whether the last call was answered
        self._bug = ""  # the last error that was none of ours
        self._lanes: tuple[queue.SimpleQueue[e.Request | None], ...] = (
            queue.SimpleQueue(),
            queue.SimpleQueue(),
        )
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"namenode-{name}", daemon=True)
            for name, lane in zip(("heartbeats", "reports"), self._lanes, strict=True)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        for lane in self._lanes:
            lane.put(None)
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def send(self, request: e.Request) -> None:
        """Queues; the answer, or that there was none, is posted as an event."""
        self._lanes[0 if isinstance(request, e.Register | e.Heartbeat) else 1].put(request)

    def _run(self, lane: queue.SimpleQueue[e.Request | None]) -> None:
        while (request := lane.get()) is not None:
            channel: Channel | None = None
            try:
                channel = self._connected()
                stub = datanode_pb2_grpc.NamenodeForDatanodesStub(channel)  # type: ignore[no-untyped-call]
                answer = self._call(stub, request)
            except Exception as error:
                # whatever it is: a lane that ends would leave a datanode that lives and is silent
                # for ever
                self._drop(channel)
                self._failed(request, error)
                continue
            self._note(True, channel.address)
            self._post(answer)

    def _failed(self, request: e.Request, error: Exception) -> None:
        """Told to the agent, which backs off with jitter and asks again."""
        known = isinstance(error, ClusterError)
        text = (
            error.message if isinstance(error, ClusterError) else f"{type(error).__name__}: {error}"
        )
        self._note(False, text, trace=None if known else error)
        if isinstance(request, e.Register) and isinstance(error, WrongCluster):
            self._post(e.RegistrationRefused(request.call, text))
        else:
            self._post(e.CallFailed(request.call, text))

    def _connected(self) -> Channel:
        with self._lock:
            if self._channel is not None:
                return self._channel
        address = self._find_namenode()
        with self._lock:
            if self._channel is None:
                self._channel = make_channel(
                    address, deadline_s=self._timeout_s, wait_for_ready=False
                )
            return self._channel

    def _drop(self, channel: Channel | None) -> None:
        with self._lock:
            if channel is None or self._channel is not channel:
                return
            self._channel = None
        channel.close()

    def _note(self, answering: bool, text: str, trace: Exception | None = None) -> None:
        """Only changes are logged: whether somebody answers, and for a bug which one."""
        if answering and not self._answering:
            log.info("the namenode at %s answers", text)
        elif not answering and (self._answering or (trace is not None and text != self._bug)):
            log.warning("no answer from the namenode: %s", text, exc_info=trace)
        self._answering = answering
        self._bug = text if trace is not None else ""

    def _call(self, stub: Any, request: e.Request) -> Any:
        call = request.call
        if isinstance(request, e.Register):
            reply = stub.Register(
                pb.RegisterRequest(
                    address=_address(request.address),
                    cluster_id=request.cluster_id,
                    usage=_usage(self._usage()),
                    software_version=SOFTWARE_VERSION,
                )
            )
            return e.Registered(
                call,
                reply.registration_id,
                reply.cluster_id,
                reply.epoch,
                reply.heartbeat_interval_ms,
            )
        if isinstance(request, e.Heartbeat):
            reply = stub.Heartbeat(
                pb.HeartbeatRequest(
                    uuid=request.uuid,
                    registration_id=request.registration_id,
                    usage=_usage(self._usage()),
                )
            )
            if reply.reregister:
                return e.ReregisterAsked(call, reply.epoch)
            return e.HeartbeatAnswered(
                call, reply.epoch, tuple(_order(order) for order in reply.orders)
            )
        reply = _report(stub, request)
        return (
            e.ReregisterAsked(call, reply.epoch)
            if reply.reregister
            else e.ReportTaken(call, reply.epoch, tuple(map(_order, reply.orders)))
        )


def _report(stub: Any, report: e.Report) -> Any:
    who: dict[str, Any] = {"uuid": report.uuid, "registration_id": report.registration_id}
    if isinstance(report, e.FullReportChunk):
        return stub.FullReport(
            pb.FullReportChunk(
                **who,
                report_id=report.report_id,
                begun_sequence=report.begun_sequence,
                chunk=report.chunk,
                last=report.last,
                replicas=_blocks(report.replicas),
                bad=_blocks(report.bad),
                unfinished=_blocks(report.unfinished),
            )
        )
    if isinstance(report, e.Changes):
        received, deleted = _blocks(report.received), _blocks(report.deleted)
        copied = [
            pb.CopyEnded(block_id=ended.block_id, target=ended.target, failure=ended.failure)
            for ended in report.copied
        ]
        return stub.Changed(
            pb.ChangesRequest(
                **who, sequence=report.sequence, received=received, deleted=deleted, copied=copied
            )
        )
    return stub.FoundBad(pb.BadReplicasRequest(**who, blocks=_blocks(report.blocks)))


# ── nouns ─────────────────────────────────────────────────────────────────────────────────────────


def _blocks(blocks: Iterable[BlockRef]) -> list[pb.Block]:
    return [pb.Block(id=block.id, stamp=block.stamp, length=block.length) for block in blocks]


def _usage(usage: DatanodeUsage) -> pb.Usage:
    return pb.Usage(
        capacity_bytes=usage.capacity_bytes,
        used_bytes=usage.used_bytes,
        remaining_bytes=usage.remaining_bytes,
        transfers=usage.transfers,
        blocks=usage.blocks,
        disks=[
            pb.Disk(
                id=disk.id, capacity_bytes=disk.capacity_bytes, remaining_bytes=disk.remaining_bytes
            )
            for disk in usage.disks
        ],
    )


def _address(address: DatanodeAddress) -> pb.Address:
    return pb.Address(
        uuid=address.uuid,
        host=address.host,
        hostname=address.hostname,
        xfer_port=address.xfer_port,
        ipc_port=address.ipc_port,
        rack=address.rack,
        domain_socket=address.domain_socket,
    )


def _address_from(message: pb.Address) -> DatanodeAddress:
    ports = message.xfer_port, message.ipc_port
    return DatanodeAddress(
        message.uuid, message.host, message.hostname, *ports, message.rack, message.domain_socket
    )


def _block_from(message: pb.Block) -> BlockRef:
    return BlockRef(message.id, message.stamp, message.length)


def _order(message: pb.Order) -> Order:
    kind = message.WhichOneof("order")
    if kind == "replicate":
        return Replicate(
            _block_from(message.replicate.block),
            tuple(map(_address_from, message.replicate.targets)),
        )
    if kind == "invalidate":
        return Invalidate(
            tuple(map(_block_from, message.invalidate.blocks)), message.invalidate.unknown
        )
    return Repair(
        _block_from(message.repair.block), tuple(map(_address_from, message.repair.sources))
    )
