"""A task that finds no room says which disk, which path and what it is for; /dev/full is a disk
without room everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit.errors import DiskFailed
from mapreduce.engine.map_output import MapOutputWriter
from mapreduce.jobtracker.core.attempts import OUTSIDE_FAULTS
from mapreduce.storage.local import LocalStorage, LocalWriter


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
    assert refused.value.next_command == f"df -h {tmp_path}/out"
    writer.abort()
    assert not list(tmp_path.iterdir())


def test_a_full_scratch_disk_is_a_failure_that_counts() -> None:
    """What comes from outside (a file system, a shuffle) is tried again for a long time; a disk
    that is full stays so."""
    assert "disk" not in OUTSIDE_FAULTS and "storage" in OUTSIDE_FAULTS
