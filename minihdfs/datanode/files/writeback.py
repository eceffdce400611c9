"""Tells the kernel to begin writing a range of a file to disk now, without waiting for it.

A block is fsynced when it is closed. Left alone, the kernel begins to write only then: started
early, 512 MiB in 1 MiB writes and an fdatasync went from 0.4–2.0 GB/s to 2.7–3.0 GB/s on the
machine this was measured on. sync_file_range(2) is not in `os`; posix_fadvise's DONTNEED starts
writing too but drops pages that readers will want.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_SYNC_FILE_RANGE_WRITE = 2


def _bind() -> Callable[[int, int, int, int], int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None  # not Linux: the fsync at the end does all of it
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    function.restype = ctypes.c_int
    return lambda fd, offset, length, flags: int(function(fd, offset, length, flags))


_SYNC_FILE_RANGE = _bind()


def begin_writeback(fd: int, offset: int, length: int) -> None:
    """A hint: whatever goes wrong with it shows at the fsync."""
    if _SYNC_FILE_RANGE is not None:
        _SYNC_FILE_RANGE(fd, offset, length, _SYNC_FILE_RANGE_WRITE)
