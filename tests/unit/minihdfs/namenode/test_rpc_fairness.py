"""Floods, half-said things and crowds at the namenode's port: others are served, what is kept is
bounded. By order and counts."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from clusterkit.effects import Event, Instant
from minihdfs.model import RENAMES_MAX
from minihdfs.namenode.admission import Admission
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.hadoop_connection import FEW_CALLS, Limits
from minihdfs.namenode.hadoop_server import RpcLoop, listen
from minihdfs.namenode.methods.table import Facts
from minihdfs.pb import hadoop_hdfs_pb2 as hdfs
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import hadoop_rpc
from tests.unit.minihdfs.namenode.fake_core import FakeCore, FakeNamenode, Release, running
from tests.unit.minihdfs.namenode.test_rpc import CLIENT, RawClient, wait_until


def frame(
    method: str, request: Any, call_id: int = 1, protocol: str = hadoop_rpc.CLIENT_PROTOCOL
) -> bytes:
    return hadoop_rpc.encode_call(call_id, CLIENT, 0, protocol, method, request)


def info(call_id: int = 1) -> bytes:
    return frame("getFileInfo", nn.GetFileInfoRequest(src="/x"), call_id)


class HandTurned:
    """A loop turned by hand, whose clock moves by `step_us` with each event; a stand-in for driver,
    core and clock."""

    def __init__(self, step_us: int, limits: Limits | None = None) -> None:
        self.step_us, self.mono_us = step_us, 0
        self.turns: list[list[Event]] = []
        self.holds = True  # as if each turn had an edit
        self.listener = listen("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        self.core = self
        self.loop = RpcLoop(
            [self.listener],
            facts=Facts("test", 7),
            groups=lambda user: (user,),
            clock=self,
            limits=limits,
        )

    def now(self) -> Instant:
        return Instant(self.mono_us, 0)

    def next_deadline(self) -> int | None:
        return self.mono_us  # the loop never sleeps

    def turn(self, events: Iterator[Event]) -> int:
        self.turns.append([])
        for event in events:
            self.turns[-1].append(event)
            self.mono_us += self.step_us
        return 0

    def round(self) -> list[Event]:
        self.loop._round(self)  # type: ignore[arg-type]
        return self.turns[-1]

    def connect(self, user: str) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        sock.sendall(hadoop_rpc.encode_opening(user, CLIENT))
        wait_until(
            lambda: (
                self.round() is not None
                and any(c.peer[1] == user for c in self.loop._connections.values())
            )
        )
        return sock


@pytest.fixture
def hand() -> Iterator[Any]:
    made: list[HandTurned] = []

    def make(step_us: int, limits: Limits | None = None) -> HandTurned:
        made.append(HandTurned(step_us, limits))
        return made[-1]

    yield make
    for one in made:
        one.loop.close()


def test_a_turn_ends_after_its_time_or_its_count(hand: Any) -> None:
    slow = hand(6_000)
    asks = slow.connect("ann")  # and stays: little is done for who hangs up
    asks.sendall(b"".join(map(info, range(100))))
    wait_until(lambda: len(slow.round()) > 0)
    assert len(slow.round()) == 4  # the fourth passes 20 ms
    slow.holds = False
    assert len(slow.round()) == 1  # without edits others are read sooner
    quick = hand(0)
    sockets = [quick.connect(f"u{number}") for number in range(8)]
    for sock in sockets:
        sock.sendall(b"".join(map(info, range(150))))
    wait_until(lambda: sum(map(len, quick.turns)) >= 1200 or quick.round() is None)
    assert max(map(len, quick.turns)) <= 512


def test_nothing_is_read_from_a_connection_whose_calls_wait(hand: Any) -> None:
    namenode = hand(20_000, Limits(receive_bytes=4096))
    sock = namenode.connect("ann")
    sock.setblocking(False)
    sent = 0
    flood = b"".join(map(info, range(20_000)))
    for _ in range(200):
        try:
            sent += sock.send(flood[sent : sent + 65536])
        except BlockingIOError:
            pass
        assert len(namenode.round()) <= 1
        (connection,) = namenode.loop._connections.values()
        assert connection.held <= 4096 + len(info())
    assert sent > 100_000


def test_a_flood_from_many_connections_is_behind_one_call_of_another_user(hand: Any) -> None:
    namenode = hand(1_000)
    flooders = [namenode.connect("mallory") for _ in range(40)]
    polite = namenode.connect("ann")
    for sock in flooders:
        sock.sendall(b"".join(map(info, range(100))))
    wait_until(lambda: len(namenode.round()) >= 20)
    for number in range(5):
        polite.sendall(frame("getFileInfo", nn.GetFileInfoRequest(src=f"/polite/{number}")))
        seen: list[Event] = []
        wait_until(
            lambda: seen.extend(namenode.round()) or any(e.caller.user == "ann" for e in seen)  # noqa: B023
        )
        turn = namenode.turns[-1]
        assert [event.caller.user for event in turn].index("ann") <= 1


def test_names_that_are_made_up_win_no_turns_from_who_asks_one_call_at_a_time(hand: Any) -> None:
    """A hundred backlogged users, one after the other: each call of another, who asks for more
    than a hundredth of the time, waits for one of theirs at most."""
    namenode = hand(1_000)
    flooders = [namenode.connect(f"mallory-{number}") for number in range(100)]
    polite = namenode.connect("ann")
    for sock in flooders:
        sock.sendall(b"".join(map(info, range(100))))
    wait_until(lambda: namenode.round() is not None and len(namenode.loop._queue) == 100)
    for number in range(60):
        polite.sendall(frame("getFileInfo", nn.GetFileInfoRequest(src=f"/polite/{number}")))
        began = len(namenode.turns)
        wait_until(lambda: any(event.caller.user == "ann" for event in namenode.round()))
        assert [event.caller.user for event in namenode.turns[-1]].index("ann") <= 1
        assert len(namenode.turns) - began <= 2


def test_parties_share_before_the_names_of_either_do(hand: Any) -> None:
    namenode = hand(1_000)
    parties = iter(["uid 1"] * 40 + ["uid 2"])
    namenode.loop._parties.of = lambda _sock, _host: next(parties)
    floods = [namenode.connect(f"mallory-{number}") for number in range(40)]
    floods.append(namenode.connect("ann"))
    for sock in floods:
        sock.sendall(b"".join(map(info, range(100))))
    wait_until(lambda: namenode.round() is not None and len(namenode.loop._queue) == 41)
    served: Counter[str] = Counter()
    while sum(served.values()) < 80:
        served.update(event.caller.user for event in namenode.round())
    assert served["ann"] >= 35


def test_reports_of_datanodes_wait_each_for_itself_and_hold_up_no_client(hand: Any) -> None:
    namenode = hand(5_000)
    client = namenode.connect("ann")

    class Waiter:
        def take(self, message: Any) -> None: ...

    for sequence in range(50):
        namenode.loop.post(ev.BlocksChanged(Waiter(), "dn1", 1, sequence, (), ()))
    namenode.loop.post(ev.BlocksChanged(Waiter(), "dn2", 1, 1, (), ()))
    client.sendall(info())
    wait_until(lambda: any(isinstance(event, ev.GetFileInfo) for event in namenode.round()))
    stepped = [event for turn in namenode.turns for event in turn]
    assert len(stepped) < 30
    assert [e.uuid for e in stepped if isinstance(e, ev.BlocksChanged)].index("dn2") <= 2
    told = [e.sequence for e in stepped if isinstance(e, ev.BlocksChanged) and e.uuid == "dn1"]
    assert told == list(range(len(told)))


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────


def test_a_long_frame_before_the_context_ends_the_connection_at_its_announcement() -> None:
    with running() as namenode:
        bomb = RawClient(namenode, b"hrpc\x09\x00\x00" + struct.pack(">I", 17 << 10))
        assert "over the limit" in bomb.reply().message
        assert bomb.ended()
        talker = RawClient(namenode, b"hrpc\x09\x00\x00" + hadoop_rpc.encode_ping(CLIENT) * 9)
        assert "without a connection's context" in talker.reply().message


def test_a_request_longer_than_its_method_may_be_is_refused_and_never_kept() -> None:
    with running(limits=Limits(held_bytes=200_000)) as namenode:
        client = RawClient(namenode)
        client.send("getFileInfo", nn.GetFileInfoRequest(src="/" + "x" * 3_000_000), call_id=1)
        client.send("getFileInfo", nn.GetFileInfoRequest(src="/x"), call_id=2)
        refused, answered = client.reply(), client.reply()
        assert (refused.call_id, refused.code) == (1, "INVALID_ARGUMENT")
        assert "over the limit of 65536" in refused.message
        assert (answered.call_id, answered.status) == (2, hadoop_rpc.SUCCESS)
        assert namenode.loop._held < 100


def test_a_frame_over_every_limit_ends_the_connection() -> None:
    with running() as namenode:
        client = RawClient(namenode)
        client.sock.sendall(struct.pack(">I", 129 << 20))
        assert "over the limit of 134217728" in client.reply().message
        assert client.ended()


def test_who_is_still_sending_when_refused_can_read_why() -> None:
    with running(limits=Limits(leaving_s=0.2)) as namenode:
        client = RawClient(namenode, hadoop_rpc.encode_opening("u" * (8 << 20), CLIENT))
        client.send("msync", nn.MsyncRequest())
        assert "over the limit of 16384" in client.reply().message
        assert client.ended()
        wait_until(lambda: not namenode.loop.connected() and namenode.loop._held == 0)


def test_half_a_frame_has_a_deadline() -> None:
    with running(limits=Limits(frame_s=0.1)) as namenode:
        half, other = RawClient(namenode), RawClient(namenode)
        half.ask("msync", nn.MsyncRequest())
        half.sock.sendall(info()[:20])
        assert half.ended()
        assert other.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS


def test_all_connections_together_hold_a_bounded_number_of_bytes() -> None:
    with running(limits=Limits(held_bytes=300_000)) as namenode:
        other = RawClient(namenode)
        halves = [RawClient(namenode) for _ in range(10)]
        part = frame("getFileInfo", nn.GetFileInfoRequest(src="/" + "x" * 60_000))[:-1]
        for half in halves:
            half.sock.sendall(part)
        wait_until(lambda: len(namenode.loop.connected()) < 8)
        wait_until(lambda: namenode.loop._held <= 300_000)
        assert other.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS


def test_entries_are_counted_before_they_are_decoded() -> None:
    class Raw:
        def SerializeToString(self) -> bytes:
            return b"\x0a\x04\x0a\x00\x12\x00" * 500_000

    with running() as namenode:
        client = RawClient(namenode)
        said = client.ask("renameMany", Raw(), protocol=hadoop_rpc.OWN_PROTOCOL)
        assert (said.code, f"more than {3 * RENAMES_MAX} entries" in said.message) == (
            "INVALID_ARGUMENT",
            True,
        )
        assert client.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS
    assert {type(event) for event in namenode.core.asked} == {ev.GetServerDefaults}  # msync alone


def test_every_string_is_bounded_and_the_limit_is_told() -> None:
    with running() as namenode:
        assert (
            "user name of 300 bytes is over the limit of 255"
            in RawClient(namenode, hadoop_rpc.encode_opening("u" * 300, CLIENT)).reply().message
        )
        client = RawClient(namenode)
        create = nn.CreateRequest(
            src="/f",
            masked=hdfs.FsPermission(perm=0o644),
            clientName="c" * 8000,
            createFlag=1,
            createParent=False,
            replication=1,
            blockSize=1 << 20,
        )
        assert (
            "clientName of 8000 bytes is over the limit of 1024"
            in client.ask("create", create).message
        )
        assert (
            "username of 2000 bytes"
            in client.ask("setOwner", nn.SetOwnerRequest(src="/f", username="o" * 2000)).message
        )
        assert (
            "src of 40001 bytes"
            in client.ask("getFileInfo", nn.GetFileInfoRequest(src="/" + "x" * 40_000)).message
        )
        assert client.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS
    assert {type(event) for event in namenode.core.asked} == {ev.GetServerDefaults}  # msync alone


def test_calls_that_wait_are_bounded_over_all_connections() -> None:
    """A client with few of them is served all the same, and those held back go on when answers
    leave."""
    core = FakeCore()
    core.held, core.rules[ev.Complete] = {ev.Complete}, True
    with running(core, Limits(crowded_calls=100)) as namenode:
        crowd = [RawClient(namenode) for _ in range(10)]
        for client in crowd:
            for call_id in range(100):
                client.send(
                    "complete", nn.CompleteRequest(src="/f", clientName="c"), call_id=call_id
                )
        wait_until(lambda: len(core.parked) >= 100)
        for _ in range(20):
            assert RawClient(namenode).ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS
        assert len(core.parked) <= 100 + 10 * FEW_CALLS
        answered = [0] * len(crowd)

        def all_answered() -> bool:
            namenode.loop.post(Release())
            for number, client in enumerate(crowd):
                client.sock.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    while True:
                        client.reply()
                        answered[number] += 1
            return answered == [100] * len(crowd)

        wait_until(all_answered, 30)


def test_nothing_is_done_for_who_is_gone(hand: Any) -> None:
    """The calls of a flood that ended lie in the kernel and in the queue: they cost others nothing
    any more."""
    loop = hand(step_us=10_000)
    gone = [loop.connect(f"mallory-{number}") for number in range(3)]
    for sock in gone:
        sock.sendall(b"".join(info(n) for n in range(400)))  # more than is read in one round
    loop.round()
    for sock in gone:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    loop.round()
    assert loop.loop.connected() == []
    assert [loop.round() for _ in range(10)] == [[]] * 10
    assert not loop.loop._queue


def test_of_a_backlog_whose_client_has_closed_little_is_done() -> None:
    """A client that read all it was sent ends with a FIN behind its calls."""
    namenode = FakeNamenode(FakeCore(), start=False)
    try:
        client = RawClient(namenode)
        for number in range(100):
            client.send(
                "mkdirs",
                nn.MkdirsRequest(src="/d", masked={"perm": 1}, createParent=True),
                call_id=number,
            )
        client.sock.close()
        other = RawClient(namenode)
        namenode._thread.start()
        assert other.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS
        wait_until(lambda: len(namenode.loop.connected()) == 1)
    finally:
        namenode.stop()
    assert sum(isinstance(event, ev.Mkdirs) for event in namenode.core.asked) <= 2 * FEW_CALLS


@pytest.mark.parametrize("calls", [1, 400])
def test_who_only_stopped_asking_is_answered(calls: int) -> None:
    """Half-closed: all that was asked before is done, parked calls too."""
    core = FakeCore()
    core.held, core.rules[ev.Complete] = {ev.Complete}, True
    with running(core) as namenode:
        client = RawClient(namenode)
        client.send("complete", nn.CompleteRequest(src="/f", clientName="c"), call_id=9_999)
        for number in range(calls):
            client.send("getFileInfo", nn.GetFileInfoRequest(src="/x"), call_id=number)
        client.sock.shutdown(socket.SHUT_WR)
        answered = [client.reply().call_id for _ in range(calls)]
        assert answered == list(range(calls))
        namenode.loop.post(Release())
        assert client.reply().call_id == 9_999
        assert client.ended()
        wait_until(lambda: not namenode.loop.connected())


# ── how many connections ──────────────────────────────────────────────────────────────────────────


def test_a_crowd_of_silent_connections_makes_room_for_who_comes() -> None:
    with running(limits=Limits(connections=32)) as namenode:
        kept = RawClient(namenode, hadoop_rpc.encode_opening("ann", CLIENT))
        crowd = [
            RawClient(namenode, hadoop_rpc.encode_opening("mallory", CLIENT)) for _ in range(60)
        ]
        new = RawClient(namenode, hadoop_rpc.encode_opening("bob", CLIENT))
        for client in (kept, new):
            assert client.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS
        assert len(namenode.loop.connected()) <= 32
        del crowd


def test_connections_that_say_nothing_go_first() -> None:
    with running(limits=Limits(connections=40)) as namenode:
        opened = [RawClient(namenode, hadoop_rpc.encode_opening("ann", CLIENT)) for _ in range(20)]
        for client in opened:
            client.ask("msync", nn.MsyncRequest())
        silent = [RawClient(namenode, b"hrpc") for _ in range(60)]
        for client in opened:
            assert client.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS
        del silent


def test_what_works_is_never_ended_for_a_newcomer() -> None:
    core = FakeCore()
    core.held, core.rules[ev.Complete] = {ev.Complete}, True
    with running(core, Limits(connections=8)) as namenode:
        busy = [  # as many as one host may have
            RawClient(namenode, hadoop_rpc.encode_opening(user, CLIENT))
            for user in ("ann", "ann", "ann", "bob", "bob", "bob")
        ]
        for number, client in enumerate(busy):
            client.send("complete", nn.CompleteRequest(src="/f", clientName="c"), call_id=number)
        wait_until(lambda: len(core.parked) == 6)
        assert RawClient(namenode, b"").ended()
        assert len(namenode.loop.connected()) == 6


def test_one_user_of_a_host_does_not_take_all_that_the_host_may_have() -> None:
    """Idle ones make room for a newcomer of that user; those that work are not ended for it."""
    core = FakeCore()
    core.held, core.rules[ev.Complete] = {ev.Complete}, True
    with running(core, Limits(connections=16)) as namenode:
        kept = [RawClient(namenode) for _ in range(8)]
        for number, client in enumerate(kept):
            client.send("complete", nn.CompleteRequest(src="/f", clientName="c"), call_id=number)
        wait_until(lambda: len(core.parked) == 8)
        for _ in range(20):
            assert RawClient(namenode).ended()
        other = RawClient(namenode, hadoop_rpc.encode_opening("bob", CLIENT))
        assert other.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS
        namenode.loop.post(Release())
        for client in kept:
            client.reply()

        def taken() -> bool:  # a look in vain is not repeated at once
            with contextlib.suppress(EOFError, ConnectionError):
                return RawClient(namenode).ask("msync", nn.MsyncRequest()).call_id == 1
            return False

        wait_until(taken)
        assert other.ask("msync", nn.MsyncRequest(), call_id=2).status == hadoop_rpc.SUCCESS


class Worker:
    """A connection that works on something; counts how often it is looked at."""

    opened, peer, party, looks = True, ("h", "mallory"), "h", 0

    @property
    def spare(self) -> bool:
        Worker.looks += 1
        return False


def test_a_crowd_that_works_is_not_looked_through_for_every_newcomer() -> None:
    admission = Admission(Limits(connections=8))
    Worker.looks = 0
    for _ in range(6):
        working: Any = Worker()
        admission.came(working)
        admission.opened(working)
    assert [admission.to_end("h", now_us) for now_us in range(0, 50_000, 1_000)] == [None] * 50
    assert (Worker.looks, admission.refused) == (6, 50)
    assert admission.to_end("another", 0) is not None
    admission.to_end("h", 50_000)
    assert Worker.looks == 12
