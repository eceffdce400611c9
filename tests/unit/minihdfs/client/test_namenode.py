"""The namenode's client against a real loop with a fake core: values both ways, errors, retries
with one identity, threads and forks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from clusterkit.errors import TimedOut, Unavailable
from minihdfs.client.namenode_calls import NamenodeClient
from minihdfs.client.namenode_failover import CallOptions
from minihdfs.errors import (
    AccessDenied,
    FencedWriter,
    FileNotFound,
    FsError,
    NoDatanodes,
    SafeMode,
    Standby,
    StartingUp,
)
from minihdfs.model import (
    BlockRef,
    ContentSummary,
    DatanodeAddress,
    DatanodeReportRow,
    DatanodeUsage,
    FileStatus,
    FsStats,
    Listing,
    LocatedBlock,
    LocatedBlocks,
    ServerDefaults,
)
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Refusal
from tests.unit.minihdfs.namenode.fake_core import FakeCore, FakeNamenode, Release, running

NODE = DatanodeAddress("u-1", "127.0.0.1", "node1", 9866, 9867, "/rack1", "/run/dn.sock")
STATUS = FileStatus(
    16390,
    b"caf\xc3\xa9",
    False,
    5,
    3,
    1 << 20,
    0o1644,
    "ann",
    "staff",
    1_700_000_000_123_000,
    1_000_000,
    0,
    True,
)
BLOCK = LocatedBlock(BlockRef(1 << 40, 1001, 5), 0, (NODE,), False)
BLOCKS = LocatedBlocks(5, (BLOCK,), True, BLOCK, False)


def client_of(*namenodes: FakeNamenode, **options: float) -> NamenodeClient:
    return NamenodeClient([n.address for n in namenodes], "ann", options=CallOptions(**options))


def test_every_value_survives_the_wire() -> None:
    core = FakeCore()
    row = DatanodeReportRow(
        NODE, DatanodeUsage(100, 20, 70, 3, 4), "draining", 1_700_000_000_000_000
    )
    stats = FsStats(100, 20, 70, 1, 2, 3, 4, 5, 6, True, 7)
    core.rules |= {
        ev.GetFileInfo: STATUS,
        ev.GetListing: lambda e: Listing((STATUS,), 4, (BLOCKS,) if e.need_location else ()),
        ev.GetBlockLocations: BLOCKS,
        ev.GetContentSummary: ContentSummary(5, 1, 2, 15, -1, 9),
        ev.GetServerDefaults: ServerDefaults(1 << 20, 512, 1 << 16, 2, 4096),
        ev.GetFsStats: stats,
        ev.GetDatanodeReport: (row,),
        ev.Create: STATUS,
        ev.AddBlock: BLOCK,
        ev.UpdateBlockForPipeline: BLOCK,
        ev.GetAdditionalDatanode: BLOCK,
        ev.Publish: 77,
        **dict.fromkeys(
            (
                ev.Complete,
                ev.Delete,
                ev.Rename,
                ev.SetReplication,
                ev.SetSafeMode,
                ev.RecoverLease,
                ev.IsFileClosed,
            ),
            True,
        ),
    }
    with running(core) as namenode:
        client = client_of(namenode)
        assert client.get_file_info("/x") == STATUS
        assert client.get_listing("/x", b"a") == Listing((STATUS,), 4)
        assert client.get_listing("/x", need_location=True) == Listing((STATUS,), 4, (BLOCKS,))
        assert client.get_block_locations("/x", 0, 1 << 62) == BLOCKS
        assert client.get_content_summary("/x") == ContentSummary(5, 1, 2, 15, -1, 9)
        assert client.get_server_defaults() == ServerDefaults(1 << 20, 512, 1 << 16, 2, 4096)
        assert client.get_datanode_report("live") == (row,)
        status = client.get_status()
        assert (status.stats, status.epoch, status.cluster_id, status.datanodes) == (
            stats,
            7,
            "test",
            (row,),
        )
        assert client.get_fs_stats().missing_blocks == 3
        assert client.create("/x", "c") == STATUS
        assert client.add_block("/x", "c", 5, BlockRef(1, 2, 3), [NODE], ["h:1"]) == BLOCK
        assert client.update_block_for_pipeline("c", BLOCK.block) == BLOCK
        assert client.get_additional_datanode("/x", "c", 5, BLOCK.block, [NODE]) == BLOCK
        assert client.publish("/s", "/d", 3, 4) == 77
        for said in (
            client.mkdirs("/x"),
            client.complete("/x", "c"),
            client.delete("/x"),
            client.rename("/a", "/b"),
            client.set_replication("/x", 2),
            client.set_safe_mode("get"),
            client.recover_lease("/x", "c"),
            client.is_file_closed("/x"),
        ):
            assert said is True
        client.set_owner("/x", owner="bob")
        client.set_times("/x", modified_us=5_000)
        client.report_bad_blocks([(BLOCK.block, NODE)])
        client.abandon_block("/x", "c", 5, BLOCK.block)
        client.rename_many([("/a", "/b"), ("/c", "/d")])
        client.update_pipeline("c", BlockRef(1, 2, 3), BlockRef(1, 4, 3), [NODE])
        client.fsync("/x", "c", 5, 10)
        told = {type(event): event for event in core.asked}
        assert (
            told[ev.AddBlock].previous,
            told[ev.AddBlock].exclude,
            told[ev.AddBlock].favored,
        ) == (BlockRef(1, 2, 3), ("u-1",), ("h:1",))
        assert (told[ev.SetOwner].owner, told[ev.SetOwner].group) == ("bob", "")
        assert (told[ev.SetTimes].modified_ms, told[ev.SetTimes].accessed_ms) == (5, None)
        assert told[ev.ReportBadBlocks].replicas == ((BLOCK.block, "u-1"),)
        assert told[ev.RenameMany].pairs == (("/a", "/b"), ("/c", "/d"))
        assert (told[ev.UpdatePipeline].new, told[ev.UpdatePipeline].datanodes) == (
            BlockRef(1, 4, 3),
            ("u-1",),
        )
        assert (told[ev.Fsync].inode_id, told[ev.Fsync].last_block_length) == (5, 10)
        assert told[ev.GetBlockLocations].length == 1 << 62


def test_missing_paths_are_none() -> None:
    core = FakeCore()
    core.rules[ev.GetListing] = None
    with running(core) as namenode:
        client = client_of(namenode)
        assert client.get_file_info("/x") is None
        assert client.get_listing("/x") is None


@pytest.mark.parametrize("error", [FileNotFound, AccessDenied, SafeMode, FencedWriter, NoDatanodes])
def test_refusals_come_back_as_the_class_they_left_as(error: type[FsError]) -> None:
    core = FakeCore()
    core.rules[ev.Mkdirs] = Refusal(error, "no such thing\n\tat java.lang.Thread")
    with running(core) as namenode, pytest.raises(error) as raised:
        client_of(namenode).mkdirs("/x")
    assert type(raised.value) is error
    assert raised.value.message == "no such thing"


def test_nobody_there_is_said_at_once_with_the_address_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unavailable) as raised:
        NamenodeClient(address, "ann").get_file_info("/x")
    assert (address in raised.value.message, raised.value.next_command) == (True, "mrc up")


def test_a_connection_lost_in_the_middle_is_made_again_and_the_call_keeps_its_identity() -> None:
    core = FakeCore()
    first = FakeNamenode(core)
    core.held = {ev.Mkdirs}
    client = client_of(first)
    client.get_file_info("/x")
    made: list[bool] = []
    asking = threading.Thread(target=lambda: made.append(client.mkdirs("/d")))
    asking.start()
    while not core.parked:
        threading.Event().wait(0.005)
    first.stop()
    core.held = set()
    second = FakeNamenode(core, port=first.port)
    asking.join(10)
    second.stop()
    assert made == [True]
    before, after = (event.caller for event in core.asked if isinstance(event, ev.Mkdirs))
    assert (before.client_id, before.call_id) == (after.client_id, after.call_id)
    assert (before.retry, after.retry) == (False, True)


def test_a_standby_and_a_dead_address_make_way_for_the_leader() -> None:
    standby = FakeCore()
    standby.rules[ev.GetFileInfo] = Refusal(Standby, "this namenode does not lead")
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = f"127.0.0.1:{free.getsockname()[1]}"
    with running(standby) as follower, running() as leader:
        client = NamenodeClient([dead, follower.address, leader.address], "ann")
        assert client.get_file_info("/x") is None
        assert [len(n.core.asked) for n in (follower, leader)] == [1, 1]
        client.get_file_info("/y")
        assert len(follower.core.asked) == 1


def test_when_nobody_leads_standby_is_raised_after_the_patience() -> None:
    core = FakeCore()
    core.rules[ev.GetFileInfo] = Refusal(Standby, "this namenode does not lead")
    with running(core) as namenode, pytest.raises(Standby):
        client_of(namenode, patience_s=0.1).get_file_info("/x")
    assert len(core.asked) > 1


def test_a_namenode_that_never_answered_is_waited_for_where_a_cluster_is_known_to_exist() -> None:
    """A task process's first call may find no namenode: it says that it waits, and goes on when one
    comes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    heard: list[str] = []
    came = threading.Event()

    def waiting(why: str) -> None:
        heard.append(why)
        came.set()

    client = NamenodeClient(
        f"127.0.0.1:{port}", "ann", options=CallOptions(first_patience_s=30), waiting=waiting
    )
    found: list[FileStatus | None] = []
    asking = threading.Thread(target=lambda: found.append(client.get_file_info("/x")))
    asking.start()
    assert came.wait(10)
    namenode = FakeNamenode(FakeCore(), port=port)
    asking.join(10)
    namenode.stop()
    assert found == [None]
    assert (heard[0], heard[-1]) == ("Connection refused", "")


def test_a_namenode_that_starts_up_is_asked_again_in_the_same_words() -> None:
    core = FakeCore()
    refused = [True, True, False]
    core.rules[ev.Mkdirs] = lambda _event: (
        Refusal(StartingUp, "0 of 3 blocks have been reported") if refused.pop(0) else True
    )
    heard: list[str] = []
    with running(core) as namenode:
        client = NamenodeClient(namenode.address, "ann", waiting=heard.append)
        assert client.mkdirs("/d")
    assert len({(event.caller.client_id, event.caller.call_id) for event in core.asked}) == 1
    assert heard == ["0 of 3 blocks have been reported"] * 2 + [""]


def test_a_namenode_that_never_leaves_the_safe_mode_of_its_start_is_told_as_that() -> None:
    core = FakeCore()
    core.rules[ev.Mkdirs] = Refusal(StartingUp, "0 of 3 blocks have been reported")
    with running(core) as namenode, pytest.raises(SafeMode, match="0 of 3"):
        client_of(namenode, patience_s=0.1).mkdirs("/x")


def test_no_answer_in_time_is_said_and_the_client_is_still_of_use() -> None:
    core = FakeCore()
    core.held = {ev.Mkdirs}
    with running(core) as namenode:
        client = client_of(namenode, call_timeout_s=0.1)
        with pytest.raises(TimedOut, match="mkdirs"):
            client.mkdirs("/x")
        assert client.get_file_info("/x") is None


def test_many_threads_share_one_connection() -> None:
    core = FakeCore()
    core.rules[ev.GetFileInfo] = lambda event: FileStatus(
        int(event.path[1:]), b"", True, 0, 0, 0, 0o755, "a", "b", 0, 0
    )
    with running(core) as namenode:
        client, wrong = client_of(namenode), []

        def ask(worker: int) -> None:
            for index in range(100):
                number = worker * 1000 + index
                status = client.get_file_info(f"/{number}")
                if status is None or status.inode_id != number:
                    wrong.append((number, status))

        threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert len(namenode.loop.connected()) == 1


def test_a_long_wait_of_one_thread_does_not_hold_up_another() -> None:
    core = FakeCore()
    core.held, core.rules[ev.Complete] = {ev.Complete}, True
    with running(core) as namenode:
        client = client_of(namenode)
        done: list[bool] = []
        waiting = threading.Thread(target=lambda: done.append(client.complete("/f", "c")))
        waiting.start()
        while not core.parked:
            threading.Event().wait(0.005)
        for _ in range(20):
            assert client.get_file_info("/x") is None
        namenode.loop.post(Release())
        waiting.join(10)
        assert done == [True]


def test_a_forked_child_speaks_on_a_connection_and_with_an_identity_of_its_own() -> None:
    with running() as namenode:
        client = client_of(namenode)
        client.mkdirs("/parent")
        pid = os.fork()
        if pid == 0:
            try:
                client.mkdirs("/child")
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        client.mkdirs("/parent")
        callers = [event.caller for event in namenode.core.asked]
        assert callers[0].client_id == callers[2].client_id != callers[1].client_id


def test_importing_it_starts_nothing_heavy() -> None:
    script = (
        "import sys, minihdfs.client.namenode_calls; print(*(m for m in ('grpc', 'kazoo', "
        "'asyncio', 'lmdb') if m in sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.strip()
        == ""
    )
