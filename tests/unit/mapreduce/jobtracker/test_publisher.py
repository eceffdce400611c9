"""An output appears whole or not at all, and every step may be done twice."""

from __future__ import annotations

import copy
import dataclasses
import json
import queue
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from clusterkit.errors import ClusterError, TimedOut, TryAgain, Unavailable
from mapreduce.errors import PublishRefused
from mapreduce.jobtracker.core import events
from mapreduce.jobtracker.publisher import Publisher, publish
from mapreduce.model import FileResult
from mapreduce.storage.memory import MemoryStorage

JOB = "job_20261122_1000001"
WHOLE = [".manifest.json", "_SUCCESS", "part-r-00000", "part-r-00001", "part-r-00002"]
ATTEMPTS = f"/a/.out.{JOB}/attempts"


class PowerCut(Exception):
    """Stops a publish at a chosen call of the storage."""


class FailingStorage(MemoryStorage):
    """Fails at its n-th change, with or without having made it."""

    def __init__(self, fail_at: int, after: bool) -> None:
        super().__init__()
        self.fail_at, self.after, self.calls = fail_at, after, 0

    def _counted(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        now = self.calls == self.fail_at
        if now and not self.after:
            raise PowerCut
        result = call()
        if now:
            raise PowerCut
        return result

    def mkdirs(self, path: str) -> None:
        self._counted(lambda: super(FailingStorage, self).mkdirs(path))

    def rename_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._counted(lambda: super(FailingStorage, self).rename_many(pairs))

    def put(self, path: str, data: bytes, *, overwrite: bool = False) -> Any:
        return self._counted(
            lambda: super(FailingStorage, self).put(path, data, overwrite=overwrite)
        )

    def publish(
        self, staging: str, output: str, *, replaced_file_id: int = 0, epoch: int = 0
    ) -> None:
        self._counted(
            lambda: super(FailingStorage, self).publish(
                staging, output, replaced_file_id=replaced_file_id, epoch=epoch
            )
        )


def prepared(storage: MemoryStorage, parts: int = 3) -> events.PublishOutput:
    made = []
    for index in range(parts):
        attempt = f"attempt_20261122_1000001_s1_{index:06d}_0"
        info = storage.put(f"{ATTEMPTS}/part-r-{index:05d}.{attempt}", b"x" * (index + 1))
        made.append(
            events.GrantedPart(
                name=f"part-r-{index:05d}",
                file=FileResult(
                    path=info.path,
                    file_id=info.file_id,
                    length=info.length,
                    crc32c=7,
                    records=index,
                ),
                attempt_id=attempt,
            )
        )
    storage.put(
        f"{ATTEMPTS}/part-r-00000.attempt_20261122_1000001_s1_000000_1", b"of an attempt that lost"
    )
    return ordered(tuple(made))


def ordered(
    parts: tuple[events.GrantedPart, ...], seq: int = 0, output: int = 0, path: str = "/a/out"
) -> events.PublishOutput:
    return events.PublishOutput(
        job_id=JOB,
        seq=seq,
        output=output,
        path=path,
        name="wc",
        user="ann",
        replaced_file_id=0,
        replaced_job_id="",
        code_sha256="",
        parts=parts,
        counters=(("job", "reduce_output_records", 3),),
    )


def names(storage: MemoryStorage, directory: str) -> list[str]:
    return [info.path.rpartition("/")[2] for info in storage.list(directory)]


def test_the_output_appears_with_its_manifest() -> None:
    storage = MemoryStorage()
    publish(storage, prepared(storage), epoch=1)
    assert names(storage, "/a/out") == [
        ".manifest.json",
        "_SUCCESS",
        "part-r-00000",
        "part-r-00001",
        "part-r-00002",
    ]
    found = json.loads(storage.open("/a/out/.manifest.json").read_at(0, 10_000))
    assert (found["job_id"], [part["records"] for part in found["parts"]]) == (JOB, [0, 1, 2])
    assert found["counters"] == {"job": {"reduce_output_records": 3}}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_call_is_repaired_by_doing_it_again(after: bool) -> None:
    at, crashed = 0, True
    while crashed:
        at += 1
        storage = FailingStorage(10_000, after)
        order = prepared(storage)
        storage.calls, storage.fail_at, crashed = 0, at, False
        try:
            publish(storage, order, epoch=1)
        except PowerCut:
            crashed = True
            assert storage.stat("/a/out") is None or names(storage, "/a/out") == WHOLE, (
                "half an output was seen"
            )
            publish(storage, order, epoch=1)
        assert names(storage, "/a/out") == WHOLE
    assert at > 4


def test_an_output_of_the_same_job_id_from_elsewhere_is_replaced() -> None:
    """Ids count from one every day in every cluster: the output to overwrite may be of another
    cluster's job with this one's id."""
    storage = MemoryStorage()
    publish(storage, prepared(storage, parts=1), epoch=1)
    storage.delete(f"/a/.out.{JOB}")
    there = storage.stat("/a/out")
    assert there is not None
    order = dataclasses.replace(prepared(storage), replaced_file_id=there.file_id)
    publish(storage, order, epoch=1)
    assert names(storage, "/a/out") == WHOLE
    publish(storage, order, epoch=1)
    assert names(storage, "/a/out") == WHOLE


def test_an_output_that_somebody_else_made_is_left_alone() -> None:
    storage = MemoryStorage()
    order = prepared(storage)
    storage.put("/a/out/mine", b"precious")
    with pytest.raises(FileExistsError):
        publish(storage, order, epoch=1)
    assert names(storage, "/a/out") == ["mine"]


def test_a_granted_file_that_was_replaced_is_not_published() -> None:
    storage = MemoryStorage()
    order = prepared(storage)
    storage.put(order.parts[1].file.path, b"yy", overwrite=True)
    with pytest.raises(PublishRefused, match="part-r-00001"):
        publish(storage, order, epoch=1)
    assert storage.stat("/a/out") is None


def test_no_parts_is_an_output_too() -> None:
    storage = MemoryStorage()
    publish(storage, ordered(()), epoch=1)
    assert names(storage, "/a/out") == [".manifest.json", "_SUCCESS"]


def test_a_published_output_is_known_by_job_extension_and_number() -> None:
    """Of one job two outputs may have one place, one after the other: what is there by another
    number is not this one, done already."""
    storage = MemoryStorage()
    publish(storage, ordered((), seq=1, output=2), epoch=1)
    publish(storage, ordered((), seq=1, output=2), epoch=1)
    found = json.loads(storage.open("/a/out/.manifest.json").read_at(0, 10_000))
    assert (found["job_id"], found["seq"], found["output"]) == (JOB, 1, 2)
    for seq, output in ((0, 2), (1, 0), (1, 22)):
        with pytest.raises(FileExistsError):
            publish(storage, ordered((), seq=seq, output=output), epoch=1)


class AwayStorage(MemoryStorage):
    """Does not answer the first times."""

    def __init__(self, error: Exception, times: int) -> None:
        super().__init__()
        self.error, self.times = error, times

    def publish(
        self, staging: str, output: str, *, replaced_file_id: int = 0, epoch: int = 0
    ) -> None:
        if self.times:
            self.times -= 1
            raise self.error
        super().publish(staging, output, replaced_file_id=replaced_file_id, epoch=epoch)


def carried_out(storage: MemoryStorage, order: Any) -> tuple[list[Any], list[BaseException]]:
    told: list[Any] = []
    deposed: list[BaseException] = []
    publisher = Publisher(lambda _user: storage, 3, told.append, deposed.append)
    publisher.take(order)
    publisher._pool.shutdown(wait=True)
    return told, deposed


def test_a_storage_that_is_away_is_waited_for() -> None:
    storage = AwayStorage(Unavailable("nobody answers"), times=2)
    assert carried_out(storage, prepared(storage)) == ([events.OutputAppeared(JOB, 0, 0)], [])


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("nobody answers"),
        TryAgain("this namenode stands by: ask another one"),
        TimedOut("the leader is frozen"),
        OSError(111, "refused"),
    ],
    ids=["away", "standby", "frozen", "of-the-system"],
)
def test_a_storage_that_fails_is_looked_for_anew(error: Exception) -> None:
    """Whoever leads now may have another address; an old leader that came back as a standby answers
    for ever."""
    gone, found = AwayStorage(error, times=99), MemoryStorage()
    order, told = prepared(found), []
    prepared(gone)
    addresses = [gone, found]
    publisher = Publisher(lambda _user: addresses.pop(0), 3, told.append, lambda _error: None)
    publisher.take(order)
    publisher._pool.shutdown(wait=True)
    assert told == [events.OutputAppeared(JOB, 0, 0)]


def test_a_newer_tracker_ends_this_one() -> None:
    fenced = ClusterError("epoch 4 has published since")
    fenced.code = "FENCED"
    storage = AwayStorage(fenced, times=1)
    told, deposed = carried_out(storage, prepared(storage))
    assert (deposed, told) == ([fenced], []), "the job is the newer tracker's: it did not fail here"


def test_staging_is_removed_whole_and_again() -> None:
    storage = MemoryStorage()
    prepared(storage)
    for _ in range(2):
        assert carried_out(storage, events.RemoveStaging(JOB, ("/a/out",))) == (
            [events.StagingRemoved(JOB)],
            [],
        )
    assert names(storage, "/a") == []


def test_a_jobs_work_and_code_are_its_users() -> None:
    """Put in place and removed as who submitted it; of many users' connections, the idle ones
    go."""
    storage, asked, closed, told = (
        MemoryStorage(),
        list[str](),
        list[str](),
        queue.SimpleQueue[Any](),
    )

    def opened(user: str) -> Any:
        asked.append(user)
        view = copy.copy(storage)
        view.close = lambda: closed.append(user)  # type: ignore[method-assign]
        return view

    publisher = Publisher(opened, 1, told.put, lambda _error: None)
    storage.put("/user/ann/.mrc/t.zip", b"code")
    publisher.take(prepared(storage))
    assert told.get(timeout=10) == events.OutputAppeared(JOB, 0, 0)
    publisher.take(events.RemoveStaging(JOB, ("/a/out",), "ann", "/user/ann/.mrc/t.zip"))
    assert told.get(timeout=10) == events.StagingRemoved(JOB)
    for number in range(40):
        publisher.storage(f"u{number}")
    publisher.stop()
    assert asked == ["ann", *(f"u{number}" for number in range(40))]
    assert storage.stat("/user/ann/.mrc/t.zip") is None
    assert sorted(set(asked)) == sorted(set(closed)), "every connection is closed in the end"
