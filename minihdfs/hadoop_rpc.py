"""Hadoop RPC version 9 as bytes: both sides of the framing, without a socket. Knows no method and no file.

A connection opens with seven bytes (`hrpc`, 9, service class, auth), then a context frame (call id -3) that names the user. Each frame is
a big-endian int32 length, a varint-delimited header and what follows it; calls are pipelined and answered in any order. Feed whatever
arrived; whole frames come out. Anything malformed raises `MalformedRpc` once, with what to send before closing; the connection ends.
Source: docs of the wire in Hadoop's own Client.java and Server.java; see docs/ARCHITECTURE.md, "The wire".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError, Message

from clusterkit.errors import ClusterError
from minihdfs.pb import hadoop_rpc_pb2 as pb

CLIENT_PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
CLIENT_DATANODE_PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol"
OWN_PROTOCOL = "mrcluster.NamenodeProtocol"

MAX_FRAME_BYTES = 128 << 20
"""Hadoop's `ipc.maximum.data.length`: no honest request is near it."""

RPC_VERSION = 9
CONTEXT_CALL_ID, PING_CALL_ID, SASL_CALL_ID, INVALID_CALL_ID = -3, -4, -33, -1
_AUTH_NONE, _AUTH_SASL = 0x00, 0xDF
_MAX_CLIENT_ID_BYTES = 64
_RPC_SERVER_EXCEPTION = "org.apache.hadoop.ipc.RpcServerException"
_VERSION_MISMATCH = "org.apache.hadoop.ipc.RPC$VersionMismatch"
_HTTP_ANSWER = (
    b"HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\nConnection: close\r\n\r\n"
    b"This is the Hadoop RPC port: use an hdfs:// URI with it, not a browser.\r\n"
)
_LENGTH = struct.Struct(">I")

SUCCESS = pb.RpcResponseHeader.SUCCESS
ERROR = pb.RpcResponseHeader.ERROR
FATAL = pb.RpcResponseHeader.FATAL


class MalformedRpc(ClusterError):
    """The peer does not speak Hadoop RPC 9, or not correctly. `farewell` is what a server says before it closes."""

    code = "MALFORMED_RPC"

    def __init__(self, message: str, farewell: bytes = b"") -> None:
        super().__init__(message)
        self.farewell = farewell


class Call(NamedTuple):
    """One request of a client. `payload` is the request message, not yet decoded."""

    call_id: int
    client_id: bytes
    retry_count: int
    method: str
    protocol: str
    payload: bytes


class Reply(NamedTuple):
    """One answer of a server: `payload` when `status` is SUCCESS, else the Java class, the message and (from our own server) the code."""

    call_id: int
    status: int
    java_class: str
    message: str
    code: str
    payload: bytes


@dataclass(slots=True)
class _Frames:
    """Cuts length-prefixed frames out of a byte stream."""

    limit_bytes: int
    buffer: bytearray

    def take(self) -> list[bytes]:
        """Every whole frame in the buffer. Raises MalformedRpc as soon as a length prefix is beyond the limit."""
        frames: list[bytes] = []
        buffer, at, end = self.buffer, 0, len(self.buffer)
        while end - at >= 4:
            (length,) = _LENGTH.unpack_from(buffer, at)
            if length > self.limit_bytes:
                raise MalformedRpc(f"a frame of {length} bytes is over the limit of {self.limit_bytes}")
            if end - at - 4 < length:
                break
            frames.append(bytes(buffer[at + 4 : at + 4 + length]))
            at += 4 + length
        if at:
            del buffer[:at]
        return frames


class ServerConnection:
    """The server's side of one connection. `feed` takes bytes and returns calls; `to_send` holds what the handshake wants sent."""

    __slots__ = ("_frames", "_limit_bytes", "_opened", "_sasl", "protocol", "real_user", "to_send", "user")

    def __init__(self, *, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self.user: str | None = None  # None until the context arrived
        self.real_user = ""
        self.protocol = ""
        self.to_send = b""
        self._opened = self._sasl = False
        self._frames = _Frames(limit_bytes, bytearray())

    def feed(self, data: bytes) -> list[Call]:
        """Raises MalformedRpc when the peer broke the protocol; nothing may be fed after that."""
        buffer = self._frames.buffer
        buffer += data
        if not self._opened:
            if len(buffer) < 7:
                self._check_beginning(buffer)
                return []
            self._open(bytes(buffer[:7]))
            del buffer[:7]
        try:
            frames = self._frames.take()
        except MalformedRpc as error:
            raise MalformedRpc(error.message, _fatal(error.message, pb.RpcResponseHeader.FATAL_INVALID_RPC_HEADER)) from None
        calls: list[Call] = []
        for frame in frames:
            call = self._frame(frame)
            if call is not None:
                calls.append(call)
        return calls

    def _check_beginning(self, buffer: bytearray) -> None:
        if not b"hrpc".startswith(bytes(buffer[:4])) and not b"GET ".startswith(bytes(buffer[:4])):
            raise MalformedRpc(f"the connection begins with {bytes(buffer[:4])!r}, not with 'hrpc'")

    def _open(self, preamble: bytes) -> None:
        if preamble[:4] == b"GET ":
            raise MalformedRpc("an HTTP request came to the Hadoop RPC port", _HTTP_ANSWER)
        if preamble[:4] != b"hrpc":
            raise MalformedRpc(f"the connection begins with {preamble[:4]!r}, not with 'hrpc'")
        if preamble[4] != RPC_VERSION:
            message = f"Server IPC version {RPC_VERSION} cannot communicate with client version {preamble[4]}"
            raise MalformedRpc(message, _fatal(message, pb.RpcResponseHeader.FATAL_VERSION_MISMATCH, _VERSION_MISMATCH))
        if preamble[6] not in (_AUTH_NONE, _AUTH_SASL):
            message = f"authentication 0x{preamble[6]:02x} is not known: this server accepts SIMPLE"
            raise MalformedRpc(message, _fatal(message, pb.RpcResponseHeader.FATAL_UNAUTHORIZED))
        self._opened, self._sasl = True, preamble[6] == _AUTH_SASL

    def _frame(self, frame: bytes) -> Call | None:
        try:
            header_bytes, at = _delimited(frame, 0)
            header = pb.RpcRequestHeader.FromString(header_bytes)
            call_id, client_id = header.callId, header.clientId
            if len(client_id) > _MAX_CLIENT_ID_BYTES:
                raise ValueError(f"a client id of {len(client_id)} bytes")
            if call_id >= 0 and self.user is not None:
                request_bytes, at = _delimited(frame, at)
                request = pb.RequestHeader.FromString(request_bytes)
                payload, _ = _delimited(frame, at) if at < len(frame) else (b"", at)
                return Call(call_id, client_id, header.retryCount, request.methodName, request.declaringClassProtocolName, payload)
            self._control(call_id, frame, at)
            return None
        except (DecodeError, ValueError) as error:
            message = f"a frame of {len(frame)} bytes does not decode: {error}"
            raise MalformedRpc(message, _fatal(message, pb.RpcResponseHeader.FATAL_INVALID_RPC_HEADER)) from None

    def _control(self, call_id: int, frame: bytes, at: int) -> None:
        if call_id == PING_CALL_ID:
            return
        if call_id == CONTEXT_CALL_ID and self.user is None:
            body, _ = _delimited(frame, at)
            context = pb.IpcConnectionContext.FromString(body)
            self.user = context.userInfo.effectiveUser or context.userInfo.realUser or "nobody"
            self.real_user = context.userInfo.realUser
            self.protocol = context.protocol
        elif call_id == SASL_CALL_ID and self._sasl and self.user is None:
            body, _ = _delimited(frame, at)
            self._negotiate(pb.RpcSasl.FromString(body))
        else:
            raise ValueError(f"call id {call_id} before the connection's context" if self.user is None else f"call id {call_id}")

    def _negotiate(self, said: pb.RpcSasl) -> None:
        """Offers SIMPLE and nothing else: the client says INITIATE with it and goes on without waiting."""
        if said.state == pb.RpcSasl.NEGOTIATE:
            offer = pb.RpcSasl(version=0, state=pb.RpcSasl.NEGOTIATE, auths=[pb.RpcSasl.Auth(method="SIMPLE", mechanism="")])
            header = pb.RpcResponseHeader(callId=SASL_CALL_ID & 0xFFFFFFFF, status=SUCCESS, serverIpcVersionNum=RPC_VERSION)
            self.to_send += _framed(header, offer)
        elif said.state != pb.RpcSasl.INITIATE or any(auth.method != "SIMPLE" for auth in said.auths):
            raise ValueError("only SIMPLE authentication is offered")


def encode_success(call: Call, response: Message) -> bytes:
    return _framed(_response_header(call, SUCCESS), response)


def encode_error(call: Call, java_class: str, message: str, code: str = "", detail: int = pb.RpcResponseHeader.ERROR_APPLICATION) -> bytes:
    header = _response_header(call, ERROR)
    header.exceptionClassName, header.errorMsg = java_class, message
    header.errorDetail = detail  # type: ignore[assignment]
    if code:
        header.errorCode = code
    return _framed(header)


def _response_header(call: Call, status: int) -> pb.RpcResponseHeader:
    return pb.RpcResponseHeader(
        callId=call.call_id,
        status=status,  # type: ignore[arg-type]
        serverIpcVersionNum=RPC_VERSION,
        clientId=call.client_id,
        retryCount=call.retry_count,
    )


def _fatal(message: str, detail: int, java_class: str = _RPC_SERVER_EXCEPTION) -> bytes:
    header = pb.RpcResponseHeader(
        callId=INVALID_CALL_ID & 0xFFFFFFFF,
        status=FATAL,
        serverIpcVersionNum=RPC_VERSION,
        exceptionClassName=java_class,
        errorMsg=message,
        errorDetail=detail,  # type: ignore[arg-type]
    )
    return _framed(header)


# ── the client's side ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def encode_opening(user: str, client_id: bytes, protocol: str = CLIENT_PROTOCOL) -> bytes:
    """Preamble and context: what a client sends first, without waiting for anything."""
    header = pb.RpcRequestHeader(rpcKind=pb.RPC_PROTOCOL_BUFFER, rpcOp=0, callId=CONTEXT_CALL_ID, clientId=client_id, retryCount=-1)  # type: ignore[arg-type]
    context = pb.IpcConnectionContext(userInfo=pb.UserInformation(effectiveUser=user), protocol=protocol)
    return bytes((*b"hrpc", RPC_VERSION, 0, _AUTH_NONE)) + _framed(header, context)


def encode_call(call_id: int, client_id: bytes, retry_count: int, protocol: str, method: str, request: Message) -> bytes:
    header = pb.RpcRequestHeader(rpcKind=pb.RPC_PROTOCOL_BUFFER, rpcOp=0, callId=call_id, clientId=client_id, retryCount=retry_count)  # type: ignore[arg-type]
    return _framed(header, pb.RequestHeader(methodName=method, declaringClassProtocolName=protocol, clientProtocolVersion=1), request)


def encode_ping(client_id: bytes) -> bytes:
    return _framed(pb.RpcRequestHeader(rpcKind=pb.RPC_PROTOCOL_BUFFER, rpcOp=0, callId=PING_CALL_ID, clientId=client_id, retryCount=-1))  # type: ignore[arg-type]


class ClientConnection:
    """The client's side of one connection: bytes in, replies out."""

    __slots__ = ("_frames",)

    def __init__(self, *, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._frames = _Frames(limit_bytes, bytearray())

    def feed(self, data: bytes) -> list[Reply]:
        """Raises MalformedRpc when these bytes are not answers of a Hadoop RPC server."""
        self._frames.buffer += data
        return [self._reply(frame) for frame in self._frames.take()]

    def _reply(self, frame: bytes) -> Reply:
        try:
            header_bytes, at = _delimited(frame, 0)
            header = pb.RpcResponseHeader.FromString(header_bytes)
            payload = _delimited(frame, at)[0] if at < len(frame) else b""
        except (DecodeError, ValueError) as error:
            raise MalformedRpc(f"an answer of {len(frame)} bytes does not decode: {error}") from None
        call_id = header.callId - (1 << 32) if header.callId >= 1 << 31 else header.callId
        return Reply(call_id, header.status, header.exceptionClassName, header.errorMsg, header.errorCode, payload)


# ── delimited messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _framed(*messages: Message) -> bytes:
    parts = [b""]
    for message in messages:
        body = message.SerializeToString()
        parts += (_varint(len(body)), body)
    parts[0] = _LENGTH.pack(sum(map(len, parts)))
    return b"".join(parts)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _SMALL_VARINTS[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL_VARINTS = [bytes((value,)) for value in range(0x80)]


def _delimited(data: bytes, at: int) -> tuple[bytes, int]:
    """The varint-delimited message at `at` and where the next one begins. Raises ValueError."""
    length, shift = 0, 0
    while True:
        if at >= len(data) or shift > 28:
            raise ValueError("a length is cut off or too long")
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    end = at + length
    if end > len(data):
        raise ValueError(f"a message of {length} bytes in a frame with {len(data) - at} left")
    return data[at:end], end
