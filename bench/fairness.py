"""What others wait for at one namenode while somebody floods it: a caller's getFileInfo, quiet and
under each attack.

A namenode of its own in one process, the attack in another, the caller here: one call every few
milliseconds over its own connection, as another user. p50, p99 and the longest, in milliseconds,
the quiet rounds beside each attack. `python -m bench.fairness --attack NAME` shows only one,
`--short` fewer calls of each.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from clusterkit.descriptors import raise_descriptor_limit
from minihdfs.client.namenode_calls import NamenodeClient
from minihdfs.model import RENAMES_MAX
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import hadoop_rpc

CALLS, SHORT_CALLS, PAUSE_S = 300, 30, 0.004
CLIENT_ID = os.urandom(16)
ENTRIES = 1000


def connect(address: str, user: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(hadoop_rpc.encode_opening(user, CLIENT_ID))
    return sock


def listings(count: int) -> bytes:
    request = nn.GetListingRequest(src="/flood", startAfter=b"", needLocation=False)
    call = hadoop_rpc.encode_call
    return b"".join(
        call(n, CLIENT_ID, 0, hadoop_rpc.CLIENT_PROTOCOL, "getListing", request)
        for n in range(count)
    )


# ── attacks: each begins, and goes on until its process is killed ─────────────────────────────────


def flood(address: str, connections: int = 16) -> None:
    frames = listings(150)
    for _ in range(connections):
        sock = connect(address, "mallory")
        threading.Thread(
            target=lambda sock=sock: [sock.sendall(frames) for _ in iter(int, 1)], daemon=True
        ).start()  # type: ignore[misc]
        threading.Thread(
            target=lambda sock=sock: [sock.recv(1 << 20) for _ in iter(int, 1)], daemon=True
        ).start()  # type: ignore[misc]


def thousand(address: str) -> None:
    flood(address, 500)


def names(address: str) -> None:
    """Each connection as a user of its own: a name costs nothing."""
    frames = listings(150)
    for number in range(100):
        sock = connect(address, f"mallory{number}")
        threading.Thread(
            target=lambda sock=sock: [sock.sendall(frames) for _ in iter(int, 1)], daemon=True
        ).start()  # type: ignore[misc]
        threading.Thread(
            target=lambda sock=sock: [sock.recv(1 << 20) for _ in iter(int, 1)], daemon=True
        ).start()  # type: ignore[misc]


def newcomers(address: str) -> None:
    """As many connections as one host may have, all of them with calls that wait, and more that
    knock."""
    raise_descriptor_limit()
    host, _, port = address.rpartition(":")
    frames, kept = listings(150), []
    for _ in range(6_200):
        with contextlib.suppress(OSError):
            kept.append(connect(address, "mallory"))
            kept[-1].setblocking(False)
            kept[-1].send(frames)

    def knock() -> None:
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((host, int(port)), timeout=5).close()

    threading.Thread(target=lambda: knock() or kept, daemon=True).start()  # type: ignore[func-returns-value]


def half_open(address: str) -> None:
    raise_descriptor_limit()
    host, _, port = address.rpartition(":")
    kept = []
    for _ in range(10_000):
        with contextlib.suppress(OSError):
            kept.append(socket.create_connection((host, int(port)), timeout=5))
            kept[-1].sendall(b"hrpc")
    threading.Thread(target=lambda: [time.sleep(60) for _ in kept], daemon=True).start()


def deaf(address: str) -> None:
    sock = connect(address, "mallory")
    threading.Thread(target=sock.sendall, args=(listings(20_000),), daemon=True).start()


def giant(address: str) -> None:
    """What a job of many files does at its end: renames by the hundred, back and forth, from four
    connections."""

    def rename(number: int) -> None:
        client = NamenodeClient(address, "mallory")
        there = [(f"/job/{number}/a{n}", f"/job/{number}/b{n}") for n in range(1000)]
        for source, _ in there:
            client.create(source, "giant")
            client.complete(source, "giant")
        while True:
            for at in range(0, len(there), RENAMES_MAX):
                client.rename_many(there[at : at + RENAMES_MAX])
            there = [(destination, source) for source, destination in there]

    for number in range(4):
        threading.Thread(target=rename, args=(number,), daemon=True).start()


def bombs(address: str) -> None:
    """Frames of a million empty renames."""

    class Raw:
        def SerializeToString(self) -> bytes:
            return b"\x0a\x04\x0a\x00\x12\x00" * 600_000

    frame = hadoop_rpc.encode_call(1, CLIENT_ID, 0, hadoop_rpc.OWN_PROTOCOL, "renameMany", Raw())  # type: ignore[arg-type]
    for _ in range(4):
        sock = connect(address, "mallory")
        threading.Thread(
            target=lambda sock=sock: [sock.sendall(frame) for _ in iter(int, 1)], daemon=True
        ).start()  # type: ignore[misc]
        threading.Thread(
            target=lambda sock=sock: [sock.recv(1 << 20) for _ in iter(int, 1)], daemon=True
        ).start()  # type: ignore[misc]


ATTACKS: dict[str, tuple[str, Callable[[str], None]]] = {
    "listings": ("16 connections × 150 pipelined listings", flood),
    "thousand": ("500 connections × 150 pipelined listings", thousand),
    "names": ("100 users × 150 pipelined listings", names),
    "newcomers": ("6,200 busy connections, and more that knock", newcomers),
    "half-open": ("10,000 sockets that never say who they are", half_open),
    "deaf": ("a client that does not read 20,000 listings", deaf),
    "giant": ("4 × renames of a thousand files at once", giant),
    "bombs": ("4 × frames of 600,000 empty renames", bombs),
}


# ── the caller ────────────────────────────────────────────────────────────────────────────────────


def waits(address: str, calls: int) -> list[float]:
    """Milliseconds of each call, sorted; none when the namenode did not take the caller."""
    call = hadoop_rpc.encode_call(
        1,
        CLIENT_ID,
        0,
        hadoop_rpc.CLIENT_PROTOCOL,
        "getFileInfo",
        nn.GetFileInfoRequest(src="/flood"),
    )
    found = []
    with contextlib.suppress(ConnectionError), connect(address, "polite") as sock:
        for _ in range(calls):
            begun = time.perf_counter()
            sock.sendall(call)
            if not sock.recv(65536):
                break
            found.append(1e3 * (time.perf_counter() - begun))
            time.sleep(PAUSE_S)
    return sorted(found)


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[str]:
    """A child that says one line when it is ready; ended at the end."""
    child = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        yield child.stdout.readline().strip()
    finally:
        child.kill()
        child.wait(20)


def row(name: str, sorted_ms: list[float]) -> str:
    if not sorted_ms:
        return f"{name:<44} {'refused':>8}\n"
    return (
        f"{name:<44} {sorted_ms[len(sorted_ms) // 2]:8.1f} "
        f"{sorted_ms[int(len(sorted_ms) * 0.99)]:8.1f} {sorted_ms[-1]:8.1f}\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--attack", choices=[*ATTACKS])
    parser.add_argument(
        "--short", action="store_true", help="fewer calls: shows that it runs, and little more"
    )
    parser.add_argument("--address", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.address:
        ATTACKS[options.attack][1](options.address)
        print("attacking", flush=True)
        sys.stdin.read()
        return 0
    calls = SHORT_CALLS if options.short else CALLS
    sys.stdout.write(f"{'':<44} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}\n")
    with (
        tempfile.TemporaryDirectory() as scratch,
        process("-m", "bench.namenode_rpc", "--serve", f"{scratch}/nn") as address,
    ):
        client = NamenodeClient(address, "bench")
        for n in range(ENTRIES):
            client.mkdirs(f"/flood/directory-{n:05}")
        client.set_permission("/", 0o777)
        for name in [options.attack] if options.attack else ATTACKS:
            sys.stdout.write(row("quiet", waits(address, calls)))
            with process("-m", "bench.fairness", "--attack", name, "--address", address):
                time.sleep(1)
                sys.stdout.write(row(ATTACKS[name][0], waits(address, calls)))
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
