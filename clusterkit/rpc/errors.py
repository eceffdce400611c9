"""Between our errors and gRPC's statuses: a ClusterError leaves a handler as a status code with
trailing metadata, and comes out of the caller's stub as the class it went in as."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import quote, unquote

import grpc

from clusterkit import errors
from clusterkit.errors import ClusterError

CODE_KEY, CLASS_KEY, NEXT_COMMAND_KEY = "mrc-error-code", "mrc-error-class", "mrc-next-command"

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
            f"{method_name(method)} failed inside the service; its log has [{incident}]",
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
            f"{address} did not answer {method_name(method)} within {timeout_s:g} s",
            next_command="mrc status",
        )
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" not in text:
        return errors.Overloaded(
            f"{address} has more calls than it can hold; {method_name(method)} was refused"
        )
    if status is grpc.StatusCode.CANCELLED:
        return errors.Cancelled(f"call of {method_name(method)} at {address} was cancelled")
    return ClusterError(f"{method_name(method)} at {address}: {text or status.name}")


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


def method_name(method: str) -> str:
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
