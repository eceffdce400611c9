"""What a step of the namenode's core costs, without network and disk: microseconds per request, one
core thread.

    python bench/namenode_core.py [--files 100000] [--store lmdb]

Wanted: getFileInfo ≤ 10 µs, create ≤ 40 µs (the whole server shall do 20,000 getFileInfo/s and
10,000 edits/s).
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clusterkit.effects import Effects, Instant
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import Answer, Registered
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.edit_codec import CODEC
from minihdfs.namenode.store.api import Store
from minihdfs.namenode.store.lmdb import LmdbStore
from minihdfs.namenode.store.memory import MemoryStore


class Bench:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.core = Namesystem(Options("bench", "root"), store, random.Random(1))
        self.calls = 0
        self.edits = 0
        self.now_us = 1_000_000
        self.step(events.LeadershipGained(1))
        self.registrations = {}
        for number in range(3):
            address = DatanodeAddress(
                f"d{number}", "127.0.0.1", f"d{number}", 9000 + number, 9100 + number
            )
            reply = (
                self.step(
                    events.RegisterDatanode(number, address, "", DatanodeUsage(1 << 50, 0, 1 << 50))
                )
                .sends[0]
                .message
            )
            assert isinstance(reply, Registered)
            self.registrations[address.uuid] = (reply.registration_id, [0])

    def step(self, event: object) -> Effects:
        self.now_us += 1
        effects = self.core.step(event, Instant(self.now_us, self.now_us))
        self.edits += len(effects.journal)
        return effects

    def caller(self) -> events.Caller:
        self.calls += 1
        return events.Caller(None, "root", (), b"0123456789abcdef", self.calls)

    def value(self, event: object) -> object:
        answer = self.step(event).sends[0].message
        assert isinstance(answer, Answer), answer
        return answer.value

    def flush(self) -> None:
        batch = self.core.freeze()
        if batch is not None:
            self.store.write(batch)
            self.step(events.StoreFlushed(batch.counters.txid))


def timed(name: str, count: int, work: Callable[[int], object]) -> None:
    begun = time.process_time()
    for number in range(count):
        work(number)
    took = time.process_time() - begun
    print(f"{name:34} {took / count * 1e6:8.1f} µs   {count / took:9,.0f}/s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--store", choices=["memory", "lmdb"], default="lmdb")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run(
            LmdbStore(Path(scratch), "bench") if options.store == "lmdb" else MemoryStore(),
            options.files,
        )


def run(store: Store, files: int) -> None:
    bench = Bench(store)
    rng = random.Random(2)
    path = [f"/user/ann/data/day{number % 100}/part-{number:08}" for number in range(files)]
    timed(
        "create",
        files,
        lambda i: bench.value(
            events.Create(bench.caller(), path[i], "w", 0o644, False, True, 3, 0)
        ),
    )
    some = min(files, 20_000)
    timed("addBlock + 3 reports + complete", some, lambda i: write_block(bench, path[i]))
    timed(
        "getFileInfo, in memory",
        files,
        lambda i: bench.value(events.GetFileInfo(bench.caller(), path[rng.randrange(some)])),
    )
    begun = time.process_time()
    bench.flush()
    print(f"{'flush of everything':34} {(time.process_time() - begun) * 1e3:8.0f} ms")
    bench.core.state.overlay.flushed(1 << 62)
    timed(
        "getFileInfo, from the store",
        files,
        lambda i: bench.value(events.GetFileInfo(bench.caller(), path[rng.randrange(files)])),
    )
    timed(
        "getFileInfo of nothing",
        files,
        lambda i: bench.value(events.GetFileInfo(bench.caller(), f"/user/ann/none{i % 999}")),
    )
    timed(
        "getBlockLocations",
        some,
        lambda i: bench.value(events.GetBlockLocations(bench.caller(), path[i], 0, 1 << 40)),
    )
    timed(
        "getListing, 1,000 of a directory",
        20,
        lambda i: bench.value(events.GetListing(bench.caller(), "/user/ann/data/day1")),
    )
    timed(
        "rename", some, lambda i: bench.value(events.Rename(bench.caller(), path[i], path[i] + "x"))
    )
    timed(
        "delete", some, lambda i: bench.value(events.Delete(bench.caller(), path[i] + "x", False))
    )
    edit = bench.step(
        events.Create(bench.caller(), "/user/ann/one", "w", 0o644, False, True, 3, 0)
    ).journal[-1]
    timed("encode a create's edit", 20_000, lambda i: CODEC.encode(edit))
    data = CODEC.encode(edit)
    timed("decode a create's edit", 20_000, lambda i: CODEC.decode(data))
    print(f"{bench.edits} edits in all; a create's edit has {len(data)} bytes")


def write_block(bench: Bench, path: str) -> None:
    located = bench.value(events.AddBlock(bench.caller(), path, "w", 0, None))
    done = BlockRef(located.block.id, located.block.stamp, 1000)  # type: ignore[attr-defined]
    for address in located.locations:  # type: ignore[attr-defined]
        registration_id, sequence = bench.registrations[address.uuid]
        sequence[0] += 1
        bench.step(
            events.BlocksChanged(None, address.uuid, registration_id, sequence[0], (done,), ())
        )
    bench.value(events.Complete(bench.caller(), path, "w", 0, done))


if __name__ == "__main__":
    main()
