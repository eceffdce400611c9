"""What datanodes say, each message followed by its handler: registration, heartbeats, full reports
in chunks, changes, bad replicas. Soft state, but for two facts that are journaled: which datanodes
there are, and which ids were found on them that this namespace never gave. Answers go to reply_to,
as the replies of core/commands.py.

Order is what makes reports safe. Each registration numbers its change messages, so a repeated or
overtaken one is dropped. A full report says at which sequence it began to list; whatever a change
message said after that is newer than the list and wins over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minihdfs.errors import InvalidArgument, WrongCluster
from minihdfs.model import BlockRef, CopyEnded, DatanodeAddress, DatanodeReportRow, DatanodeUsage
from minihdfs.namenode.core.commands import (
    HeartbeatReply,
    Order,
    Refusal,
    Registered,
    ReportTaken,
    Reregister,
)
from minihdfs.namenode.core.datanodes import edits
from minihdfs.namenode.core.datanodes.datanodes import Datanode, OpenReport
from minihdfs.namenode.core.datanodes.replicas import skip_ids, take_bad, take_replica
from minihdfs.namenode.core.parking import DATANODE_COMES
from minihdfs.namenode.core.registry import Call, Calls, Messages
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.state import State


@dataclass(frozen=True, slots=True)
class RegisterDatanode:
    """Reply: Registered or Refusal (another cluster's, or a uuid that is live elsewhere)."""

    reply_to: Any
    address: DatanodeAddress
    cluster_id: str  # "" = a fresh directory
    usage: DatanodeUsage


TEXT_BYTES_MAX = 255
"""Of each text that a datanode says about itself."""


def registered(state: State, event: RegisterDatanode) -> Registered | Refusal:
    address = event.address
    if event.cluster_id and event.cluster_id != state.options.cluster_id:
        message = (
            f"datanode {address.uuid} belongs to cluster {event.cluster_id}, this is "
            f"{state.options.cluster_id}"
        )
        return Refusal(WrongCluster, message)
    known = state.datanodes.get(address.uuid)
    if known is not None and known.alive and not state.datanodes.is_stale(known, state.now):
        old, new = known.address, address
        if (old.host, old.xfer_port) != (new.host, new.xfer_port):
            twice = (
                f"datanode {new.uuid} at {new.host}:{new.xfer_port} is live at "
                f"{old.host}:{old.xfer_port}: a copied data directory?"
            )
            return Refusal(WrongCluster, twice)
    refused = _cannot_join(state, event)
    if refused is not None:
        return refused
    node = state.datanodes.register(address, event.usage, state.epoch, state.now)
    if known is not None:
        state.deletions.register_again(known, node)
        state.replication.copies.gone(node.uuid, as_target=False)
    _met(state, node)
    if node.uuid in state.datanodes.awaited:
        state.safemode.news(state.now)
    state.safemode.look(state.now)
    state.wake(DATANODE_COMES)
    return Registered(
        node.registration_id,
        state.options.cluster_id,
        state.epoch,
        state.options.heartbeat_us // 1000,
    )


def _cannot_join(state: State, event: RegisterDatanode) -> Refusal | None:
    """Names and numbers of datanodes are kept in memory, and the names for ever: both are
    bounded."""
    uuid, address, limit = event.address.uuid, event.address, state.options.datanodes_max
    texts = (uuid, address.host, address.hostname, address.rack, address.domain_socket)
    if not uuid or max(len(text.encode()) for text in texts) > TEXT_BYTES_MAX:
        return Refusal(
            InvalidArgument,
            f"a datanode's uuid, host, rack and socket path have 1 to {TEXT_BYTES_MAX} bytes",
        )
    if not state.datanodes.make_place(uuid, state.blocks.blocks_of):
        return Refusal(
            InvalidArgument,
            f"datanode {uuid} cannot join: {limit} datanodes are here, which is the most",
        )
    return None


def _met(state: State, node: Datanode) -> None:
    if node.uuid not in state.datanodes.known and not state.safemode.no_space:
        forgotten = state.datanodes.to_forget()
        if forgotten is not None:
            state.commit(edits.DatanodeMet(node.uuid, forgotten))


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Reply: HeartbeatReply with the commands that wait for this datanode, or Reregister."""

    reply_to: Any
    uuid: str
    registration_id: int
    usage: DatanodeUsage


def heartbeat(state: State, event: Heartbeat) -> HeartbeatReply | Reregister:
    node = state.datanodes.registered(event.uuid, event.registration_id)
    if node is None:
        return Reregister(state.epoch)
    _heard(state, node)
    node.usage = event.usage
    return HeartbeatReply(state.epoch, _orders(state, node))


def _orders(state: State, node: Datanode) -> tuple[Order, ...]:
    """What waits for this datanode, now on its way. Each is asked about again: the reason for it
    may have gone."""
    orders = state.replication.orders(node, state.now)
    if node.reported and state.safemode.may_delete(state.now):
        orders += state.deletions.orders(node, state.now)
    return tuple(orders)


@dataclass(frozen=True, slots=True)
class FullBlockReport:
    """One chunk (≤ 10,000 replicas) of everything a datanode holds; `last` closes the report.
    Reply: ReportTaken or Reregister.

    `report_id` rises with every report of a registration, from 1; chunks count from 0. A late chunk
    of an earlier report is ignored.

    A replica that the namenode knows here and that no chunk of a finished report named is taken off
    this datanode, unless it was received (incremental report) after the report was begun
    (`begun_sequence`: the datanode's change sequence when it began to list). `bad` are held and
    known to have wrong bytes: they are never among `replicas`, and mended or replaced, never
    counted. `unfinished`, with the last chunk, is what writers that are gone left: never counted,
    ordered away when nobody can need it any more.
    """

    reply_to: Any
    uuid: str
    registration_id: int
    report_id: int
    begun_sequence: int
    chunk: int
    last: bool
    replicas: tuple[BlockRef, ...]
    unfinished: tuple[BlockRef, ...] = ()
    bad: tuple[BlockRef, ...] = ()


def full_block_report(state: State, event: FullBlockReport) -> ReportTaken | Reregister:
    node = state.datanodes.registered(event.uuid, event.registration_id)
    if node is None:
        return Reregister(state.epoch)
    _heard(state, node)
    if event.chunk == 0 and event.report_id > (
        node.report.report_id if node.report else node.finished_report_id
    ):
        node.report = OpenReport(event.report_id)
    report = node.report
    if report is None or report.report_id != event.report_id or event.chunk != report.next_chunk:
        return ReportTaken(
            state.epoch
        )  # repeated, or of a report that has a gap: it never finishes, the next one does
    report.next_chunk += 1
    if node.uuid in state.datanodes.awaited:
        state.safemode.news(state.now)
    for ref in event.replicas:
        report.named.add(ref.id)
        newer = (
            max(node.received_at.get(ref.id, 0), node.deleted_at.get(ref.id, 0))
            > event.begun_sequence
        )
        if not newer and not state.blocks.is_said_bad(node.uuid, ref):
            take_replica(state, node, ref)
    for ref in event.bad:
        report.named.add(ref.id)
        if (
            max(node.received_at.get(ref.id, 0), node.deleted_at.get(ref.id, 0))
            <= event.begun_sequence
        ):
            take_bad(state, node, ref)
    for ref in event.unfinished:
        report.named.add(ref.id)
        state.given.saw(ref)
        if node.received_at.get(ref.id, 0) <= event.begun_sequence:
            state.blocks.lost(node.uuid, ref.id)  # a crash may have undone what it reported before
            state.deletions.wish(node, ref, state.now)
    if event.last:
        _finish(state, node, report, event.begun_sequence)
    skip_ids(state)
    return ReportTaken(state.epoch)


def _finish(state: State, node: Datanode, report: OpenReport, begun_sequence: int) -> None:
    """What the namenode knew here and the report did not name is not here; nor is a deletion still
    under way."""
    node.received_at = {
        block_id: sequence
        for block_id, sequence in node.received_at.items()
        if sequence > begun_sequence
    }
    node.deleted_at = {
        block_id: sequence
        for block_id, sequence in node.deleted_at.items()
        if sequence > begun_sequence
    }
    for block_id in [
        known for known in state.blocks.blocks_of(node.uuid) if known not in report.named
    ]:
        if block_id not in node.received_at:
            state.blocks.lost(node.uuid, block_id)
    for block_id in [ordered for ordered in node.ordered if ordered not in report.named]:
        node.cancel(block_id)
    node.finished_report_id, node.report = report.report_id, None
    state.datanodes.has_reported(node)
    _met(state, node)
    state.safemode.look(state.now)


@dataclass(frozen=True, slots=True)
class BlocksChanged:
    """What a datanode finalized or deleted since its last message, in its own order. `sequence`
    rises by one per message."""

    reply_to: Any
    uuid: str
    registration_id: int
    sequence: int
    received: tuple[BlockRef, ...]
    deleted: tuple[BlockRef, ...]
    copied: tuple[CopyEnded, ...] = ()


def blocks_changed(state: State, event: BlocksChanged) -> ReportTaken | Reregister:
    node = state.datanodes.registered(event.uuid, event.registration_id)
    if node is None:
        return Reregister(state.epoch)
    _heard(state, node)
    if event.sequence <= node.sequence:
        return ReportTaken(state.epoch)
    node.sequence = event.sequence
    for ref in event.deleted:
        node.received_at.pop(ref.id, None)
        node.deleted_at[ref.id] = event.sequence
        node.deleted(ref)
        state.blocks.lost(node.uuid, ref.id)
    for ref in event.received:
        node.deleted_at.pop(ref.id, None)
        node.received_at[ref.id] = event.sequence
        take_replica(state, node, ref, now=True)
    for ended in event.copied:
        state.replication.copy_ended(node, ended.block_id, ended.target, ended.failure, state.now)
    skip_ids(state)
    return ReportTaken(
        state.epoch, () if state.safemode.on else tuple(state.replication.orders(node, state.now))
    )


@dataclass(frozen=True, slots=True)
class ReplicasFoundBad:
    """A datanode found (or was told of and confirmed) replicas of its own with wrong bytes."""

    reply_to: Any
    uuid: str
    registration_id: int
    blocks: tuple[BlockRef, ...]


def replicas_found_bad(state: State, event: ReplicasFoundBad) -> ReportTaken | Reregister:
    node = state.datanodes.registered(event.uuid, event.registration_id)
    if node is None:
        return Reregister(state.epoch)
    _heard(state, node)
    for ref in event.blocks:
        take_bad(state, node, ref, now=True)
    skip_ids(state)
    return ReportTaken(state.epoch)


def _heard(state: State, node: Datanode) -> None:
    node.contact_us = node.heard_us = state.now.mono_us
    node.contact_wall_us = state.now.wall_us


@dataclass(frozen=True, slots=True)
class GetDatanodeReport(Request):
    which: str  # all | live | dead


def get_datanode_report(state: State, event: GetDatanodeReport) -> tuple[DatanodeReportRow, ...]:
    if event.which not in ("all", "live", "dead"):
        raise InvalidArgument(f"a report of {event.which!r} datanodes: all, live or dead")
    return state.datanodes.rows(event.which, state.now)


CALLS: Calls = {
    GetDatanodeReport: Call(get_datanode_report),
}

MESSAGES: Messages = {
    RegisterDatanode: registered,
    Heartbeat: heartbeat,
    FullBlockReport: full_block_report,
    BlocksChanged: blocks_changed,
    ReplicasFoundBad: replicas_found_bad,
}
"""Each gets one reply, whoever leads."""
