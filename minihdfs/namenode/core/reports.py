"""What datanodes say: registration, heartbeats, full reports in chunks, changes, bad replicas. Soft
state, but for two facts that are journaled: which datanodes there are, and which ids were found on
them that this namespace never gave.

Order is what makes reports safe. Each registration numbers its change messages, so a repeated or
overtaken one is dropped. A full report says at which sequence it began to list; whatever a change
message said after that is newer than the list and wins over it.
"""

from __future__ import annotations

from minihdfs.errors import InvalidArgument, Standby, WrongCluster
from minihdfs.model import BlockRef
from minihdfs.namenode.core import edits, events
from minihdfs.namenode.core.blocks import BAD, IS_BUILDING, SOUND, UNKNOWN
from minihdfs.namenode.core.commands import (
    HeartbeatReply,
    Order,
    Refusal,
    Registered,
    ReportTaken,
    Reregister,
)
from minihdfs.namenode.core.datanodes import Datanode, OpenReport
from minihdfs.namenode.core.parking import DATANODE_COMES
from minihdfs.namenode.core.permissions import READ
from minihdfs.namenode.core.rooms import Rooms

TEXT_BYTES_MAX = 255
"""Of each text that a datanode says about itself."""

SAID_BAD_MAX = 100
"""Replicas that one call may complain of: a reader complains of one."""


def registered(rooms: Rooms, event: events.RegisterDatanode) -> Registered | Refusal:
    address = event.address
    if event.cluster_id and event.cluster_id != rooms.options.cluster_id:
        message = (
            f"datanode {address.uuid} belongs to cluster {event.cluster_id}, this is "
            f"{rooms.options.cluster_id}"
        )
        return Refusal(WrongCluster, message)
    known = rooms.datanodes.get(address.uuid)
    if known is not None and known.alive and not rooms.datanodes.is_stale(known, rooms.now):
        old, new = known.address, address
        if (old.host, old.xfer_port) != (new.host, new.xfer_port):
            twice = (
                f"datanode {new.uuid} at {new.host}:{new.xfer_port} is live at "
                f"{old.host}:{old.xfer_port}: a copied data directory?"
            )
            return Refusal(WrongCluster, twice)
    refused = _cannot_join(rooms, event)
    if refused is not None:
        return refused
    node = rooms.datanodes.register(address, event.usage, rooms.epoch, rooms.now)
    if known is not None:
        rooms.deletions.register_again(known, node)
        rooms.replication.copies.gone(node.uuid, as_target=False)
    _met(rooms, node)
    if node.uuid in rooms.datanodes.awaited:
        rooms.safemode.news(rooms.now)
    rooms.safemode.look(rooms.now)
    rooms.wake(DATANODE_COMES)
    return Registered(
        node.registration_id,
        rooms.options.cluster_id,
        rooms.epoch,
        rooms.options.heartbeat_us // 1000,
    )


def _cannot_join(rooms: Rooms, event: events.RegisterDatanode) -> Refusal | None:
    """Names and numbers of datanodes are kept in memory, and the names for ever: both are
    bounded."""
    uuid, address, limit = event.address.uuid, event.address, rooms.options.datanodes_max
    texts = (uuid, address.host, address.hostname, address.rack, address.domain_socket)
    if not uuid or max(len(text.encode()) for text in texts) > TEXT_BYTES_MAX:
        return Refusal(
            InvalidArgument,
            f"a datanode's uuid, host, rack and socket path have 1 to {TEXT_BYTES_MAX} bytes",
        )
    if not rooms.datanodes.make_place(uuid, rooms.blocks.blocks_of):
        return Refusal(
            InvalidArgument,
            f"datanode {uuid} cannot join: {limit} datanodes are here, which is the most",
        )
    return None


def _met(rooms: Rooms, node: Datanode) -> None:
    if node.uuid not in rooms.datanodes.known and not rooms.safemode.no_space:
        forgotten = rooms.datanodes.to_forget()
        if forgotten is not None:
            rooms.commit(edits.DatanodeMet(node.uuid, forgotten))


def skip_ids(rooms: Rooms) -> None:
    """Nothing that a datanode holds will be given as a new number."""
    to = rooms.given.to_skip()
    if to is not None and not rooms.safemode.no_space:
        rooms.commit(edits.IdsSkipped(*to))


def heartbeat(rooms: Rooms, event: events.Heartbeat) -> HeartbeatReply | Reregister:
    node = rooms.datanodes.registered(event.uuid, event.registration_id)
    if node is None:
        return Reregister(rooms.epoch)
    _heard(rooms, node)
    node.usage = event.usage
    return HeartbeatReply(rooms.epoch, _orders(rooms, node))


def _orders(rooms: Rooms, node: Datanode) -> tuple[Order, ...]:
    """What waits for this datanode, now on its way. Each is asked about again: the reason for it
    may have gone."""
    orders = rooms.replication.orders(node, rooms.now)
    if node.reported and rooms.safemode.may_delete(rooms.now):
        orders += rooms.deletions.orders(node, rooms.now)
    return tuple(orders)


def full_block_report(rooms: Rooms, event: events.FullBlockReport) -> ReportTaken | Reregister:
    node = rooms.datanodes.registered(event.uuid, event.registration_id)
    if node is None:
        return Reregister(rooms.epoch)
    _heard(rooms, node)
    if event.chunk == 0 and event.report_id > (
        node.report.report_id if node.report else node.finished_report_id
    ):
        node.report = OpenReport(event.report_id)
    report = node.report
    if report is None or report.report_id != event.report_id or event.chunk != report.next_chunk:
        return ReportTaken(
            rooms.epoch
        )  # repeated, or of a report that has a gap: it never finishes, the next one does
    report.next_chunk += 1
    if node.uuid in rooms.datanodes.awaited:
        rooms.safemode.news(rooms.now)
    for ref in event.replicas:
        report.named.add(ref.id)
        newer = (
            max(node.received_at.get(ref.id, 0), node.deleted_at.get(ref.id, 0))
            > event.begun_sequence
        )
        if not newer and not rooms.blocks.is_said_bad(node.uuid, ref):
            take_replica(rooms, node, ref)
    for ref in event.bad:
        report.named.add(ref.id)
        if (
            max(node.received_at.get(ref.id, 0), node.deleted_at.get(ref.id, 0))
            <= event.begun_sequence
        ):
            take_bad(rooms, node, ref)
    for ref in event.unfinished:
        report.named.add(ref.id)
        rooms.given.saw(ref)
        if node.received_at.get(ref.id, 0) <= event.begun_sequence:
            rooms.blocks.lost(node.uuid, ref.id)  # a crash may have undone what it reported before
            rooms.deletions.wish(node, ref, rooms.now)
    if event.last:
        _finish(rooms, node, report, event.begun_sequence)
    skip_ids(rooms)
    return ReportTaken(rooms.epoch)


def _finish(rooms: Rooms, node: Datanode, report: OpenReport, begun_sequence: int) -> None:
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
        known for known in rooms.blocks.blocks_of(node.uuid) if known not in report.named
    ]:
        if block_id not in node.received_at:
            rooms.blocks.lost(node.uuid, block_id)
    for block_id in [ordered for ordered in node.ordered if ordered not in report.named]:
        node.cancel(block_id)
    node.finished_report_id, node.report = report.report_id, None
    rooms.datanodes.has_reported(node)
    _met(rooms, node)
    rooms.safemode.look(rooms.now)


def blocks_changed(rooms: Rooms, event: events.BlocksChanged) -> ReportTaken | Reregister:
    node = rooms.datanodes.registered(event.uuid, event.registration_id)
    if node is None:
        return Reregister(rooms.epoch)
    _heard(rooms, node)
    if event.sequence <= node.sequence:
        return ReportTaken(rooms.epoch)
    node.sequence = event.sequence
    for ref in event.deleted:
        node.received_at.pop(ref.id, None)
        node.deleted_at[ref.id] = event.sequence
        node.deleted(ref)
        rooms.blocks.lost(node.uuid, ref.id)
    for ref in event.received:
        node.deleted_at.pop(ref.id, None)
        node.received_at[ref.id] = event.sequence
        take_replica(rooms, node, ref, now=True)
    for ended in event.copied:
        rooms.replication.copy_ended(node, ended.block_id, ended.target, ended.failure, rooms.now)
    skip_ids(rooms)
    return ReportTaken(
        rooms.epoch, () if rooms.safemode.on else tuple(rooms.replication.orders(node, rooms.now))
    )


def replicas_found_bad(rooms: Rooms, event: events.ReplicasFoundBad) -> ReportTaken | Reregister:
    node = rooms.datanodes.registered(event.uuid, event.registration_id)
    if node is None:
        return Reregister(rooms.epoch)
    _heard(rooms, node)
    for ref in event.blocks:
        take_bad(rooms, node, ref, now=True)
    skip_ids(rooms)
    return ReportTaken(rooms.epoch)


def report_bad_blocks(rooms: Rooms, event: events.ReportBadBlocks) -> None:
    """A client's word: whoever holds that very replica is told to verify it, and says what it
    found. Until then it is served like the others: anybody can say anything, and readers skip a bad
    replica by themselves. Whoever may not read a file has nothing to say of it."""
    for ref, uuid in event.replicas[:SAID_BAD_MAX]:
        node, block = rooms.datanodes.get(uuid), rooms.blocks.get(ref.id)
        if (
            node is None
            or block is None
            or block.stamp != ref.stamp
            or uuid not in rooms.blocks.holders(ref.id)
        ):
            continue
        inode = rooms.namespace.inode(block.inode_id)
        if inode is not None and (
            rooms.permissions.is_super(event.caller)
            or rooms.permissions.allowed(event.caller, inode, READ)
        ):
            node.doubt(ref, rooms.now.mono_us)


def take_replica(rooms: Rooms, node: Datanode, ref: BlockRef, *, now: bool = False) -> None:
    """One reported replica: known, wrong, or of a block that is gone. `now`: it was just received,
    not listed."""
    if _is_ordered_away(node, ref, now=now):
        return
    rooms.given.saw(ref)
    rooms.datanodes.room.kept(node.uuid, ref.id)
    verdict = rooms.blocks.received(node.uuid, ref)
    if verdict == UNKNOWN:
        _take_unknown(rooms, node, ref)
    elif verdict == SOUND:
        rooms.replication.arrived(node.uuid, ref.id)
        rooms.safemode.look(rooms.now)
        rooms.wake(ref.id)
    else:
        assert verdict in (BAD, IS_BUILDING)


def take_bad(rooms: Rooms, node: Datanode, ref: BlockRef, *, now: bool = False) -> None:
    """A datanode says that it holds this replica and that its bytes are wrong."""
    if _is_ordered_away(node, ref, now=now):
        return
    rooms.given.saw(ref)
    if rooms.blocks.held_bad(node.uuid, ref) == UNKNOWN:
        _take_unknown(rooms, node, ref)


def _take_unknown(rooms: Rooms, node: Datanode, ref: BlockRef) -> None:
    """Of a block that is gone, or that this namespace cannot know."""
    if rooms.given.never(ref):
        rooms.blocks.held_in_future(node.uuid, ref)
    else:
        rooms.deletions.wish(node, ref, rooms.now)


def _is_ordered_away(node: Datanode, ref: BlockRef, *, now: bool) -> bool:
    """Then it is ignored: the order is repeated until the deletion is reported. A newer replica
    cancels the order, and so does the word on an order that is doubted; a wish that has not left
    yet is cancelled by one received now."""
    deletion = node.wishes.get(ref.id) or node.ordered.get(ref.id)
    if deletion is None:
        return False
    if ref.stamp > deletion.ref.stamp or (now and (deletion.doubted or ref.id in node.wishes)):
        node.cancel(ref.id)
        return False
    return ref.id in node.ordered


def _heard(rooms: Rooms, node: Datanode) -> None:
    node.contact_us = node.heard_us = rooms.now.mono_us
    node.contact_wall_us = rooms.now.wall_us


def not_leading(rooms: Rooms) -> Refusal:
    return Refusal(Standby, "this namenode does not lead: ask another one")
