"""Apache Hadoop's own shell, unmodified, against our namenode and datanodes: every command of the
promise, byte for byte.

One command costs a Java start of about two seconds, so each story does much with few of them and
checks the rest with our own client.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minihdfs.client.filesystem import connect
from minihdfs.client.namenode_channel import Channel
from minihdfs.pb.hadoop_datanode_pb2 import (
    GetReplicaVisibleLengthRequest,
    GetReplicaVisibleLengthResponse,
)
from minihdfs.wire import hadoop_rpc
from minihdfs.wire.data_transfer import delimited
from minihdfs.wire.messages import block_to_pb
from tests.equipment.hadoop_shell import HadoopShell
from tests.integration.file_system import USER, SmallFileSystem, small_file_system, wait_until

MIB = 1 << 20
BIG = random.Random(5).randbytes(5 * MIB // 2 + 17)  # three blocks of 1 MiB, the last one odd
NAME = "näme with 'quotes\" and $pace.bin"


class Shell(HadoopShell):
    def ok(self, *arguments: str, stdin: bytes = b"") -> bytes:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr.decode())
        assert b"Exception" not in done.stderr, done.stderr.decode()
        return done.stdout

    def hold_tokens(self, file: Path) -> None:
        self._environment["HADOOP_TOKEN_FILE_LOCATION"] = str(file)

    def refused(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 1, (arguments, done.stdout, done.stderr.decode())
        return last_line(done)


def last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode().strip().splitlines()[-1]


@pytest.fixture(scope="module")
def system(
    hadoop_jars: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SmallFileSystem]:
    with small_file_system(tmp_path_factory.mktemp("fs")) as running:
        yield running


@pytest.fixture
def shell(system: SmallFileSystem, tmp_path: Path) -> Shell:
    return Shell(
        tmp_path,
        system.uri,
        properties={"dfs.blocksize": str(MIB), "dfs.namenode.fs-limits.min-block-size": "1024"},
    )


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A local directory with a large, an empty and an oddly named file in a subdirectory."""
    source = tmp_path / "source"
    (source / "sub dir").mkdir(parents=True)
    (source / "big.bin").write_bytes(BIG)
    (source / "empty").write_bytes(b"")
    (source / "sub dir" / NAME).write_bytes(BIG[:1000])
    return source


def test_mkdir_put_ls_cat_get_tail(
    system: SmallFileSystem, shell: Shell, files: Path, tmp_path: Path
) -> None:
    shell.ok("-mkdir", "-p", "/one/a b/ü")
    shell.ok("-put", str(files), "/one/tree")
    listed = shell.ok("-ls", "-R", "/one").decode()
    names = sorted(line[line.index("/one") :] for line in listed.splitlines())
    assert names == sorted(
        [
            "/one/a b",
            "/one/a b/ü",
            "/one/tree",
            "/one/tree/big.bin",
            "/one/tree/empty",
            "/one/tree/sub dir",
            f"/one/tree/sub dir/{NAME}",
        ]
    )
    big = next(line for line in listed.splitlines() if line.endswith("big.bin"))
    assert big.split()[:5] == ["-rw-r--r--", "2", USER, "supergroup", str(len(BIG))]
    assert len(system.client.get_block_locations("/one/tree/big.bin", 0, len(BIG)).blocks) == 3
    assert shell.ok("-ls", "/one").decode().splitlines()[0] == "Found 2 items"
    assert (
        shell.ok("-cat", "/one/tree/big.bin", "/one/tree/empty", f"/one/tree/sub dir/{NAME}")
        == BIG + BIG[:1000]
    )
    shell.ok("-get", "/one/tree", str(tmp_path / "back"))
    for path in ("big.bin", "empty", f"sub dir/{NAME}"):
        assert (tmp_path / "back" / path).read_bytes() == (files / path).read_bytes()
    assert shell.ok("-tail", "/one/tree/big.bin") == BIG[-1024:]


def test_put_from_standard_input_cp_mv_rm(system: SmallFileSystem, shell: Shell) -> None:
    shell.ok("-mkdir", "/two")
    shell.ok("-put", "-", "/two/stdin", stdin=BIG)
    shell.ok("-cp", "/two/stdin", "/two/copy")
    shell.ok("-mv", "/two/copy", "/two/moved")
    assert shell.ok("-cat", "/two/moved") == BIG
    assert system.client.get_file_info("/two/copy") is None
    shell.ok("-rm", "/two/stdin")
    shell.ok("-rm", "-r", "/two")
    assert system.client.get_file_info("/two") is None


def test_touchz_chmod_stat_setrep_du_count_df(
    system: SmallFileSystem, shell: Shell, files: Path
) -> None:
    shell.ok("-mkdir", "/three")
    shell.ok("-touchz", "/three/zero")
    shell.ok("-put", str(files / "big.bin"), "/three/big")
    shell.ok("-chmod", "-R", "750", "/three")
    status = system.client.get_file_info("/three/big")
    assert status is not None
    assert status.permission == 0o750
    assert shell.ok(
        "-stat", "%n|%b|%o|%r|%u|%g|%a|%F", "/three/zero", "/three/big"
    ).decode().splitlines() == [
        f"zero|0|{MIB}|2|{USER}|supergroup|750|regular file",
        f"big|{len(BIG)}|{MIB}|2|{USER}|supergroup|750|regular file",
    ]
    assert (
        shell.ok("-setrep", "3", "/three/big") == b"Replication 3 set: /three/big\n"
    )  # (-w would sleep ten seconds between two looks)
    system.await_replicas("/three/big", 3)
    used = [line.split() for line in shell.ok("-du", "/three").decode().splitlines()]
    assert used == [[str(len(BIG)), str(3 * len(BIG)), "/three/big"], ["0", "0", "/three/zero"]]
    assert shell.ok("-count", "/three").split() == [b"1", b"2", str(len(BIG)).encode(), b"/three"]
    header, row = shell.ok("-df", "/").decode().splitlines()
    assert header.split() == ["Filesystem", "Size", "Used", "Available", "Use%"]
    assert row.startswith(system.uri)
    assert int(row.split()[1]) == system.client.get_fs_stats().capacity_bytes


def test_a_directory_of_more_than_one_page_is_listed_whole(
    system: SmallFileSystem, shell: Shell
) -> None:
    for number in range(2_300):
        system.client.mkdirs(f"/many/d{number:05}")
    listed = shell.ok("-ls", "/many").decode().splitlines()
    assert listed[0] == "Found 2300 items"
    assert [line.split()[-1] for line in listed[1:]] == [
        f"/many/d{number:05}" for number in range(2_300)
    ]


def test_refusals_are_one_line_in_hadoops_words(
    system: SmallFileSystem, shell: Shell, files: Path, tmp_path: Path
) -> None:
    system.client.mkdirs("/refused/full/dir")
    assert "No such file or directory" in shell.refused("-cat", "/refused/nothing")
    assert "File exists" in shell.refused("-mkdir", "/refused/full")
    assert "Is a directory" in shell.refused("-rm", "/refused/full")
    assert "append is not supported" in shell.refused(
        "-appendToFile", str(files / "big.bin"), "/refused/new"
    )
    system.client.mkdirs("/refused/private", 0o700)
    other = Shell(tmp_path, system.uri, user="eve")
    assert "Permission denied: user=eve" in other.refused(
        "-put", str(files / "empty"), "/refused/private/x"
    )


def test_a_client_that_holds_a_token_begins_with_sasl_and_goes_on_simply(
    system: SmallFileSystem, shell: Shell, tmp_path: Path
) -> None:
    """MapReduce and Spark hand their tasks tokens; the client then negotiates, and is offered
    nothing but SIMPLE."""
    service = system.namenode.address.encode()
    token = b"".join(
        field(number, value)
        for number, value in enumerate((b"id", b"password", b"HDFS_DELEGATION_TOKEN", service), 1)
    )
    credentials = field(1, field(1, service) + field(2, token))
    (tmp_path / "tokens").write_bytes(b"HDTS\x01" + delimited(credentials))
    shell.hold_tokens(tmp_path / "tokens")
    shell.ok("-mkdir", "-p", "/tokens/made")
    assert system.client.get_file_info("/tokens/made") is not None


def field(number: int, value: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes((number << 3 | 2,)) + delimited(value)


def test_a_file_being_written_is_read_as_far_as_it_has_come(
    system: SmallFileSystem, shell: Shell
) -> None:
    ours = connect(system.uri, user=USER)
    with ours.create("/growing") as file:
        file.write(BIG + BIG)  # packets of 1 MiB are on their way; the rest waits for more
        wait_until(
            lambda: visible_bytes(system, "/growing") > 0, "a datanode holds some of the file"
        )
        read = shell.ok("-cat", "/growing")
        assert 0 < len(read) <= 2 * len(BIG)
        assert (BIG + BIG).startswith(read)
    assert shell.ok("-cat", "/growing") == BIG + BIG
    ours.close()


def visible_bytes(system: SmallFileSystem, path: str) -> int:
    """What the datanode that is first in the pipeline says over ClientDatanodeProtocol."""
    last = system.client.get_block_locations(path, 0, 1).last_block
    if last is None or not last.locations:
        return 0
    channel = Channel(
        f"{last.locations[0].host}:{last.locations[0].ipc_port}",
        USER,
        b"c" * 16,
        connect_timeout_s=5,
    )
    try:
        request = GetReplicaVisibleLengthRequest(block=block_to_pb(last.block))
        frame = hadoop_rpc.encode_call(
            1, b"c" * 16, 0, hadoop_rpc.CLIENT_DATANODE_PROTOCOL, "getReplicaVisibleLength", request
        )
        reply = channel.call(1, frame, time.monotonic() + 5)
    finally:
        channel.close()
    return (
        GetReplicaVisibleLengthResponse.FromString(reply.payload).length
        if reply.status == hadoop_rpc.SUCCESS
        else 0
    )


def test_a_dead_datanode_and_a_restarted_namenode_lose_nothing(
    system: SmallFileSystem, shell: Shell, files: Path, tmp_path: Path
) -> None:
    shell.ok("-put", str(files / "big.bin"), "/safe")
    system.stop_datanode("dn1")
    system.restart_namenode()
    assert shell.ok("-cat", "/safe") == BIG
    system.start_datanode("dn1")
    system.await_live(3)


def test_a_command_in_the_first_second_of_a_namenode_waits_for_its_datanodes(
    system: SmallFileSystem, shell: Shell, files: Path
) -> None:
    """No block is known to be anywhere then, and nothing may be changed. Java's client would fail
    for both reasons."""
    shell.ok("-put", str(files / "big.bin"), "/early")
    with system.restarted_under(lambda: shell.ok("-cat", "/early")) as read:
        assert read.result(60) == BIG
    with system.restarted_under(
        lambda: shell.ok("-put", str(files / "big.bin"), "/early2")
    ) as written:
        written.result(60)
    assert shell.ok("-cat", "/early2") == BIG
