"""A worker with real processes, real gRPC and local files: jobs that go well, and a tracker that
comes and goes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapreduce.pb import tracker_pb2 as pb
from tests.integration.scripted_tracker import WORDS, ScriptedTracker, World, wait_until, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def text_of_words(lines: int, seed: int = 1) -> tuple[bytes, dict[str, int]]:
    rng = random.Random(seed)
    text = [" ".join(rng.choices([f"w{i}é" for i in range(300)], k=8)) for _ in range(lines)]
    return ("\n".join(text) + "\n").encode(), Counter(
        word for line in text for word in line.split()
    )


def counted(w: World, *attempt_ids: str) -> dict[str, int]:
    rows = []
    for attempt_id in attempt_ids:
        commit = w.committed(attempt_id)
        data = Path(commit.files[0].path).read_bytes()
        assert len(data) == commit.files[0].length
        rows += [line.split("\t") for line in data.decode().splitlines()]
    assert len({key for key, _ in rows}) == len(rows)
    return {key: int(value) for key, value in rows}


def test_word_count_from_maps_on_two_workers_to_committed_parts(w: World) -> None:
    text, counts = text_of_words(2_000)
    w.job(WORDS, text, split_bytes=9_001, reducers=2, has_combine=True)
    w.worker("w1")
    w.worker("w2")
    reduces = [
        w.launch_reduce(0, worker_id="w1"),
        w.launch_reduce(1, worker_id="w2"),
    ]  # they begin before any map has
    places = {}
    for index in range(len(w.splits)):
        places[index] = "w1" if index % 2 else "w2"
        w.launch_map(index, worker_id=places[index])
    for index, worker_id in places.items():
        done = w.map_done(w.map_id(index))
        assert len(done.output.segment_bytes) == 2
        for reducer in ("w1", "w2"):
            w.tell(reducer, w.location(index, worker_id))
    assert counted(w, *reduces) == counts
    counters = {
        c.name: c.value for c in w.committed(reduces[0]).counters.counters if c.group == "job"
    }
    assert counters["reduce_output_records"] > 0


def test_a_map_only_job_commits_its_parts(w: World) -> None:
    w.job(WORDS, b"b a\nc\n", reducers=0)
    w.worker()
    commit = w.committed(w.launch_map())
    assert Path(commit.files[0].path).name == f"part-m-00000.{w.map_id(0)}"
    assert Path(commit.files[0].path).read_bytes() == b"b\t1\na\t1\nc\t1\n"


def test_a_denied_commit_removes_the_file_and_is_nobodys_fault(w: World) -> None:
    w.job(WORDS, reducers=0)
    w.worker()
    w.tracker.may_commit = lambda _request: pb.CommitReply(epoch=1, granted=False, winner="another")
    attempt_id = w.launch_map()
    failed = w.tracker.until(lambda: w.tracker.news(attempt_id, "failed"))[0]
    assert failed.killed
    assert "another" in w.tracker.failure(attempt_id).message
    path = Path(w.tracker.commits[0].files[0].path)
    wait_until(lambda: not path.exists())


def test_a_kill_ends_a_running_task(w: World) -> None:
    w.job(
        "import time\n"
        + WORDS.replace("yield word, 1", "time.sleep(60)\n            yield word, 1")
    )
    w.worker()
    attempt_id = w.launch_map()
    w.tracker.until(lambda: w.tracker.report_count > 2)
    w.tracker.order("w1", kill=pb.KillAttempt(attempt_id=attempt_id, reason="the job was killed"))
    failed = w.tracker.until(lambda: w.tracker.news(attempt_id, "failed"))[0]
    assert failed.killed and w.tracker.failure(attempt_id).message == "the job was killed"


def test_forgetting_a_job_removes_its_map_outputs_but_not_its_logs(w: World) -> None:
    w.job("print('hello from the file')\n" + WORDS)
    w.worker()
    w.run_maps()
    outputs = w.root / "worker-w1/map_outputs" / w.job_id
    assert outputs.is_dir()
    w.tracker.order("w1", forget=pb.ForgetJob(job_id=w.job_id))
    wait_until(lambda: not outputs.exists())
    assert b"hello from the file" in w.log(w.map_id(0))


def test_a_tracker_that_restarts_finds_what_runs_and_what_is_held(w: World) -> None:
    go = w.root / "go"  # not beside the job's file, which is a copy of the attempt's own there
    wait = (
        f"while 'x' in line and not pathlib.Path({str(go)!r}).exists():\n            "
        "time.sleep(0.01)\n        "
    )
    w.job(
        "import pathlib, time\n" + WORDS.replace("for word", wait + "for word"),
        b"a b\nx y\n",
        split_bytes=4,
        reducers=1,
    )
    w.worker()
    done = w.launch_map(0)
    w.map_done(done)
    running = w.launch_map(1)
    port = w.tracker.port
    w.tracker.stop()
    w.tracker = ScriptedTracker(port, epoch=2)
    hello = w.tracker.until(lambda: w.tracker.hellos)[0]
    assert hello.highest_epoch == 1
    held = {item.attempt_id: item for item in hello.inventory}
    assert (held[done].state, held[running].state) == ("succeeded", "running")
    assert len(held[done].output.segment_bytes) == 1
    go.touch()
    w.map_done(running)
    reduce = w.launch_reduce(known=[w.location(0), w.location(1)])
    assert counted(w, reduce) == {"a": 1, "b": 1, "x": 1, "y": 1}


def test_a_worker_that_restarts_holds_nothing_and_keeps_its_ports(w: World) -> None:
    w.job(WORDS)
    first = w.worker()
    w.run_maps()
    ports = dict(first.ports)
    first.stop()
    second = w.worker()
    hello = w.tracker.until(lambda: len(w.tracker.hellos) > 1 and w.tracker.hellos)[-1]
    assert list(hello.inventory) == []
    assert hello.incarnation != w.tracker.hellos[0].incarnation
    assert second.ports == ports
    assert not list((w.root / "worker-w1/map_outputs").iterdir())


def test_an_order_of_a_deposed_tracker_is_refused_after_a_restart_of_the_worker(w: World) -> None:
    w.tracker.epoch = 7
    first = w.worker()
    w.tracker.until(
        lambda: w.tracker.report_count
    )  # so it has heard the first order, and the epoch with it
    first.stop()
    w.tracker.epoch = 6
    w.job(WORDS)
    w.worker()
    w.launch_map()
    w.tracker.until(
        lambda: len(w.tracker.hellos) > 3
    )  # it looks for another tracker again and again
    assert w.tracker.reports == []
    assert {hello.highest_epoch for hello in w.tracker.hellos[1:]} == {7}


def test_code_that_is_not_what_was_submitted_is_refused(w: World) -> None:
    w.job(WORDS)
    (w.root / "job.zip").write_bytes(b"something else")
    w.worker()
    report = w.tracker.failure(w.launch_map())
    assert report.kind == "storage" and "SHA-256" in report.message


def test_a_worker_of_another_python_refuses_the_job(w: World) -> None:
    w.job(WORDS, python="2.7")
    w.worker()
    assert "submitted from Python 2.7" in w.tracker.failure(w.launch_map()).message


def test_a_task_waits_until_the_file_system_is_known(w: World) -> None:
    answers = iter(["", ""])

    def find() -> str:
        for _ in answers:
            raise ConnectionError("no namenode is known")
        return "file:///"

    w.find_filesystem = find
    w.job(WORDS)
    w.worker()
    w.map_done(w.launch_map())


def test_a_task_that_waits_for_the_file_system_can_be_killed(w: World) -> None:
    def find() -> str:
        raise ConnectionError("no namenode is known")

    w.find_filesystem = find
    w.job(WORDS)
    w.worker(slots=1)
    attempt_id = w.launch_map()
    w.tracker.order("w1", kill=pb.KillAttempt(attempt_id=attempt_id, reason="the job was killed"))
    failed = w.tracker.until(lambda: w.tracker.news(attempt_id, "failed"))[0]
    assert failed.killed and w.tracker.failure(attempt_id).message == "the job was killed"
