"""The client against a real server in this process; its channel is a socket pair."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit.checksum import crc32c
from clusterkit.errors import DiskFailed
from mapreduce.engine.attempt import Segment
from mapreduce.exchange import Input, OutputLocation
from mapreduce.model import PART
from mapreduce.worker import task_messages as msg
from mapreduce.worker.shuffle_client import ShuffleClient
from mapreduce.worker.shuffle_server import SegmentPlace, ServedOutput, ShuffleServer
from mapreduce.worker.task_main import TaskChannel

SIZES = {f"m{index}": size for index, size in enumerate((5, 0, 3_000_000, 1_048_576, 1, 70_000))}


def content(attempt_id: str) -> bytes:
    return (attempt_id.encode() * (SIZES[attempt_id] // 2 + 1))[: SIZES[attempt_id]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ShuffleServer]:
    def read(_job_id: str, attempt_id: str) -> ServedOutput:
        path = tmp_path / attempt_id
        path.write_bytes(b"head" + content(attempt_id))
        return ServedOutput(path, [SegmentPlace(4, SIZES[attempt_id], crc32c(content(attempt_id)))])

    made = ShuffleServer("127.0.0.1", 0, read)
    made.start()
    yield made
    made.stop()


def location(server: ShuffleServer, index: int) -> OutputLocation:
    return OutputLocation(0, index, f"m{index}", "127.0.0.1", server.port, 0, "w1")


def order(known: list[OutputLocation]) -> msg.TaskOrder:
    places = dict.fromkeys(
        ("filesystem", "code_directory", "work_directory", "output_directory"), ""
    )
    return msg.TaskOrder(
        attempt_id="r0",
        job_id="j",
        worker_id="w",
        stage=1,
        index=0,
        inputs=[Input(edge=0, tag=0, stage=0, kind=PART, first=0, tasks=len(SIZES), partitions=1)],
        spec=b"{}",
        known=known,
        **places,
    )


def bytes_of(segment: Segment) -> bytes:
    if segment.data is not None:
        return segment.data
    with open(segment.path, "rb") as file:
        file.seek(segment.offset)
        return file.read(segment.length)


@pytest.mark.parametrize("memory_bytes", [1 << 30, 100_000, 0])
def test_every_segment_arrives_wherever_it_is_put(
    server: ShuffleServer, tmp_path: Path, memory_bytes: int
) -> None:
    for attempt_id in SIZES:
        server.offer("j", attempt_id)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        known = [location(server, index) for index in range(len(SIZES))]
        work = tmp_path / "work"
        work.mkdir()
        segments = ShuffleClient(
            order(known), TaskChannel(ours), work, memory_bytes=memory_bytes
        ).fetch_all()
    wanted = {index: content(f"m{index}") for index in range(len(SIZES)) if SIZES[f"m{index}"]}
    assert {segment.task: bytes_of(segment) for segment in segments} == wanted
    in_memory = sum(segment.length for segment in segments if segment.data is not None)
    assert in_memory <= memory_bytes
    assert all(crc32c(bytes_of(segment)) == segment.crc32c for segment in segments)


def test_what_is_not_the_engines_is_fetched_unread_as_a_file(tmp_path: Path) -> None:
    """Whatever its size: who reads another codec wants a path."""
    data = b"rows of somebody else's"
    (tmp_path / "rows").write_bytes(b"head" + data)
    served = ServedOutput(tmp_path / "rows", [SegmentPlace(4, len(data), crc32c(data))], codec=9)
    server = ShuffleServer("127.0.0.1", 0, lambda _job_id, _attempt_id: served)
    server.start()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for attempt_id in SIZES:
            server.offer("j", attempt_id)
        known = [location(server, index)._replace(codec=9) for index in range(len(SIZES))]
        client = ShuffleClient(order(known), TaskChannel(ours), tmp_path, memory_bytes=1 << 30)
        segments = client.fetch_all()
    server.stop()
    assert len(segments) == len(SIZES)
    assert len({segment.path for segment in segments}) == len(SIZES)
    for segment in segments:
        assert (segment.codec, segment.offset, segment.data) == (9, 0, None)
        assert Path(segment.path).read_bytes() == data


@pytest.mark.parametrize("at", ["fetched", "work"])
def test_a_full_disk_of_ours_is_no_fault_of_who_sends(
    server: ShuffleServer, tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told as unreachable, it made the tracker give up outputs of healthy workers."""
    for attempt_id in SIZES:
        server.offer("j", attempt_id)
    work = tmp_path / "work"
    work.mkdir()
    if at == "fetched":  # a disk that takes the file and nothing in it
        (work / "fetched").symlink_to("/dev/full")
    else:

        def full(*_arguments: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("mapreduce.worker.shuffle_client.os.open", full)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        known = [location(server, index) for index in range(len(SIZES))]
        client = ShuffleClient(order(known), TaskChannel(ours), work, memory_bytes=0)
        with pytest.raises(DiskFailed, match=r"is full: .*/fetched, which takes what a task sets"):
            client.fetch_all()
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody was complained about
            theirs.recv(1)


def test_news_that_comes_over_the_channel_is_fetched(server: ShuffleServer, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    told: list[float] = []
    with ours, theirs:
        for index, attempt_id in enumerate(SIZES):
            server.offer("j", attempt_id)
            theirs.sendall(msg.encode(msg.Locations([location(server, index)])))
        client = ShuffleClient(
            order([]), TaskChannel(ours), tmp_path, memory_bytes=1 << 30, tell=told.append
        )
        assert len(client.fetch_all()) == len(SIZES) - 1
    assert client.plan.is_done() and told


def test_news_that_came_in_one_piece_with_the_order_is_heard(
    server: ShuffleServer, tmp_path: Path
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        places = []
        for index, attempt_id in enumerate(SIZES):
            server.offer("j", attempt_id)
            places.append(location(server, index))
        theirs.sendall(msg.encode(order([])) + msg.encode(msg.Locations(places)))
        channel = TaskChannel(ours)
        first = channel.receive()
        assert isinstance(first, msg.TaskOrder)
        assert (
            len(ShuffleClient(first, channel, tmp_path, memory_bytes=1 << 30).fetch_all())
            == len(SIZES) - 1
        )


def test_the_workers_end_is_the_clients_end(server: ShuffleServer, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(EOFError):
        ShuffleClient(order([]), TaskChannel(ours), tmp_path, memory_bytes=0).fetch_all()
