"""One tree of errors. Each says what it is about, whether a retry can help, and which command to
try next.

`mrc` prints `error: {message}` then `  try: {next_command}` and leaves with `exit_code`; daemons
put `code` on the wire.
"""

from __future__ import annotations

(
    EXIT_FAILED,
    EXIT_USAGE,
    EXIT_UNAVAILABLE,
    EXIT_TRY_AGAIN,
    EXIT_NOT_PERMITTED,
    EXIT_TIMED_OUT,
    EXIT_INTERRUPTED,
) = 1, 2, 69, 75, 77, 124, 130


class ClusterError(Exception):
    """Base of every error a user or another process may see. The message names the thing and the
    cause, in one line."""

    code = "FAILED"
    exit_code = EXIT_FAILED
    retryable = False

    def __init__(self, message: str, *, next_command: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_command = next_command


class UsageError(ClusterError):
    code, exit_code = "USAGE", EXIT_USAGE


class Unavailable(ClusterError):
    """Nobody answers at the address."""

    code, exit_code, retryable = "UNAVAILABLE", EXIT_UNAVAILABLE, True


class TryAgain(ClusterError):
    """The service is there but cannot answer now: safe mode, failover, overload."""

    code, exit_code, retryable = "TRY_AGAIN", EXIT_TRY_AGAIN, True


class NotPermitted(ClusterError):
    code, exit_code = "NOT_PERMITTED", EXIT_NOT_PERMITTED


class TimedOut(ClusterError):
    code, exit_code, retryable = "TIMED_OUT", EXIT_TIMED_OUT, True


class Fenced(ClusterError):
    """An epoch lower than the highest seen was presented: its holder must exit."""

    code = "FENCED"


class CorruptRecord(ClusterError):
    """Bytes on disk or on the wire do not decode or do not match their checksum."""

    code = "CORRUPT"


class DiskFailed(ClusterError):
    """A disk could not be read or written; the message names the disk, the path and what is kept
    there (clusterkit.disks)."""

    code = "DISK_FAILED"


class PortInUse(ClusterError):
    """Another process listens where this one was told to."""

    code = "PORT_IN_USE"


class Overloaded(TryAgain):
    """The service answered at once that it has more calls than it may hold."""

    code = "OVERLOADED"


class Cancelled(ClusterError):
    """The call or its channel was closed by this side while it was under way."""

    code = "CANCELLED"
