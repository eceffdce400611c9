"""The one factory of every gRPC server and channel; nothing else in the project touches `grpc`.

Each option below avoids a trap that was reproduced: a proxy in the environment breaks even
loopback; SO_REUSEPORT lets a second server take half the calls silently; a call without a deadline
hangs for ever; an exception in a handler leaks as UNKNOWN with its text; an idle connection dies
unnoticed. Errors travel as a status code plus trailing metadata (`mrc-error-code`,
`mrc-error-class`, `mrc-next-command`) and come out of the stub as the same ClusterError class they
went in as.

    server = make_server("127.0.0.1", 0, threads=8)
    server.add(pb_grpc.add_ThingServicer_to_server, thing)
    port = server.start()

    channel = make_channel("127.0.0.1:9000")
    stub = pb_grpc.ThingStub(channel)
    stub.Get(request, timeout=2.0)

A handler raises ClusterError to refuse; it needs no grpc. One that streams or parks gets its own
lane. Never fork once this is imported.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn
from urllib.parse import quote, unquote

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = (
    "0"  # before the import below: its fork handlers hang children and flood the log
)
os.environ.setdefault(
    "GRPC_VERBOSITY", "NONE"
)  # the C core writes to stderr what is raised here anyway

import grpc

from clusterkit import errors
from clusterkit.errors import ClusterError
from clusterkit.listening import bind_refusal
from clusterkit.listening import format_address as format_address
from clusterkit.rpc_lanes import (
    GRACE_S,
    REQUEST_WITHIN_S,
    Deadlines,
    Lane,
    LanePool,
    refuse_if_full,
)

DEFAULT_DEADLINE_S = 10.0
REFUSED_AT_ONCE = 256
_NONE: Mapping[str, Lane] = {}
MAX_MESSAGE_BYTES = 16 << 20
CODE_KEY, CLASS_KEY, NEXT_COMMAND_KEY = "mrc-error-code", "mrc-error-class", "mrc-next-command"

_COMMON_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
_SERVER_OPTIONS = (
    *_COMMON_OPTIONS,
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 256),  # of one connection
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.server_handshake_timeout_ms", 5_000),
    (
        "grpc.http2.min_ping_interval_without_data_ms",
        10_000,
    ),  # half of how often our own peers ping
)
_CHANNEL_OPTIONS = (
    *_COMMON_OPTIONS,
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel does not inherit an old one's backoff
    ("grpc.initial_reconnect_backoff_ms", 100),
    (
        "grpc.min_reconnect_backoff_ms",
        2_000,
    ),  # despite its name: how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 500),
)

_STATUS_BY_CODE = {
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "OVERLOADED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "NOT_PERMITTED": grpc.StatusCode.PERMISSION_DENIED,
    "TIMED_OUT": grpc.StatusCode.DEADLINE_EXCEEDED,
    "FENCED": grpc.StatusCode.ABORTED,
    "CORRUPT": grpc.StatusCode.DATA_LOSS,
    "USAGE": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "EXISTS": grpc.StatusCode.ALREADY_EXISTS,
}
"""Other codes become UNAVAILABLE when a retry may help, else FAILED_PRECONDITION; the metadata is
what our own clients go by."""

# ── server ────────────────────────────────────────────────────────────────────────────────────────


class Server:
    """One listening gRPC server. Not bound before `start`."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        threads: int,
        max_concurrent: int | None = None,
        name: str = "rpc",
        lanes: Mapping[str, Lane] = _NONE,
        request_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """Calls beyond `max_concurrent` (default 8 per thread) are refused at once as Overloaded.
        `lanes`: methods (by their short names) that have threads of their own, because they park,
        or cost much. A larger request is not received."""
        self.host, self.port = "127.0.0.1" if host == "localhost" else host, port
        rest = Lane(threads, (max_concurrent or 8 * threads) - threads)
        self._refusing, self._deadlines = (
            ThreadPoolExecutor(2, thread_name_prefix=f"{name}-refusing"),
            Deadlines(),
        )
        self._pool = LanePool(rest, name, self._refusing)
        self._pools = {
            method: LanePool(lane, f"{name}-{method}", self._refusing)
            for method, lane in lanes.items()
        }
        self._server = grpc.server(
            self._pool,
            interceptors=[_Handlers(self._pools, self._pool, self._deadlines)],
            options=(*_SERVER_OPTIONS, ("grpc.max_receive_message_length", request_bytes)),
            # What is refused in words is under way for a moment too; a flood of that is refused
            # without.
            maximum_concurrent_rpcs=sum(lane.most for lane in (rest, *lanes.values()))
            + REFUSED_AT_ONCE,
        )

    def add(self, adder: Callable[[Any, Any], None], servicer: Any) -> None:
        """`adder` is the stub module's add_XServicer_to_server."""
        adder(servicer, self._server)

    def start(self) -> int:
        """Binds and serves; returns the port. Raises PortInUse naming the port and, where it can be
        known, its holder."""
        try:
            self.port = self._server.add_insecure_port(format_address(self.host, self.port))
        except RuntimeError:
            raise bind_refusal(self.host, self.port) from None
        self._server.start()
        return self.port

    @property
    def address(self) -> str:
        return format_address(self.host, self.port)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Blocks until stopped. True when it is."""
        return not self._server.wait_for_termination(timeout_s)

    def stop(self, grace_s: float = 0.5) -> None:
        """Refuses new calls at once, gives those under way `grace_s`, then cancels them. Returns
        when the port is closed."""
        self._server.stop(grace_s).wait(grace_s + 5.0)
        self._deadlines.stop()
        for pool in (self._pool, self._refusing, *self._pools.values()):
            pool.shutdown(wait=False, cancel_futures=True)


make_server = Server


class _Handlers(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Wraps every handler: it runs in its lane, its request must come in time, and whatever it
    raises becomes a status of ours.

    To gRPC each becomes one that reads a stream of requests, which on the wire is the same: so the
    handler has control, and its context, before the request is there. gRPC itself would wait for it
    in the pool's thread for ever."""

    def __init__(
        self, pools: Mapping[str, LanePool], default: LanePool, deadlines: Deadlines
    ) -> None:
        self._pools, self._default, self._deadlines = pools, default, deadlines

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)
        if handler is None:
            return None
        method, until_s, single = (
            details.method,
            time.monotonic() + REQUEST_WITHIN_S,
            not handler.request_streaming,
        )
        inner = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )

        def request_of(requests: Iterator[Any], context: Any) -> Any:
            refuse_if_full(_short(method))
            return self._first(requests, context, until_s) if single else requests

        def to_one(requests: Any, context: Any) -> Any:
            try:
                return inner(request_of(requests, context), context)
            except Exception as error:  # whatever it is, it must not leave as UNKNOWN with its text
                errors_to_status(error, context, method)

        def to_many(requests: Any, context: Any) -> Iterator[Any]:
            try:
                yield from inner(request_of(requests, context), context)
            except (
                Exception
            ) as error:  # as above; GeneratorExit passes, so the handler's own `finally` runs
                errors_to_status(error, context, method)

        wrap = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        behavior: Any = to_many if handler.response_streaming else to_one
        behavior.experimental_thread_pool = self._pools.get(_short(method), self._default)
        return wrap(behavior, handler.request_deserializer, handler.response_serializer)

    def _first(self, requests: Iterator[Any], context: Any, until_s: float) -> Any:
        number = self._deadlines.watch(max(until_s, time.monotonic() + GRACE_S), context.cancel)
        try:
            for request in requests:
                return request
        finally:
            self._deadlines.forget(number)
        raise errors.UsageError("the call ended without a request")


def errors_to_status(error: Exception, context: Any, method: str) -> NoReturn:
    """Ends the call. A ClusterError keeps its text; anything else is logged with a number and only
    the number leaves."""
    if type(error) is Exception and context.code() is not None:
        raise error  # the handler called context.abort itself
    if not isinstance(error, ClusterError):
        if not context.is_active():
            raise error  # the caller has gone; what the handler then ran into interests nobody
        incident = secrets.token_hex(4)
        logging.getLogger(__name__).error("%s failed [%s]", method, incident, exc_info=error)
        context.abort(
            grpc.StatusCode.INTERNAL,
            f"{_short(method)} failed inside the service; its log has [{incident}]",
        )
        raise AssertionError("abort returned")
    pairs = [(CODE_KEY, error.code), (CLASS_KEY, type(error).__name__)]
    if error.next_command:
        pairs.append((NEXT_COMMAND_KEY, quote(error.next_command, safe=" /:=.,-_'\"<>@")))
    context.set_trailing_metadata(pairs)
    fallback = (
        grpc.StatusCode.UNAVAILABLE if error.retryable else grpc.StatusCode.FAILED_PRECONDITION
    )
    context.abort(_STATUS_BY_CODE.get(error.code, fallback), " ".join(error.message.split()))
    raise AssertionError("abort returned")


def peer_host(context: Any) -> str:
    """The caller's address as the handler's `context` shows it, without its port."""
    kind, _, rest = str(context.peer()).partition(":")
    return unquote(rest.rpartition(":")[0]).strip("[]") if kind in ("ipv4", "ipv6") else ""


# ── client ────────────────────────────────────────────────────────────────────────────────────────


class Channel:
    """What a stub is made from. Every call has a deadline, waits for a server that is just
    restarting, and raises ClusterError only."""

    def __init__(
        self, address: str, *, deadline_s: float = DEFAULT_DEADLINE_S, wait_for_ready: bool = True
    ) -> None:
        self.address, self.deadline_s, self.wait_for_ready = address, deadline_s, wait_for_ready
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> _UnaryCall:
        return _UnaryCall(self, method, self._channel.unary_unary(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> _UnaryCall:
        return _UnaryCall(self, method, self._channel.stream_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> _StreamCall:
        return _StreamCall(self, method, self._channel.unary_stream(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> _StreamCall:
        return _StreamCall(self, method, self._channel.stream_stream(method, *args, **kwargs))

    def close(self) -> None:
        """Calls under way end as Cancelled."""
        self._channel.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_channel(
    address: str, *, deadline_s: float = DEFAULT_DEADLINE_S, wait_for_ready: bool = True
) -> Channel:
    """`deadline_s` is every call's deadline unless it names another as `timeout=`. With
    `wait_for_ready=False` a call to an address where nobody listens fails at once (for a person at
    a prompt) instead of waiting for a restart (for daemons)."""
    return Channel(address, deadline_s=deadline_s, wait_for_ready=wait_for_ready)


class _UnaryCall:
    def __init__(self, channel: Channel, method: str, call: Any) -> None:
        self._channel, self._method, self._call = channel, method, call

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        *,
        wait_for_ready: bool | None = None,
        metadata: Any = None,
    ) -> Any:
        timeout_s = self._channel.deadline_s if timeout is None else timeout
        wait = self._channel.wait_for_ready if wait_for_ready is None else wait_for_ready
        try:
            return self._call(request, timeout=timeout_s, wait_for_ready=wait, metadata=metadata)
        except grpc.RpcError as error:
            raise status_to_error(error, self._channel.address, self._method, timeout_s) from None
        except ValueError as error:  # grpc's word for a closed channel
            raise errors.Cancelled(f"the channel to {self._channel.address} is closed") from error

    def future(
        self, request: Any, timeout: float | None = None, *, wait_for_ready: bool | None = None
    ) -> PendingReply:
        """Sends without waiting."""
        timeout_s = self._channel.deadline_s if timeout is None else timeout
        wait = self._channel.wait_for_ready if wait_for_ready is None else wait_for_ready
        try:
            call = self._call.future(request, timeout=timeout_s, wait_for_ready=wait)
        except ValueError as error:  # as above
            raise errors.Cancelled(f"the channel to {self._channel.address} is closed") from error
        return PendingReply(call, self._channel.address, self._method, timeout_s)


class PendingReply:
    """A call under way."""

    def __init__(self, call: Any, address: str, method: str, timeout_s: float) -> None:
        self._call, self._address, self._method, self._timeout_s = call, address, method, timeout_s

    def result(self) -> Any:
        """The reply; raises the call's ClusterError. Bounded by the call's own deadline."""
        try:
            return self._call.result()
        except grpc.FutureCancelledError:
            raise errors.Cancelled(
                f"call of {_short(self._method)} at {self._address} was cancelled"
            ) from None
        except grpc.RpcError as error:
            raise status_to_error(error, self._address, self._method, self._timeout_s) from None

    def done(self) -> bool:
        return bool(self._call.done())

    def when_done(self, callback: Callable[[], None]) -> None:
        self._call.add_done_callback(lambda _call: callback())

    def cancel(self) -> None:
        self._call.cancel()


class _StreamCall:
    def __init__(self, channel: Channel, method: str, call: Any) -> None:
        self._channel, self._method, self._call = channel, method, call

    def __call__(
        self, request: Any, timeout: float | None = None, *, wait_for_ready: bool | None = None
    ) -> ReplyStream:
        timeout_s = self._channel.deadline_s if timeout is None else timeout
        wait = self._channel.wait_for_ready if wait_for_ready is None else wait_for_ready
        try:
            call = self._call(request, timeout=timeout_s, wait_for_ready=wait)
        except ValueError as error:  # as above
            raise errors.Cancelled(f"the channel to {self._channel.address} is closed") from error
        return ReplyStream(call, self._channel.address, self._method, timeout_s)


class ReplyStream:
    """Replies as they come; the deadline is the whole stream's."""

    def __init__(self, call: Any, address: str, method: str, timeout_s: float) -> None:
        self._call, self._address, self._method, self._timeout_s = call, address, method, timeout_s

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise status_to_error(error, self._address, self._method, self._timeout_s) from None

    def cancel(self) -> None:
        self._call.cancel()


def status_to_error(error: Any, address: str, method: str, timeout_s: float) -> ClusterError:
    """The ClusterError that a failed call stands for."""
    status, text = error.code(), " ".join(str(error.details() or "").split())
    metadata = dict(error.trailing_metadata() or ())
    code = metadata.get(CODE_KEY)
    if code:
        next_command = unquote(metadata.get(NEXT_COMMAND_KEY, "")) or None
        return _rebuilt(
            code,
            metadata.get(CLASS_KEY, ""),
            text,
            next_command,
            retryable=status is grpc.StatusCode.UNAVAILABLE,
        )
    if status is grpc.StatusCode.UNAVAILABLE:
        return errors.Unavailable(
            f"nobody answers at {address}: {_root_cause(text)}", next_command="mrc status"
        )
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        if not _listens(address):
            return errors.Unavailable(
                f"nobody answered at {address} for {timeout_s:g} s", next_command="mrc status"
            )
        return errors.TimedOut(
            f"{address} did not answer {_short(method)} within {timeout_s:g} s",
            next_command="mrc status",
        )
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" not in text:
        return errors.Overloaded(
            f"{address} has more calls than it can hold; {_short(method)} was refused"
        )
    if status is grpc.StatusCode.CANCELLED:
        return errors.Cancelled(f"call of {_short(method)} at {address} was cancelled")
    return ClusterError(f"{_short(method)} at {address}: {text or status.name}")


def _rebuilt(
    code: str, class_name: str, message: str, next_command: str | None, *, retryable: bool
) -> ClusterError:
    """The class of that code: first the one of the same name, else the most general one; an unknown
    code stays readable as `.code`."""
    same_code = [kind for kind in _error_tree() if kind.code == code]
    kind = next(
        (kind for kind in same_code if kind.__name__ == class_name),
        same_code[0] if same_code else None,
    )
    if kind is None:
        unknown = (
            errors.TryAgain(message, next_command=next_command)
            if retryable
            else ClusterError(message, next_command=next_command)
        )
        unknown.code = code  # shadows the class's
        return unknown
    rebuilt = kind.__new__(kind)  # subclasses may take other arguments; the wire carries these two
    ClusterError.__init__(rebuilt, message, next_command=next_command)
    return rebuilt


def _error_tree() -> Iterator[type[ClusterError]]:
    """Breadth first, so that the general comes before the special."""
    level: list[type[ClusterError]] = [ClusterError]
    while level:
        yield from level
        level = [child for kind in level for child in kind.__subclasses__()]


def _root_cause(text: str) -> str:
    return text.rpartition("Failed to connect to remote host: ")[2].lower() or "no connection"


def _short(method: str) -> str:
    return method.rpartition("/")[2]


def _listens(address: str) -> bool:
    """Tells a dead server from a slow one after a deadline passed: the status is the same."""
    host, _, port = address.rpartition(":")
    with (
        contextlib.suppress(OSError, ValueError),
        socket.create_connection((host.strip("[]"), int(port)), timeout=0.2),
    ):
        return True
    return False
