"""`mrc fs get`: files and directories out of the cluster, whole or not at all (see
`mrc.fs.arrival`)."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote

from clusterkit.errors import UsageError
from minihdfs.errors import FileNotFound
from minihdfs.model import FileStatus
from mrc.fs.arrival import Directory, followed, named
from mrc.fs.progress import Progress
from mrc.fs.show import cat, pour
from mrc.fs.targets import Found, Verb, local_path
from mrc.fs.transfer import CopyOptions
from mrc.interruption import held, interruptible

STREAMS = (stat.S_ISFIFO, stat.S_ISCHR)


@interruptible()
def get(verb: Verb, sources: Sequence[str], destination: str, options: CopyOptions) -> int:
    if destination == "-":
        return cat(verb, sources)
    target = local_path(destination)
    if (len(sources) > 1 or destination.endswith("/")) and not target.is_dir():
        several = f", and {len(sources)} sources are given" if len(sources) > 1 else ""
        raise UsageError(
            f"{target} is not a directory of this machine{several}",
            next_command=f"mkdir -p {quote(str(target))}",
        )
    into = target.is_dir()
    progress = Progress("get")
    taking = _Taking(verb, options, progress)
    if not into and _is_stream(target):
        with target.open("wb", buffering=0) as stream:
            for found in verb.each(sources):
                with verb.trying(), named(target), found.fs.open(found.path) as source:
                    pour(source, stream.write, progress)
        return verb.exit_code
    if not into:
        target = followed(target)
        if not target.absolute().parent.is_dir():
            raise FileNotFound(
                f"{target.parent}: no such directory on this machine",
                next_command=f"mkdir -p {quote(str(target.parent))}",
            )
    with Directory.opened(target if into else target.parent) as directory:
        for found in verb.each(sources):
            with verb.trying():
                taking.one(found, directory, (found.entry.name or "root") if into else target.name)
    progress.end()
    return verb.exit_code


def _is_stream(target: Path) -> bool:
    """/dev/stdout, /dev/null, a named pipe: written to, never replaced."""
    with contextlib.suppress(OSError):
        return any(is_kind(target.stat().st_mode) for is_kind in STREAMS)
    return False


class _Taking:
    def __init__(self, verb: Verb, options: CopyOptions, progress: Progress) -> None:
        self._verb, self._options, self._progress = verb, options, progress

    def one(self, found: Found, directory: Directory, name: str) -> None:
        if found.is_directory:
            with directory.below(name) as inner:
                for entry in found.fs.scan(found.path):
                    with self._verb.trying():
                        self.one(found.at(entry), inner, entry.name)
                self._preserve(inner.fd, found.entry.status)
            return
        by_force = f"mrc fs get -f {quote(found.shown)} {quote(str(directory.path / name))}"
        directory.take(
            name,
            lambda fd: self._fill(found, fd),
            overwrite=self._options.overwrite,
            by_force=by_force,
        )

    def _fill(self, found: Found, fd: int) -> None:
        with found.fs.open(found.path) as source:
            self._progress.file(found.path, source.length)
            pour(source, _writing(fd), self._progress)
            self._preserve(fd, found.entry.status)

    def _preserve(self, fd: int, status: FileStatus) -> None:
        if self._options.preserve:
            os.fchmod(fd, status.permission & 0o777)
            os.utime(fd, ns=(_kept(status.accessed_us), _kept(status.modified_us)))


def _kept(micros: int) -> int:
    """In nanoseconds, as near as this machine can count."""
    return max(-(1 << 63), min((1 << 63) - 1, micros * 1000))


def _writing(fd: int) -> Callable[[memoryview], int]:
    def write(data: memoryview) -> int:
        with held():
            return os.write(fd, data)

    return write
