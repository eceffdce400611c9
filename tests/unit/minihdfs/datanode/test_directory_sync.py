"""Shared fsyncs of a directory: how many there are, and whom a failure reaches."""

from __future__ import annotations

import threading

import pytest

from minihdfs.datanode.files.directory_sync import DirectorySync


class SlowDisk:
    """Each fsync waits until the test lets it end; `failing` ones raise."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.count = 0
        self.failing: set[int] = set()

    def fsync(self, _path: str) -> None:
        self.count += 1
        mine = self.count
        self.begun.release()
        assert self.may_end.acquire(timeout=10)
        if mine in self.failing:
            raise OSError(5, "Input/output error")


def start(sync: DirectorySync, outcomes: list[str]) -> threading.Thread:
    def run() -> None:
        try:
            sync.sync("/d")
            outcomes.append("durable")
        except OSError:
            outcomes.append("failed")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("failing", [set(), {2}])
def test_everybody_who_asks_during_one_fsync_is_served_by_the_next(failing: set[int]) -> None:
    disk, outcomes = SlowDisk(), list[str]()
    disk.failing = failing
    sync = DirectorySync(disk.fsync)
    threads = [start(sync, outcomes)]
    assert disk.begun.acquire(timeout=10)
    threads += [start(sync, outcomes) for _ in range(8)]
    group = sync._groups["/d"]
    deadline = threading.Event()
    for _ in range(1000):  # until all eight wait on the running fsync
        if len(group.condition._waiters) == 8:  # type: ignore[attr-defined]
            break
        deadline.wait(0.01)
    disk.may_end.release()
    assert disk.begun.acquire(timeout=10)
    disk.may_end.release()
    for thread in threads:
        thread.join(10)
    assert disk.count == 2
    assert sorted(outcomes) == (["durable"] * 9 if not failing else ["durable"] + ["failed"] * 8)
