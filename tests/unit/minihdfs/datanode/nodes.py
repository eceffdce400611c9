"""Datanodes without an agent, on real sockets and disks, and a client that follows a script to the
letter."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minihdfs.checksum import checksums_of, first_bad_chunk
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.files.volume import Volume
from minihdfs.datanode.replicator import Replicator
from minihdfs.datanode.transfer.context import TransferContext, TransferOptions
from minihdfs.datanode.transfer.fd_server import DescriptorServer
from minihdfs.datanode.transfer.server import TransferServer
from minihdfs.model import BlockRef, DatanodeAddress
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_bytes, receive_delimited

BIG = dt.Checksum(dt.ChecksumType.CRC32C, 65536)
SMALL = dt.Checksum(dt.ChecksumType.CRC32C, 512)


class Node:
    def __init__(self, root: Path, name: str, host: str = "127.0.0.1", **options: float) -> None:
        self.root, self.name = root / name, name
        self.heard: list[tuple[str, BlockRef]] = []
        self.store = BlockStore([Volume.open(self.root / "blocks", name, "c1", 0)])
        self.context = TransferContext(
            self.store,
            TransferOptions(**{"packet_s": 10} | options),  # type: ignore[arg-type]
            finalized=lambda block: self.heard.append(("finalized", block)),
            tell_bad=lambda block: self.heard.append(("bad", block)),
            suspected=lambda block: self.heard.append(("suspected", block)),
            gone=lambda block: self.heard.append(("gone", block)),
        )
        self.replicator = Replicator(self.context)
        self.server = TransferServer(self.context, self.replicator.transfer)
        port = self.server.start(host, 0)
        self.descriptors = DescriptorServer(self.context)
        path = self.descriptors.start(self.root / "fd.sock")
        self.address = DatanodeAddress(name, host, "localhost", port, 0, domain_socket=path)

    @property
    def link(self) -> str:
        return f"127.0.0.1:{self.address.xfer_port}"

    def stop(self) -> None:
        self.server.stop()
        self.descriptors.stop()

    def block_file(self, block_id: int) -> Path:
        return next(self.root.rglob(f"blk_{block_id}"))

    def files(self, block_id: int) -> list[str]:
        return sorted(
            str(path.relative_to(self.root / "blocks"))
            for path in self.root.rglob(f"blk_{block_id}*")
        )


@contextmanager
def nodes(
    root: Path, count: int, *, host: str = "127.0.0.1", **options: float
) -> Iterator[list[Node]]:
    running = [Node(root, f"d{i + 1}", host, **options) for i in range(count)]
    try:
        yield running
    finally:
        for node in running:
            node.stop()


def connect(address: DatanodeAddress) -> socket.socket:
    return socket.create_connection((address.host, address.xfer_port), timeout=20)


def ask(sock: socket.socket, operation: dt.Operation) -> dt.OpReply:
    sock.sendall(dt.encode_operation(operation))
    return dt.decode_reply(receive_delimited(sock))


class Writer:
    """A WRITE_BLOCK, step by step."""

    def __init__(
        self,
        pipeline: Sequence[Node],
        block: BlockRef,
        checksum: dt.Checksum = BIG,
        *,
        client: str = "client_1",
        stage: int = 6,
    ) -> None:
        self.checksum, self.seqno, self.offset = checksum, 0, 0
        targets = tuple(node.address for node in pipeline[1:])
        self.sock = connect(pipeline[0].address)
        self.reply = ask(
            self.sock, dt.WriteBlock(block, client, targets, stage, len(pipeline), checksum)
        )

    def send(
        self,
        data: bytes,
        *,
        last: bool = False,
        sync: bool = False,
        offset: int | None = None,
        sums: bytes | None = None,
    ) -> None:
        at = self.offset if offset is None else offset
        sums = checksums_of(data, self.checksum.bytes_per_checksum) if sums is None else sums
        self.sock.sendall(
            dt.encode_packet_header(at, self.seqno, len(data), len(sums), last=last, sync=sync)
            + sums
            + data
        )
        self.offset = at + len(data)
        self.seqno += 1

    def heartbeat(self) -> None:
        self.sock.sendall(dt.encode_packet_header(0, dt.HEARTBEAT_SEQNO, 0, 0))

    def ack(self) -> dt.Ack:
        return dt.decode_ack(receive_delimited(self.sock))

    def whole(self, data: bytes, packet: int) -> list[dt.Ack]:
        """All of a block: packets, the last one, and what was acknowledged."""
        for at in range(0, len(data), packet):
            self.send(data[at : at + packet])
        self.send(b"", last=True)
        acks = [self.ack() for _ in range(self.seqno)]
        self.sock.close()
        return acks


def write(
    pipeline: Sequence[Node],
    block_id: int,
    data: bytes,
    checksum: dt.Checksum = BIG,
    packet: int = 1 << 20,
) -> list[dt.Ack]:
    writer = Writer(pipeline, BlockRef(block_id, 1, 0), checksum)
    assert writer.reply.status == dt.Status.SUCCESS, writer.reply
    return writer.whole(data, packet)


def read(sock: socket.socket, block: BlockRef, offset: int, length: int) -> bytes:
    """A range, verified, and the connection left for the next. Raises AssertionError at a bad
    chunk."""
    reply = ask(sock, dt.ReadBlock(block, "client_1", offset, length))
    assert reply.status == dt.Status.SUCCESS and reply.checksum is not None, reply
    got, at = b"", reply.chunk_offset
    while True:
        payload, size = dt.decode_packet_prefix(receive_bytes(sock, dt.PACKET_PREFIX.size))
        header = dt.decode_packet_header(receive_bytes(sock, size), payload)
        if header.last:
            break
        sums, data = (
            receive_bytes(sock, header.checksum_bytes),
            receive_bytes(sock, header.data_bytes),
        )
        assert header.offset == at + len(got)
        assert (
            first_bad_chunk(data, sums, reply.checksum.bytes_per_checksum, reply.checksum.type)
            is None
        ), f"bad chunk at {header.offset}"
        got += data
    sock.sendall(dt.encode_read_status(dt.Status.CHECKSUM_OK))
    return got[offset - at : offset - at + length]
