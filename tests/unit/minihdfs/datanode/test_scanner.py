"""The scrub on a real disk: suspects first, everything once per period, and a position that outlives the process."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from clusterkit.clock import SystemClock
from minihdfs.datanode.block_store import BlockStore
from minihdfs.datanode.core.scan_plan import ScanOptions
from minihdfs.datanode.scanner import Scanner
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.model import BlockRef
from tests.unit.minihdfs.datanode.test_block_store import store_at, stored

WEEK_US = ScanOptions().period_us


def scanner_over(store: BlockStore, root: Path, period_us: int = WEEK_US) -> tuple[Scanner, queue.Queue[BlockRef]]:
    bad: queue.Queue[BlockRef] = queue.Queue()
    context = TransferContext(store, found_bad=bad.put)
    return Scanner(context, SystemClock(), root / "scan.json", ScanOptions(period_us=period_us), 1 << 30), bad


def spoil(root: Path, block_id: int) -> None:
    path = next(root.rglob(f"blk_{block_id}"))
    path.write_bytes(b"?" + path.read_bytes()[1:])


def test_wrong_bytes_are_found_unprompted(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for block_id in range(1, 6):
        stored(store, block_id, b"data" * 200)
    spoil(tmp_path, 4)
    scanner, bad = scanner_over(store, tmp_path, period_us=50_000)
    scanner.start()
    assert bad.get(timeout=10) == BlockRef(4, 1, 800)
    scanner.stop()


def test_a_suspect_is_verified_at_once_although_its_turn_is_far_away(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for block_id in (1, 2):
        stored(store, block_id, b"data" * 200)
    spoil(tmp_path, 2)
    scanner, bad = scanner_over(store, tmp_path)
    scanner.start()
    scanner.suspect(BlockRef(1, 1, 800))
    scanner.suspect(BlockRef(9, 1, 800))
    scanner.suspect(BlockRef(2, 1, 800))
    assert bad.get(timeout=10).id == 2 and bad.empty()
    scanner.stop()


def test_the_position_outlives_the_process(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for block_id in range(1, 4):
        stored(store, block_id, b"data")
    first, _ = scanner_over(store, tmp_path, period_us=1)
    seen = threading.Event()
    verify = first._verify
    first._verify = lambda block_id: (verify(block_id), seen.set() if block_id == 2 else None)[0]  # type: ignore[method-assign, func-returns-value]
    first.start()
    assert seen.wait(10)
    first.stop()
    second, _ = scanner_over(store, tmp_path)
    assert second._plan.position.begun_wall_us > 0
    (tmp_path / "scan.json").write_bytes(b"garbage")
    assert scanner_over(store, tmp_path)[0]._plan.position.begun_wall_us == 0
