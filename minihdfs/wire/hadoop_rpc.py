"""Hadoop RPC version 9 as bytes: both sides of the framing, without a socket. Knows no method and
no file.

A connection opens with seven bytes (`hrpc`, 9, service class, auth), then a context frame (call id
-3) that names the user. Each frame is a big-endian int32 length, a varint-delimited header and what
follows it; calls are pipelined and answered in any order. Feed whatever arrived; whole frames come
out. Anything malformed raises `MalformedRpc` once, with what to send before closing; the connection
ends. Source: docs of the wire in Hadoop's own Client.java and Server.java; see
docs/wire.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.message import DecodeError, Message

from minihdfs.pb import hadoop_rpc_pb2 as pb
from minihdfs.wire.hadoop_frames import MAX_FRAME_BYTES as MAX_FRAME_BYTES
from minihdfs.wire.hadoop_frames import Frames, delimited, framed
from minihdfs.wire.hadoop_frames import MalformedRpc as MalformedRpc

CLIENT_PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
CLIENT_DATANODE_PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol"
OWN_PROTOCOL = "mrcluster.NamenodeProtocol"

OPENING_FRAME_BYTES = 16 << 10
"""A frame before it is known who speaks."""
SMALL_FRAME_BYTES = 64 << 10
"""A longer frame is looked at before it is kept: which method is it for, and may that be so
long?"""

RPC_VERSION = 9
CONTEXT_CALL_ID, PING_CALL_ID, SASL_CALL_ID, INVALID_CALL_ID = -3, -4, -33, -1
_AUTH_NONE, _AUTH_SASL = 0x00, 0xDF
_MAX_CLIENT_ID_BYTES = 64
MAX_USER_BYTES = 255
_MAX_HEADER_BYTES = 4 << 10
_HEADERS_ROOM = 4 + 2 * (
    _MAX_HEADER_BYTES + 5
)  # both headers of a call lie in so many bytes, or it is refused
_OPENING_FRAMES = 8
_RPC_SERVER_EXCEPTION = "org.apache.hadoop.ipc.RpcServerException"
_VERSION_MISMATCH = "org.apache.hadoop.ipc.RPC$VersionMismatch"
_HTTP_ANSWER = (
    b"HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\nConnection: close\r\n\r\n"
    b"This is the Hadoop RPC port: use an hdfs:// URI with it, not a browser.\r\n"
)

SUCCESS = pb.RpcResponseHeader.SUCCESS
ERROR = pb.RpcResponseHeader.ERROR
FATAL = pb.RpcResponseHeader.FATAL


class Call(NamedTuple):
    """One request of a client. `payload` is the request message, not yet decoded. `refused` is the
    length of a frame that was over its method's limit: its payload was thrown away as it came."""

    call_id: int
    client_id: bytes
    retry_count: int
    method: str
    protocol: str
    payload: bytes
    refused: int = 0


class Reply(NamedTuple):
    """One answer of a server: `payload` when `status` is SUCCESS, else the Java class, the message
    and (from our own server) the code."""

    call_id: int
    status: int
    java_class: str
    message: str
    code: str
    payload: bytes


class ServerConnection:
    """The server's side of one connection. `receive` takes bytes, `next_call` gives one call at a
    time while `waiting`; `feed` does both for a server that needs no order among its connections.
    `to_send` holds what the handshake wants sent."""

    __slots__ = (
        "_checked",
        "_frames",
        "_limit_bytes",
        "_method_bytes",
        "_opened",
        "_refused",
        "_sasl",
        "_skip",
        "frames",
        "protocol",
        "real_user",
        "to_send",
        "user",
    )

    def __init__(
        self,
        *,
        limit_bytes: int = MAX_FRAME_BYTES,
        method_bytes: Callable[[str, str], int] | None = None,
    ) -> None:
        """`method_bytes(protocol, method)` is how long a frame for that method may be; asked for
        frames over SMALL_FRAME_BYTES."""
        self.user: str | None = None  # None until the context arrived
        self.real_user = ""
        self.protocol = ""
        self.to_send = b""
        self.frames = 0  # taken so far
        self._opened = self._sasl = self._checked = False
        self._limit_bytes, self._method_bytes = limit_bytes, method_bytes
        self._skip = 0  # bytes of a refused frame that are still to come
        self._refused: Call | None = None
        self._frames = Frames(min(limit_bytes, OPENING_FRAME_BYTES), bytearray())

    @property
    def held(self) -> int:
        """Bytes kept for the peer."""
        return len(self._frames.buffer)

    @property
    def partial(self) -> bool:
        """The peer owes the rest of a frame."""
        return self._skip > 0 or bool(self._frames.buffer and not self.waiting)

    @property
    def waiting(self) -> bool:
        """`next_call` has something to do."""
        if self._refused is not None:
            return True
        if not self._opened:
            return False
        try:
            return self._frames.waiting()
        except MalformedRpc:
            return True  # `next_call` says it

    @property
    def backlogged(self) -> bool:
        """More has come than the first whole frame."""
        frames = self._frames
        try:
            return frames.waiting() and len(frames.buffer) > 4 + frames.announced()
        except MalformedRpc:
            return False

    def feed(self, data: bytes) -> list[Call]:
        """Raises MalformedRpc when the peer broke the protocol; nothing may be fed after that."""
        self.receive(data)
        calls: list[Call] = []
        while self.waiting:
            call = self.next_call()
            if call is not None:
                calls.append(call)
        return calls

    def receive(self, data: bytes) -> None:
        """Raises MalformedRpc as `feed`. What precedes the first call is done at once: it is small,
        and names who speaks."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        buffer = self._frames.buffer
        buffer += data
        if not self._opened:
            if len(buffer) < 7:
                self._check_beginning(buffer)
                return
            self._open(bytes(buffer[:7]))
            del buffer[:7]
        while self.user is None and self.waiting:
            if self.frames >= _OPENING_FRAMES:
                raise self._broken(f"{self.frames} frames without a connection's context")
            self.next_call()
        if self._method_bytes is not None and self.user is not None:
            self._check_long_frame()

    def next_call(self) -> Call | None:
        """Takes one frame: its call, or None for one that is for the connection itself. Raises
        MalformedRpc as `feed`."""
        if self._refused is not None:
            refused, self._refused = self._refused, None
            return refused
        try:
            frame = self._frames.take()
        except MalformedRpc as error:
            raise self._broken(error.message) from None
        self.frames += 1
        self._checked = False
        call = self._frame(frame)
        if self._method_bytes is not None and self.user is not None:
            self._check_long_frame()
        return call

    def _check_long_frame(self) -> None:
        """A long frame that is still coming: is its method known, and may it be so long? Else what
        comes of it is not kept."""
        buffer = self._frames.buffer
        if self._checked or self._refused is not None or len(buffer) < _HEADERS_ROOM:
            return
        try:
            length = self._frames.announced()
        except MalformedRpc as error:
            raise self._broken(error.message) from None
        if length <= SMALL_FRAME_BYTES:
            return
        self._checked = True
        call = self._frame(bytes(buffer[4:_HEADERS_ROOM]), headers_only=True)
        assert self._method_bytes is not None
        if call is not None and length <= self._method_bytes(call.protocol, call.method):
            return
        if call is None:
            raise self._broken(f"a frame of {length} bytes that is no call")
        self._refused = call._replace(refused=length)
        self._skip = max(0, 4 + length - len(buffer))
        del buffer[: 4 + length]
        self.frames += 1
        self._checked = False

    def _broken(self, message: str) -> MalformedRpc:
        return MalformedRpc(message, _fatal(message, pb.RpcResponseHeader.FATAL_INVALID_RPC_HEADER))

    def _check_beginning(self, buffer: bytearray) -> None:
        if not b"hrpc".startswith(bytes(buffer[:4])) and not b"GET ".startswith(bytes(buffer[:4])):
            raise MalformedRpc(f"the connection begins with {bytes(buffer[:4])!r}, not with 'hrpc'")

    def _open(self, preamble: bytes) -> None:
        if preamble[:4] == b"GET ":
            raise MalformedRpc("an HTTP request came to the Hadoop RPC port", _HTTP_ANSWER)
        if preamble[:4] != b"hrpc":
            raise MalformedRpc(f"the connection begins with {preamble[:4]!r}, not with 'hrpc'")
        if preamble[4] != RPC_VERSION:
            message = (
                f"Server IPC version {RPC_VERSION} cannot communicate with client version "
                f"{preamble[4]}"
            )
            raise MalformedRpc(
                message,
                _fatal(message, pb.RpcResponseHeader.FATAL_VERSION_MISMATCH, _VERSION_MISMATCH),
            )
        if preamble[6] not in (_AUTH_NONE, _AUTH_SASL):
            message = f"authentication 0x{preamble[6]:02x} is not known: this server accepts SIMPLE"
            raise MalformedRpc(message, _fatal(message, pb.RpcResponseHeader.FATAL_UNAUTHORIZED))
        self._opened, self._sasl = True, preamble[6] == _AUTH_SASL

    def _frame(self, frame: bytes, headers_only: bool = False) -> Call | None:
        try:
            header_bytes, at = delimited(frame, 0, _MAX_HEADER_BYTES)
            header = pb.RpcRequestHeader.FromString(header_bytes)
            call_id, client_id = header.callId, header.clientId
            if len(client_id) > _MAX_CLIENT_ID_BYTES:
                raise ValueError(f"a client id of {len(client_id)} bytes")
            if call_id >= 0 and self.user is not None:
                request_bytes, at = delimited(frame, at, _MAX_HEADER_BYTES)
                request = pb.RequestHeader.FromString(request_bytes)
                payload = b"" if headers_only or at >= len(frame) else delimited(frame, at)[0]
                return Call(
                    call_id,
                    client_id,
                    header.retryCount,
                    request.methodName,
                    request.declaringClassProtocolName,
                    payload,
                )
            if not headers_only:
                self._control(call_id, frame, at)
            return None
        except (DecodeError, ValueError) as error:
            raise self._broken(f"a frame of {len(frame)} bytes does not decode: {error}") from None

    def _control(self, call_id: int, frame: bytes, at: int) -> None:
        if call_id == PING_CALL_ID:
            return
        if call_id == CONTEXT_CALL_ID and self.user is None:
            body, _ = delimited(frame, at)
            context = pb.IpcConnectionContext.FromString(body)
            user = context.userInfo.effectiveUser or context.userInfo.realUser or "nobody"
            for name in (user, context.userInfo.realUser):
                if len(name.encode()) > MAX_USER_BYTES:
                    raise ValueError(
                        f"a user name of {len(name.encode())} bytes is over the limit of "
                        f"{MAX_USER_BYTES}"
                    )
            self.user = user
            self._frames.limit_bytes = self._limit_bytes
            self.real_user = context.userInfo.realUser
            self.protocol = context.protocol
        elif call_id == SASL_CALL_ID and self._sasl and self.user is None:
            body, _ = delimited(frame, at)
            self._negotiate(pb.RpcSasl.FromString(body))
        else:
            raise ValueError(
                f"call id {call_id} before the connection's context"
                if self.user is None
                else f"call id {call_id}"
            )

    def _negotiate(self, said: pb.RpcSasl) -> None:
        """Offers SIMPLE and nothing else: the client says INITIATE with it and goes on without
        waiting."""
        if said.state == pb.RpcSasl.NEGOTIATE:
            offer = pb.RpcSasl(
                version=0,
                state=pb.RpcSasl.NEGOTIATE,
                auths=[pb.RpcSasl.Auth(method="SIMPLE", mechanism="")],
            )
            header = pb.RpcResponseHeader(
                callId=SASL_CALL_ID & 0xFFFFFFFF, status=SUCCESS, serverIpcVersionNum=RPC_VERSION
            )
            self.to_send += framed(header, offer)
        elif said.state != pb.RpcSasl.INITIATE or any(
            auth.method != "SIMPLE" for auth in said.auths
        ):
            raise ValueError("only SIMPLE authentication is offered")


def encode_success(call: Call, response: Message) -> bytes:
    return framed(_response_header(call, SUCCESS), response)


def encode_error(
    call: Call,
    java_class: str,
    message: str,
    code: str = "",
    detail: int = pb.RpcResponseHeader.ERROR_APPLICATION,
) -> bytes:
    header = _response_header(call, ERROR)
    header.exceptionClassName, header.errorMsg = java_class, message
    header.errorDetail = detail  # type: ignore[assignment]
    if code:
        header.errorCode = code
    return framed(header)


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
    return framed(header)


# ── the client's side ─────────────────────────────────────────────────────────────────────────────


def encode_opening(user: str, client_id: bytes, protocol: str = CLIENT_PROTOCOL) -> bytes:
    """Preamble and context: what a client sends first, without waiting for anything."""
    header = pb.RpcRequestHeader(
        rpcKind=pb.RPC_PROTOCOL_BUFFER,
        rpcOp=0,  # type: ignore[arg-type]
        callId=CONTEXT_CALL_ID,
        clientId=client_id,
        retryCount=-1,
    )
    context = pb.IpcConnectionContext(
        userInfo=pb.UserInformation(effectiveUser=user), protocol=protocol
    )
    return bytes((*b"hrpc", RPC_VERSION, 0, _AUTH_NONE)) + framed(header, context)


def encode_call(
    call_id: int, client_id: bytes, retry_count: int, protocol: str, method: str, request: Message
) -> bytes:
    header = pb.RpcRequestHeader(
        rpcKind=pb.RPC_PROTOCOL_BUFFER,
        rpcOp=0,  # type: ignore[arg-type]
        callId=call_id,
        clientId=client_id,
        retryCount=retry_count,
    )
    return framed(
        header,
        pb.RequestHeader(
            methodName=method, declaringClassProtocolName=protocol, clientProtocolVersion=1
        ),
        request,
    )


def encode_ping(client_id: bytes) -> bytes:
    return framed(
        pb.RpcRequestHeader(
            rpcKind=pb.RPC_PROTOCOL_BUFFER,
            rpcOp=0,  # type: ignore[arg-type]
            callId=PING_CALL_ID,
            clientId=client_id,
            retryCount=-1,
        )
    )


class ClientConnection:
    """The client's side of one connection: bytes in, replies out."""

    __slots__ = ("_frames",)

    def __init__(self, *, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._frames = Frames(limit_bytes, bytearray())

    def feed(self, data: bytes) -> list[Reply]:
        """Raises MalformedRpc when these bytes are not answers of a Hadoop RPC server."""
        self._frames.buffer += data
        replies: list[Reply] = []
        while self._frames.waiting():
            replies.append(self._reply(self._frames.take()))
        return replies

    def _reply(self, frame: bytes) -> Reply:
        try:
            header_bytes, at = delimited(frame, 0)
            header = pb.RpcResponseHeader.FromString(header_bytes)
            payload = delimited(frame, at)[0] if at < len(frame) else b""
        except (DecodeError, ValueError) as error:
            raise MalformedRpc(
                f"an answer of {len(frame)} bytes does not decode: {error}"
            ) from None
        call_id = header.callId - (1 << 32) if header.callId >= 1 << 31 else header.callId
        return Reply(
            call_id,
            header.status,
            header.exceptionClassName,
            header.errorMsg,
            header.errorCode,
            payload,
        )
