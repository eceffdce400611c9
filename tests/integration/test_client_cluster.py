"""The client against a real namenode and real datanodes: round trips of every size, ranges, deaths
and flipped bits on the way."""

from __future__ import annotations

import contextlib
import io
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.api import Candidate
from minihdfs.client.api import ClientOptions
from minihdfs.client.filesystem import FileSystem, connect
from minihdfs.errors import (
    BlockMissing,
    DirectoryNotEmpty,
    FileAlreadyExists,
    FileNotFound,
    InvalidPath,
    IsADirectory,
    ParentNotDirectory,
)
from minihdfs.model import ServerDefaults
from tests.equipment.until import until
from tests.integration.file_system import SmallFileSystem, small_file_system

BLOCK = 256 << 10
SIZES = [
    0,
    1,
    511,
    512,
    513,
    65_535,
    65_536,
    65_537,
    BLOCK - 1,
    BLOCK,
    BLOCK + 1,
    3 * BLOCK + 4_321,
]
DATA = random.Random(3).randbytes(max(SIZES))
TCP = ClientOptions(local_reads=False, read_timeout_s=3.0, connect_timeout_s=2.0)
CORE = {
    "heartbeat_interval_us": 200_000,
    "stale_after_us": 1_000_000,
    "dead_after_us": 2_000_000,
    "settle_us": 300_000,
    "order_resend_us": 1_000_000,
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFileSystem]:
    with small_file_system(
        tmp_path_factory.mktemp("fs"), 3, defaults=ServerDefaults(block_bytes=BLOCK), **CORE
    ) as system:
        yield system


@pytest.fixture
def own(tmp_path: Path) -> Iterator[SmallFileSystem]:
    """For tests that hurt it."""
    with small_file_system(
        tmp_path, 3, defaults=ServerDefaults(block_bytes=BLOCK), **CORE
    ) as system:
        yield system


@pytest.fixture(params=["local", "tcp"])
def fs(request: pytest.FixtureRequest, shared: SmallFileSystem) -> Iterator[FileSystem]:
    with connect(shared.uri, options=TCP if request.param == "tcp" else None) as opened:
        yield opened


def write(fs: FileSystem, path: str, data: bytes, **named: int) -> None:
    with fs.create(path, overwrite=True, **named) as file:
        file.write(data)


def block_files(directory: Path, length: int) -> list[Path]:
    found = []
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a repair's own file, renamed meanwhile
            if path.is_file() and path.stat().st_size == length:
                found.append(path)
    return sorted(found)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_every_size_comes_back(fs: FileSystem, size: int) -> None:
    write(fs, f"/size/{size}", DATA[:size])
    status = fs.stat(f"/size/{size}")
    assert (status.length, status.replication, status.under_construction) == (size, 3, False)
    with fs.open(f"/size/{size}") as file:
        assert file.read() == DATA[:size]
    blocks = fs.locate(f"/size/{size}")
    assert [b.block.length for b in blocks] == [
        min(BLOCK, size - at) for at in range(0, size, BLOCK)
    ]
    until(
        lambda: all(len(b.locations) == 3 for b in fs.locate(f"/size/{size}")),
        "three replicas of every block",
    )


def test_ranges_and_lines(fs: FileSystem) -> None:
    write(fs, "/ranges", DATA)
    rng = random.Random(9)
    with fs.open("/ranges") as file:
        for _ in range(60):
            start, length = rng.randrange(len(DATA)), rng.randrange(2 * BLOCK)
            assert file.pread(start, length) == DATA[start : start + length]
            file.seek(start)
            assert file.read(length) == DATA[start : start + length]
    text = b"".join(b"line %d\n" % i for i in range(50_000))
    write(fs, "/lines", text)
    with io.BufferedReader(fs.open("/lines"), 65_536) as lines:
        assert [*lines] == text.splitlines(keepends=True)


def test_sizes_of_a_files_own(fs: FileSystem) -> None:
    write(fs, "/own", DATA[:200_000], block_bytes=64 << 10, replication=2)
    blocks = fs.locate("/own")
    assert [b.block.length for b in blocks] == [65_536, 65_536, 65_536, 200_000 - 3 * 65_536]
    until(
        lambda: {len(b.locations) for b in fs.locate("/own")} == {2}, "two replicas of every block"
    )
    with fs.open("/own") as file:
        assert file.read() == DATA[:200_000]


def test_concurrent_readers_and_writers(fs: FileSystem) -> None:
    failures: list[str] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for turn in range(4):
            path, data = f"/many/{seed}-{turn}", rng.randbytes(rng.randrange(2 * BLOCK))
            write(fs, path, data)
            with fs.open(path) as file:
                if file.read() != data:
                    failures.append(path)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(fs.list("/many")) == 24


def test_the_namespace(fs: FileSystem) -> None:
    fs.delete("/ns", recursive=True)
    names = ["a b", "quo'te\"", "new\nline", "ünï-文", "st*r", "br[1]", "{x,y}", "-dash", "%41"]
    for name in names:
        write(fs, f"/ns/dir/{name}", name.encode())
    assert [entry.name for entry in fs.list("/ns/dir")] == sorted(names, key=str.encode)
    for name in names:
        assert [entry.path for entry in fs.glob(f"/ns/dir/{name}")] == [f"/ns/dir/{name}"]
        with fs.open(f"/ns/dir/{name}") as file:
            assert file.read() == name.encode()
    assert [e.path for e in fs.glob("/ns/*/[a-b]*")] == ["/ns/dir/a b", "/ns/dir/br[1]"]
    assert [e.path for e in fs.glob("/ns/{dir,none}/ünï*")] == ["/ns/dir/ünï-文"]
    assert fs.glob("/ns/none/*") == []
    assert next(e.path for e in fs.walk("/ns")) == "/ns/dir"
    with pytest.raises(FileAlreadyExists):
        fs.create("/ns/dir/a b")
    with pytest.raises((ParentNotDirectory, FileAlreadyExists)):
        fs.create("/ns/dir/a b/below")
    with pytest.raises(IsADirectory):
        fs.open("/ns/dir")
    with pytest.raises(FileNotFound):
        fs.open("/ns/none")
    with pytest.raises(FileNotFound):
        fs.create("/ns/no/parent", create_parents=False)
    with pytest.raises(InvalidPath):
        fs.create("/ns/a:b")
    with pytest.raises(DirectoryNotEmpty):
        fs.delete("/ns/dir")
    fs.rename2("/ns/dir", "/ns/moved")
    assert not fs.exists("/ns/dir")
    fs.set_permission("/ns/moved", 0o700)
    assert fs.stat("/ns/moved").permission == 0o700
    summary = fs.content_summary("/ns")
    assert (summary.files, summary.directories, summary.length) == (
        len(names),
        2,
        sum(len(n.encode()) for n in names),
    )
    assert fs.delete("/ns", recursive=True)
    assert not fs.delete("/ns", recursive=True)


def test_renames_and_publishing(fs: FileSystem, shared: SmallFileSystem) -> None:
    tracker = shared.coordinator.election.campaign(
        "tracker", Candidate("jt1", "127.0.0.1:1"), on_lost=lambda: None
    )
    fs.delete("/pub", recursive=True)
    for i in range(5):
        write(fs, f"/pub/.out.job/attempts/{i}", b"%d" % i)
    fs.mkdirs("/pub/.out.job/publish")
    pairs = [(f"/pub/.out.job/attempts/{i}", f"/pub/.out.job/publish/part-{i}") for i in range(5)]
    fs.rename_many(pairs)
    fs.rename_many(pairs)
    published = fs.publish("/pub/.out.job/publish", "/pub/out", tracker_epoch=tracker.epoch)
    assert (
        fs.publish("/pub/.out.job/publish", "/pub/out", tracker_epoch=tracker.epoch)
        == published
        == fs.stat("/pub/out").inode_id
    )
    assert [e.name for e in fs.list("/pub/out")] == [f"part-{i}" for i in range(5)]
    tracker.resign()


def test_a_file_being_written_is_there_and_a_failed_one_is_gone(fs: FileSystem) -> None:
    fs.delete("/open", recursive=False)
    file = fs.create("/open")
    file.write(DATA[: BLOCK + 1000])
    assert fs.stat("/open").under_construction
    with fs.open("/open") as early:
        assert early.read() == DATA[: early.length]
    file.abort()
    assert not fs.exists("/open")


def test_reading_survives_the_death_of_a_datanode(own: SmallFileSystem) -> None:
    for options in (ClientOptions(), TCP):
        with connect(own.uri, options=options) as fs:
            write(fs, "/f", DATA)
            with fs.open("/f") as file:
                assert file.read(10_000) == DATA[:10_000]
                victim = next(iter(own.datanodes))
                own.stop_datanode(victim)
                assert file.read() == DATA[10_000:]
                assert file.pread(BLOCK - 10, 20) == DATA[BLOCK - 10 : BLOCK + 10]
        own.start_datanode(victim)
        own.await_live(3)


def test_writing_survives_the_death_of_datanodes(own: SmallFileSystem) -> None:
    """Two of three die while the file is open; one sound replica suffices to go on."""
    with connect(own.uri, options=TCP) as fs:
        with fs.create("/f") as file:
            for at in range(0, len(DATA), 50_000):
                file.write(DATA[at : at + 50_000])
                if at in (100_000, 400_000):
                    own.stop_datanode(sorted(own.datanodes)[0])
        with fs.open("/f") as file:
            assert file.read() == DATA
        for name in ("dn1", "dn2"):
            own.start_datanode(name)
        until(
            lambda: all(len(b.locations) == 3 for b in fs.locate("/f")),
            "three replicas of every block again",
            40,
        )


@pytest.mark.parametrize("how", ["local", "tcp"])
def test_a_flipped_bit_is_never_returned_and_is_mended(
    own: SmallFileSystem, tmp_path: Path, how: str
) -> None:
    data = DATA[: BLOCK - 5]
    with connect(own.uri, options=TCP if how == "tcp" else None) as fs:
        write(fs, "/f", data)
        replicas = until(
            lambda: (found := block_files(tmp_path, len(data))) and len(found) == 3 and found,
            "three replica files",
        )
        for victim in replicas[:2]:
            victim.chmod(0o644)
            with victim.open("r+b") as file:
                file.seek(100_000)
                file.write(bytes([data[100_000] ^ 4]))

        def mended() -> bool:
            with fs.open("/f") as file:
                assert file.read() == data
            with contextlib.suppress(FileNotFoundError):  # renamed into place by a repair
                return [p.read_bytes() == data for p in block_files(tmp_path, len(data))] == [
                    True
                ] * 3
            return False

        until(mended, "three sound replicas again, while being read", 60)


def test_when_all_datanodes_are_gone_the_reader_says_so(own: SmallFileSystem) -> None:
    with connect(own.uri, options=ClientOptions(local_reads=False, read_rounds=2)) as fs:
        write(fs, "/f", DATA[:1000])
        for name in list(own.datanodes):
            own.stop_datanode(name)
        with fs.open("/f") as file, pytest.raises(BlockMissing, match="/f: block blk_"):
            file.read()


def test_a_restarted_namenode_is_met_again(own: SmallFileSystem) -> None:
    with connect(own.uri) as fs:
        write(fs, "/f", DATA)
        file = fs.create("/g")
        file.write(DATA[:1000])
        own.restart_namenode()
        file.write(DATA[1000:])
        file.close()
        for path in ("/f", "/g"):
            with fs.open(path) as back:
                assert back.read() == DATA


def test_a_forked_child_reads_and_writes_with_connections_of_its_own(
    shared: SmallFileSystem,
) -> None:
    """As the task processes of a warm server do with the storage they inherit."""
    with connect(shared.uri, options=TCP) as fs:
        write(fs, "/fork/parent", DATA)
        with fs.open("/fork/parent") as file:
            assert file.pread(0, 10) == DATA[:10]
        children = []
        for number in range(3):
            child = os.fork()
            if not child:
                try:
                    with fs.open("/fork/parent") as file:
                        same = file.read() == DATA
                    write(fs, f"/fork/{number}", DATA[:1000])
                    os._exit(0 if same else 1)
                finally:
                    os._exit(2)
            children.append(child)
        with fs.open("/fork/parent") as file:
            assert file.read() == DATA
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [
            0,
            0,
            0,
        ]
        assert [entry.status.length for entry in fs.list("/fork")] == [1000, 1000, 1000, len(DATA)]
