from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit.errors import DiskFailed, UsageError
from mapreduce.engine.map_output import MapOutputWriter
from mapreduce.failures import FailureReport
from mapreduce.worker import directories as module
from mapreduce.worker.directories import WorkerDirectories
from mapreduce.worker.shuffle_server import SegmentPlace
from mapreduce.worker.task_news import not_started


@pytest.fixture
def made(tmp_path: Path) -> Iterator[WorkerDirectories]:
    directories = WorkerDirectories(tmp_path)
    directories.start()
    yield directories
    directories.stop()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc", "a\0b", "é", ".hidden", "x" * 201, "a b"]
)
def test_names_that_are_not_names_never_become_paths(made: WorkerDirectories, name: str) -> None:
    for use in (
        made.work,
        made.log,
        made.drop_job,
        lambda n: made.output("j", n),
        lambda n: made.output(n, "a"),
    ):
        with pytest.raises(UsageError):
            use(name)


def test_a_disk_without_room_for_an_attempt_is_named(
    made: WorkerDirectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(DiskFailed, match=r"is full: .*/work/a, which takes what a task") as told:
        made.prepare("j", "a")
    failure = not_started("a", told.value.message, told.value.next_command).failure
    assert failure is not None and failure.kind == "disk"
    assert FailureReport.from_json(failure.report).next_command.startswith("df -h /")


def test_an_attempts_directories_are_private_and_fresh(made: WorkerDirectories) -> None:
    made.prepare("j", "a")
    (made.work("a") / "left").touch()
    made.prepare("j", "a")
    assert list(made.work("a").iterdir()) == []
    assert made.work("a").stat().st_mode & 0o777 == 0o700


def test_a_start_sweeps_work_and_outputs_but_keeps_logs_and_code(tmp_path: Path) -> None:
    first = WorkerDirectories(tmp_path)
    first.start()
    first.prepare("j", "a")
    first.log("a").write_text("said")
    (first.code / "x.zip").touch()
    first.stop()
    second = WorkerDirectories(tmp_path)
    second.start()
    second.stop()
    assert not second.work("a").exists() and not second.output("j", "a").exists()
    assert second.read_log("a", 0, 100) == (b"said", 4)
    assert (second.code / "x.zip").exists()
    assert list((tmp_path / "trash").iterdir()) == []


def test_a_finished_output_is_read_by_its_own_table(made: WorkerDirectories) -> None:
    made.prepare("j", "a")
    writer = MapOutputWriter(made.output("j", "a"), 2)
    writer.begin(1)
    writer.write(b"segment", 1)
    writer.finish()
    served = made.read_output("j", "a")
    assert served.segments[0].length == 0
    assert isinstance(served.segments[1], SegmentPlace) and served.segments[1].length == 7


def test_a_log_is_read_in_pieces(made: WorkerDirectories) -> None:
    made.log("a").write_bytes(b"0123456789")
    assert made.read_log("a", 4, 3) == (b"456", 10)
    assert made.read_log("a", 99, 3) == (b"", 10)


def test_only_so_many_logs_are_kept(
    made: WorkerDirectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOGS", 2)
    for number in range(4):
        path = made.log(f"a{number}")
        path.touch()
        os.utime(path, (number, number))
    made.prune_logs()
    made.stop()
    assert sorted(path.name for path in (made.root / "logs").iterdir()) == ["a2.log", "a3.log"]
