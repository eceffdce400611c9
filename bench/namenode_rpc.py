"""How many calls a second one namenode answers over real sockets: `python bench/namenode_rpc.py`.

A namenode of its own (local journal, LMDB, a data directory that is removed again) in one process;
in this one, 32 callers that each have one call open. Prints getFileInfo/s and durable edits/s (a
create and a close are two), beside what one fdatasync per edit would give here.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from minihdfs.client.namenode_calls import NamenodeClient
from minihdfs.pb import hadoop_hdfs_pb2 as hdfs
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import hadoop_rpc

CALLERS = 32
CLIENT_ID = os.urandom(16)


def serve(directory: str) -> None:
    """The other process: prints its address, serves until its standard input ends."""
    from coordinator.backends.memory import MemoryCoordinator, MemoryHub
    from minihdfs.namenode.core.options import Options
    from minihdfs.namenode.service import NamenodeService, NamenodeServiceOptions

    core = Options(cluster_id="", superuser="bench")
    service = NamenodeService(
        NamenodeServiceOptions(node_id="nn1", data_dir=Path(directory), core=core),
        MemoryCoordinator(MemoryHub()),
    )
    service.start()
    print(service.address, flush=True)
    sys.stdin.read()
    service.stop()
    service.wait()


def drive(address: str, scripts: list[Iterator[bytes]]) -> tuple[int, float]:
    """Runs every caller's calls, one at a time each, all callers together; (calls answered,
    seconds)."""
    host, _, port = address.rpartition(":")
    poll, callers = select.epoll(), {}
    for script in scripts:
        sock = socket.create_connection((host, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(hadoop_rpc.encode_opening("bench", CLIENT_ID))
        callers[sock.fileno()] = (sock, script)
        poll.register(sock.fileno(), select.EPOLLIN)
    began, answered = time.perf_counter(), 0
    for sock, script in callers.values():
        sock.sendall(next(script))
    while callers:
        for fd, _mask in poll.poll():
            sock, script = callers[fd]
            answer = sock.recv(65536)
            if answer[5:9].find(b"\x10\x01") >= 0:
                raise SystemExit(f"refused: {answer!r}")
            answered += 1
            call = next(script, None)
            if call is None:
                poll.unregister(fd)
                sock.close()
                del callers[fd]
            else:
                sock.sendall(call)
    return answered, time.perf_counter() - began


def call(call_id: int, method: str, request: object) -> bytes:
    return hadoop_rpc.encode_call(
        call_id, CLIENT_ID, 0, hadoop_rpc.CLIENT_PROTOCOL, method, request
    )  # type: ignore[arg-type]


def reads(count: int) -> Iterator[bytes]:
    frame = call(1, "getFileInfo", nn.GetFileInfoRequest(src="/bench/some/file"))
    return (frame for _ in range(count))


def edits(caller: int, count: int) -> Iterator[bytes]:
    frames = []
    for index in range(count // 2):
        path, ids = f"/bench/{caller}/f{index}", 2 * (caller * count + index)
        create = nn.CreateRequest(
            src=path,
            masked=hdfs.FsPermission(perm=0o644),
            clientName=f"c{caller}",
            createFlag=1,
            createParent=True,
            replication=1,
            blockSize=1 << 20,
        )
        frames += [
            call(ids, "create", create),
            call(ids + 1, "complete", nn.CompleteRequest(src=path, clientName=f"c{caller}")),
        ]
    return iter(frames)


def fdatasync_rate(directory: str, seconds: float = 1.0) -> float:
    fd = os.open(Path(directory) / "probe", os.O_RDWR | os.O_CREAT)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        os.write(fd, b"x" * 200)
        os.fdatasync(fd)
        count += 1
    os.close(fd)
    return count / (time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reads", type=int, default=100_000)
    parser.add_argument("--edits", type=int, default=40_000)
    parser.add_argument("--serve", metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [sys.executable, __file__, "--serve", f"{directory}/nn"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None and server.stdin is not None
        address = server.stdout.readline().strip()
        client = NamenodeClient(address, "bench")
        client.create("/bench/some/file", "setup")
        client.complete("/bench/some/file", "setup")
        answered, seconds = drive(
            address, [reads(options.reads // CALLERS) for _ in range(CALLERS)]
        )
        sys.stdout.write(
            f"getFileInfo    {answered / seconds:9,.0f}/s   ({CALLERS} callers, {answered:,} "
            "calls)\n"
        )
        answered, seconds = drive(
            address, [edits(caller, options.edits // CALLERS) for caller in range(CALLERS)]
        )
        sys.stdout.write(
            f"durable edits  {answered / seconds:9,.0f}/s   ({CALLERS} callers, {answered:,} "
            "calls)\n"
        )
        sys.stdout.write(
            f"fdatasync      {fdatasync_rate(directory):9,.0f}/s   (one at a time, same disk)\n"
        )
        server.stdin.close()
        server.wait(20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
