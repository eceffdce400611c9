"""ClientDatanodeProtocol on a real socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from minihdfs.datanode.ipc_server import IpcServer
from minihdfs.pb import hadoop_datanode_pb2 as pb
from minihdfs.pb import hadoop_hdfs_pb2 as hdfs_pb
from minihdfs.wire.hadoop_rpc import (
    CLIENT_DATANODE_PROTOCOL,
    ERROR,
    SUCCESS,
    ClientConnection,
    Reply,
    encode_call,
    encode_opening,
)
from tests.unit.minihdfs.datanode.test_block_store import SMALL, put, store_at, stored


def call(port: int, method: str, block_id: int, stamp: int) -> Reply:
    client_id = os.urandom(16)
    block = hdfs_pb.ExtendedBlock(poolId="p", blockId=block_id, generationStamp=stamp, numBytes=0)
    request = pb.GetReplicaVisibleLengthRequest(block=block)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(encode_opening("somebody", client_id, CLIENT_DATANODE_PROTOCOL))
        sock.sendall(encode_call(3, client_id, 0, CLIENT_DATANODE_PROTOCOL, method, request))
        connection = ClientConnection()
        while True:
            data = sock.recv(4096)
            assert data, "closed without an answer"
            replies = connection.feed(data)
            if replies:
                return replies[0]


def test_the_visible_length_of_a_replica(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    stored(store, 1, b"x" * 700)
    writer = store.create(2, 1, SMALL)
    put(writer, b"y" * 600)
    writer.visible = 500
    server = IpcServer(store)
    port = server.start("127.0.0.1", 0)
    try:
        for block_id, length in ((1, 700), (2, 500)):
            reply = call(port, "getReplicaVisibleLength", block_id, 1)
            assert (
                reply.status == SUCCESS
                and pb.GetReplicaVisibleLengthResponse.FromString(reply.payload).length == length
            )
        missing = call(port, "getReplicaVisibleLength", 3, 1)
        assert (missing.status, missing.java_class.rsplit(".", 1)[1]) == (
            ERROR,
            "ReplicaNotFoundException",
        )
        assert "not on this datanode" in missing.message
        assert (
            call(port, "shutdownDatanode", 1, 1).java_class
            == "org.apache.hadoop.ipc.RpcNoSuchMethodException"
        )
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b"Hadoop RPC port" in sock.recv(4096)
    finally:
        server.stop()
    with pytest.raises(OSError):
        call(port, "getReplicaVisibleLength", 1, 1)
