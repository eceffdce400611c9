"""The gRPC service that datanodes speak to: each handler posts one event into the loop's inbox and
waits for its reply.

gRPC's threads decide nothing and touch no state of the core; a datanode that is refused gets the
refusal's own error class.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from clusterkit.effects import Event
from clusterkit.errors import TimedOut, UsageError
from clusterkit.rpc import Server, make_server, peer_host
from minihdfs.model import (
    BlockRef,
    CopyEnded,
    DatanodeAddress,
    DatanodeUsage,
    Disk,
    Invalidate,
    Order,
    Replicate,
)
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import HeartbeatReply, Refusal, Registered, Reregister
from minihdfs.pb import datanode_pb2 as pb
from minihdfs.pb import datanode_pb2_grpc

REPLY_TIMEOUT_S = 10.0
THREADS = 32
BYTES_MAX = 1 << 60
DISKS_MAX = 64
DISK_ID_CHARS_MAX = 64
BLOCKS_MAX = 30_000
"""In one message: a datanode tells 10,000 of a kind at a time, and what the loop does for one
message nobody else is served in."""
REQUEST_BYTES = BLOCKS_MAX * 40
FAILURE_CHARS_MAX = 500
NAME_MAX = 1_000  # characters of a datanode's uuid, host, rack or socket


class _Waiter:
    """The reply token of one gRPC call."""

    __slots__ = ("_answered", "_message")

    def __init__(self) -> None:
        self._answered = threading.Event()
        self._message: Any = None

    def take(self, message: Any) -> None:
        self._message = message
        self._answered.set()

    def wait(self, what: str) -> Any:
        if not self._answered.wait(REPLY_TIMEOUT_S):
            raise TimedOut(
                f"{what} was not answered within {REPLY_TIMEOUT_S:g} s: the namenode is "
                "overloaded or stopping"
            )
        if isinstance(self._message, Refusal):
            raise self._message.error(self._message.message)
        return self._message


class DatanodeService:
    """Implements NamenodeForDatanodes over a `post` function."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post

    def _ask(self, what: str, make: Callable[[_Waiter], Event]) -> Any:
        waiter = _Waiter()
        self._post(make(waiter))
        return waiter.wait(what)

    def Register(self, request: pb.RegisterRequest, context: Any) -> pb.RegisterReply:
        address = address_from_pb(request.address, peer_host(context))
        usage = usage_from_pb(request.usage)
        reply: Registered = self._ask(
            "Register", lambda to: ev.RegisterDatanode(to, address, request.cluster_id, usage)
        )
        return pb.RegisterReply(
            registration_id=reply.registration_id,
            cluster_id=reply.cluster_id,
            epoch=reply.epoch,
            heartbeat_interval_ms=reply.heartbeat_interval_ms,
        )

    def Heartbeat(self, request: pb.HeartbeatRequest, context: Any) -> pb.HeartbeatReply:
        usage = usage_from_pb(request.usage)
        reply = self._ask(
            "Heartbeat", lambda to: ev.Heartbeat(to, request.uuid, request.registration_id, usage)
        )
        if isinstance(reply, Reregister):
            return pb.HeartbeatReply(epoch=reply.epoch, reregister=True)
        assert isinstance(reply, HeartbeatReply)
        return pb.HeartbeatReply(
            epoch=reply.epoch, orders=[order_to_pb(order) for order in reply.orders]
        )

    def FullReport(self, request: pb.FullReportChunk, context: Any) -> pb.ReportReply:
        r = request
        _check_count(len(r.replicas) + len(r.unfinished) + len(r.bad))
        numbers = r.report_id, r.begun_sequence, r.chunk, r.last
        held = blocks_from_pb(r.replicas), blocks_from_pb(r.unfinished), blocks_from_pb(r.bad)
        return _report_reply(
            self._ask(
                "FullReport",
                lambda to: ev.FullBlockReport(to, r.uuid, r.registration_id, *numbers, *held),
            ),
        )

    def Changed(self, request: pb.ChangesRequest, context: Any) -> pb.ReportReply:
        r = request
        _check_count(len(r.received) + len(r.deleted) + len(r.copied))
        received, deleted = blocks_from_pb(r.received), blocks_from_pb(r.deleted)
        copied = tuple(
            CopyEnded(ended.block_id, ended.target[:NAME_MAX], ended.failure[:FAILURE_CHARS_MAX])
            for ended in r.copied
        )
        return _report_reply(
            self._ask(
                "Changed",
                lambda to: ev.BlocksChanged(
                    to, r.uuid, r.registration_id, r.sequence, received, deleted, copied
                ),
            ),
        )

    def FoundBad(self, request: pb.BadReplicasRequest, context: Any) -> pb.ReportReply:
        _check_count(len(request.blocks))
        r, blocks = request, blocks_from_pb(request.blocks)
        return _report_reply(
            self._ask(
                "FoundBad", lambda to: ev.ReplicasFoundBad(to, r.uuid, r.registration_id, blocks)
            )
        )


def datanode_server(host: str, port: int, post: Callable[[Event], None]) -> Server:
    """Not bound before its `start`."""
    server = make_server(host, port, threads=THREADS, name="datanodes", request_bytes=REQUEST_BYTES)
    server.add(datanode_pb2_grpc.add_NamenodeForDatanodesServicer_to_server, DatanodeService(post))
    return server


def _report_reply(reply: Any) -> pb.ReportReply:
    if isinstance(reply, Reregister):
        return pb.ReportReply(epoch=reply.epoch, reregister=True)
    return pb.ReportReply(epoch=reply.epoch, orders=[order_to_pb(order) for order in reply.orders])


# ── nouns ─────────────────────────────────────────────────────────────────────────────────────────


def address_from_pb(message: pb.Address, seen_host: str) -> DatanodeAddress:
    """A datanode that names no host is reached where it was seen."""
    host = message.host or seen_host
    names = (
        ("uuid", message.uuid),
        ("host", host),
        ("hostname", message.hostname),
        ("rack", message.rack),
        ("socket", message.domain_socket),
    )
    for what, name in names:
        if len(name) > NAME_MAX or not name.isprintable():
            raise UsageError(
                f"a datanode's {what} {name[:40]!r} is not at most {NAME_MAX} printable characters"
            )
    for what, port in (("transfer", message.xfer_port), ("ipc", message.ipc_port)):
        if port > 65_535:
            raise UsageError(f"a datanode's {what} port {port} is none")
    return DatanodeAddress(
        uuid=message.uuid,
        host=host,
        hostname=message.hostname or host,
        xfer_port=message.xfer_port,
        ipc_port=message.ipc_port,
        rack=message.rack or "/default-rack",
        domain_socket=message.domain_socket,
    )


def address_to_pb(address: DatanodeAddress) -> pb.Address:
    return pb.Address(
        uuid=address.uuid,
        host=address.host,
        hostname=address.hostname,
        xfer_port=address.xfer_port,
        ipc_port=address.ipc_port,
        rack=address.rack,
        domain_socket=address.domain_socket,
    )


def usage_from_pb(message: pb.Usage) -> DatanodeUsage:
    """Whatever it says is bounded."""
    capacity, used, remaining = (
        min(n, BYTES_MAX)
        for n in (message.capacity_bytes, message.used_bytes, message.remaining_bytes)
    )
    disks = tuple(
        Disk(
            disk.id[:DISK_ID_CHARS_MAX],
            min(disk.capacity_bytes, BYTES_MAX),
            min(disk.remaining_bytes, BYTES_MAX),
        )
        for disk in message.disks[:DISKS_MAX]
    )
    return DatanodeUsage(capacity, used, remaining, message.transfers, message.blocks, disks)


def _check_count(count: int) -> None:
    if count > BLOCKS_MAX:
        raise UsageError(
            f"a datanode's message holds {count} blocks; {BLOCKS_MAX} is the most: tell them in "
            "parts"
        )


def blocks_from_pb(blocks: Iterable[pb.Block]) -> tuple[BlockRef, ...]:
    return tuple(BlockRef(block.id, block.stamp, block.length) for block in blocks)


def block_to_pb(block: BlockRef) -> pb.Block:
    return pb.Block(id=block.id, stamp=block.stamp, length=block.length)


def order_to_pb(order: Order) -> pb.Order:
    if isinstance(order, Replicate):
        targets = [address_to_pb(target) for target in order.targets]
        return pb.Order(replicate=pb.Replicate(block=block_to_pb(order.block), targets=targets))
    if isinstance(order, Invalidate):
        return pb.Order(
            invalidate=pb.Invalidate(
                blocks=[block_to_pb(block) for block in order.blocks], unknown=order.unknown
            )
        )
    sources = [address_to_pb(source) for source in order.sources]
    return pb.Order(repair=pb.Repair(block=block_to_pb(order.block), sources=sources))
