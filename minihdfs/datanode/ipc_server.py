"""ClientDatanodeProtocol over Hadoop RPC: what a reader of a file that is still being written asks
each datanode.

Hadoop's own client cannot open such a file without `getReplicaVisibleLength`. One thread per
connection; clients close them after seconds.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from clusterkit.errors import ClusterError
from clusterkit.listening import listen
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.transfer.guests import Guest
from minihdfs.datanode.transfer.server import ConnectionServer
from minihdfs.errors import NoSuchMethod
from minihdfs.pb import hadoop_datanode_pb2 as pb
from minihdfs.wire.hadoop_rpc import (
    Call,
    MalformedRpc,
    ServerConnection,
    encode_error,
    encode_success,
)
from minihdfs.wire.streams import set_timeouts

_IDLE_S = 120.0  # Hadoop pings every 60 s
_FRAME_BYTES_MAX = 1 << 20
_REPLICA_NOT_FOUND = "org.apache.hadoop.hdfs.server.datanode.ReplicaNotFoundException"
_RECEIVE_BYTES = 16 << 10


class IpcServer:
    def __init__(self, store: BlockStore, connections_max: int = 256) -> None:
        self._store = store
        self._connections = ConnectionServer("ipc", self._serve, connections_max)
        self.port = 0

    def start(self, host: str, port: int) -> int:
        """Raises OSError when the port is taken."""
        listener = listen(host, port)
        self.port = int(listener.getsockname()[1])
        self._connections.start(listener)
        return self.port

    def stop(self) -> None:
        self._connections.stop()

    def _serve(self, guest: Guest) -> None:
        sock = guest.socket
        set_timeouts(sock, _IDLE_S)
        connection = ServerConnection(limit_bytes=_FRAME_BYTES_MAX)
        while data := sock.recv(_RECEIVE_BYTES):
            guest.waits()
            try:
                calls = connection.feed(data)
            except MalformedRpc as error:
                sock.sendall(error.farewell)
                return
            answer = connection.to_send + b"".join(self._answer(call) for call in calls)
            connection.to_send = b""
            if answer:
                sock.sendall(answer)

    def _answer(self, call: Call) -> bytes:
        if call.method != "getReplicaVisibleLength":
            return encode_error(
                call,
                NoSuchMethod.java_class,
                f"datanodes do not serve {call.method}",
                NoSuchMethod.code,
            )
        try:
            block = pb.GetReplicaVisibleLengthRequest.FromString(call.payload).block
            length = self._store.visible_length(block.blockId, block.generationStamp)
        except DecodeError as error:
            return encode_error(
                call, "java.io.IOException", f"the request does not decode: {error}"
            )
        except ClusterError as error:
            return encode_error(call, _REPLICA_NOT_FOUND, error.message, error.code)
        return encode_success(call, pb.GetReplicaVisibleLengthResponse(length=length))
