"""What a busy thread does to the checksums and reads beside it, as Python has it and as our data
plane does.

A checksum of 64 KiB takes 3 µs, but crc32c lets go of the interpreter's lock for pieces of 32 KiB
and more, and whoever lets go beside a busy thread waits a whole switch interval (5 ms) to get it
back. `clusterkit.checksum` keeps the lock; processes that move bytes switch after 0.2 ms
(`DATA_PLANE_SWITCH_S`). Both sides run in turns in one process; the ratio is of medians.

    python -m bench.interpreter_lock [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from crc32c import crc32c as plain_crc32c

from clusterkit.checksum import DATA_PLANE_SWITCH_S, crc32c

CHUNK_BYTES, CHUNKS = 64 << 10, 800
FILE_BYTES = 64 << 20
PYTHONS_SWITCH_S = 0.005


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryFile() as file:
        file.write(os.urandom(1 << 20) * (FILE_BYTES >> 20))
        file.flush()
        fd = file.fileno()
        print(f"{'beside one busy thread, wall ms':44}{'before':>10}{'after':>10}{'ratio':>8}")
        compare(f"{CHUNKS} checksums of 64 KiB", rounds, checksums)
        compare(
            "read 64 MiB in 1 MiB pieces, each verified", rounds, lambda crc: read_verified(fd, crc)
        )


def checksums(crc: Callable[..., int]) -> None:
    chunk = bytes(CHUNK_BYTES)
    for _ in range(CHUNKS):
        crc(chunk)


def read_verified(fd: int, crc: Callable[..., int]) -> None:
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    for offset in range(0, FILE_BYTES, len(buffer)):
        os.preadv(fd, [buffer], offset)
        for at in range(0, len(buffer), CHUNK_BYTES):
            crc(view[at : at + CHUNK_BYTES])


def compare(what: str, rounds: int, work: Callable[[Callable[..., int]], None]) -> None:
    sides = ((plain_crc32c, PYTHONS_SWITCH_S), (crc32c, DATA_PLANE_SWITCH_S))
    took: tuple[list[float], list[float]] = ([], [])
    kept = sys.getswitchinterval()
    over = threading.Event()
    busy = threading.Thread(target=spin, args=(over,))
    busy.start()
    try:
        for _ in range(rounds):
            for side, (crc, interval_s) in enumerate(sides):
                sys.setswitchinterval(interval_s)
                begun = time.perf_counter()
                work(crc)
                took[side].append((time.perf_counter() - begun) * 1e3)
    finally:
        over.set()
        busy.join()
        sys.setswitchinterval(kept)
    before, after = (statistics.median(side) for side in took)
    print(f"{what:44}{before:10.1f}{after:10.1f}{before / after:8.1f}")


def spin(over: threading.Event) -> None:
    while not over.is_set():
        sum(range(1_000))


if __name__ == "__main__":
    main()
