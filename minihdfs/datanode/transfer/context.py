"""What every operation of the data plane is given: the store, its limits, and whom to tell."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from minihdfs.datanode.block_store import BlockStore
from minihdfs.model import BlockRef


@dataclass(frozen=True, slots=True)
class TransferOptions:
    connections_max: int = 1024
    idle_s: float = 10.0  # a connection between two operations; Hadoop's clients keep theirs for 3 s
    packet_s: float = 60.0  # silence within an operation
    mirror_extra_s: float = 5.0  # more patience per datanode behind, so that the one next to a silent node gives up first
    connect_s: float = 5.0
    packet_bytes: int = 1 << 20


def _nothing(_block: BlockRef) -> None:
    return None


@dataclass(slots=True)
class TransferContext:
    store: BlockStore
    options: TransferOptions = field(default_factory=TransferOptions)
    finalized: Callable[[BlockRef], None] = _nothing  # durable now, and not yet acknowledged
    left: Callable[[BlockRef], None] = _nothing  # its writer is gone, what it wrote stays
    found_bad: Callable[[BlockRef], None] = _nothing  # wrong bytes in a replica of ours
    suspected: Callable[[BlockRef], None] = _nothing  # a reader says so: to be verified
    gone: Callable[[BlockRef], None] = _nothing  # in the map, but its files are not there
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _streams: int = 0

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
