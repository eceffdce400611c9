from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from crc32c import crc32c as plain

from clusterkit import checksum
from mrc.cluster.daemon import MOVES_BYTES


@pytest.fixture
def switch_interval_s() -> Iterator[None]:
    kept = sys.getswitchinterval()
    yield
    sys.setswitchinterval(kept)


@pytest.mark.parametrize("size", [0, 1, 9, 511, 65_536, 1 << 20])
def test_a_checksum_is_the_librarys_also_when_it_goes_on(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    piece = memoryview(data)[:size]
    assert checksum.crc32c(piece) == plain(piece)
    assert checksum.crc32c(piece[size // 3 :], checksum.crc32c(piece[: size // 3])) == plain(piece)


def test_a_checksum_keeps_the_interpreters_lock() -> None:
    """While it computes, no other Python thread takes a step: with the library's default a busy one
    beside it takes many."""
    steps, over, begun = [0], threading.Event(), threading.Event()

    def busy() -> None:
        while not over.is_set():
            steps[0] += 1
            begun.set()

    kept = sys.getswitchinterval()
    thread = threading.Thread(target=busy)
    try:
        thread.start()
        begun.wait(10)
        sys.setswitchinterval(
            10.0
        )  # from now on nobody is interrupted: only who lets go of the lock gives way
        data = bytes(64 << 10)
        before = steps[0]
        for _ in range(50):
            checksum.crc32c(data)
        assert steps[0] == before
    finally:
        over.set()
        sys.setswitchinterval(kept)
        thread.join(10)


def test_processes_that_move_bytes_give_way_soon(switch_interval_s: None) -> None:
    checksum.share_process_fairly()
    assert sys.getswitchinterval() == pytest.approx(checksum.DATA_PLANE_SWITCH_S)
    assert "datanode" in MOVES_BYTES and "namenode" not in MOVES_BYTES
