"""Small files that survive a power cut: written beside, fsynced, renamed, and the directory
fsynced.

Without the last step the old file can come back after the rename (measured on ext4).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def fsync_directory(path: Path | str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Makes it and what is missing above it, each name fsynced: a power cut must not take a
    directory with all that is in it."""
    missing = [path, *path.parents]
    for directory in reversed([one for one in missing if not one.exists()]):
        directory.mkdir(mode=0o700, exist_ok=True)
        fsync_directory(directory.parent)


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces `path` with `data`: readers see the old or the new bytes, a crash leaves one of the
    two."""
    beside = path.with_name(
        f".{path.name[:200]}.{secrets.token_hex(8)}.tmp"
    )  # this call's own: threads may write one path at once
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        try:
            written = 0
            while written < len(data):
                written += os.write(fd, data[written:])
            os.fsync(fd)
        finally:
            os.close(fd)
        beside.rename(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk has a path
        raise
    fsync_directory(path.parent)
