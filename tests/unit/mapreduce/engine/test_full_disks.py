"""A task that finds no room says which disk, which path and what it is for; /dev/full is a disk
without room everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clusterkit.disks import mount_point
from clusterkit.errors import DiskFailed
from mapreduce.api.job import Job
from mapreduce.engine.attempt import Task, no_progress
from mapreduce.engine.map_output import MapOutputWriter
from mapreduce.engine.map_task import run_map
from mapreduce.failures import TaskFailed
from mapreduce.jobtracker.core.attempts import OUTSIDE_FAULTS
from mapreduce.plan.spec import Split
from mapreduce.storage.local import LocalStorage, LocalWriter
from mapreduce.storage.memory import MemoryStorage
from mrc.jobs.failure_text import job_failure
from tests.unit.mapreduce.engine.running import spec_of


@pytest.mark.parametrize("size", [10, 4 << 20])
def test_what_a_task_sets_aside_finds_no_room(tmp_path: Path, size: int) -> None:
    (tmp_path / "map.data").symlink_to("/dev/full")
    writer = MapOutputWriter(tmp_path, 1)
    writer.begin(0)
    with pytest.raises(
        DiskFailed,
        match=r"the disk at /dev is full: .*/map\.data, which takes what a task sets aside",
    ):
        writer.write(b"x" * size, 1)
        writer.finish()
    writer.abort()
    assert not list(tmp_path.iterdir())


def test_an_output_finds_no_room(tmp_path: Path) -> None:
    writer = LocalStorage().create(f"{tmp_path}/out")
    assert isinstance(writer, LocalWriter)
    writer._file.close()
    writer._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(DiskFailed, match=r"out, the output,") as refused:
        writer.write(b"x")
    assert refused.value.next_command == f"df -h {mount_point(tmp_path)}"
    writer.abort()
    assert not list(tmp_path.iterdir())


class Lines(Job):
    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, 1


def test_a_failed_job_tells_the_disk_its_worker_and_the_command_that_shows_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "map.data").symlink_to("/dev/full")
    storage = MemoryStorage()
    storage.put("/in", b"a\n")
    with pytest.raises(TaskFailed) as failed:
        run_map(
            Lines,
            spec_of(Lines, 1),
            Split("/in", 0, 2),
            storage,
            tmp_path,
            task=Task("m", 0),
            progress=no_progress,
        )
    report = failed.value.report
    assert report.kind == "disk"
    ended = {
        "id": "job_1",
        "name": "lines",
        "state": "FAILED",
        "error": f"map/0 failed 4 times: {report.message}",
        "failure": msgspec.to_builtins(msgspec.structs.replace(report, worker_id="w1")),
    }
    told = job_failure(ended)
    assert told.message == (
        "job_1 (lines) failed: map/0 failed 4 times: the disk at /dev is full: "
        f"{tmp_path}/map.data, which takes what a task sets aside on its way, cannot grow "
        "(worker w1)"
    )
    assert told.next_command == "df -h /dev"


def test_a_full_scratch_disk_is_a_failure_that_counts() -> None:
    """What comes from outside (a file system, a shuffle) is tried again for a long time; a disk
    that is full stays so."""
    assert "disk" not in OUTSIDE_FAULTS and "storage" in OUTSIDE_FAULTS
