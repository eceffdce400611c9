"""Reduces and the map outputs they fetch: corrupted, missing, on a host that is gone, replaced by
another attempt."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapreduce.engine.map_output import DATA_NAME
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.wire.shuffle import OK, ReplyHead, encode_reply
from tests.integration.scripted_tracker import WORDS, World, wait_until, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def result(w: World, attempt_id: str) -> str:
    return Path(w.committed(attempt_id).files[0].path).read_text()


def complaint(w: World, attempt_id: str) -> pb.FetchFailed:
    found = w.tracker.until(lambda: w.tracker.news(attempt_id, "fetch_failed"))[0]
    assert isinstance(found, pb.FetchFailed)
    return found


def data_file(w: World, index: int = 0, worker_id: str = "w1") -> Path:
    return w.root / f"worker-{worker_id}/map_outputs" / w.job_id / w.map_id(index) / DATA_NAME


def test_a_flipped_byte_is_never_reduced_but_complained_about_and_the_map_made_again(
    w: World,
) -> None:
    w.job(WORDS, b"a b\na\n", split_bytes=4, reducers=1)
    w.worker(slots=2)
    w.run_maps()
    data = bytearray(data_file(w).read_bytes())
    data[-3] ^= 1
    data_file(w).write_bytes(data)
    reduce = w.launch_reduce(known=[w.location(0), w.location(1)])
    said = complaint(w, reduce)
    assert list(said.sources) == [w.map_id(0)]
    assert said.reason.startswith("corrupt: ")
    w.map_done(w.launch_map(0, number=1))
    w.tell("w1", w.location(0, lost=True), w.location(0, number=1))
    assert result(w, reduce) == "a\t2\nb\t1\n"


def test_an_output_that_is_not_there_is_said_to_be_missing(w: World) -> None:
    w.job(WORDS, reducers=1)
    w.worker()
    reduce = w.launch_reduce(known=[w.location(0)])
    assert complaint(w, reduce).reason.startswith("missing: ")
    w.map_done(w.launch_map(0, number=1))
    w.tell("w1", w.location(0, number=1))
    assert result(w, reduce) == "a\t2\nb\t1\n"


def test_a_truncated_output_is_complained_about(w: World) -> None:
    w.job(WORDS, reducers=1)
    w.worker()
    w.run_maps()
    data_file(w).write_bytes(data_file(w).read_bytes()[:-2])
    assert list(complaint(w, w.launch_reduce(known=[w.location(0)])).sources) == [w.map_id(0)]


def test_a_worker_that_is_gone_is_complained_about_and_another_takes_its_place(w: World) -> None:
    w.job(WORDS, reducers=1)
    w.worker("w1")
    gone = w.worker("w2")
    w.map_done(w.launch_map(0, worker_id="w2"))
    lost = w.location(0, "w2")
    gone.stop()
    reduce = w.launch_reduce(known=[lost])
    assert complaint(w, reduce).reason.startswith("unreachable: ")
    w.map_done(w.launch_map(0, number=1))
    w.tell("w1", w.location(0, number=1))
    assert result(w, reduce) == "a\t2\nb\t1\n"


def test_a_fetch_cut_in_the_middle_of_a_segment_counts_for_nothing(w: World) -> None:
    """A host that sends half a segment and hangs: news of another place interrupts it."""
    w.job(WORDS, reducers=1)
    w.worker()
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def half_serve() -> None:
            connection, _peer = listener.accept()
            connection.recv(1000)
            connection.sendall(encode_reply(ReplyHead(OK, 1000, 0)) + b"half of it")
            asked.set()
            connection.recv(1)  # until the other side gives up
            connection.close()

        thread = threading.Thread(target=half_serve)
        thread.start()
        port = listener.getsockname()[1]
        stuck = w.location(0, number=5)._replace(shuffle_port=port)
        reduce = w.launch_reduce(known=[stuck])
        assert asked.wait(20)
        w.map_done(w.launch_map(0, number=1))
        w.tell("w1", w.location(0, number=1))
        assert result(w, reduce) == "a\t2\nb\t1\n"
        thread.join(20)
        assert not thread.is_alive(), "the reduce let go of the connection"


def test_segments_beyond_the_memory_budget_go_through_the_disk(w: World) -> None:
    lines = b"".join(b"%06d%s\n" % (i, b"x" * 2_000) for i in range(6_000))
    w.job(
        WORDS.replace("combine = reduce", ""),
        lines,
        split_bytes=3_000_000,
        reducers=1,
        memory_limit_bytes=80 << 20,
    )
    w.worker()
    w.run_maps()
    reduce = w.launch_reduce(known=[w.location(index) for index in range(len(w.splits))])
    assert result(w, reduce).encode() == b"".join(line + b"\t1\n" for line in lines.splitlines())


def test_a_finished_attempt_leaves_no_work_directory(w: World) -> None:
    w.job(WORDS, reducers=1)
    w.worker()
    w.run_maps()
    w.committed(w.launch_reduce(known=[w.location(0)]))
    wait_until(lambda: not list((w.root / "worker-w1/work").iterdir()))
