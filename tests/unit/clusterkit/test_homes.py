"""A service with a local journal is led from one directory: copies, restored backups and second
machines are refused in words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clusterkit import homes
from clusterkit.errors import ClusterError, CorruptRecord, Fenced
from clusterkit.homes import NotTheHome, ServiceHome
from clusterkit.service import DataDirectory
from coordinator.backends.memory import MemoryCoordinator, MemoryHub


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.settings = MemoryCoordinator(MemoryHub()).config
        self.original = tmp_path / "original"
        self.copy = tmp_path / "copy"

    def opened(self, path: Path) -> tuple[DataDirectory, ServiceHome]:
        directory = DataDirectory.open(path, "namenode", "nn1")
        return directory, ServiceHome(
            "namenode",
            directory,
            self.settings,
            what="file system",
            adopting="mrc namenode adopt {directory}",
        )

    def lead(self, path: Path, epoch: int) -> None:
        """One whole life of a leader."""
        directory, home = self.opened(path)
        home.check()
        directory.saw_epoch("namenode", epoch)
        home.take(epoch)
        directory.close()

    def refusal(self, path: Path) -> NotTheHome:
        directory, home = self.opened(path)
        with pytest.raises(NotTheHome) as refused:
            home.check()
        directory.close()
        return refused.value


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_home_may_always_start_again(bench: Bench) -> None:
    for epoch in (1, 2, 5):
        bench.lead(bench.original, epoch)


def test_a_leader_that_died_before_its_word_was_kept_may_start_again(bench: Bench) -> None:
    bench.lead(bench.original, 1)
    directory, _ = bench.opened(bench.original)
    directory.saw_epoch("namenode", 2)
    directory.close()
    bench.lead(bench.original, 3)


def test_a_copied_directory_is_refused(bench: Bench) -> None:
    bench.lead(bench.original, 7)
    shutil.copytree(bench.original, bench.copy)
    refused = bench.refusal(bench.copy)
    assert "this is a copy: the file system was last led from" in refused.message
    assert f"{bench.original} on " in refused.message and "epoch 7" in refused.message
    assert refused.next_command == f"mrc namenode adopt {bench.copy}"


def test_the_same_directory_on_another_machine_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloned disk: every number in it is the same."""
    bench.lead(bench.original, 1)
    monkeypatch.setattr(homes, "machine_id", lambda: "another")
    assert "this is a copy" in bench.refusal(bench.original).message


def test_a_backup_restored_in_place_is_refused(bench: Bench) -> None:
    bench.lead(bench.original, 1)
    old = (bench.original / "epochs.json").read_bytes()
    bench.lead(bench.original, 2)
    (bench.original / "epochs.json").write_bytes(old)
    assert "it was restored: it knows no epoch above 1" in bench.refusal(bench.original).message


def test_another_directory_is_refused(bench: Bench) -> None:
    bench.lead(bench.original, 1)
    assert "this is another directory" in bench.refusal(bench.copy).message


def test_of_two_that_begin_at_once_one_is_the_home(bench: Bench) -> None:
    one, home_of_one = bench.opened(bench.original)
    other, home_of_other = bench.opened(bench.copy)
    home_of_one.check()
    home_of_other.check()
    home_of_one._write(1)
    with pytest.raises(Fenced, match="became the home"):
        home_of_other._write(1)
    with pytest.raises(NotTheHome):
        home_of_other.take(1)
    one.close()
    other.close()


def test_an_adopted_copy_is_the_home_and_the_original_is_not(bench: Bench) -> None:
    bench.lead(bench.original, 1)
    shutil.copytree(bench.original, bench.copy)
    bench.lead(bench.original, 2)
    directory, home = bench.opened(bench.copy)
    home.adopt()
    with pytest.raises(ClusterError, match="nothing to adopt"):
        home.adopt()
    directory.close()
    bench.lead(bench.copy, 3)
    assert "this is a copy" in bench.refusal(bench.original).message


def test_what_nobody_led_needs_no_adoption(bench: Bench) -> None:
    directory, home = bench.opened(bench.original)
    with pytest.raises(ClusterError, match="no other home"):
        home.adopt()
    directory.close()


def test_a_record_of_garbage_is_no_permission(bench: Bench) -> None:
    bench.settings.set("namenode_home", b"\xff")
    directory, home = bench.opened(bench.original)
    with pytest.raises(CorruptRecord, match="namenode_home"):
        home.check()
    directory.close()
