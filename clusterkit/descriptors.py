"""How many files and sockets this process may have open."""

from __future__ import annotations

import contextlib
import resource

WANTED = 65_536


def raise_descriptor_limit(wanted: int = WANTED) -> int:
    """Up to `wanted`, as far as the system lets; the limit in force. Many shells give 1,024, which
    a thousand clients use up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        within = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, within), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
