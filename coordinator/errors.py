"""The coordinator's errors."""

from __future__ import annotations

from clusterkit.errors import ClusterError, TryAgain, UsageError


class Conflict(ClusterError):
    """A setting is not at the version that was to be replaced."""

    code = "CONFLICT"


class SessionLost(TryAgain):
    """The session ended: its members and leaderships are gone; a new one must be opened."""

    code = "SESSION_LOST"


MAX_VALUE_BYTES = 512 << 10
"""Of a setting. ZooKeeper drops the connection above 1 MiB without saying why."""
MAX_NAME_BYTES = 200


def check_name(kind: str, name: str) -> str:
    """Returns a role, id, service or key; raises UsageError for one that not every backend can
    hold."""
    if not name or len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES or not name.isprintable():
        raise UsageError(
            f"{kind} {name[:40]!r} is not 1 to {MAX_NAME_BYTES} bytes of printable text"
        )
    return name


def check_value(key: str, value: bytes) -> bytes:
    if len(value) > MAX_VALUE_BYTES:
        raise UsageError(
            f"setting {key} has {len(value)} bytes; {MAX_VALUE_BYTES} is the most a coordinator "
            "keeps"
        )
    return value


MAX_EPOCH = 1 << 38
"""No cluster gets there, and epochs never go back. Numbers made of one must fit 64 bits:
registrations (epoch × 2^24), jobs (× 10^6)."""


def check_epoch(number: int) -> int:
    if number > MAX_EPOCH:
        raise UsageError(f"{number} is no epoch that a leader can have had")
    return number


def masked(url: str) -> str:
    """Without its password: URLs end up on screens and in logs."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}:…@{place}" if at else url
