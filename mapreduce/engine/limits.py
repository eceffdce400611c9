"""What the kernel holds a task to, beside what its parent watches."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

from mapreduce.plan.spec import JobSpec


def limit_files(spec: JobSpec) -> None:
    """No file that this process or one of its children writes grows beyond the job's
    `file_limit_bytes`: the write fails, in its line."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_least(spec.file_limit_bytes, soft, hard), hard))


@contextlib.contextmanager
def limited_files(spec: JobSpec) -> Iterator[None]:
    """The same for a while."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit_files(spec)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _least(*limits: int) -> int:
    return min(
        (limit for limit in limits if limit != resource.RLIM_INFINITY),
        default=resource.RLIM_INFINITY,
    )
