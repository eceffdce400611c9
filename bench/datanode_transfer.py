"""The datanodes' data plane beside a raw loopback stream and dd: reads over TCP, durable writes
with one and three replicas."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from minihdfs.checksum import checksums_of
from minihdfs.client.datanodes import Datanodes
from minihdfs.client.remote_block import open_remote
from minihdfs.model import BlockRef, DatanodeAddress
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_delimited, send_buffers

BLOCK_BYTES, BLOCKS, ROUNDS, PIECE = 128 << 20, 4, 5, 1 << 20
TOTAL = BLOCK_BYTES * BLOCKS
CHUNKS = dt.Checksum(dt.ChecksumType.CRC32C, 64 << 10)


def serve_datanode(directory: str) -> None:
    """A datanode without an agent, in a process of its own, until its standard input ends."""
    from minihdfs.datanode.files.block_store import BlockStore
    from minihdfs.datanode.files.volume import Volume
    from minihdfs.datanode.replicator import Replicator
    from minihdfs.datanode.transfer.context import TransferContext
    from minihdfs.datanode.transfer.server import TransferServer

    context = TransferContext(BlockStore([Volume.open(Path(directory) / "blocks", "d", "c", 0)]))
    port = TransferServer(context, Replicator(context).transfer).start("127.0.0.1", 0)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()


def serve_stream() -> None:
    """The peer of reads: TOTAL bytes from one buffer to whoever connects, one request after the
    other."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    buffer = os.urandom(PIECE)
    sock, _ = listener.accept()
    while sock.recv(1):
        for _ in range(TOTAL // PIECE):
            sock.sendall(buffer)


def spawn(call: str) -> tuple[subprocess.Popen[str], int]:
    program = f"from bench.datanode_transfer import *; {call}"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def write_blocks(
    pipeline: list[DatanodeAddress],
    first_id: int,
    pieces: list[tuple[bytes, bytes]],
    count: int = BLOCKS,
) -> None:
    for block_id in range(first_id, first_id + count):
        with socket.create_connection((pipeline[0].host, pipeline[0].xfer_port)) as sock:
            write = dt.WriteBlock(
                BlockRef(block_id, 1, 0), "bench", tuple(pipeline[1:]), 6, len(pipeline), CHUNKS
            )
            sock.sendall(dt.encode_operation(write))
            assert dt.decode_reply(receive_delimited(sock)).status == dt.Status.SUCCESS
            packets = BLOCK_BYTES // PIECE
            acks = threading.Thread(target=take_acks, args=(sock, packets + 1))
            acks.start()
            for seqno in range(packets):
                data, _ = pieces[seqno % len(pieces)]
                sums = checksums_of(
                    data, CHUNKS.bytes_per_checksum
                )  # a real writer pays for them too
                send_buffers(
                    sock,
                    [dt.encode_packet_header(seqno * PIECE, seqno, PIECE, len(sums)), sums, data],
                )
            sock.sendall(dt.encode_packet_header(BLOCK_BYTES, packets, 0, 0, last=True))
            acks.join()


def take_acks(sock: socket.socket, count: int) -> None:
    for _ in range(count):
        assert not any(dt.decode_ack(receive_delimited(sock)).replies)


def read_blocks(datanodes: Datanodes, address: DatanodeAddress, first_id: int) -> None:
    buffer = memoryview(bytearray(PIECE))
    for block_id in range(first_id, first_id + BLOCKS):
        block = BlockRef(block_id, 1, BLOCK_BYTES)
        stream = open_remote(
            datanodes, address, block, 0, BLOCK_BYTES, client_name="bench", timeout_s=30
        )
        while stream.readinto(buffer):
            pass
        stream.close()


def read_stream(sock: socket.socket) -> None:
    buffer, left = memoryview(bytearray(PIECE)), TOTAL
    sock.sendall(b"?")
    while left:
        left -= sock.recv_into(buffer[: min(PIECE, left)])


def dd(arguments: list[str]) -> None:
    subprocess.run(["dd", "bs=1M", *arguments], check=True, capture_output=True)


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def compare(
    name: str,
    ours: Callable[[int], object],
    peer: Callable[[int], object],
    peer_name: str,
    goal: float,
    share: float = 1.0,
) -> None:
    """Medians of interleaved pairs; `share` is the part of the peer's speed that counts as 1."""
    pairs = [(seconds(lambda i=i: ours(i)), seconds(lambda i=i: peer(i))) for i in range(ROUNDS)]  # type: ignore[misc]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    speed, peer_speed = TOTAL / mine / 1e9, TOTAL / theirs / 1e9 * share
    sys.stdout.write(
        f"{name:34} {speed:5.2f} GB/s   {peer_name:28} {peer_speed:5.2f} GB/s   ratio "
        f"{speed / peer_speed:4.2f}  (goal {goal})\n"
    )
    sys.stdout.flush()


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        processes, addresses = [], []
        for i in range(3):
            process, port = spawn(f"serve_datanode({f'{scratch}/d{i}'!r})")
            processes.append(process)
            addresses.append(DatanodeAddress(f"d{i}", "127.0.0.1", "", port, 0))
        stream, stream_port = spawn("serve_stream()")
        processes.append(stream)
        try:
            measure(addresses, stream_port, Path(scratch))
        finally:
            for process in processes:
                process.kill()
                process.wait()


def measure(addresses: list[DatanodeAddress], stream_port: int, scratch: Path) -> None:
    pieces = [(data, b"") for data in (os.urandom(PIECE) for _ in range(8))]
    target = str(scratch / "dd")
    datanodes = Datanodes(5.0, 5.0)

    def dd_write(_round: int) -> None:
        dd(["if=/dev/zero", f"of={target}", f"count={TOTAL // PIECE}", "conv=fdatasync"])
        Path(target).unlink()

    def forget(first_id: int, count: int = BLOCKS) -> None:
        for block_id in range(first_id, first_id + count):
            for path in scratch.rglob(f"blk_{block_id}*"):
                path.unlink()

    write_blocks(addresses[:1], 1, pieces)
    with socket.create_connection(("127.0.0.1", stream_port)) as sock:
        compare(
            "read over TCP, verified",
            lambda _i: read_blocks(datanodes, addresses[0], 1),
            lambda _i: read_stream(sock),
            "raw stream",
            0.70,
        )
    for replicas, goal in ((1, 0.60), (3, 0.75)):

        def ours(i: int, replicas: int = replicas) -> None:
            write_blocks(addresses[:replicas], 1000 * replicas + 10 * i, pieces)

        def peer(i: int, replicas: int = replicas) -> None:
            forget(1000 * replicas + 10 * i)
            dd_write(i)

        name = f"write, {replicas} replica{'s' if replicas > 1 else ''}, durable"
        compare(
            name,
            ours,
            peer,
            "dd conv=fdatasync" + (" / 3" if replicas > 1 else ""),
            goal,
            1 / replicas,
        )


if __name__ == "__main__":
    main()
