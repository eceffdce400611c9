"""PyPI's hdfs-native (a Rust client of HDFS), unmodified, against our namenode and datanodes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

hdfs_native = pytest.importorskip("hdfs_native", reason="the test extra brings it")

from tests.integration.file_system import USER, SmallFileSystem, small_file_system  # noqa: E402

MIB = 1 << 20
BIG = random.Random(6).randbytes(7 * MIB // 2 + 3)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFileSystem]:
    with small_file_system(tmp_path_factory.mktemp("fs")) as running:
        yield running


@pytest.fixture
def native(system: SmallFileSystem, monkeypatch: pytest.MonkeyPatch) -> hdfs_native.Client:
    monkeypatch.setenv("HADOOP_USER_NAME", USER)
    return hdfs_native.Client(system.uri)


def write(native: hdfs_native.Client, path: str, data: bytes, **options: int) -> None:
    with native.create(path, hdfs_native.WriteOptions(**options)) as writer:
        for at in range(0, len(data), 700_001):
            writer.write(data[at : at + 700_001])


def read(native: hdfs_native.Client, path: str) -> bytes:
    with native.read(path) as reader:
        return bytes(reader.read())


@pytest.mark.parametrize("size", [0, 1, 512, 65_536, 65_537, len(BIG)])
def test_what_it_writes_it_reads_back(
    system: SmallFileSystem, native: hdfs_native.Client, size: int
) -> None:
    path = f"/native/{size}"
    write(native, path, BIG[:size], block_size=MIB, replication=3)
    assert read(native, path) == BIG[:size]
    status = system.client.get_file_info(path)
    assert status is not None
    assert (status.length, status.replication, status.block_bytes, status.under_construction) == (
        size,
        3,
        MIB,
        False,
    )
    blocks = system.client.get_block_locations(path, 0, size + 1).blocks
    assert [block.block.length for block in blocks] == [
        min(MIB, size - at) for at in range(0, size, MIB)
    ]


def test_ranges_across_block_borders(native: hdfs_native.Client) -> None:
    write(native, "/ranges", BIG, block_size=MIB, replication=2)
    with native.read("/ranges") as reader:
        for offset, length in (
            (0, 1),
            (MIB - 3, 6),
            (MIB, MIB),
            (2 * MIB - 1, MIB + 2),
            (len(BIG) - 5, 5),
        ):
            assert bytes(reader.read_range(offset, length)) == BIG[offset : offset + length]


def test_names_listing_rename_delete_and_attributes(
    system: SmallFileSystem, native: hdfs_native.Client
) -> None:
    native.mkdirs("/meta/ä b", 0o750, create_parent=True)
    write(native, "/meta/ä b/f", b"abc")
    listed = {status.path: status for status in native.list_status("/meta", recursive=True)}
    assert set(listed) == {"/meta/ä b", "/meta/ä b/f"}
    assert (
        listed["/meta/ä b"].isdir,
        listed["/meta/ä b"].permission,
        listed["/meta/ä b/f"].owner,
    ) == (True, 0o750, USER)
    native.rename("/meta/ä b/f", "/meta/g")
    native.set_permission("/meta/g", 0o600)
    native.set_owner("/meta/g", "bob", "staff")
    native.set_times("/meta/g", 1_700_000_000_123, 1_700_000_000_000)
    assert native.set_replication("/meta/g", 1)
    status = native.get_file_info("/meta/g")
    assert (
        status.permission,
        status.owner,
        status.group,
        status.modification_time,
        status.replication,
    ) == (
        0o600,
        "bob",
        "staff",
        1_700_000_000_123,
        1,
    )
    summary = native.get_content_summary("/meta")
    assert (summary.length, summary.file_count, summary.directory_count) == (3, 1, 2)
    assert native.get_acl_status("/meta/g").owner == "bob"
    assert [status.path for status in native.glob_status("/meta/?")] == ["/meta/g"]
    assert native.delete("/meta", recursive=True)
    with pytest.raises(FileNotFoundError):
        native.get_file_info("/meta")


def test_more_than_one_page_is_listed_whole(
    system: SmallFileSystem, native: hdfs_native.Client
) -> None:
    for number in range(1_500):
        system.client.mkdirs(f"/pages/{number:05}")
    assert [status.path for status in native.list_status("/pages")] == [
        f"/pages/{number:05}" for number in range(1_500)
    ]


def test_refusals_name_the_cause(system: SmallFileSystem, native: hdfs_native.Client) -> None:
    write(native, "/taken", b"x")
    with pytest.raises(FileExistsError):
        write(native, "/taken", b"y")
    write(native, "/taken", b"yz", overwrite=True)
    assert read(native, "/taken") == b"yz"
    with pytest.raises(Exception, match="append is not supported"):
        native.append("/taken")
    with pytest.raises(RuntimeError, match="/full"):
        native.mkdirs("/full/x", create_parent=True)
        native.delete("/full")


def test_a_dead_datanode_and_a_restarted_namenode_lose_nothing(
    system: SmallFileSystem, native: hdfs_native.Client
) -> None:
    write(native, "/safe", BIG, block_size=MIB, replication=2)
    system.stop_datanode("dn2")
    assert read(native, "/safe") == BIG
    system.await_silent(
        "dn2"
    )  # this client gives up at the first datanode that refuses; ours and Java's ask for another
    write(native, "/during", BIG, block_size=MIB, replication=3)
    system.restart_namenode()
    assert read(native, "/safe") == BIG
    assert read(native, "/during") == BIG
    system.start_datanode("dn2")
    system.await_live(3)


def test_its_files_are_ours_and_ours_are_its(
    system: SmallFileSystem, native: hdfs_native.Client
) -> None:
    from minihdfs.client.filesystem import connect

    ours = connect(system.uri, user=USER)
    write(native, "/from-native", BIG, block_size=MIB, replication=2)
    with ours.open("/from-native") as file:
        assert file.read() == BIG
    with ours.create("/from-ours", block_bytes=MIB) as file:
        file.write(BIG)
    assert read(native, "/from-ours") == BIG
    ours.close()


def test_what_it_asks_in_the_first_second_of_a_namenode_waits(
    system: SmallFileSystem, native: hdfs_native.Client
) -> None:
    write(native, "/early", BIG, block_size=MIB, replication=2)
    with system.restarted_under(lambda: read(native, "/early")) as reading:
        assert reading.result(60) == BIG
    with system.restarted_under(
        lambda: write(native, "/early2", BIG, block_size=MIB, replication=2)
    ) as writing:
        writing.result(60)
    assert read(native, "/early2") == BIG
