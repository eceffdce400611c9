"""A namenode in memory and scripted datanodes on real sockets, for the client's own tests.

A `FakeDatanode` speaks both data protocols as `minihdfs.wire.data_transfer` and
`minihdfs.wire.local_fd` say, and misbehaves on order.
"""

from __future__ import annotations

import itertools
import socket
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from minihdfs.checksum import checksums_of, first_bad_chunk
from minihdfs.errors import FileAlreadyExists, FileNotFound, NoDatanodes
from minihdfs.model import (
    BlockRef,
    DatanodeAddress,
    FileStatus,
    LocatedBlock,
    LocatedBlocks,
    ServerDefaults,
)
from minihdfs.wire import data_transfer as dt
from minihdfs.wire import local_fd
from minihdfs.wire.streams import receive_bytes, receive_delimited


class FakeDatanode:
    """`faults` may hold: corrupt (flips a bit of what it reads), silent (accepts, never answers),
    refuse (answers every operation with an error), hangup (closes in the middle of a read),
    die_after:N (a write's connection is cut after N packets), nack:N (acknowledges packet N with an
    error), deaf (a write in progress is heard no longer). Lies: chunk:N (says that checksums are of
    N bytes each), unsummed (says that there are none), ahead (begins behind what was asked for),
    huge (announces a packet of gigabytes), crowd (a packet whose checksums are many more than its
    chunks), endless (sends more and more), babbles (an acknowledgement that does not end), chatters
    (acknowledges heartbeats that nobody sent, and nothing else)."""

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        domain_socket: bool = False,
        packet_bytes: int = 1 << 16,
    ) -> None:
        self.blocks: dict[int, bytes] = {}
        self.stamps: dict[int, int] = {}
        self.faults: set[str] = set()
        self.operations: list[dt.Operation] = []
        self.synced: set[int] = set()
        self.fd_requests = 0
        self.endless = 0
        self.connections = 0
        self._released = threading.Event()
        self._packet_bytes, self._directory = packet_bytes, directory
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        path = tempfile.mktemp(prefix=name, dir=directory) if domain_socket else ""
        self.address = DatanodeAddress(
            name, "127.0.0.1", f"host-{name}", self._tcp.getsockname()[1], 0, domain_socket=path
        )
        self._unix: socket.socket | None = None
        self._start(self._tcp, self._serve)
        if path:
            self._unix = socket.socket(socket.AF_UNIX)
            self._unix.bind(path)
            self._unix.listen()
            self._start(self._unix, self._serve_descriptors)

    def fault(self, word: str) -> int | None:
        """The number after `word:` when that fault is on (0 for one without a number)."""
        for fault in self.faults:
            name, _, number = fault.partition(":")
            if name == word:
                return int(number or 0)
        return None

    def kill(self) -> None:
        """Closes everything at once, as SIGKILL does."""
        self._released.set()
        for listener in (self._tcp, self._unix):
            if listener is not None:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
        for sock in list(self._open):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.shutdown(socket.SHUT_RDWR)

    def _start(self, listener: socket.socket, serve: object) -> None:
        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                self.connections += 1
                self._open.append(sock)
                threading.Thread(target=self._guarded, args=(serve, sock), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _guarded(self, serve: object, sock: socket.socket) -> None:
        with suppress(OSError, dt.WireError), sock:
            serve(sock)  # type: ignore[operator]

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    def _serve(self, sock: socket.socket) -> None:
        while True:
            _, opcode = dt.OP_PREFIX.unpack(receive_bytes(sock, dt.OP_PREFIX.size))
            operation = dt.decode_operation(opcode, receive_delimited(sock))
            self.operations.append(operation)
            if self.fault("silent") is not None:
                sock.recv(1)
            elif self.fault("refuse") is not None:
                sock.sendall(dt.encode_reply(dt.OpReply(dt.Status.ERROR, "told to refuse")))
                return
            elif isinstance(operation, dt.ReadBlock):
                self._send_block(sock, operation)
            elif isinstance(operation, dt.WriteBlock):
                self._receive_block(sock, operation)
                return

    def _send_block(self, sock: socket.socket, read: dt.ReadBlock) -> None:
        data = self.blocks.get(read.block.id)
        if data is None:
            sock.sendall(
                dt.encode_reply(dt.OpReply(dt.Status.ERROR, f"blk_{read.block.id} is not here"))
            )
            return
        chunk = 512
        start = read.offset // chunk * chunk
        end = min(len(data), -(-(read.offset + read.length) // chunk) * chunk)
        said = dt.Checksum(dt.ChecksumType.CRC32C, chunk)
        if self.fault("chunk") is not None:
            said = dt.Checksum(dt.ChecksumType.CRC32C, self.fault("chunk") or 0)
        elif self.fault("unsummed") is not None:
            said = dt.Checksum(dt.ChecksumType.NULL, chunk)
        offset = start + chunk if self.fault("ahead") is not None else start
        sock.sendall(
            dt.encode_reply(dt.OpReply(dt.Status.SUCCESS, checksum=said, chunk_offset=offset))
        )
        if self.fault("huge") is not None:
            sock.sendall(dt.PACKET_PREFIX.pack(2_000_000_000, 25) + bytes(100))
        for seqno, at in enumerate(range(start, end, self._packet_bytes)):
            piece = data[at : min(end, at + self._packet_bytes)]
            sums = checksums_of(piece, chunk)
            if self.fault("corrupt") is not None:
                piece = bytes([piece[0] ^ 1]) + piece[1:]
            if self.fault("hangup") is not None and seqno == 1:
                raise ConnectionError("told to hang up")
            if self.fault("crowd") is not None:
                sums *= 500
            sock.sendall(dt.encode_packet_header(at, seqno, len(piece), len(sums)) + sums + piece)
        while self.fault("endless") is not None:
            self.endless += 1
            sock.sendall(
                dt.encode_packet_header(end, 99, 1 << 20, 8192) + bytes(8192) + bytes(1 << 20)
            )
        sock.sendall(dt.encode_packet_header(end, 99, 0, 0, last=True))
        assert dt.decode_read_status(receive_delimited(sock)) == dt.Status.CHECKSUM_OK

    def _serve_descriptors(self, sock: socket.socket) -> None:
        while True:
            request = local_fd.decode_request(receive_bytes(sock, local_fd.REQUEST_BYTES))
            self.fd_requests += 1
            data = self.blocks.get(request.block_id)
            if data is None:
                refused = local_fd.FdReply(local_fd.NOT_HERE, reason="not here")
                with open("/dev/null", "rb") as extra:  # that nobody asked for
                    socket.send_fds(sock, [local_fd.encode_fd_reply(refused)], [extra.fileno()])
                continue
            sums = checksums_of(data, 512)
            if self.fault("corrupt") is not None:
                data = data[:-1] + bytes([data[-1] ^ 1])
            with (
                tempfile.TemporaryFile(dir=self._directory) as block,
                tempfile.TemporaryFile(dir=self._directory) as meta,
            ):
                block.write(data)
                meta.write(b"head" + sums)
                block.flush()
                meta.flush()
                reply = local_fd.encode_fd_reply(
                    local_fd.FdReply(local_fd.OK, 2, 512, 4, len(data))
                )
                socket.send_fds(sock, [reply], [block.fileno(), meta.fileno()])

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    def _receive_block(self, sock: socket.socket, write: dt.WriteBlock) -> None:
        mirror: socket.socket | None = None
        if write.targets:
            target = write.targets[0]
            try:
                mirror = socket.create_connection(
                    (target.host, target.xfer_port), timeout=0.4 * len(write.targets)
                )
                onward = dt.WriteBlock(
                    write.block,
                    write.client_name,
                    write.targets[1:],
                    write.stage,
                    write.pipeline_size,
                    write.checksum,
                )
                mirror.sendall(dt.encode_operation(onward))
                reply = dt.decode_reply(receive_delimited(mirror))
            except OSError as error:
                reply = dt.OpReply(dt.Status.ERROR, str(error), f"{target.host}:{target.xfer_port}")
            if reply.status != dt.Status.SUCCESS:
                link = reply.first_bad_link or f"{target.host}:{target.xfer_port}"
                sock.sendall(dt.encode_reply(dt.OpReply(dt.Status.ERROR, reply.message, link)))
                return
        sock.sendall(dt.encode_reply(dt.OpReply(dt.Status.SUCCESS)))
        while self.fault("babbles") is not None:
            sock.sendall(b"\xff\xff\xff\x7f" + bytes(1 << 16))
        while self.fault("chatters") is not None:
            sock.sendall(dt.encode_ack(dt.Ack(dt.HEARTBEAT_SEQNO, (0,))))
            self._released.wait(0.01)
        data = bytearray()
        for count in itertools.count():
            prefix = receive_bytes(sock, dt.PACKET_PREFIX.size)
            payload, header_bytes = dt.decode_packet_prefix(prefix)
            raw = receive_bytes(sock, header_bytes)
            header = dt.decode_packet_header(raw, payload)
            body = receive_bytes(sock, payload)
            if self.fault("deaf") is not None:
                self._released.wait(10)
                return
            if self.fault("die_after") == count:
                if mirror is not None:
                    mirror.close()
                return
            replies: tuple[int, ...] = (dt.Status.SUCCESS,)
            if mirror is not None:
                mirror.sendall(prefix + raw + body)
                try:
                    replies += dt.decode_ack(receive_delimited(mirror)).replies
                except OSError:
                    replies += (dt.Status.ERROR,) * len(write.targets)
            if self.fault("nack") == count:
                replies = (dt.Status.ERROR_CHECKSUM, *replies[1:])
            if header.seqno != dt.HEARTBEAT_SEQNO:
                assert header.offset == len(data)
                sums, piece = body[: header.checksum_bytes], body[header.checksum_bytes :]
                assert first_bad_chunk(piece, sums, write.checksum.bytes_per_checksum) is None
                data += piece
            if header.last:
                self.blocks[write.block.id], self.stamps[write.block.id] = (
                    bytes(data),
                    write.block.stamp,
                )
                if header.sync:
                    self.synced.add(write.block.id)
            sock.sendall(dt.encode_ack(dt.Ack(header.seqno, replies)))
            if header.last:
                return


class FakeNamenode:
    """Files as lists of blocks; places every block on all datanodes that are not excluded, in
    order."""

    def __init__(
        self,
        datanodes: Sequence[FakeDatanode],
        *,
        block_bytes: int = 1 << 20,
        packet_bytes: int = 1 << 16,
    ) -> None:
        self.datanodes = list(datanodes)
        self.files: dict[str, list[LocatedBlock]] = {}
        self.open_files: set[str] = set()
        self.bad: list[tuple[int, str]] = []
        self.abandoned: list[int] = []
        self.excluded: list[tuple[str, ...]] = []
        self.renewed = threading.Event()
        self.completes_to_refuse = 0
        self.location_calls = 0
        self.defaults = ServerDefaults(block_bytes, 512, packet_bytes, 3)
        self._ids = itertools.count(1)
        self._inodes: dict[str, int] = {}

    def put(
        self,
        path: str,
        data: bytes,
        block_bytes: int,
        holders: Sequence[FakeDatanode] | None = None,
    ) -> None:
        blocks = []
        for at in range(0, len(data), block_bytes):
            block = BlockRef(next(self._ids), 1001, len(data[at : at + block_bytes]))
            for holder in holders or self.datanodes:
                holder.blocks[block.id] = data[at : at + block_bytes]
            blocks.append(
                LocatedBlock(block, at, tuple(d.address for d in holders or self.datanodes))
            )
        self.files[path] = blocks

    def content(self, path: str, datanode: FakeDatanode) -> bytes:
        return b"".join(datanode.blocks[b.block.id] for b in self.files[path])

    def get_block_locations(self, path: str, offset: int, length: int) -> LocatedBlocks:
        self.location_calls += 1
        if path not in self.files:
            raise FileNotFound(f"{path} does not exist")
        blocks = self.files[path]
        total = sum(b.block.length for b in blocks)
        wanted = tuple(
            b for b in blocks if b.offset < offset + length and b.offset + b.block.length > offset
        )
        writing = path in self.open_files
        return LocatedBlocks(total, wanted, writing, blocks[-1] if blocks else None, not writing)

    def get_file_info(self, path: str) -> FileStatus | None:
        if path not in self.files:
            return None
        length = sum(b.block.length for b in self.files[path])
        return FileStatus(
            self._inodes.get(path, 0),
            b"",
            False,
            length,
            3,
            self.defaults.block_bytes,
            0o644,
            "me",
            "us",
            0,
            0,
        )

    def get_server_defaults(self) -> ServerDefaults:
        return self.defaults

    def report_bad_blocks(self, replicas: Sequence[tuple[BlockRef, DatanodeAddress]]) -> None:
        self.bad += [(block.id, address.uuid) for block, address in replicas]

    def create(
        self,
        path: str,
        client_name: str,
        *,
        permission: int = 0o644,
        overwrite: bool = False,
        create_parents: bool = True,
        replication: int = 0,
        block_bytes: int = 0,
    ) -> FileStatus:
        if path in self.files and not overwrite:
            raise FileAlreadyExists(f"{path} exists")
        self.files[path], self._inodes[path] = [], next(self._ids)
        self.open_files.add(path)
        return FileStatus(
            self._inodes[path],
            b"",
            False,
            0,
            replication or 3,
            block_bytes or self.defaults.block_bytes,
            permission,
            "me",
            "us",
            0,
            0,
        )

    def add_block(
        self,
        path: str,
        client_name: str,
        inode_id: int = 0,
        previous: BlockRef | None = None,
        exclude: Sequence[DatanodeAddress] = (),
        favored: Sequence[str] = (),
    ) -> LocatedBlock:
        self._commit(path, previous)
        shut = {address.uuid for address in exclude}
        self.excluded.append(tuple(sorted(shut)))
        targets = tuple(d.address for d in self.datanodes if d.address.uuid not in shut)
        if not targets:
            raise NoDatanodes(f"no datanode for {path}: {len(shut)} excluded")
        offset = sum(b.block.length for b in self.files[path])
        located = LocatedBlock(BlockRef(next(self._ids), 1001, 0), offset, targets)
        self.files[path].append(located)
        return located

    def abandon_block(self, path: str, client_name: str, inode_id: int, block: BlockRef) -> None:
        self.abandoned.append(block.id)
        self.files[path] = [b for b in self.files[path] if b.block.id != block.id]

    def complete(
        self, path: str, client_name: str, inode_id: int = 0, last: BlockRef | None = None
    ) -> bool:
        self._commit(path, last)
        if self.completes_to_refuse:
            self.completes_to_refuse -= 1
            return False
        self.open_files.discard(path)
        return True

    def abandon_file(self, inode_id: int, client_name: str) -> bool:
        path = next(
            (
                path
                for path, known in self._inodes.items()
                if known == inode_id and path in self.open_files
            ),
            None,
        )
        return path is not None and self.files.pop(path, None) is not None

    def renew_lease(self, client_name: str) -> None:
        self.renewed.set()

    def delete(self, path: str, recursive: bool = False) -> bool:
        return self.files.pop(path, None) is not None

    def close(self) -> None:
        pass

    def _commit(self, path: str, block: BlockRef | None) -> None:
        if block is not None:
            last = self.files[path][-1]
            assert last.block.id == block.id
            self.files[path][-1] = LocatedBlock(block, last.offset, last.locations)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
