"""What the engine and the runners need of a place that holds files. Siblings: `local`, `memory`,
`minihdfs`. One contract suite on all.

Paths are absolute strings of that storage. Missing files raise FileNotFoundError, existing ones
FileExistsError: Python's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FileInfo:
    path: str
    is_directory: bool
    length: int
    file_id: int = 0  # inode id where the storage has one
    block_bytes: int = 0
    stamp: str = field(
        default="", compare=False
    )  # of a file: another file, length or time of its last change gives another
    is_special: bool = False  # a pipe, a device, a window into the kernel: its length says nothing


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file that lie together, and the hosts that hold them (empty: anywhere)."""

    offset: int
    length: int
    hosts: tuple[str, ...]


class Reader(Protocol):
    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        ...

    def stamp(self) -> str:
        """The stamp, now, of the file that is being read. Raises FileNotFoundError when it is
        gone."""
        ...

    def close(self) -> None: ...


class Writer(Protocol):
    def write(self, data: bytes | bytearray | memoryview) -> object: ...

    def close(self) -> FileInfo:
        """Durable when it returns; says what was written."""
        ...

    def abort(self) -> None:
        """Leaves nothing that a reader could take for a file."""
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """What to do about a storage that does not answer: for how long it is waited for, from the
    first call on, and who hears why.

    `tell` is called at least every second while a call waits, and with "" when it goes on; perhaps
    on another thread."""

    limit_s: float = 0.0
    tell: Callable[[str], None] = lambda _why: None


AT_ONCE = Waiting()
"""A storage that never answered is not waited for; one that answered is, as long as the adaptor
thinks right."""


class Storage(Protocol):
    def uri(self, path: str) -> str:
        """The path as a user of another storage would have to write it: hdfs://…, file://…"""
        ...

    def real(self, path: str) -> str:
        """The same place by its one name: links followed, `.` and `..` resolved. It need not
        exist."""
        ...

    def stat(self, path: str) -> FileInfo | None: ...

    def list(self, path: str) -> list[FileInfo]:
        """Entries of a directory, by name in byte order."""
        ...

    def open(self, path: str) -> Reader: ...

    def create(self, path: str, *, overwrite: bool = False, replication: int = 0) -> Writer: ...

    def mkdirs(self, path: str, *, mode: int = 0o755) -> None:
        """With what is missing above it. `mode` is what a new directory shall allow, where the
        storage has such a thing."""
        ...

    def may_write(self, directory: str) -> bool:
        """May this user make names in a directory that exists? Asked before a job begins, so that
        it does not fail at its end; no promise."""
        ...

    def delete(self, path: str) -> None:
        """Recursive; a missing path is no error."""
        ...

    def rename_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Each source to its destination, at most 1,000 a call, all or none where the storage can;
        re-runnable after success."""
        ...

    def publish(
        self, staging: str, output: str, *, replaced_file_id: int = 0, epoch: int = 0
    ) -> None:
        """Makes directory `staging` appear as `output`, whole or not at all, re-runnable. Raises
        FileExistsError when `output` is there and is neither the staging directory already
        published nor the one to replace."""
        ...

    def locate(self, path: str, offset: int, length: int) -> Sequence[Span]: ...

    def close(self) -> None: ...
