"""Which errors of the operating system mean what for a replica: a disk that fails, a disk that is
full, a shortage that passes.

A shortage of this process (descriptors, memory) says nothing about the bytes on disk: whoever meets
one tries again later and tells nobody that a replica is bad.
"""

from __future__ import annotations

import errno

from minihdfs.errors import FsError

FAILING = frozenset(
    {
        errno.EIO,
        errno.EROFS,
        errno.ENXIO,
        errno.ENODEV,
        errno.ESTALE,
        errno.EUCLEAN,
        errno.EREMOTEIO,
    }
)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
PASSING = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EINTR,
        errno.EAGAIN,
        errno.EBUSY,
        errno.ENOBUFS,
        errno.ETIMEDOUT,
    }
)


class DiskFull(FsError):
    """No room for this replica on this datanode; another one may have some."""

    code = "DISK_FULL"


class ReplicaUnreadable(FsError):
    """The files are there but cannot be read, or not now. `passing`: the bytes may well be
    sound."""

    code = "REPLICA_UNREADABLE"

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


def unreadable(what: str, error: OSError) -> ReplicaUnreadable:
    return ReplicaUnreadable(f"{what}: {error.strerror or error}", passing=error.errno in PASSING)
