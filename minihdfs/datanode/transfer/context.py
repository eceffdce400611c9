"""What every operation of the data plane is given: the store, its limits, and whom to tell."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.transfer.buffers import Buffers
from minihdfs.model import BlockRef

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TransferOptions:
    connections_max: int = 1024
    idle_s: float = (
        10.0  # a connection between two operations; Hadoop's clients keep theirs for 3 s
    )
    request_s: float = 10.0  # a request that has begun is whole after so long
    packet_s: float = 60.0  # silence of a writer or reader within an operation
    # Patience with the next datanode of a pipeline. Each is shorter than our own client's with the
    # first, and grows with every datanode further behind, so that the one next to a silent node
    # gives up first and names it.
    connect_s: float = 3.0
    setup_s: float = 4.0  # until it has begun the write too
    ack_s: float = 12.0  # for a packet it owes an acknowledgement of
    close_s: float = 45.0  # for the last packet: a block is fsynced before it is acknowledged
    mirror_extra_s: float = 2.0  # more for each datanode behind it
    packet_bytes: int = 1 << 20
    buffers_bytes: int = 256 << 20  # of all streams together


def _nothing(_block: BlockRef) -> None:
    return None


@dataclass(slots=True)
class TransferContext:
    store: BlockStore
    options: TransferOptions = field(default_factory=TransferOptions)
    finalized: Callable[[BlockRef], None] = _nothing  # durable now, and not yet acknowledged
    left: Callable[[BlockRef], None] = _nothing  # its writer is gone, what it wrote stays
    tell_bad: Callable[[BlockRef], None] = _nothing  # wrong bytes in a replica of ours
    suspected: Callable[[BlockRef], None] = _nothing  # a reader says so: to be verified
    gone: Callable[[BlockRef], None] = _nothing  # in the map, but its files are not there
    buffers: Buffers = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _streams: int = 0

    def __post_init__(self) -> None:
        self.buffers = Buffers(self.options.buffers_bytes)

    def found_bad(self, block: BlockRef, reason: str) -> None:
        """Wrong or unreadable bytes in a replica of ours: marked on disk, and told."""
        log.warning("block %d is bad here: %s", block.id, reason)
        self.store.mark_bad(block, reason)
        self.tell_bad(block)

    def found_sound(self, block: BlockRef) -> None:
        """Every byte was verified: one that was taken for bad is told as received again."""
        if self.store.mark_sound(block):
            self.finalized(block)

    @property
    def streams(self) -> int:
        """Block streams open now."""
        return self._streams

    @contextmanager
    def stream(self) -> Iterator[None]:
        with self._lock:
            self._streams += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams -= 1
