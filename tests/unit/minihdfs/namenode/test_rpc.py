"""The namenode's loop over real sockets, with a core that answers what it is told: batches,
parking, limits, and clients that misbehave."""

from __future__ import annotations

import gc
import socket
import threading
import time

import pytest

from minihdfs.errors import AccessDenied, SafeMode
from minihdfs.model import FileStatus
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.hadoop_connection import Limits
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import hadoop_rpc
from minihdfs.wire.hadoop_rpc import ClientConnection, Reply
from tests.unit.minihdfs.namenode.fake_core import FakeCore, FakeNamenode, Release, running

CLIENT = b"0123456789abcdef"
STATUS = FileStatus(
    16390, b"", False, 5, 3, 1 << 20, 0o644, "ann", "staff", 1_700_000_000_123_456, 0
)


class RawClient:
    def __init__(self, namenode: FakeNamenode, opening: bytes | None = None) -> None:
        self.sock = socket.create_connection(("127.0.0.1", namenode.port), timeout=10)
        self.sock.sendall(hadoop_rpc.encode_opening("ann", CLIENT) if opening is None else opening)
        self._wire = ClientConnection()
        self._replies: list[Reply] = []

    def send(
        self,
        method: str,
        request: object,
        call_id: int = 1,
        retry: int = 0,
        protocol: str = hadoop_rpc.CLIENT_PROTOCOL,
    ) -> None:
        self.sock.sendall(hadoop_rpc.encode_call(call_id, CLIENT, retry, protocol, method, request))  # type: ignore[arg-type]

    def reply(self) -> Reply:
        while not self._replies:
            data = self.sock.recv(1 << 16)
            if not data:
                raise EOFError
            self._replies += self._wire.feed(data)
        return self._replies.pop(0)

    def ask(self, method: str, request: object, **named: object) -> Reply:
        self.send(method, request, **named)  # type: ignore[arg-type]
        return self.reply()

    def ended(self) -> bool:
        try:
            while self.sock.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        return True


def wait_until(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition did not come true"
        threading.Event().wait(0.005)


def test_a_missing_path_is_an_empty_answer_and_a_file_comes_with_its_fields() -> None:
    core = FakeCore()
    core.rules[ev.GetFileInfo] = lambda event: STATUS if event.path == "/f" else None
    with running(core) as namenode:
        client = RawClient(namenode)
        assert client.ask("getFileInfo", nn.GetFileInfoRequest(src="/x")).payload == b""
        fs = nn.GetFileInfoResponse.FromString(
            client.ask("getFileInfo", nn.GetFileInfoRequest(src="/f")).payload
        ).fs
        assert (fs.length, fs.owner, fs.modification_time, fs.permission.perm) == (
            5,
            "ann",
            1_700_000_000_123,
            0o644,
        )


def test_the_caller_is_the_connections_user_and_has_a_call_identity_for_changes_only() -> None:
    with running() as namenode:
        client = RawClient(namenode)
        client.ask(
            "mkdirs",
            nn.MkdirsRequest(src="/d", masked={"perm": 0o755}, createParent=True),
            call_id=9,
            retry=2,
        )
        client.ask("getFileInfo", nn.GetFileInfoRequest(src="/d"), call_id=10)
        made, looked = namenode.core.asked
        caller = made.caller
        assert (caller.user, caller.groups, caller.host) == ("ann", ("anns",), "127.0.0.1")
        assert (caller.client_id, caller.call_id, caller.retry) == (CLIENT, 9, True)
        assert (looked.caller.client_id, looked.caller.call_id) == (b"", 0)


def test_pipelined_calls_are_answered_each_with_its_id() -> None:
    with running() as namenode:
        client = RawClient(namenode)
        for call_id in range(300):
            client.send("getFileInfo", nn.GetFileInfoRequest(src=f"/{call_id}"), call_id=call_id)
        assert sorted(client.reply().call_id for _ in range(300)) == list(range(300))


def test_a_parked_call_does_not_hold_up_the_next_one() -> None:
    core = FakeCore()
    core.held, core.rules[ev.Complete] = {ev.Complete}, True
    with running(core) as namenode:
        client = RawClient(namenode)
        client.send("complete", nn.CompleteRequest(src="/f", clientName="c"), call_id=1)
        assert client.ask("getFileInfo", nn.GetFileInfoRequest(src="/x"), call_id=2).call_id == 2
        namenode.loop.post(Release())
        assert client.reply().call_id == 1


def test_a_client_that_left_before_its_answer_harms_nobody() -> None:
    core = FakeCore()
    core.held, core.rules[ev.Complete] = {ev.Complete}, True
    with running(core) as namenode:
        gone = RawClient(namenode)
        gone.send("complete", nn.CompleteRequest(src="/f", clientName="c"))
        wait_until(lambda: core.parked)
        gone.sock.close()
        client = RawClient(namenode)
        client.ask("getFileInfo", nn.GetFileInfoRequest(src="/x"))
        namenode.loop.post(Release())
        assert (
            client.ask("getFileInfo", nn.GetFileInfoRequest(src="/x")).status == hadoop_rpc.SUCCESS
        )


@pytest.mark.parametrize(
    ("error", "java_class"),
    [
        (AccessDenied, "org.apache.hadoop.security.AccessControlException"),
        (SafeMode, "org.apache.hadoop.hdfs.server.namenode.SafeModeException"),
    ],
)
def test_a_refusal_carries_javas_class_our_code_and_the_message(
    error: type, java_class: str
) -> None:
    core = FakeCore()
    core.rules[ev.Mkdirs] = Refusal(error, "not so")
    with running(core) as namenode:
        reply = RawClient(namenode).ask(
            "mkdirs", nn.MkdirsRequest(src="/d", masked={"perm": 1}, createParent=True)
        )
        assert (reply.status, reply.java_class, reply.message, reply.code) == (
            hadoop_rpc.ERROR,
            java_class,
            "not so",
            error.code,
        )  # type: ignore[attr-defined]


def test_unknown_methods_protocols_and_features_are_refused_each_in_its_way() -> None:
    with running() as namenode:
        client = RawClient(namenode)
        empty = nn.MsyncRequest()
        assert (
            client.ask("frobnicate", empty).java_class
            == "org.apache.hadoop.ipc.RpcNoSuchMethodException"
        )
        assert (
            client.ask("mkdirs", empty, protocol="x.Y").java_class
            == "org.apache.hadoop.ipc.RpcNoSuchProtocolException"
        )
        assert (
            client.ask("createSnapshot", empty).java_class
            == "java.lang.UnsupportedOperationException"
        )
        assert client.ask("msync", empty).status == hadoop_rpc.SUCCESS


def test_a_request_that_does_not_decode_costs_its_call_not_the_connection() -> None:
    with running() as namenode:
        client = RawClient(namenode)
        reply = client.ask("getFileInfo", nn.MsyncRequest())
        assert reply.status == hadoop_rpc.ERROR
        assert "lacks src" in reply.message
        assert (
            client.ask("getFileInfo", nn.GetFileInfoRequest(src="/x")).status == hadoop_rpc.SUCCESS
        )


def test_an_answer_that_does_not_encode_costs_its_call_not_the_namenode() -> None:
    core = FakeCore()
    core.rules[ev.GetFileInfo] = lambda event: "no status at all"
    with running(core) as namenode:
        reply = RawClient(namenode).ask("getFileInfo", nn.GetFileInfoRequest(src="/x"))
        assert "does not encode" in reply.message
        assert RawClient(namenode).ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS


def test_a_malformed_connection_is_told_and_closed_and_others_go_on() -> None:
    with running() as namenode:
        other = RawClient(namenode)
        broken = RawClient(
            namenode, hadoop_rpc.encode_opening("ann", CLIENT) + b"\x00\x00\x00\x03abc"
        )
        assert broken.reply().status == hadoop_rpc.FATAL
        assert broken.ended()
        browser = RawClient(namenode, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert browser.sock.recv(100).startswith(b"HTTP/1.1 404")
        assert other.ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS


def test_a_client_that_does_not_read_is_dropped_and_others_go_on() -> None:
    core = FakeCore()
    core.rules[ev.GetFileInfo] = FileStatus(1, b"n" * 60_000, False, 1, 1, 1, 1, "a", "b", 0, 0)
    limits = Limits(paused_answer_bytes=100_000, dropped_answer_bytes=3_000_000, stall_s=0.5)
    with running(core, limits) as namenode:
        deaf = RawClient(namenode)
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for call_id in range(400):
            deaf.send("getFileInfo", nn.GetFileInfoRequest(src="/x"), call_id=call_id)
        client = RawClient(namenode)
        wait_until(
            lambda: (
                client.ask("getFileInfo", nn.GetFileInfoRequest(src="/x"))
                and len(namenode.loop.connected()) == 1
            )
        )
        assert deaf.ended()


def test_a_slow_reader_gets_everything_in_the_end() -> None:
    core = FakeCore()
    core.rules[ev.GetFileInfo] = FileStatus(1, b"n" * 60_000, False, 1, 1, 1, 1, "a", "b", 0, 0)
    with running(core, Limits(paused_answer_bytes=100_000)) as namenode:
        slow = RawClient(namenode)

        def ask_all() -> None:
            for call_id in range(400):
                slow.send("getFileInfo", nn.GetFileInfoRequest(src="/x"), call_id=call_id)

        asking = threading.Thread(target=ask_all)
        asking.start()
        assert sorted(slow.reply().call_id for _ in range(400)) == list(range(400))
        asking.join()


def test_more_unanswered_calls_than_allowed_wait_in_the_socket() -> None:
    core = FakeCore()
    core.held, core.rules[ev.Complete] = {ev.Complete}, True
    with running(core, Limits(pending_calls=10, receive_bytes=400)) as namenode:
        client = RawClient(namenode)
        for call_id in range(100):
            client.send("complete", nn.CompleteRequest(src="/f", clientName="c"), call_id=call_id)
        wait_until(lambda: len(core.parked) >= 10)
        assert RawClient(namenode).ask("msync", nn.MsyncRequest()).status == hadoop_rpc.SUCCESS
        assert len(core.parked) < 30
        seen: list[int] = []
        while len(seen) < 100:
            namenode.loop.post(Release())
            seen.append(client.reply().call_id)
        assert sorted(seen) == list(range(100))


def test_silent_and_idle_connections_are_closed() -> None:
    with running(limits=Limits(opening_s=0.1, idle_s=0.1)) as namenode:
        assert RawClient(namenode, b"").ended()
        idle = RawClient(namenode)
        idle.ask("msync", nn.MsyncRequest())
        assert idle.ended()


def test_edits_are_durable_before_they_are_answered() -> None:
    with running() as namenode:
        client = RawClient(namenode)
        for index in range(5):
            client.ask(
                "mkdirs", nn.MkdirsRequest(src=f"/{index}", masked={"perm": 1}, createParent=True)
            )
            assert len(list(namenode.journal.read())) == index + 1


def test_the_ha_state_follows_leadership() -> None:
    with running() as namenode:
        client = RawClient(namenode)
        request = nn.HAServiceStateRequest()
        assert (
            nn.HAServiceStateResponse.FromString(
                client.ask("getHAServiceState", request).payload
            ).state
            == 1
        )
        namenode.loop.facts.epoch = 0
        assert (
            nn.HAServiceStateResponse.FromString(
                client.ask("getHAServiceState", request).payload
            ).state
            == 2
        )


def test_a_core_that_raises_ends_the_loop_with_its_error() -> None:
    core = FakeCore()
    core.rules[ev.GetFileInfo] = lambda event: 1 / 0
    namenode = FakeNamenode(core)
    RawClient(namenode).send("getFileInfo", nn.GetFileInfoRequest(src="/x"))
    wait_until(lambda: namenode.failure is not None)
    namenode.stop()
    assert isinstance(namenode.failure, ZeroDivisionError)


def test_calls_leave_no_cyclic_garbage() -> None:
    """A daemon's old generation is never collected: what each call left there would stay."""
    core = FakeCore()
    core.rules[ev.GetFileInfo] = STATUS
    core.rules[ev.Delete] = Refusal(SafeMode, "not now")
    with running(core) as namenode:

        def ask_all() -> None:
            client = RawClient(namenode)
            for number in range(50):
                client.ask("getFileInfo", nn.GetFileInfoRequest(src="/x"), call_id=number)
                client.ask(
                    "delete", nn.DeleteRequest(src="/x", recursive=False), call_id=100 + number
                )
                client.ask("frobnicate", nn.MsyncRequest(), call_id=200 + number)
                client.ask(
                    "getListing", nn.GetFileInfoRequest(src="/x"), call_id=300 + number
                )  # does not decode
            client.sock.close()

        ask_all()
        gc.collect()
        core.asked.clear()
        gc.disable()
        try:
            ask_all()
            assert gc.collect() < 50
        finally:
            gc.enable()
