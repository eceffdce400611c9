"""Where the bytes of one open file lie: block locations, asked for when needed and kept, asked for
again when replicas fail."""

from __future__ import annotations

import bisect
import threading

from minihdfs.client.api import NamenodeCalls
from minihdfs.errors import BlockMissing
from minihdfs.model import LocatedBlock, LocatedBlocks

PREFETCH_BYTES = 1 << 30
"""One question covers this much of a file: eight blocks of the default size, as Hadoop's client
asks for ten."""


class BlockMap:
    """Thread-safe. `length` is what was known when the file was opened: a file being written does
    not grow under an open reader."""

    def __init__(self, calls: NamenodeCalls, path: str) -> None:
        """Raises FileNotFound, IsADirectory."""
        self.path = path
        self._calls = calls
        self._lock = threading.Lock()
        self._blocks: dict[int, LocatedBlock] = {}
        self._offsets: list[int] = []
        first = calls.get_block_locations(path, 0, PREFETCH_BYTES)
        last = first.last_block
        self.length = first.file_length
        if first.under_construction and last is not None and not first.last_block_complete:
            self.length = max(self.length, last.offset + last.block.length)
        self._add(first)

    def block_at(self, offset: int) -> LocatedBlock:
        """The block that holds byte `offset`, which must lie before `length`."""
        with self._lock:
            found = self._find(offset)
        return found or self._fetch(offset)

    def refreshed(self, known: LocatedBlock) -> LocatedBlock:
        """Asks again where this block is. Raises BlockMissing when the path now names another
        file's bytes."""
        fresh = self._fetch(known.offset)
        if fresh.block.id != known.block.id or fresh.offset != known.offset:
            raise BlockMissing(
                f"{self.path} was replaced while it was read: its block blk_{known.block.id} is "
                f"now blk_{fresh.block.id}"
            )
        return fresh

    def blocks(self, offset: int, length: int) -> list[LocatedBlock]:
        """All blocks with bytes in [offset, offset + length)."""
        end = min(offset + length, self.length)
        found = []
        while offset < end:
            block = self.block_at(offset)
            found.append(block)
            offset = block.offset + block.block.length
        return found

    def _fetch(self, offset: int) -> LocatedBlock:
        located = self._calls.get_block_locations(self.path, offset, PREFETCH_BYTES)
        with self._lock:
            self._add(located)
            found = self._find(offset)
        if found is None:
            raise BlockMissing(
                f"{self.path}: the namenode names no block for byte {offset}; the file is "
                "shorter than when it was opened"
            )
        return found

    def _find(self, offset: int) -> LocatedBlock | None:
        index = bisect.bisect_right(self._offsets, offset) - 1
        if index < 0:
            return None
        found = self._blocks[self._offsets[index]]
        return found if offset < found.offset + found.block.length else None

    def _add(self, located: LocatedBlocks) -> None:
        blocks = list(located.blocks)
        if located.last_block is not None and located.under_construction:
            blocks.append(located.last_block)
        for block in blocks:
            if block.block.length and (
                block.offset not in self._blocks
                or block.block.length >= self._blocks[block.offset].block.length
            ):
                if block.offset not in self._blocks:
                    bisect.insort(self._offsets, block.offset)
                self._blocks[block.offset] = block
