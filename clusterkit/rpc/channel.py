"""What a stub is made from: every call has a deadline and raises ClusterError only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from clusterkit import errors
from clusterkit.rpc.errors import method_name, status_to_error
from clusterkit.rpc.options import CHANNEL_OPTIONS

DEFAULT_DEADLINE_S = 10.0


class Channel:
    """What a stub is made from. Every call has a deadline, waits for a server that is just
    restarting, and raises ClusterError only."""

    def __init__(
        self, address: str, *, deadline_s: float = DEFAULT_DEADLINE_S, wait_for_ready: bool = True
    ) -> None:
        self.address, self.deadline_s, self.wait_for_ready = address, deadline_s, wait_for_ready
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)

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
                f"call of {method_name(self._method)} at {self._address} was cancelled"
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
