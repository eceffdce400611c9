"""How fast the client moves file bytes, beside what the machine itself can do: read locally, read
over TCP, write with 1 and 3 replicas.

    .venv/bin/python bench/client_io.py [--mib 512] [--rounds 5] [--home DIR]

Starts a cluster of its own with `mrc up` (3 datanodes) and ends it. Each round measures ours and
the peer one after the other, so that a machine whose speed swings is compared with itself; what
counts is the ratio, of which the median and the range are printed. The peers are a warm `dd` of
the same block files, a raw Python loopback stream, `dd conv=fdatasync` on the same disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from coordinator.home import Home
from coordinator.leaders import HomeLeaders
from minihdfs.client.api import ClientOptions
from minihdfs.client.filesystem import FileSystem, connect

MIB = 1 << 20
BUFFER_BYTES = 4 * MIB
TARGETS = {"local read": 0.70, "tcp read": 0.70, "write 1 replica": 0.60, "write 3 replicas": 0.75}


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def read_all(fs: FileSystem, path: str) -> None:
    buffer = bytearray(BUFFER_BYTES)
    with fs.open(path) as file:
        while file.readinto(buffer):
            pass


def dd_read(files: list[Path]) -> None:
    for file in files:
        subprocess.run(["dd", f"if={file}", "of=/dev/null", "bs=1M", "status=none"], check=True)


def dd_write(target: Path, mib: int) -> None:
    subprocess.run(
        [
            "dd",
            "if=/dev/zero",
            f"of={target}",
            "bs=1M",
            f"count={mib}",
            "conv=fdatasync",
            "status=none",
        ],
        check=True,
    )
    target.unlink()


def loopback(files: list[Path], total: int) -> float:
    """Seconds for a child process to read the block files and send them, and for this one to
    receive them: no framing, no checksums."""
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if not child:
        with socket.create_connection(listener.getsockname()) as out:
            buffer = memoryview(bytearray(MIB))
            for name in files:
                with name.open("rb", buffering=0) as file:
                    while count := file.readinto(buffer):
                        out.sendall(buffer[:count])
        os._exit(0)
    with listener, listener.accept()[0] as sock:
        buffer, left, began = memoryview(bytearray(BUFFER_BYTES)), total, time.perf_counter()
        while left:
            left -= sock.recv_into(buffer)
        taken = time.perf_counter() - began
    os.waitpid(child, 0)
    return taken


def write_file(fs: FileSystem, path: str, data: memoryview, mib: int, replication: int) -> None:
    with fs.create(path, overwrite=True, replication=replication, resend_bytes=0) as file:
        for _ in range(mib * MIB // len(data)):
            file.write(data)


def run(home: Path, mib: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    address = HomeLeaders(Home(home)).namenode()
    fs, tcp = connect(address), connect(address, options=ClientOptions(local_reads=False))
    data, total = memoryview(os.urandom(BUFFER_BYTES)), mib * MIB
    write_file(fs, "/bench/read", data, mib, 1)
    ids = {f"blk_{block.block.id}" for block in fs.locate("/bench/read")}
    files = sorted(p for p in (home / "data").rglob("blk_*") if p.name in ids)
    if sum(file.stat().st_size for file in files) != total:
        sys.exit(f"block files of {sorted(ids)} were not found below {home}/data: {files}")
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in TARGETS}
    read_all(fs, "/bench/read")
    for _ in range(rounds):
        results["local read"].append(
            (timed(lambda: read_all(fs, "/bench/read")), timed(lambda: dd_read(files)))
        )
        results["tcp read"].append(
            (timed(lambda: read_all(tcp, "/bench/read")), loopback(files, total))
        )
        for replication, name in ((1, "write 1 replica"), (3, "write 3 replicas")):
            ours = timed(lambda r=replication: write_file(fs, "/bench/write", data, mib, r))  # type: ignore[misc]
            fs.delete("/bench/write")
            peer = timed(lambda: dd_write(home / "dd.out", mib))
            results[name].append((ours, peer * replication))
    return results


def report(results: dict[str, list[tuple[float, float]]], mib: int) -> bool:
    good = True
    print(f"{'work':18}{'ours MB/s':>12}{'peer MB/s':>12}{'ratio':>8}{'range':>14}{'target':>8}")
    for name, pairs in results.items():
        ratios = sorted(peer / ours for ours, peer in pairs)
        ours, peer = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio, size = statistics.median(ratios), mib * MIB / 1e6
        good &= ratio >= TARGETS[name]
        span = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
        rates = f"{size / ours:12.0f}{size / peer:12.0f}"
        print(f"{name:18}{rates}{ratio:8.2f}{span:>14}{TARGETS[name]:8.2f}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--home", type=Path, help="where the cluster's data goes: on the disk to be measured"
    )
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="mrc-bench-"))
    mrc = [sys.executable, "-m", "mrc.main", "--home", str(home)]
    subprocess.run([*mrc, "up", "-n", "3"], check=True, stderr=subprocess.DEVNULL)
    try:
        good = report(run(home, options.mib, options.rounds), options.mib)
    finally:
        subprocess.run([*mrc, "down"], check=False, stderr=subprocess.DEVNULL)
        if options.home is None:
            shutil.rmtree(home, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
