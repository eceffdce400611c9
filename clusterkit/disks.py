"""Which disk a path is on, and what to say when it refuses: the disk, the path, what is kept there,
the next command."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

from clusterkit.errors import DiskFailed

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FAILING = {errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV, errno.ESTALE}


def mount_point(path: Path) -> Path:
    """The directory where the disk that holds `path` is mounted."""
    here = Path(os.path.realpath(path))
    while not os.path.ismount(here):
        here = here.parent
    return here


def disk_failure(error: OSError, path: Path, holds: str) -> DiskFailed:
    """`holds` is what the path is for, in a user's words: "the log of edits"."""
    disk = mount_point(path)
    if error.errno in _FULL:
        return DiskFailed(
            f"the disk at {disk} is full: {path}, {holds}, cannot grow",
            next_command=f"df -h {shlex.quote(str(disk))}",  # the path may soon be gone
        )
    cause = error.strerror or str(error) or type(error).__name__
    return DiskFailed(
        f"the disk at {disk} failed: {path}, {holds}: {cause}", next_command="dmesg | tail"
    )


def with_its_disk(error: OSError, path: Path, holds: str) -> OSError | DiskFailed:
    """The same error, named when it is the disk's: who writes raises it in the place of one that
    tells an errno and no path."""
    return disk_failure(error, path, holds) if error.errno in _FULL | _FAILING else error
