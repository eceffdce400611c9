"""The scrub on a real disk: suspects first, everything once per period, and a position that
outlives the process."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from clusterkit.clock import SystemClock
from minihdfs.datanode.core.scan_plan import Position, ScanOptions
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.scanner import Scanner
from minihdfs.datanode.transfer.context import TransferContext
from minihdfs.model import BlockRef
from tests.unit.minihdfs.datanode.test_block_store import store_at, stored

WEEK_US = ScanOptions().period_us


def scanner_over(
    store: BlockStore, root: Path, period_us: int = WEEK_US
) -> tuple[Scanner, queue.Queue[BlockRef]]:
    bad: queue.Queue[BlockRef] = queue.Queue()
    context = TransferContext(store, tell_bad=bad.put)
    return Scanner(
        context, SystemClock(), root / "scan.json", ScanOptions(period_us=period_us), 1 << 30
    ), bad


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


def test_the_replicas_are_listed_once_a_pass(tmp_path: Path) -> None:
    """At 200,000 replicas a list takes 0.2 s: one for every replica verified would leave the
    datanode time for nothing else."""
    store = store_at(tmp_path)
    for block_id in range(1, 41):
        stored(store, block_id, b"data")
    lists: list[int] = []
    list_ids = store.finalized_ids
    store.finalized_ids = lambda: (lists.append(1), list_ids())[1]  # type: ignore[method-assign]
    scanner, bad = scanner_over(store, tmp_path, period_us=3600 * 1_000_000)
    scanner._plan.position = Position(
        1, SystemClock().now().wall_us - 3600 * 1_000_000
    )  # late: no pauses
    spoil(tmp_path, 40)
    scanner.start()
    assert bad.get(timeout=10).id == 40
    scanner.stop()
    assert len(lists) <= 3


def test_what_was_bad_and_is_sound_again_is_told(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    block = stored(store, 1, b"data")
    store.mark_bad(block, "it could not be read")
    told: queue.Queue[BlockRef] = queue.Queue()
    context = TransferContext(store, finalized=told.put)
    scanner = Scanner(context, SystemClock(), tmp_path / "scan.json", ScanOptions(), 1 << 30)
    scanner.start()
    scanner.suspect(block)
    assert told.get(timeout=10) == block and not store.bad()
    scanner.stop()
