"""Blocks: their durable records, and the soft map of which datanode holds a replica in which
condition.

A reported replica is *sound* (its stamp and length are the record's), *building* (its block's final
length is not known yet) or *bad* (said to have wrong bytes, another length, or a stamp that is not
the record's). Only sound replicas are counted, served and copied from. The counts that people and
the replication monitor ask for (reported, under-replicated, excess, bad) follow every change;
nothing ever scans.

Knows nothing of paths or files beyond the owner's id. Records change only in the `apply`-side
methods, which `appliers` calls.
"""

from __future__ import annotations

from collections.abc import Iterable

from minihdfs.model import BlockRef
from minihdfs.namenode.core.overlay import Overlay
from minihdfs.namenode.core.records import BUILDING, COMMITTED, COMPLETE, Block

SOUND, IS_BUILDING, BAD, UNKNOWN = "sound", "building", "bad", "unknown"


class Blocks:
    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self.total = self.complete_total = 0  # durable: restored from Counters
        self.sound: dict[int, tuple[str, ...]] = {}
        self.building: dict[int, dict[str, BlockRef]] = {}
        self.bad: dict[int, dict[str, BlockRef]] = {}
        self.future: dict[int, dict[str, BlockRef]] = {}
        """Replicas with an id or stamp that this namespace never gave, of blocks it does not know:
        they are left alone."""
        self.pipelines: dict[int, tuple[str, ...]] = {}
        """Where an open block is being written, as last told: the locations a reader of an open
        file is given."""
        self.held: dict[str, dict[int, None]] = {}
        self.under: dict[int, dict[int, None]] = {}
        """Number of sound replicas → complete blocks that have that many and should have more. None
        is missing, not under-replicated."""
        self.under_total = 0
        self.over: dict[int, None] = {}
        self.reported = 0
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}

    # ── durable: called by `appliers` only ────────────────────────────────────────────────────────

    def get(self, block_id: int) -> Block | None:
        return self._overlay.get_block(block_id)

    def require(self, block_id: int) -> Block:
        found = self._overlay.get_block(block_id)
        assert found is not None, f"block {block_id} does not exist"
        return found

    def add(self, block: Block) -> None:
        self._overlay.block.put(block.id, block)
        self.total += 1

    def begin_pipeline(self, block_id: int, uuids: tuple[str, ...]) -> None:
        """These datanodes write the block from now on."""
        self.pipelines[block_id] = uuids

    def commit(self, block_id: int, stamp: int, length: int) -> None:
        """The writer's word on the final length: what was reported until now is judged by it."""
        old = self.require(block_id)
        self._change(old, old._replace(stamp=stamp, length=length, state=max(old.state, COMMITTED)))
        for uuid, ref in self.building.pop(block_id, {}).items():
            self._forget_held(uuid, block_id)
            self.received(uuid, ref)

    def complete(self, block_id: int) -> None:
        old = self.require(block_id)
        if old.state != COMPLETE:
            self._change(old, old._replace(state=COMPLETE))
            self.complete_total += 1
        self.pipelines.pop(block_id, None)

    def note_length(self, block_id: int, length: int) -> None:
        old = self.require(block_id)
        self._change(old, old._replace(length=length, flushed=True))

    def restamp(self, block_id: int, stamp: int, length: int) -> None:
        old = self.require(block_id)
        self._change(
            old,
            old._replace(
                stamp=stamp, length=max(old.length, length), flushed=old.flushed or length > 0
            ),
        )

    def set_replication(self, block_id: int, replication: int) -> None:
        old = self.require(block_id)
        self._change(old, old._replace(replication=replication))

    def remove(self, block_id: int) -> list[tuple[str, BlockRef]]:
        """The block is gone; returns (datanode, replica) of everything that is to be deleted."""
        block = self.require(block_id)
        sound = self.sound.get(block_id, ())
        self._account(block, len(sound), -1)
        self.sound.pop(block_id, None)
        gone = [(uuid, BlockRef(block_id, block.stamp, block.length)) for uuid in sound]
        for by_datanode in (self.building.pop(block_id, {}), self.bad.pop(block_id, {})):
            gone += by_datanode.items()
        for uuid, _ref in gone:
            self._forget_held(uuid, block_id)
        reported = {uuid for uuid, _ref in gone}
        left = BlockRef(
            block_id, block.stamp, block.length
        )  # by a writer that was still at it: datanodes report no open replica
        gone += [(uuid, left) for uuid in self.pipelines.pop(block_id, ()) if uuid not in reported]
        self._overlay.block.remove(block_id)
        self.total -= 1
        if block.state == COMPLETE:
            self.complete_total -= 1
        return gone

    def _change(self, old: Block, new: Block) -> None:
        sound = len(self.sound.get(old.id, ()))
        self._account(old, sound, -1)
        self._overlay.block.put(new.id, new)
        self._account(new, sound, +1)

    # ── soft: what datanodes report ───────────────────────────────────────────────────────────────

    def received(self, uuid: str, ref: BlockRef) -> str:
        """A datanode says it holds this replica. Returns SOUND, IS_BUILDING, BAD or UNKNOWN (no
        such block)."""
        block = self._overlay.get_block(ref.id)
        if block is None:
            return UNKNOWN
        if block.state == BUILDING:
            self.lost(uuid, ref.id)
            self.building.setdefault(ref.id, {})[uuid] = ref
            self.held.setdefault(uuid, {})[ref.id] = None
            return IS_BUILDING
        if ref.stamp != block.stamp or ref.length != block.length:
            self._set_bad(uuid, block, ref)
            return BAD
        self._clear_bad(uuid, ref.id)
        sound = self.sound.get(ref.id, ())
        if uuid not in sound:
            self._set_sound(block, sound, (*sound, uuid))
            self.held.setdefault(uuid, {})[ref.id] = None
        return SOUND

    def lost(self, uuid: str, block_id: int) -> None:
        """A datanode no longer has it, in whatever condition."""
        self._forget_held(uuid, block_id)
        sound = self.sound.get(block_id)
        if sound and uuid in sound:
            self._set_sound(
                self.require(block_id), sound, tuple(other for other in sound if other != uuid)
            )
        self._clear_bad(uuid, block_id)
        replicas = self.building.get(block_id)
        if replicas is not None and replicas.pop(uuid, None) is not None and not replicas:
            del self.building[block_id]
        replicas = self.future.get(block_id)
        if replicas is not None and replicas.pop(uuid, None) is not None and not replicas:
            del self.future[block_id]

    def held_in_future(self, uuid: str, ref: BlockRef) -> None:
        self.lost(uuid, ref.id)
        self.future.setdefault(ref.id, {})[uuid] = ref
        self.held.setdefault(uuid, {})[ref.id] = None

    def held_bad(self, uuid: str, ref: BlockRef) -> str:
        """A datanode says that it holds this replica and that it has wrong bytes. Returns BAD,
        IS_BUILDING (nothing of it counts before the block's length is known) or UNKNOWN."""
        block = self._overlay.get_block(ref.id)
        if block is None:
            return UNKNOWN
        if block.state == BUILDING:
            self.lost(uuid, ref.id)
            return IS_BUILDING
        self._set_bad(uuid, block, ref)
        return BAD

    def found_bad(self, uuid: str, ref: BlockRef) -> bool:
        """Somebody else says so. False when no such replica counts as sound here."""
        block = self._overlay.get_block(ref.id)
        if block is None or uuid not in self.sound.get(ref.id, ()) or ref.stamp != block.stamp:
            return False
        self._set_bad(uuid, block, BlockRef(block.id, block.stamp, block.length))
        return True

    def is_said_bad(self, uuid: str, ref: BlockRef) -> bool:
        """Is this very replica known to have wrong bytes? A list of what a datanode holds does not
        make it sound again."""
        return self.bad.get(ref.id, {}).get(uuid) == ref

    def holders(self, block_id: int) -> tuple[str, ...]:
        """Datanodes with a sound replica."""
        return self.sound.get(block_id, ())

    def everywhere(self, block_id: int) -> set[str]:
        """Datanodes with any replica: none of them can be the target of a copy. Only asked for
        membership."""
        return {
            *self.sound.get(block_id, ()),
            *self.bad.get(block_id, {}),
            *self.building.get(block_id, {}),
        }

    def blocks_of(self, uuid: str) -> Iterable[int]:
        return self.held.get(uuid, {})

    @property
    def missing(self) -> int:
        return self.complete_total - self.reported

    # ── bookkeeping ───────────────────────────────────────────────────────────────────────────────

    def _set_sound(self, block: Block, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        self._account(block, len(old), -1)
        if new:
            new = tuple(sorted(new))
            self.sound[block.id] = self._shared.setdefault(new, new)
        else:
            self.sound.pop(block.id, None)
        self._account(block, len(new), +1)

    def _set_bad(self, uuid: str, block: Block, ref: BlockRef) -> None:
        self.lost(uuid, block.id)
        self.bad.setdefault(block.id, {})[uuid] = ref
        self.held.setdefault(uuid, {})[block.id] = None

    def _clear_bad(self, uuid: str, block_id: int) -> None:
        replicas = self.bad.get(block_id)
        if replicas is not None and replicas.pop(uuid, None) is not None and not replicas:
            del self.bad[block_id]

    def _forget_held(self, uuid: str, block_id: int) -> None:
        held = self.held.get(uuid)
        if held is not None:
            held.pop(block_id, None)

    def _account(self, block: Block, sound: int, change: int) -> None:
        """Adds (+1) or takes back (−1) what one block with so many sound replicas means for the
        counts."""
        if block.state != COMPLETE or sound == 0:
            return
        self.reported += change
        if sound < block.replication:
            self.under_total += change
            if change > 0:
                self.under.setdefault(sound, {})[block.id] = None
            else:
                del self.under[sound][block.id]
        elif sound > block.replication:
            if change > 0:
                self.over[block.id] = None
            else:
                del self.over[block.id]
