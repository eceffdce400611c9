"""One replica that a datanode says it holds: sound, bad, or of a block that is gone."""

from __future__ import annotations

from minihdfs.model import BlockRef
from minihdfs.namenode.core.blocks.blocks import BAD, IS_BUILDING, SOUND, UNKNOWN
from minihdfs.namenode.core.blocks.edits import IdsSkipped
from minihdfs.namenode.core.datanodes.datanodes import Datanode
from minihdfs.namenode.core.state import State


def take_replica(state: State, node: Datanode, ref: BlockRef, *, now: bool = False) -> None:
    """One reported replica: known, wrong, or of a block that is gone. `now`: it was just received,
    not listed."""
    if _is_ordered_away(node, ref, now=now):
        return
    state.given.saw(ref)
    state.datanodes.room.kept(node.uuid, ref.id)
    verdict = state.blocks.received(node.uuid, ref)
    if verdict == UNKNOWN:
        _take_unknown(state, node, ref)
    elif verdict == SOUND:
        state.replication.arrived(node.uuid, ref.id)
        state.safemode.look(state.now)
        state.wake(ref.id)
    else:
        assert verdict in (BAD, IS_BUILDING)


def take_bad(state: State, node: Datanode, ref: BlockRef, *, now: bool = False) -> None:
    """A datanode says that it holds this replica and that its bytes are wrong."""
    if _is_ordered_away(node, ref, now=now):
        return
    state.given.saw(ref)
    if state.blocks.held_bad(node.uuid, ref) == UNKNOWN:
        _take_unknown(state, node, ref)


def _take_unknown(state: State, node: Datanode, ref: BlockRef) -> None:
    """Of a block that is gone, or that this namespace cannot know."""
    if state.given.never(ref):
        state.blocks.held_in_future(node.uuid, ref)
    else:
        state.deletions.wish(node, ref, state.now)


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


def skip_ids(state: State) -> None:
    """Nothing that a datanode holds will be given as a new number."""
    to = state.given.to_skip()
    if to is not None and not state.safemode.no_space:
        state.commit(IdsSkipped(*to))
