"""Datanodes' gRPC calls become events and the core's replies become answers, over a real channel
and a real loop."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from clusterkit.errors import ClusterError, UsageError
from clusterkit.rpc import Channel, make_channel
from minihdfs.errors import Standby, WrongCluster
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage, Invalidate, Repair, Replicate
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import (
    HeartbeatReply,
    Refusal,
    Registered,
    ReportTaken,
    Reregister,
)
from minihdfs.namenode.core.datanodes.room import total
from minihdfs.namenode.datanode_server import datanode_server
from minihdfs.pb import datanode_pb2 as pb
from minihdfs.pb.datanode_pb2_grpc import NamenodeForDatanodesStub
from tests.unit.minihdfs.namenode.fake_core import FakeNamenode, ReplyCore

NODE = DatanodeAddress("u-1", "10.0.0.1", "node1", 9866, 9867, "/rack1", "/run/dn.sock")
BLOCK = BlockRef(1 << 40, 1001, 5)


@pytest.fixture
def core() -> ReplyCore:
    return ReplyCore()


@pytest.fixture
def stub(core: ReplyCore) -> Iterator[NamenodeForDatanodesStub]:
    namenode = FakeNamenode(core)
    server = datanode_server("127.0.0.1", 0, namenode.loop.post)
    channel: Channel = make_channel(f"127.0.0.1:{server.start()}")
    yield NamenodeForDatanodesStub(channel)
    channel.close()
    server.stop(0)
    namenode.stop()
    assert namenode.failure is None


def test_registering_says_who_and_where_and_is_told_the_epoch(
    core: ReplyCore, stub: NamenodeForDatanodesStub
) -> None:
    core.replies[ev.RegisterDatanode] = Registered(5, "c-1", 7, 300)
    address = pb.Address(uuid="u-1", hostname="node1", xfer_port=9866, ipc_port=9867)
    reply = stub.Register(
        pb.RegisterRequest(
            address=address, cluster_id="c-1", usage=pb.Usage(capacity_bytes=9, blocks=2)
        )
    )
    assert (reply.registration_id, reply.cluster_id, reply.epoch, reply.heartbeat_interval_ms) == (
        5,
        "c-1",
        7,
        300,
    )
    (asked,) = core.asked
    assert asked.address == DatanodeAddress("u-1", "127.0.0.1", "node1", 9866, 9867)
    assert asked.usage == DatanodeUsage(capacity_bytes=9, blocks=2)


def test_no_number_of_a_datanode_is_believed_without_a_bound(
    core: ReplyCore, stub: NamenodeForDatanodesStub
) -> None:
    core.replies[ev.Heartbeat] = HeartbeatReply(7, ())
    most = (1 << 64) - 1
    disks = [pb.Disk(id="x" * 1000, capacity_bytes=most, remaining_bytes=most)] * 1000
    stub.Heartbeat(
        pb.HeartbeatRequest(
            usage=pb.Usage(capacity_bytes=most, used_bytes=most, remaining_bytes=most, disks=disks)
        )
    )
    usage = core.asked[0].usage
    assert (
        max(
            usage.capacity_bytes,
            usage.used_bytes,
            usage.remaining_bytes,
            *(disk.remaining_bytes for disk in usage.disks),
        )
        <= 1 << 60
    )
    assert len(usage.disks) <= 64 and max(len(disk.id) for disk in usage.disks) <= 64
    assert (
        max(total([(DatanodeAddress(f"u{i}", "h", "h", 1, 2), usage) for i in range(100)]))
        < 1 << 63
    )


def test_an_advertised_host_wins_over_the_one_seen(
    core: ReplyCore, stub: NamenodeForDatanodesStub
) -> None:
    core.replies[ev.RegisterDatanode] = Registered(5, "c-1", 7, 300)
    stub.Register(pb.RegisterRequest(address=pb.Address(uuid="u-1", host="10.0.0.1")))
    assert (core.asked[0].address.host, core.asked[0].address.hostname) == ("10.0.0.1", "10.0.0.1")


@pytest.mark.parametrize("error", [WrongCluster, Standby])
def test_a_refusal_is_raised_at_the_datanode_as_its_class(
    core: ReplyCore, stub: NamenodeForDatanodesStub, error: type
) -> None:
    core.replies[ev.RegisterDatanode] = Refusal(error, "not here")
    with pytest.raises(error, match="not here"):
        stub.Register(pb.RegisterRequest())


def test_orders_ride_on_the_heartbeat(core: ReplyCore, stub: NamenodeForDatanodesStub) -> None:
    core.replies[ev.Heartbeat] = HeartbeatReply(
        7, (Replicate(BLOCK, (NODE,)), Invalidate((BLOCK,)), Repair(BLOCK, (NODE,)))
    )
    reply = stub.Heartbeat(pb.HeartbeatRequest(uuid="u-1", registration_id=5))
    assert [order.WhichOneof("order") for order in reply.orders] == [
        "replicate",
        "invalidate",
        "repair",
    ]
    assert reply.orders[0].replicate.targets[0].domain_socket == "/run/dn.sock"
    assert (
        reply.epoch,
        reply.orders[1].invalidate.blocks[0].stamp,
        reply.orders[2].repair.sources[0].uuid,
    ) == (7, 1001, "u-1")


def test_reports_arrive_whole(core: ReplyCore, stub: NamenodeForDatanodesStub) -> None:
    core.replies |= {
        ev.FullBlockReport: ReportTaken(7),
        ev.BlocksChanged: ReportTaken(7),
        ev.ReplicasFoundBad: Reregister(7),
    }
    block = pb.Block(id=BLOCK.id, stamp=BLOCK.stamp, length=BLOCK.length)
    chunk = pb.FullReportChunk(
        uuid="u-1",
        registration_id=5,
        report_id=6,
        begun_sequence=7,
        chunk=8,
        last=True,
        replicas=[block],
        bad=[block, block],
    )
    assert not stub.FullReport(chunk).reregister
    stub.Changed(
        pb.ChangesRequest(
            uuid="u-1", registration_id=5, sequence=9, received=[block], deleted=[block, block]
        )
    )
    assert stub.FoundBad(
        pb.BadReplicasRequest(uuid="u-1", registration_id=5, blocks=[block])
    ).reregister
    full, changed, bad = core.asked
    assert (
        full.report_id,
        full.begun_sequence,
        full.chunk,
        full.last,
        full.replicas,
        full.bad,
    ) == (
        6,
        7,
        8,
        True,
        (BLOCK,),
        (BLOCK, BLOCK),
    )
    assert (changed.sequence, changed.received, changed.deleted) == (9, (BLOCK,), (BLOCK, BLOCK))
    assert bad.blocks == (BLOCK,)


def test_a_datanode_that_asks_a_namenode_that_ends_is_told_at_once() -> None:
    namenode = FakeNamenode(ReplyCore())
    namenode.stop()
    server = datanode_server("127.0.0.1", 0, namenode.loop.post)
    with (
        make_channel(f"127.0.0.1:{server.start()}") as channel,
        pytest.raises(Standby, match="stopping"),
    ):
        NamenodeForDatanodesStub(channel).Heartbeat(
            pb.HeartbeatRequest(uuid="u-1", registration_id=5)
        )
    server.stop(0)


def test_what_was_posted_and_never_stepped_is_refused_when_the_loop_ends() -> None:
    loop = FakeNamenode(ReplyCore(), start=False).loop
    told: list[Refusal] = []
    waiter = SimpleNamespace(take=told.append)
    loop.post(ev.Heartbeat(waiter, "u-1", 5, DatanodeUsage()))
    loop.close()
    assert [refusal.error for refusal in told] == [Standby]


@pytest.mark.parametrize(
    "said",
    [
        {"uuid": "u" * 1_001},
        {"host": "h" * 1_001},
        {"hostname": "\x1b[2J"},
        {"rack": "/r\n"},
        {"domain_socket": "s" * 1_001},
        {"xfer_port": 1 << 20},
    ],
    ids=lambda said: next(iter(said)),
)
def test_an_address_of_no_datanode_is_refused(
    core: ReplyCore, stub: NamenodeForDatanodesStub, said: dict[str, object]
) -> None:
    fields: dict[str, object] = {
        "uuid": "u-1",
        "hostname": "node1",
        "xfer_port": 9866,
        "ipc_port": 9867,
    }
    with pytest.raises(UsageError, match="a datanode's"):
        stub.Register(pb.RegisterRequest(address=pb.Address(**(fields | said))))  # type: ignore[arg-type]
    assert core.asked == []


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        (
            "FullReport",
            pb.FullReportChunk(
                replicas=[pb.Block()] * 15_000,
                bad=[pb.Block()] * 10_000,
                unfinished=[pb.Block()] * 5_001,
            ),
        ),
        (
            "Changed",
            pb.ChangesRequest(received=[pb.Block()] * 15_000, deleted=[pb.Block()] * 15_001),
        ),
        ("Changed", pb.ChangesRequest(copied=[pb.CopyEnded()] * 30_001)),
        ("FoundBad", pb.BadReplicasRequest(blocks=[pb.Block()] * 30_001)),
    ],
)
def test_a_message_of_too_many_blocks_is_refused(
    core: ReplyCore, stub: NamenodeForDatanodesStub, method: str, request_: Any
) -> None:
    with pytest.raises(UsageError, match="holds 30001 blocks; 30000 is the most"):
        getattr(stub, method)(request_)
    assert core.asked == []


def test_a_message_of_as_many_blocks_as_a_datanode_tells_fits(
    core: ReplyCore, stub: NamenodeForDatanodesStub
) -> None:
    core.replies[ev.FullBlockReport] = ReportTaken(7)
    largest = [pb.Block(id=(1 << 64) - 1, stamp=(1 << 64) - 1, length=(1 << 64) - 1)] * 10_000
    assert (
        stub.FullReport(
            pb.FullReportChunk(uuid="u", replicas=largest, bad=largest, unfinished=largest)
        ).epoch
        == 7
    )


def test_a_message_that_is_too_large_is_not_received(
    core: ReplyCore, stub: NamenodeForDatanodesStub
) -> None:
    with pytest.raises(ClusterError, match="larger than max"):
        stub.FoundBad(pb.BadReplicasRequest(uuid="u" * (2 << 20)))
    assert core.asked == []


def test_why_a_copy_failed_is_cut(core: ReplyCore, stub: NamenodeForDatanodesStub) -> None:
    core.replies[ev.BlocksChanged] = ReportTaken(7)
    stub.Changed(
        pb.ChangesRequest(
            copied=[pb.CopyEnded(block_id=1, target="t" * 9_000, failure="f" * 9_000)]
        )
    )
    (ended,) = core.asked[0].copied
    assert (len(ended.target), len(ended.failure)) == (1_000, 500)
