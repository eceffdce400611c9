"""What every storage promises the engine and the runners. Add a backend by adding a row to
BACKENDS."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mapreduce.storage.api import Storage
from mapreduce.storage.local import LocalStorage
from mapreduce.storage.manifest import Manifest
from mapreduce.storage.memory import MemoryStorage
from mapreduce.storage.minihdfs import MinihdfsStorage
from minihdfs.model import ServerDefaults
from tests.integration.file_system import small_file_system

Opened = contextlib.AbstractContextManager[tuple[Storage, str]]


@contextlib.contextmanager
def _local(scratch: Path) -> Iterator[tuple[Storage, str]]:
    yield LocalStorage(), str(scratch)


@contextlib.contextmanager
def _memory(_scratch: Path) -> Iterator[tuple[Storage, str]]:
    storage = MemoryStorage()
    storage.mkdirs("/work")
    yield storage, "/work"


@contextlib.contextmanager
def _minihdfs(scratch: Path) -> Iterator[tuple[Storage, str]]:
    with small_file_system(
        scratch, 2, defaults=ServerDefaults(block_bytes=1 << 20, replication=2)
    ) as system:
        storage = MinihdfsStorage.from_uri(system.uri)
        storage.mkdirs("/work")
        yield storage, "/work"
        storage.close()


BACKENDS: dict[str, Callable[[Path], Opened]] = {
    "local": _local,
    "memory": _memory,
    "minihdfs": _minihdfs,
}
"""name -> context manager that gives (storage, an empty directory in it)."""


@pytest.fixture(params=sorted(BACKENDS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Storage, str]]:
    with BACKENDS[request.param](tmp_path) as opened:
        yield opened


def put(storage: Storage, path: str, data: bytes, *, overwrite: bool = False) -> None:
    writer = storage.create(path, overwrite=overwrite)
    writer.write(data)
    writer.close()


def get(storage: Storage, path: str) -> bytes:
    reader = storage.open(path)
    try:
        return reader.read_at(0, 1 << 30)
    finally:
        reader.close()


def names(storage: Storage, path: str) -> list[str]:
    return [info.path.rpartition("/")[2] for info in storage.list(path)]


def test_what_was_written_is_read(place: tuple[Storage, str]) -> None:
    storage, root = place
    writer = storage.create(f"{root}/deep/er/file")
    for piece in (b"abc", bytearray(b"def"), memoryview(b"ghi")):
        writer.write(piece)
    info = writer.close()
    assert (info.length, info.is_directory) == (9, False)
    assert storage.stat(f"{root}/deep/er/file") == info
    reader = storage.open(f"{root}/deep/er/file")
    assert [reader.read_at(*at) for at in ((0, 9), (3, 3), (6, 100), (9, 1), (50, 1))] == [
        b"abcdefghi",
        b"def",
        b"ghi",
        b"",
        b"",
    ]
    reader.close()


def test_the_stamp_says_whether_a_file_is_still_the_same(place: tuple[Storage, str]) -> None:
    storage, root = place
    put(storage, f"{root}/a", b"one")
    reader = storage.open(f"{root}/a")
    info = storage.stat(f"{root}/a")
    assert info is not None
    assert info.stamp
    assert reader.stamp() == info.stamp == storage.list(root)[0].stamp
    put(storage, f"{root}/a", b"two", overwrite=True)
    other = storage.stat(f"{root}/a")
    assert other is not None
    assert other.stamp != info.stamp
    assert storage.open(f"{root}/a").stamp() == other.stamp
    reader.close()


def test_a_place_has_one_real_name(place: tuple[Storage, str]) -> None:
    storage, root = place
    assert storage.real(f"{root}//x/../y/.") == storage.real(f"{root}/y")


def test_an_empty_file_is_a_file(place: tuple[Storage, str]) -> None:
    storage, root = place
    put(storage, f"{root}/empty", b"")
    info = storage.stat(f"{root}/empty")
    assert info is not None
    assert (info.length, info.is_directory) == (0, False)
    assert get(storage, f"{root}/empty") == b""


def test_a_file_that_was_aborted_never_was(place: tuple[Storage, str]) -> None:
    storage, root = place
    writer = storage.create(f"{root}/half")
    writer.write(b"half")
    writer.abort()
    assert names(storage, root) == []
    put(storage, f"{root}/half", b"whole")
    assert get(storage, f"{root}/half") == b"whole"


def test_create_refuses_what_exists(place: tuple[Storage, str]) -> None:
    storage, root = place
    put(storage, f"{root}/a", b"first")
    with pytest.raises(FileExistsError):
        put(storage, f"{root}/a", b"second")
    assert get(storage, f"{root}/a") == b"first"
    put(storage, f"{root}/a", b"second", overwrite=True)
    assert get(storage, f"{root}/a") == b"second"


def test_missing_things(place: tuple[Storage, str]) -> None:
    storage, root = place
    assert storage.stat(f"{root}/none") is None
    with pytest.raises(FileNotFoundError):
        storage.open(f"{root}/none")
    with pytest.raises(FileNotFoundError):
        storage.list(f"{root}/none")
    storage.delete(f"{root}/none")


def test_lists_by_name_in_byte_order(place: tuple[Storage, str]) -> None:
    storage, root = place
    for name in ("b", "a", "Z", "é", "ａ", "a b", "quote'\"", "*[1]"):
        put(storage, f"{root}/{name}", b"x")
    storage.mkdirs(f"{root}/dir/in")
    found = names(storage, root)
    assert found == sorted(found, key=str.encode)
    assert set(found) == {"b", "a", "Z", "é", "ａ", "a b", "quote'\"", "*[1]", "dir"}
    directory = storage.stat(f"{root}/dir")
    assert directory is not None
    assert directory.is_directory


def test_delete_takes_what_is_below(place: tuple[Storage, str]) -> None:
    storage, root = place
    put(storage, f"{root}/d/a", b"x")
    put(storage, f"{root}/dd", b"y")
    storage.delete(f"{root}/d")
    assert names(storage, root) == ["dd"]


def test_mkdirs_again_is_no_error(place: tuple[Storage, str]) -> None:
    storage, root = place
    storage.mkdirs(f"{root}/x/y")
    storage.mkdirs(f"{root}/x/y")
    assert names(storage, f"{root}/x") == ["y"]


def test_renames_can_be_run_again(place: tuple[Storage, str]) -> None:
    storage, root = place
    storage.mkdirs(f"{root}/to")
    put(storage, f"{root}/a", b"A")
    put(storage, f"{root}/b", b"B")
    pairs = [(f"{root}/a", f"{root}/to/1"), (f"{root}/b", f"{root}/to/2")]
    storage.rename_many(pairs)
    storage.rename_many(pairs)
    assert names(storage, f"{root}/to") == ["1", "2"]
    assert get(storage, f"{root}/to/2") == b"B"


def test_a_rename_never_replaces(place: tuple[Storage, str]) -> None:
    storage, root = place
    put(storage, f"{root}/a", b"A")
    put(storage, f"{root}/b", b"B")
    with pytest.raises(FileExistsError):
        storage.rename_many([(f"{root}/a", f"{root}/b")])
    assert get(storage, f"{root}/b") == b"B"
    with pytest.raises(FileNotFoundError):
        storage.rename_many([(f"{root}/none", f"{root}/c")])


def stage(storage: Storage, root: str, job_id: str, data: bytes) -> str:
    staging = f"{root}/.out.{job_id}/publish-0-0"
    put(storage, f"{staging}/part-r-00000", data)
    put(storage, f"{staging}/.manifest.json", Manifest(job_id=job_id, name="x").to_json())
    return staging


def test_publish_makes_the_output_appear_and_can_be_said_again(place: tuple[Storage, str]) -> None:
    storage, root = place
    staging = stage(storage, root, "job_1", b"one")
    storage.publish(staging, f"{root}/out")
    assert names(storage, f"{root}/out") == [".manifest.json", "part-r-00000"]
    storage.publish(staging, f"{root}/out")
    assert get(storage, f"{root}/out/part-r-00000") == b"one"


def test_publish_refuses_an_output_that_is_there(place: tuple[Storage, str]) -> None:
    storage, root = place
    storage.publish(stage(storage, root, "job_1", b"one"), f"{root}/out")
    with pytest.raises(FileExistsError):
        storage.publish(stage(storage, root, "job_2", b"two"), f"{root}/out")
    with pytest.raises(FileExistsError):
        storage.publish(f"{root}/.out.job_2/publish-0-0", f"{root}/out", replaced_file_id=1)
    assert get(storage, f"{root}/out/part-r-00000") == b"one"


def test_publish_replaces_the_directory_that_was_named(place: tuple[Storage, str]) -> None:
    storage, root = place
    storage.publish(stage(storage, root, "job_1", b"one"), f"{root}/out")
    old = storage.stat(f"{root}/out")
    assert old is not None
    assert old.file_id
    staging = stage(storage, root, "job_2", b"two")
    storage.publish(staging, f"{root}/out", replaced_file_id=old.file_id)
    storage.publish(staging, f"{root}/out", replaced_file_id=old.file_id)
    assert get(storage, f"{root}/out/part-r-00000") == b"two"
    assert storage.stat(staging) is None


def test_locate_covers_the_range(place: tuple[Storage, str]) -> None:
    storage, root = place
    put(storage, f"{root}/a", b"x" * 1000)
    spans = storage.locate(f"{root}/a", 100, 850)
    assert spans[0].offset == 100
    assert sum(span.length for span in spans) == 850


def test_a_uri_names_the_file_too(place: tuple[Storage, str]) -> None:
    storage, root = place
    put(storage, f"{root}/a b", b"x")
    assert get(storage, storage.uri(f"{root}/a b")) == b"x"


def test_where_names_may_be_made_can_be_asked(place: tuple[Storage, str]) -> None:
    storage, work = place
    storage.mkdirs(f"{work}/d")
    assert storage.may_write(f"{work}/d") is True
