from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit.errors import CorruptRecord
from mapreduce.wire import shuffle as wire
from mapreduce.worker import shuffle_server
from mapreduce.worker.shuffle_peers import Peer, Peers
from mapreduce.worker.shuffle_server import SegmentPlace, ServedOutput, ShuffleServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ShuffleServer]:
    (tmp_path / "data").write_bytes(b"0123456789")

    def read(job_id: str, attempt_id: str) -> ServedOutput:
        if attempt_id != "m0":
            raise FileNotFoundError(attempt_id)
        return ServedOutput(
            tmp_path / "data",
            [SegmentPlace(2, 3, 77), SegmentPlace(5, 0, 0), SegmentPlace(8, 9, 1)],
        )

    made = ShuffleServer("127.0.0.1", 0, read)
    made.start()
    made.offer("j", "m0")
    yield made
    made.stop()


class OnceWithoutDescriptors(socket.socket):
    """A listener that cannot accept at its first try."""

    failures = 1

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_a_moment_without_descriptors_does_not_deafen_the_server(
    server: ShuffleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ShuffleServer("127.0.0.1", 0, server._read_output)
    monkeypatch.setattr(other, "_listener", OnceWithoutDescriptors(fileno=other._listener.detach()))
    other.start()
    other.offer("j", "m0")
    assert ask(other, wire.SegmentRequest("j", "m0", 0)) == [(wire.OK, b"234", 77)]
    other.stop()


def ask(server: ShuffleServer, *requests: wire.SegmentRequest) -> list[tuple[int, bytes, int]]:
    """(status, bytes, crc) of each, over one connection."""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
        connection.makefile("rb") as replies,
    ):
        found = []
        for request in requests:
            connection.sendall(wire.encode_request(request))
            head = wire.decode_reply(replies.read(wire.REPLY_HEAD.size))
            found.append((head.status, replies.read(head.length), head.crc32c))
        return found


def test_serves_segments_one_after_the_other_over_one_connection(server: ShuffleServer) -> None:
    requests = [
        wire.SegmentRequest("j", "m0", 0),
        wire.SegmentRequest("j", "m0", 1),
        wire.SegmentRequest("j", "m0", 0),
    ]
    assert ask(server, *requests) == [
        (wire.OK, b"234", 77),
        (wire.OK, b"", 0),
        (wire.OK, b"234", 77),
    ]


def test_says_not_here_and_goes_on(server: ShuffleServer) -> None:
    (missing, reason, _), (ok, _, _) = ask(
        server, wire.SegmentRequest("j", "m1", 0), wire.SegmentRequest("j", "m0", 0)
    )
    assert (missing, ok) == (wire.NOT_HERE, wire.OK)
    assert b"m1" in reason


def test_a_name_is_never_a_path(server: ShuffleServer) -> None:
    assert [
        status
        for status, _, _ in ask(
            server, wire.SegmentRequest("j", "../m0", 0), wire.SegmentRequest("j/../j", "m0", 0)
        )
    ] == [
        wire.NOT_HERE,
        wire.NOT_HERE,
    ]


def test_refuses_a_partition_that_is_not(server: ShuffleServer) -> None:
    assert ask(server, wire.SegmentRequest("j", "m0", 3))[0][0] == wire.REFUSED


def test_what_is_withdrawn_is_not_here(server: ShuffleServer) -> None:
    server.withdraw("j")
    assert ask(server, wire.SegmentRequest("j", "m0", 0))[0][0] == wire.NOT_HERE


def test_an_output_whose_table_cannot_be_read_is_not_here(server: ShuffleServer) -> None:
    server.offer("j", "m9")
    assert ask(server, wire.SegmentRequest("j", "m9", 0))[0][0] == wire.NOT_HERE


def test_a_file_shorter_than_its_table_is_not_here(server: ShuffleServer) -> None:
    assert ask(server, wire.SegmentRequest("j", "m0", 2))[0][0] == wire.NOT_HERE


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"MRS1\xff\xff\xff\xff" + bytes(4), b"MRS1" + bytes(8)]
)
def test_garbage_ends_the_connection_and_nothing_else(
    server: ShuffleServer, garbage: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(garbage)
        with contextlib.suppress(
            ConnectionResetError
        ):  # what it did not read yet makes the kernel say it this way
            assert connection.recv(100) == b""
    assert ask(server, wire.SegmentRequest("j", "m0", 0))[0][0] == wire.OK


def test_replies_that_make_no_sense_are_refused() -> None:
    for data in (
        b"X" * wire.REPLY_HEAD.size,
        wire.REPLY_HEAD.pack(wire.MAGIC, 9, 1, 0, 0),
        wire.REPLY_HEAD.pack(wire.MAGIC, 1, 1, 1 << 40, 0),
    ):
        with pytest.raises(CorruptRecord):
            wire.decode_reply(data)


def test_a_crowd_that_says_nothing_keeps_no_reduce_out(server: ShuffleServer) -> None:
    small = ShuffleServer("127.0.0.1", 0, server._read_output, most=8)
    small.start()
    small.offer("j", "m0")
    crowd = [socket.create_connection(("127.0.0.1", small.port), timeout=10) for _ in range(30)]
    for connection in crowd[::2]:
        connection.sendall(wire.MAGIC)  # half a request is none
    assert ask(small, wire.SegmentRequest("j", "m0", 0)) == [(wire.OK, b"234", 77)]
    assert len(small._peers._here) <= 6  # as many as one host may have
    small.stop()
    for connection in crowd:
        connection.close()


def test_who_ends_for_a_newcomer() -> None:
    now_s = [0.0]
    pairs = [socket.socketpair() for _ in range(6)]
    peers = Peers(4, lambda: now_s[0])
    made = [
        Peer(pair[0], host, lambda: now_s[0])
        for pair, host in zip(pairs, ["a", "a", "a", "b", "c", "a"], strict=True)
    ]

    def ended(number: int) -> bool:
        pairs[number][1].setblocking(False)
        try:
            return pairs[number][1].recv(1) == b""
        except BlockingIOError:
            return False

    for number in range(4):
        assert peers.admit(made[number])
        now_s[0] += 1
    made[0].moves()
    assert peers.admit(made[4])  # all are there: who has waited longest goes
    assert [ended(number) for number in range(5)] == [False, True, False, False, False]
    for number in (2, 3, 4):
        made[number].moves()
    assert not peers.admit(made[5])  # what works is not ended
    now_s[0] += 9.5
    for number in (0, 3, 4):
        made[number].moves()
    now_s[0] += 0.6
    assert peers.admit(made[5])  # but whose segment does not move
    assert [ended(number) for number in (0, 2, 3, 4, 5)] == [False, True, False, False, False]
    for pair in pairs:
        for end in pair:
            end.close()


def test_a_segment_of_many_pieces_is_whole(
    server: ShuffleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffle_server, "PIECE_BYTES", 2)
    assert ask(server, wire.SegmentRequest("j", "m0", 0)) == [(wire.OK, b"234", 77)]
