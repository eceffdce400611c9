"""A listening gRPC server whose handlers run in lanes, and whose errors leave as ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import grpc

from clusterkit import errors
from clusterkit.listening import bind_refusal, format_address
from clusterkit.rpc.errors import errors_to_status, method_name
from clusterkit.rpc.lanes import (
    GRACE_S,
    REQUEST_WITHIN_S,
    Deadlines,
    Lane,
    LanePool,
    refuse_if_full,
)
from clusterkit.rpc.options import MAX_MESSAGE_BYTES, SERVER_OPTIONS

REFUSED_AT_ONCE = 256
_NONE: Mapping[str, Lane] = {}


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
            options=(*SERVER_OPTIONS, ("grpc.max_receive_message_length", request_bytes)),
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
            refuse_if_full(method_name(method))
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
        behavior.experimental_thread_pool = self._pools.get(method_name(method), self._default)
        return wrap(behavior, handler.request_deserializer, handler.response_serializer)

    def _first(self, requests: Iterator[Any], context: Any, until_s: float) -> Any:
        number = self._deadlines.watch(max(until_s, time.monotonic() + GRACE_S), context.cancel)
        try:
            for request in requests:
                return request
        finally:
            self._deadlines.forget(number)
        raise errors.UsageError("the call ended without a request")


def peer_host(context: Any) -> str:
    """The caller's address as the handler's `context` shows it, without its port."""
    kind, _, rest = str(context.peer()).partition(":")
    return unquote(rest.rpartition(":")[0]).strip("[]") if kind in ("ipv4", "ipv6") else ""
