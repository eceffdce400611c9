"""What the arguments of `mrc fs` name: paths of the cluster, of another cluster (hdfs://…), of this
machine; and how errors are collected.

A verb with several paths does what it can: each failure is said at once, the first one's exit code
is the verb's. Nobody answering ends it.
"""

from __future__ import annotations

import glob as local_glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.parse import unquote

from clusterkit.errors import ClusterError, Unavailable, UsageError
from minihdfs.client.filesystem import Entry, FileSystem
from minihdfs.errors import FileNotFound, FsError, NoDatanodes
from mrc.context import Context
from mrc.locations import absolute, endpoints, location
from mrc.streams import STANDARD_STREAMS


@dataclass(frozen=True, slots=True)
class Target:
    """A path of some cluster, not yet known to exist. `prefix` is what was written before the path,
    for showing it the same way."""

    fs: FileSystem
    path: str
    prefix: str = ""
    directory_meant: bool = False  # a slash at its end

    def shown(self, path: str | None = None) -> str:
        return self.prefix + (self.path if path is None else path)


@dataclass(frozen=True, slots=True)
class Found:
    """Something that exists."""

    target: Target
    entry: Entry

    @property
    def fs(self) -> FileSystem:
        return self.target.fs

    @property
    def path(self) -> str:
        return self.entry.path

    @property
    def shown(self) -> str:
        return self.target.shown(self.entry.path)

    @property
    def is_directory(self) -> bool:
        return self.entry.status.is_directory

    def at(self, entry: Entry) -> Found:
        return Found(self.target, entry)


class Verb:
    """One call of one verb."""

    def __init__(self, given: object) -> None:
        self._context = Context.of(given if isinstance(given, dict) else None)
        self._filesystems: dict[str, FileSystem] = {}
        self.exit_code = 0

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Says what fails inside and goes on behind it."""
        try:
            yield
        except (Unavailable, BrokenPipeError):
            raise
        except ClusterError as error:
            self.failed(error)
        except OSError as error:
            if error.filename in STANDARD_STREAMS:
                raise  # nothing that follows could be written either
            self.failed(local_error(error))

    def failed(self, error: ClusterError) -> None:
        from mrc.main import say

        code = say(error)
        if isinstance(error, NoDatanodes):
            self._say_whose_disks_are_full()
        self.exit_code = self.exit_code or code

    def disks_below(self, target: Target) -> tuple[int, int]:
        """(size, free) of the disks of this home's cluster, each counted once; of another cluster
        nothing is known here."""
        from mrc.cluster.facts import disks_of_home

        unknown = (1 << 63, 1 << 63)
        if self._context.cluster or self._filesystems.get("") is not target.fs:
            return unknown
        known = disks_of_home(self._context.home)
        return known if known[0] else unknown

    def _say_whose_disks_are_full(self) -> None:
        """The namenode knows how many; where they are, this machine's home knows."""
        from mrc.cluster.facts import gather
        from mrc.printing import err

        with suppress(ClusterError):
            for problem in gather(self._context.home).problems if not self._context.cluster else ():
                err(f"problem: {problem}", lines=False)

    def target(self, text: str) -> Target:
        """Raises UsageError for a path that cannot be one."""
        place = location(text)
        if place.is_local:
            raise UsageError(
                f"{text} is a path of this machine; here one of the cluster is wanted",
                next_command=f"ls {quote(place.path)}",
            )
        fs = self._filesystem(place.authority)
        return Target(fs, absolute(place.path, fs.home), place.prefix, place.directory_meant)

    def matches(self, text: str) -> list[Found]:
        """Everything that an argument names, at least one. Raises FileNotFound."""
        target = self.target(text)
        entries = target.fs.glob(target.path)
        if not entries:
            raise FileNotFound(
                f"{text}: no such file or directory",
                next_command=f"mrc fs ls {quote(_nearest(target))}",
            )
        return [Found(target, entry) for entry in entries]

    def each(self, texts: Sequence[str]) -> Iterator[Found]:
        """All matches of all arguments; those that match nothing are said and left out."""
        for text in texts:
            found: list[Found] = []
            with self.trying():
                found = self.matches(text)
            yield from found

    def below(self, found: Found) -> Iterator[Found]:
        """Everything below a directory, each directory before what it holds; nothing for a file."""
        if found.is_directory:
            for entry in found.fs.walk(found.path):
                yield found.at(entry)

    def _filesystem(self, authority: str) -> FileSystem:
        """One object for one file system, however it is spelt: what is compared by identity is
        compared rightly."""
        if authority not in self._filesystems:
            fs = self._context.filesystem(authority)
            others = {id(other): other for other in self._filesystems.values()}
            here = endpoints(",".join(fs.addresses)) if others else frozenset()
            same = [
                other for other in others.values() if here & endpoints(",".join(other.addresses))
            ]
            self._filesystems[authority] = same[0] if same else fs
        return self._filesystems[authority]


def local_path(text: str) -> Path:
    """A path of this machine, bare or file://. Raises UsageError for another scheme, and for an
    empty one."""
    if text and os.path.lexists(text):
        return Path(text)
    place = location(text)
    if place.scheme == "hdfs":
        raise UsageError(
            f"{text} is a path of a cluster; here one of this machine is wanted",
            next_command="mrc fs --help",
        )
    decoded = unquote(place.path, errors="surrogateescape")
    if place.is_local and not os.path.lexists(place.path) and os.path.lexists(decoded):
        return Path(decoded)  # as other programs write URIs; what exists as it is written wins
    return Path(place.path)


def local_matches(text: str) -> list[Path]:
    """What an argument names on this machine; what exists as it is written wins over its reading as
    a pattern. Raises FsError."""
    path = local_path(text)
    if os.path.lexists(path):
        return [path]
    found = sorted(local_glob.glob(str(path)))  # noqa: PTH207 - Path.glob cannot begin at an absolute pattern
    if not found:
        raise FileNotFound(
            f"{text}: no such file or directory on this machine", next_command=f"ls {path.parent}"
        )
    return [Path(name) for name in found]


def local_error(error: OSError) -> ClusterError:
    """A failure of this machine's files, in one line."""
    kind = FileNotFound if isinstance(error, FileNotFoundError) else FsError
    name = f"{error.filename}: " if error.filename is not None else ""
    return kind(f"{name}{(error.strerror or str(error)).lower()}")


def _nearest(target: Target) -> str:
    """The closest directory above that exists, so that listing it works."""
    above = target.path.rstrip("/")
    while above := above.rpartition("/")[0]:
        if target.fs.exists(above):
            return target.shown(above)
    return target.shown("/")
