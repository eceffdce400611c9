"""The scrub: reads every replica within a period and whatever a reader complained about, and tells
of bad ones. Repairs nothing itself.

One thread. Suspects go first; the order and pace of the rest is core/scan_plan's. Where a pass is
survives a restart (scan.json).
"""

from __future__ import annotations

import logging
import queue
import threading
from pathlib import Path

import msgspec

from clusterkit.clock import Clock
from clusterkit.durable_file import write_durably
from minihdfs.datanode.core.scan_plan import Position, ScanOptions, ScanPlan
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.files.disk_errors import ReplicaUnreadable
from minihdfs.datanode.files.replica import State
from minihdfs.datanode.replicator import fault_of
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.model import BlockRef

log = logging.getLogger(__name__)

_MAGIC = "mrcluster scan position"
_SAVE_EVERY_US = 60_000_000
_SUSPECTS_MAX = 10_000
_AGAIN_S, _TRIES = 1.0, 3
"""A suspect that could not be looked at for a shortage of ours is tried again so often; then its
turn comes with the rest."""


class _SavedPosition(msgspec.Struct, frozen=True):
    magic: str = _MAGIC
    version: int = 1
    block_id: int = -1
    begun_wall_us: int = 0


class Scanner:
    def __init__(
        self,
        context: TransferContext,
        clock: Clock,
        state_file: Path,
        options: ScanOptions,
        bytes_per_s: int,
    ) -> None:
        self._context, self._clock, self._state_file, self._bytes_per_s = (
            context,
            clock,
            state_file,
            bytes_per_s,
        )
        self._plan = ScanPlan(options, _load(state_file))
        self._saved_us = 0
        self._suspects: queue.SimpleQueue[BlockRef | None] = queue.SimpleQueue()
        self._waiting: set[int] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scanner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._suspects.put(None)
        if self._thread.is_alive():
            self._thread.join(2)
            self._save()

    def suspect(self, block: BlockRef) -> None:
        """A reader says that this replica has wrong bytes: verify it soon. Any thread."""
        if block.id not in self._waiting and len(self._waiting) < _SUSPECTS_MAX:
            self._waiting.add(block.id)
            self._suspects.put(block)

    def _run(self) -> None:
        ids: list[int] = []
        while not self._stopping.is_set():
            suspect = self._next_suspect(0)
            if suspect is None:
                if self._plan.begins_anew(ids):
                    ids = (
                        self._context.store.finalized_ids()
                    )  # once a pass: what comes meanwhile was verified by its writer
                suspect = self._next_suspect(self._plan.pause_us(ids, self._clock.now().wall_us))
            if suspect is not None:
                self._waiting.discard(suspect.id)
                self._look_at(suspect.id)
            elif not self._stopping.is_set():
                self._scan_next(ids)

    def _next_suspect(self, wait_us: int) -> BlockRef | None:
        try:
            return (
                self._suspects.get(timeout=wait_us / 1e6)
                if wait_us
                else self._suspects.get_nowait()
            )
        except queue.Empty:
            return None

    def _scan_next(self, ids: list[int]) -> None:
        block_id = self._plan.next(ids, self._clock.now().wall_us)
        if block_id is not None:
            self._look_at(block_id, tries=1)
            self._plan.verified(block_id)
        if self._clock.now().mono_us - self._saved_us > _SAVE_EVERY_US:
            self._save()

    def _look_at(self, block_id: int, tries: int = _TRIES) -> None:
        for _ in range(tries):
            try:
                return self._verify(block_id)
            except ReplicaUnreadable as error:
                log.warning("block %d could not be verified now: %s", block_id, error.message)
            if tries > 1 and self._stopping.wait(_AGAIN_S):
                return

    def _verify(self, block_id: int) -> None:
        store = self._context.store
        block = _finalized(store, block_id)
        if block is None:
            left = store.examine(block_id)
            if left is not None:
                self._context.left(left)
            return
        wrong = fault_of(store, block, self._pace)
        if (
            self._stopping.is_set() or _finalized(store, block_id) != block
        ):  # deleted or replaced meanwhile
            return
        if wrong:
            self._context.found_bad(block, wrong)
        else:
            self._context.found_sound(block)

    def _pace(self, count: int) -> None:
        """Reading waits so that the scrub takes no more than its rate; a stop cuts the waiting
        short."""
        self._stopping.wait(count / self._bytes_per_s)

    def _save(self) -> None:
        self._saved_us = self._clock.now().mono_us
        position = self._plan.position
        try:
            write_durably(
                self._state_file,
                msgspec.json.encode(
                    _SavedPosition(block_id=position.block_id, begun_wall_us=position.begun_wall_us)
                ),
            )
        except OSError as error:
            log.warning("the scrub's position could not be kept: %s", error)


def _finalized(store: BlockStore, block_id: int) -> BlockRef | None:
    replica = store.get(block_id)
    return replica.ref if replica is not None and replica.state is State.FINALIZED else None


def _load(path: Path) -> Position:
    """A position that cannot be read costs one pass that begins anew."""
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=_SavedPosition)
    except (OSError, msgspec.DecodeError):
        return Position()
    return Position(saved.block_id, saved.begun_wall_us) if saved.magic == _MAGIC else Position()
