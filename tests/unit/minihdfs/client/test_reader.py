"""Reading: every offset and length, replicas that fail in every way, and what is said when none is
left."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from minihdfs.client import local_block
from minihdfs.client.api import ClientOptions
from minihdfs.client.datanodes import Datanodes
from minihdfs.client.reader import FileReader
from minihdfs.errors import BlockMissing, FileNotFound
from minihdfs.wire.local_fd import FdReply
from tests.equipment.until import until
from tests.unit.minihdfs.client.fakes import FakeDatanode, FakeNamenode, open_descriptors

BLOCK = 200_000
DATA = random.Random(5).randbytes(3 * BLOCK + 777)
OPTIONS = ClientOptions(connect_timeout_s=0.5, read_timeout_s=0.3, read_rounds=2)


@pytest.fixture(params=["tcp", "local"])
def cluster(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[FakeNamenode, Datanodes]]:
    nodes = [
        FakeDatanode(f"d{i}", tmp_path, domain_socket=request.param == "local") for i in range(3)
    ]
    namenode = FakeNamenode(nodes)
    namenode.put("/f", DATA, BLOCK)
    namenode.put("/empty", b"", BLOCK)
    datanodes = Datanodes(0.5)
    yield namenode, datanodes
    datanodes.close()
    for node in nodes:
        node.kill()


def reader(
    cluster: tuple[FakeNamenode, Datanodes], path: str = "/f", options: ClientOptions = OPTIONS
) -> FileReader:
    return FileReader(cast(Any, cluster[0]), cluster[1], path, options=options)


def test_the_whole_file_comes_back(cluster: tuple[FakeNamenode, Datanodes]) -> None:
    with reader(cluster) as file:
        assert file.length == len(DATA)
        assert file.read() == DATA
        assert file.read() == b"" == file.read(5)
    with reader(cluster) as file:
        buffer = bytearray(len(DATA) + 10)
        assert file.readinto(buffer) == len(DATA)
        assert buffer == DATA + bytes(10)


def test_an_empty_file_and_a_missing_one(cluster: tuple[FakeNamenode, Datanodes]) -> None:
    with reader(cluster, "/empty") as file:
        assert (file.read(), file.length, file.pread(0, 10)) == (b"", 0, b"")
    with pytest.raises(FileNotFound):
        reader(cluster, "/none")


def test_random_seeks_and_reads(cluster: tuple[FakeNamenode, Datanodes]) -> None:
    rng = random.Random(7)
    with reader(cluster) as file:
        for _ in range(150):
            start = rng.choice(
                [rng.randrange(len(DATA) + 5), BLOCK, BLOCK - 1, 511, 512, 513, len(DATA)]
            )
            length = rng.choice([0, 1, 511, 512, 65_536, rng.randrange(2 * BLOCK)])
            if rng.random() < 0.4:
                assert file.pread(start, length) == DATA[start : start + length]
            else:
                if rng.random() < 0.6:
                    assert file.seek(start) == start
                else:
                    start = file.tell()
                assert file.read(length) == DATA[start : start + length]
                assert file.tell() == start + len(DATA[start : start + length])


def test_positions_are_those_of_python_files(cluster: tuple[FakeNamenode, Datanodes]) -> None:
    with reader(cluster) as file:
        assert file.seek(-10, 2) == len(DATA) - 10
        assert file.read() == DATA[-10:]
        assert file.seek(5, 1) == len(DATA) + 5
        assert file.read(3) == b""
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
        with pytest.raises(ValueError, match="negative"):
            file.pread(-1, 3)
    with pytest.raises(ValueError, match="closed"):
        file.read()
    file.close()


def test_preads_from_many_threads(cluster: tuple[FakeNamenode, Datanodes]) -> None:
    failures: list[str] = []
    with reader(cluster) as file:

        def work(seed: int) -> None:
            rng = random.Random(seed)
            for _ in range(20):
                start, length = rng.randrange(len(DATA)), rng.randrange(BLOCK)
                if file.pread(start, length) != DATA[start : start + length]:
                    failures.append(f"{start}+{length}")

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert failures == []


@pytest.mark.parametrize("fault", ["corrupt", "silent", "refuse", "hangup", "dead"])
def test_two_failing_replicas_are_skipped(
    cluster: tuple[FakeNamenode, Datanodes], fault: str
) -> None:
    namenode, datanodes = cluster
    datanodes.suspect(
        namenode.datanodes[2].address
    )  # so the sound one is asked last; among equals the order is random
    for node in namenode.datanodes[:2]:
        node.kill() if fault == "dead" else node.faults.add(fault)
    with reader(cluster) as file:
        assert file.read() == DATA
        assert file.pread(BLOCK - 5, 10) == DATA[BLOCK - 5 : BLOCK + 5]
    if fault == "corrupt":
        assert {uuid for _, uuid in namenode.bad} == {"d0", "d1"}
    elif fault == "hangup":  # when it happens again
        assert {uuid for _, uuid in namenode.bad} <= {"d0", "d1"}
    else:
        assert namenode.bad == []


def test_when_every_replica_fails_each_is_named_with_its_reason(
    cluster: tuple[FakeNamenode, Datanodes],
) -> None:
    namenode, _ = cluster
    namenode.datanodes[0].faults.add("corrupt")
    namenode.datanodes[1].kill()
    del namenode.datanodes[2].blocks[1]
    with reader(cluster) as file, pytest.raises(BlockMissing) as caught:
        file.read()
    message = caught.value.message
    assert message.startswith("/f: block blk_1_1001")
    assert "host-d0" in message
    assert "checksum" in message
    assert "host-d1" in message
    assert "host-d2" in message
    assert "is not here" in message


def test_a_replica_that_returns_is_used_again(cluster: tuple[FakeNamenode, Datanodes]) -> None:
    """The second round asks the namenode again and finds the block where it is by then."""
    namenode, _ = cluster
    blocks = {node: dict(node.blocks) for node in namenode.datanodes}
    for node in namenode.datanodes:
        node.blocks.clear()

    calls = namenode.get_block_locations

    def restored(path: str, offset: int, length: int) -> Any:
        if namenode.location_calls >= 1:
            for node in namenode.datanodes:
                node.blocks.update(blocks[node])
        return calls(path, offset, length)

    namenode.get_block_locations = restored  # type: ignore[method-assign]
    with reader(cluster) as file:
        assert file.read() == DATA


def test_a_file_replaced_while_it_is_read_is_not_mixed(
    cluster: tuple[FakeNamenode, Datanodes],
) -> None:
    namenode, _ = cluster
    with reader(cluster) as file:
        assert file.read(100) == DATA[:100]
        for node in namenode.datanodes:
            node.blocks.clear()
        namenode.put("/f", b"x" * len(DATA), BLOCK)
        with pytest.raises(BlockMissing, match="replaced"):
            file.pread(BLOCK, 100)


def test_a_file_being_written_shows_what_is_known(cluster: tuple[FakeNamenode, Datanodes]) -> None:
    namenode, _ = cluster
    namenode.open_files.add("/f")
    with reader(cluster) as file:
        assert file.length == len(DATA)
        assert file.pread(len(DATA) - 3, 10) == DATA[-3:]


def test_connections_and_descriptors_are_reused_and_given_back(
    cluster: tuple[FakeNamenode, Datanodes],
) -> None:
    namenode, datanodes = cluster
    before = open_descriptors()
    for _ in range(20):
        with reader(cluster) as file:
            assert file.pread(1000, 100) == DATA[1000:1100]
    assert sum(node.connections for node in namenode.datanodes) <= 3
    del file
    gc.collect()
    datanodes.close()
    assert open_descriptors() <= before + 3  # the fakes' ends


def test_a_sequential_read_over_tcp_is_one_operation_a_block(tmp_path: Path) -> None:
    node = FakeDatanode("d0", tmp_path)
    namenode = FakeNamenode([node])
    namenode.put("/f", DATA, BLOCK)
    with FileReader(cast(Any, namenode), Datanodes(), "/f") as file:
        while file.read(10_000):
            pass
    assert len(node.operations) == 4
    node.kill()


def test_a_kept_connection_that_the_datanode_closed_is_no_failure(tmp_path: Path) -> None:
    node = FakeDatanode("d0", tmp_path)
    namenode = FakeNamenode([node])
    namenode.put("/f", DATA, BLOCK)
    datanodes = Datanodes()
    with FileReader(
        cast(Any, namenode), datanodes, "/f", options=ClientOptions(read_rounds=1)
    ) as file:
        assert file.pread(0, 10) == DATA[:10]
        for sock in node._open:
            sock.shutdown(2)
        assert file.pread(20, 10) == DATA[20:30]
    node.kill()


LIES = [
    "chunk:0",
    "chunk:3",
    "chunk:2147483648",
    "chunk:1073741824",
    "unsummed",
    "ahead",
    "huge",
    "crowd",
    "hangup",
]


@pytest.fixture
def lying(tmp_path: Path) -> Iterator[tuple[FakeNamenode, Datanodes]]:
    """Two datanodes, the first of which gets a fault; over TCP."""
    nodes = [FakeDatanode(f"d{i}", tmp_path) for i in range(2)]
    namenode = FakeNamenode(nodes)
    namenode.put("/f", DATA, BLOCK)
    datanodes = Datanodes(0.5)
    yield namenode, datanodes
    datanodes.close()
    for node in nodes:
        node.kill()


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_datanode_costs_its_replica_and_nothing_else(
    lying: tuple[FakeNamenode, Datanodes], lie: str
) -> None:
    namenode, datanodes = lying
    liar = namenode.datanodes[0]
    liar.faults.add(lie)
    with reader(lying) as file:
        file._random.random = lambda: 0.0  # type: ignore[method-assign]  # the first one first, while nothing speaks against it
        assert file.read() == DATA
        for at in range(0, 20, 5):
            assert file.pread(BLOCK + at, 10) == DATA[BLOCK + at : BLOCK + at + 10]
    assert not datanodes.suspects(), "its other replicas may be sound"


def test_a_replica_that_breaks_off_twice_is_reported(lying: tuple[FakeNamenode, Datanodes]) -> None:
    namenode, datanodes = lying
    first = namenode.files["/f"][0].block.id
    del namenode.datanodes[1].blocks[first]
    namenode.datanodes[0].faults.add("hangup")
    with reader(lying) as file, pytest.raises(BlockMissing, match="closed the connection"):
        file.pread(0, BLOCK)
    assert namenode.bad == [(first, "d0")] and not datanodes.suspects()


def test_a_datanode_that_never_comes_to_an_end_is_left(
    lying: tuple[FakeNamenode, Datanodes],
) -> None:
    namenode, _ = lying
    for node in namenode.datanodes:
        node.faults.add("endless")
    with reader(lying) as file:
        assert file.pread(0, BLOCK) == DATA[:BLOCK]
    assert sum(node.endless for node in namenode.datanodes) < 100


def test_a_stream_that_was_left_standing_is_nobodys_fault(
    lying: tuple[FakeNamenode, Datanodes],
) -> None:
    namenode, datanodes = lying
    with reader(lying) as file:
        for _ in range(4):
            assert file.read(20_000) == DATA[file.tell() - 20_000 : file.tell()]
            for node in namenode.datanodes:
                for sock in node._open:
                    with contextlib.suppress(OSError):
                        sock.shutdown(2)
        assert file.read() == DATA[80_000:]
        assert not file._broken
    assert namenode.bad == [] and not datanodes.suspects()


@pytest.mark.parametrize("cluster", ["local"], indirect=True)
def test_descriptors_are_for_this_process_and_none_is_left(
    cluster: tuple[FakeNamenode, Datanodes], monkeypatch: pytest.MonkeyPatch
) -> None:
    namenode, _datanodes = cluster
    inherited: list[bool] = []

    class Seen(local_block.LocalBlock):
        def __init__(self, reply: FdReply, data_fd: int, checksum_fd: int) -> None:
            inherited.extend(os.get_inheritable(fd) for fd in (data_fd, checksum_fd))
            super().__init__(reply, data_fd, checksum_fd)

    monkeypatch.setattr(local_block, "LocalBlock", Seen)
    before = open_on_null()
    with reader(cluster) as file:
        assert file.pread(0, 10) == DATA[:10]
    assert inherited == [False, False]
    for node in namenode.datanodes:
        node.blocks.clear()
    with reader(cluster) as file, pytest.raises(BlockMissing):
        file.pread(0, 10)
    until(lambda: open_on_null() <= before, "what came with a refusal is closed", 10)


def open_on_null() -> int:
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # other threads close theirs
            found += str(path.readlink()) == "/dev/null"
    return found


@pytest.mark.parametrize("cluster", ["local"], indirect=True)  # over TCP the datanode meets it
def test_a_block_file_that_cannot_be_read_is_the_replicas_fault(
    cluster: tuple[FakeNamenode, Datanodes], monkeypatch: pytest.MonkeyPatch
) -> None:
    namenode, datanodes = cluster

    def failing(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with reader(cluster) as file:
        assert file.pread(0, 10) == DATA[:10]
        monkeypatch.setattr(os, "preadv", failing)
        monkeypatch.setattr(os, "pread", failing)
        with pytest.raises(BlockMissing, match="Input/output"):
            file.pread(1, 10)
    assert not datanodes.suspects() and {uuid for _, uuid in namenode.bad} <= {"d0", "d1", "d2"}


@pytest.mark.parametrize("socket_is", ["of a dead process", "out of connections", "silent"])
def test_a_socket_for_descriptors_that_does_not_work_leaves_tcp(
    tmp_path: Path, socket_is: str
) -> None:
    """The datanode lives, and it is the only one."""
    node = FakeDatanode("d0", tmp_path)
    path = tmp_path / "descriptors.sock"
    node.address = replace(node.address, domain_socket=str(path))
    namenode, datanodes = FakeNamenode([node]), Datanodes(0.5)
    namenode.put("/f", DATA, BLOCK)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    if socket_is != "of a dead process":
        listener.listen()
    if socket_is == "out of connections":
        threading.Thread(target=_close_each, args=(listener,), daemon=True).start()
    try:
        with reader((namenode, datanodes)) as file:
            assert file.pread(5, 100) == DATA[5:105]
            assert file.read() == DATA
        assert not datanodes.is_suspect(node.address)
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        datanodes.close()
        node.kill()


def _close_each(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            listener.accept()[0].close()
