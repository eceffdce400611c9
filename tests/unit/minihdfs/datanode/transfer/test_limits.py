"""What strangers may take of a datanode: connections, threads, time, memory. Nothing here measures
time; options make waits short."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from clusterkit.listening import format_address, listen, own_address
from minihdfs.checksum import checksums_of
from minihdfs.datanode.transfer import guests as guests_module
from minihdfs.datanode.transfer.buffers import FREE_BYTES, Buffers
from minihdfs.datanode.transfer.guests import Guest, Guests, affordable
from minihdfs.datanode.transfer.packets import PacketReceiver
from minihdfs.model import BlockRef
from minihdfs.wire import data_transfer as dt
from minihdfs.wire.streams import receive_delimited, receive_into, send_buffers, set_timeouts
from tests.unit.minihdfs.datanode.nodes import BIG, Writer, ask, connect, nodes, read, write

DATA = os.urandom(300_000)
BLOCK = BlockRef(7, 1, len(DATA))


def ended(sock: socket.socket) -> bool:
    with suppress(ConnectionResetError):
        return sock.recv(1) == b""
    return True


# ── connections ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0",
        dt.OP_PREFIX.pack(dt.VERSION, dt.Opcode.READ_BLOCK),
        b"\0\x1c\x51\xff\xff\x03half a request",
    ],
)
def test_silent_connections_make_room_for_those_that_want_something(
    tmp_path: Path, said: bytes
) -> None:
    with nodes(tmp_path, 1, connections_max=8) as (node,), ExitStack() as stack:
        write([node], 7, DATA)
        silent = []
        for _ in range(30):
            silent.append(stack.enter_context(connect(node.address)))
            silent[-1].sendall(said)
        for _ in range(3):
            with connect(node.address) as sock:
                assert read(sock, BLOCK, 0, len(DATA)) == DATA
        assert len(node.server._connections.guests) <= 8 and ended(silent[0])


def test_silent_connections_to_the_descriptor_socket_make_room_too(tmp_path: Path) -> None:
    with nodes(tmp_path, 1, connections_max=8) as (node,), ExitStack() as stack:
        write([node], 7, DATA)
        for _ in range(20):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(10)
            sock.connect(node.address.domain_socket)
        assert len(node.descriptors._connections.guests) <= 8


def guest(host: str = "h", *, works: bool = False, age_s: float = 0) -> Guest:
    one = Guest(socket.socket(), host)
    one.works = works
    one.moved_s -= age_s
    return one


def admitted(guests: Guests, *ones: Guest) -> list[bool]:
    return [guests.admit(one, threading.Thread()) for one in ones]


def test_who_ends_for_a_newcomer() -> None:
    guests = Guests(4)
    busy, stalled, idle, older = (
        guest(works=True),
        guest(works=True, age_s=60),
        guest("i"),
        guest("j", age_s=5),
    )
    assert admitted(guests, busy, stalled, idle) == [True] * 3 and guests.most_per_host == 3
    assert admitted(guests, older) == [True]
    newer = [guest("k", works=True), guest("l", works=True), guest("m", works=True)]
    assert (
        admitted(guests, newer[0]) == [True] and older not in guests._here and idle in guests._here
    )
    assert (
        admitted(guests, newer[1]) == [True]
        and idle not in guests._here
        and stalled in guests._here
    )
    assert (
        admitted(guests, newer[2]) == [True]
        and stalled not in guests._here
        and busy in guests._here
    )
    assert admitted(guests, guest("n")) == [False]  # all get on


def test_one_host_makes_room_among_its_own() -> None:
    guests = Guests(8)
    others = [guest("quiet", age_s=100), guest("quiet", age_s=100)]
    assert all(admitted(guests, *others))
    flood = [guest("loud") for _ in range(40)]
    assert all(admitted(guests, *flood)) and len(guests) == 8
    assert all(other in guests._here for other in others)
    assert sum(1 for one in guests._here if one.host == "loud") == guests.most_per_host


def test_the_limit_follows_from_the_descriptors_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests_module.resource, "getrlimit", lambda _which: (1024, 4096))
    assert 6 * affordable() + 128 <= 1024 and Guests(5000).most == affordable()
    monkeypatch.setattr(guests_module.resource, "getrlimit", lambda _which: (64, 64))
    assert affordable() == 8


# ── time ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_that_trickles_in_ends(tmp_path: Path) -> None:
    with nodes(tmp_path, 1, idle_s=0.2, request_s=0.2) as (node,), connect(node.address) as sock:
        sock.sendall(dt.OP_PREFIX.pack(dt.VERSION, dt.Opcode.READ_BLOCK) + b"\xff\x7f")
        with suppress(OSError):
            for _ in range(1000):  # each byte comes before the next timeout
                sock.sendall(b"\0")
                sock.settimeout(0.05)
                with suppress(TimeoutError):
                    if sock.recv(1) == b"":
                        break
            else:
                raise AssertionError("it still listens")


def test_bytes_in_trickles_meet_a_deadline() -> None:
    here, there = socket.socketpair()
    with here, there:
        set_timeouts(here, 5)
        there.sendall(b"a")
        there.shutdown(socket.SHUT_WR)
        with pytest.raises(TimeoutError, match="too slowly"):
            receive_into(here, memoryview(bytearray(10)), deadline_s=1e-9)


def test_a_reader_that_takes_its_time_meets_a_deadline() -> None:
    here, there = socket.socketpair()
    with here, there:
        set_timeouts(here, 0.05)
        with pytest.raises(TimeoutError):
            send_buffers(here, [b"x" * (8 << 20)], deadline_s=1e-9)


# ── memory ────────────────────────────────────────────────────────────────────────────────────────


def test_announced_packets_are_counted_before_memory_is_taken() -> None:
    buffers = Buffers(4 << 20)
    here, there = socket.socketpair()
    with here, there, PacketReceiver(here, buffers) as packets:
        set_timeouts(here, 5)
        there.sendall(dt.encode_packet_header(0, 0, 15 << 20, 4 * 240))
        with pytest.raises(dt.WireError, match="no room for a packet"):
            packets._buffers = _impatient(buffers)
            packets.receive()
    assert buffers.taken == 0
    with PacketReceiver(here, buffers) as packets:
        packets._grow(3 << 20)
        assert buffers.taken == 3 << 20 and not buffers.try_take(2 << 20)
    assert buffers.taken == 0 and buffers.try_take(2 << 20)


def _impatient(buffers: Buffers) -> Buffers:
    buffers._changed.wait_for = lambda predicate, _timeout=None: predicate()  # type: ignore[method-assign, assignment]
    return buffers


def test_readers_get_smaller_packets_when_memory_is_short(tmp_path: Path) -> None:
    with nodes(tmp_path, 1, buffers_bytes=300_000) as (node,):
        data = os.urandom(3_000_001)
        write([node], 7, data, packet=100_000 - 100_000 % 65536)
        node.context.buffers.take(250_000)
        with connect(node.address) as sock:
            for _ in range(2):
                assert (
                    read(sock, BlockRef(7, 1, len(data)), 1000, 2_500_000) == data[1000:2_501_000]
                )
        assert FREE_BYTES <= 300_000
    assert node.context.buffers.taken <= 300_000


@pytest.mark.parametrize("size", [0, 1, 511, dt.MAX_BYTES_PER_CHECKSUM + 1, 1 << 31])
def test_a_chunk_too_small_or_too_large_is_refused_in_words(tmp_path: Path, size: int) -> None:
    with nodes(tmp_path, 1) as (node,):
        writer = Writer([node], BlockRef(9, 1, 0), dt.Checksum(dt.ChecksumType.CRC32C, size))
        assert (
            writer.reply.status == dt.Status.ERROR
            and f"one checksum per {size} bytes is not taken" in writer.reply.message
        )
        writer.sock.close()
        assert node.store.get(9) is None


def test_the_smallest_chunk_is_taken(tmp_path: Path) -> None:
    checksum = dt.Checksum(dt.ChecksumType.CRC32C, dt.MIN_BYTES_PER_CHECKSUM)
    with nodes(tmp_path, 1) as (node,):
        write([node], 7, DATA, checksum)
        with connect(node.address) as sock:
            assert read(sock, BLOCK, 0, len(DATA)) == DATA
    assert checksums_of(b"", 512) == b"" and BIG.bytes_per_checksum > dt.MIN_BYTES_PER_CHECKSUM


def test_a_pipeline_of_thousands_is_refused(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (node,):
        targets = (node.address,) * (dt.MAX_PIPELINE + 1)
        for operation in (
            dt.WriteBlock(BLOCK, "c", targets, 6, 1, BIG),
            dt.TransferBlock(BLOCK, "c", targets),
        ):
            with connect(node.address) as sock:
                assert "the limit is 64" in ask(sock, operation).message


# ── either family of addresses ────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_blocks_are_served_on_ipv6(tmp_path: Path) -> None:
    try:
        listen("::1", 0).close()
    except OSError:
        pytest.skip("no IPv6 loopback")
    with nodes(tmp_path, 2, host="::1") as (first, second):
        assert write([first, second], 7, DATA)[-1].replies == (0, 0)
        with connect(second.address) as sock:
            assert sock.family == socket.AF_INET6 and read(sock, BLOCK, 0, len(DATA)) == DATA


def test_listening_everywhere_serves_both_families() -> None:
    for host in ("", "::", "0.0.0.0", "localhost"):
        with (
            listen(host, 0) as listener,
            socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5),
        ):
            pass
    assert format_address("::1", 5) == "[::1]:5" and format_address("h", 5) == "h:5"
    assert own_address(False)


def test_a_reply_needs_no_thousand_bytes() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"\xff\xff\xff\xff\xff")
        with pytest.raises(dt.WireError):
            receive_delimited(here)
