"""Hadoop RPC framing: both sides against each other, in pieces of any size, and against bytes that
are not Hadoop RPC."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.pb import hadoop_rpc_pb2 as pb
from minihdfs.wire import hadoop_rpc
from minihdfs.wire.hadoop_rpc import Call, ClientConnection, MalformedRpc, ServerConnection

CLIENT = b"0123456789abcdef"


def opening(user: str = "ann") -> bytes:
    return hadoop_rpc.encode_opening(user, CLIENT)


def ask(path: str, call_id: int = 7, retry: int = 0) -> bytes:
    return hadoop_rpc.encode_call(
        call_id,
        CLIENT,
        retry,
        hadoop_rpc.CLIENT_PROTOCOL,
        "getFileInfo",
        nn.GetFileInfoRequest(src=path),
    )


def frame(*parts: bytes) -> bytes:
    body = b"".join(bytes((len(part),)) + part for part in parts)
    return struct.pack(">I", len(body)) + body


def fatal(error: MalformedRpc) -> hadoop_rpc.Reply:
    (reply,) = ClientConnection().feed(error.farewell)
    assert reply.status == hadoop_rpc.FATAL
    return reply


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=300), max_size=6), st.data())
def test_calls_arrive_whole_whatever_pieces_they_come_in(
    paths: list[str], data: st.DataObject
) -> None:
    wire = (
        opening()
        + b"".join(ask(path, index) for index, path in enumerate(paths))
        + hadoop_rpc.encode_ping(CLIENT)
    )
    server, calls, at = ServerConnection(), [], 0
    while at < len(wire):
        size = data.draw(st.integers(1, 60))
        calls += server.feed(wire[at : at + size])
        at += size
    assert [nn.GetFileInfoRequest.FromString(call.payload).src for call in calls] == paths
    assert [call.call_id for call in calls] == list(range(len(paths)))
    assert (server.user, server.protocol, server.to_send) == (
        "ann",
        hadoop_rpc.CLIENT_PROTOCOL,
        b"",
    )


def test_the_opening_is_what_hadoop_sends() -> None:
    assert opening()[:7] == b"hrpc\x09\x00\x00"


def test_a_call_carries_its_identity_and_an_answer_echoes_it() -> None:
    (call,) = ServerConnection().feed(opening() + ask("/x", call_id=41, retry=3))
    assert call[:5] == (41, CLIENT, 3, "getFileInfo", hadoop_rpc.CLIENT_PROTOCOL)
    wire = hadoop_rpc.encode_success(call, nn.MkdirsResponse(result=True))
    (reply,) = ClientConnection().feed(wire)
    assert (reply.call_id, reply.status) == (41, hadoop_rpc.SUCCESS)
    assert nn.MkdirsResponse.FromString(reply.payload).result
    header = pb.RpcResponseHeader.FromString(wire[5 : 5 + wire[4]])
    assert (header.clientId, header.retryCount, header.serverIpcVersionNum) == (CLIENT, 3, 9)


def test_an_error_names_the_java_class_the_message_and_our_code() -> None:
    call = Call(5, CLIENT, -1, "mkdirs", "", b"")
    (reply,) = ClientConnection().feed(
        hadoop_rpc.encode_error(call, "java.io.FileNotFoundException", "no /x", "NOT_FOUND")
    )
    assert reply == (
        5,
        hadoop_rpc.ERROR,
        "java.io.FileNotFoundException",
        "no /x",
        "NOT_FOUND",
        b"",
    )


def test_replies_come_out_whole_in_any_pieces() -> None:
    call = Call(5, CLIENT, -1, "mkdirs", "", b"")
    wire = hadoop_rpc.encode_success(call, nn.MkdirsResponse(result=True)) * 3
    client = ClientConnection()
    assert [
        reply.call_id for at in range(len(wire)) for reply in client.feed(wire[at : at + 1])
    ] == [5, 5, 5]


def test_sasl_negotiation_is_offered_simple_and_goes_on() -> None:
    def say(state: int, *auths: pb.RpcSasl.Auth) -> bytes:
        header = pb.RpcRequestHeader(rpcKind=2, rpcOp=0, callId=-33, clientId=b"", retryCount=-1)
        return frame(
            header.SerializeToString(), pb.RpcSasl(state=state, auths=auths).SerializeToString()
        )

    server = ServerConnection()
    assert server.feed(b"hrpc\x09\x00\xdf" + say(pb.RpcSasl.NEGOTIATE)) == []
    (reply,) = ClientConnection().feed(server.to_send)
    offer = pb.RpcSasl.FromString(reply.payload)
    assert (reply.call_id, offer.state, [auth.method for auth in offer.auths]) == (
        -33,
        pb.RpcSasl.NEGOTIATE,
        ["SIMPLE"],
    )
    (call,) = server.feed(
        say(pb.RpcSasl.INITIATE, pb.RpcSasl.Auth(method="SIMPLE", mechanism=""))
        + opening()[7:]
        + ask("/x")
    )
    assert (call.method, server.user) == ("getFileInfo", "ann")


def test_sasl_with_anything_but_simple_is_refused() -> None:
    header = pb.RpcRequestHeader(
        rpcKind=2, rpcOp=0, callId=-33, clientId=b"", retryCount=-1
    ).SerializeToString()
    said = pb.RpcSasl(
        state=pb.RpcSasl.INITIATE, auths=[pb.RpcSasl.Auth(method="KERBEROS", mechanism="GSSAPI")]
    ).SerializeToString()
    with pytest.raises(MalformedRpc, match="only SIMPLE"):
        ServerConnection().feed(b"hrpc\x09\x00\xdf" + frame(header, said))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\x00\x01", "begins with"),
        (b"SSH-2.0-x", "begins with"),
        (b"GET / HTTP/1.1", "HTTP"),
        (b"hrpc\x08\x00\x00", "version 9"),
        (b"hrpc\x09\x00\x51", "SIMPLE"),
    ],
)
def test_a_connection_that_begins_otherwise_is_refused_at_once(data: bytes, match: str) -> None:
    with pytest.raises(MalformedRpc, match=match):
        ServerConnection().feed(data)


def test_a_browser_is_told_in_http() -> None:
    with pytest.raises(MalformedRpc) as raised:
        ServerConnection().feed(b"GET /webhdfs/v1/ HTTP/1.1\r\n")
    assert raised.value.farewell.startswith(b"HTTP/1.1 404")


def test_another_version_is_told_the_class_java_clients_rebuild() -> None:
    with pytest.raises(MalformedRpc) as raised:
        ServerConnection().feed(b"hrpc\x07\x00\x00")
    assert fatal(raised.value).java_class == "org.apache.hadoop.ipc.RPC$VersionMismatch"


def test_a_length_over_the_limit_is_refused_before_its_bytes_arrive() -> None:
    with pytest.raises(MalformedRpc, match="over the limit"):
        ServerConnection().feed(opening() + struct.pack(">I", (128 << 20) + 1))


@pytest.mark.parametrize(
    "body",
    [b"", b"\x05ab", b"\xff\xff\xff\xff\xff\xff", b"\x02\xff\xff", ask("/x")[4:-2]],
    ids=["empty", "cut header", "endless varint", "not protobuf", "cut request"],
)
def test_a_frame_that_does_not_decode_ends_the_connection_with_one_error(body: bytes) -> None:
    with pytest.raises(MalformedRpc, match="does not decode") as raised:
        ServerConnection().feed(opening() + struct.pack(">I", len(body)) + body)
    assert fatal(raised.value).call_id == -1


def test_a_call_before_the_context_is_refused() -> None:
    with pytest.raises(MalformedRpc, match="before the connection's context"):
        ServerConnection().feed(opening()[:7] + ask("/x"))


def test_a_second_context_is_refused() -> None:
    with pytest.raises(MalformedRpc, match="call id -3"):
        ServerConnection().feed(opening() + opening()[7:])


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_else(data: bytes) -> None:
    for prefix in (b"", b"hrpc\x09\x00\x00", opening()):
        try:
            ServerConnection().feed(prefix + data)
        except MalformedRpc as error:
            assert "\n" not in error.message
    try:
        ClientConnection().feed(data)
    except MalformedRpc:
        pass
