"""The storage that is our own distributed file system: the one file in which `mapreduce` and
`minihdfs` meet.

Connects at the first call, so a task process that was forked from a warm server opens connections
of its own. A namenode that starts, is in safe mode or hands over is waited for, so that its restart
costs a job no attempts; one that never answered only as long as `Waiting` says, because a person at
a prompt should hear at once that there is none. Errors become Python's: FileNotFoundError,
FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError; what says whether to try
again (nobody answers, safe mode, a fenced publish) stays a ClusterError, and everything else is an
OSError of one line.
"""

from __future__ import annotations

import importlib
import posixpath
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from clusterkit.errors import ClusterError, NotPermitted, TimedOut, TryAgain, Unavailable
from mapreduce.storage.api import AT_ONCE, FileInfo, Reader, Span, Waiting, Writer
from minihdfs import errors
from minihdfs.client.filesystem import SCHEME, Entry, FileSystem, connect, parse_uri, with_port
from minihdfs.client.namenode_failover import CallOptions
from minihdfs.client.patience import patiently
from minihdfs.client.reader import FileReader
from minihdfs.client.writer import FileWriter
from minihdfs.model import FileStatus

T = TypeVar("T")

_PYTHON_ERRORS: tuple[tuple[type[ClusterError], type[OSError]], ...] = (
    (errors.FileNotFound, FileNotFoundError),
    (errors.FileAlreadyExists, FileExistsError),
    (errors.AlreadyBeingCreated, FileExistsError),
    (errors.ParentNotDirectory, NotADirectoryError),
    (errors.NotADirectory, NotADirectoryError),
    (errors.IsADirectory, IsADirectoryError),
    (NotPermitted, PermissionError),
)
_KEPT = (Unavailable, TryAgain, TimedOut, errors.FencedWriter)


PATIENCE_S = 60.0
_WRITE_ENTER = 0o3  # as in a mode: -wx


def _patiently(ask: Callable[[], T], patience_s: float) -> T:
    """For what may be asked again."""
    return _once(lambda: patiently(ask, patience_s))


def _once(act: Callable[[], T]) -> T:
    try:
        return act()
    except _KEPT:
        raise
    except ClusterError as error:
        kind = next((python for ours, python in _PYTHON_ERRORS if isinstance(error, ours)), OSError)
        raise kind(error.message) from error


class MinihdfsReader:
    """Reading on from where the last read ended keeps the datanode streaming; any other offset is
    asked for by itself."""

    def __init__(self, file: FileReader, patience_s: float, stamp: Callable[[], str]) -> None:
        self._file, self._patience_s, self.stamp = file, patience_s, stamp
        self._lock = threading.Lock()

    def read_at(self, offset: int, length: int) -> bytes:
        return _patiently(lambda: self._read_at(offset, length), self._patience_s)

    def _read_at(self, offset: int, length: int) -> bytes:
        with self._lock:
            if offset == self._file.tell():
                return self._file.read(length)
            if not self._file.tell():  # the first read of a split: the rest of the split follows
                self._file.seek(offset)
                return self._file.read(length)
        return self._file.pread(offset, length)

    def close(self) -> None:
        self._file.close()


class MinihdfsWriter:
    def __init__(self, file: FileWriter) -> None:
        self._file = file

    def write(self, data: bytes | bytearray | memoryview) -> int:
        return _once(lambda: self._file.write(data))

    def close(self) -> FileInfo:
        length = self._file.tell()
        _once(self._file.close)
        return FileInfo(self._file.path, False, length, self._file.inode_id, self._file.block_bytes)

    def abort(self) -> None:
        self._file.abort()


class MinihdfsStorage:
    def __init__(self, filesystem: FileSystem, *, patience_s: float = PATIENCE_S) -> None:
        """`patience_s`: how long a namenode is asked again that answers that it cannot, yet."""
        self._fs, self._patience_s = filesystem, patience_s

    @classmethod
    def from_uri(
        cls, uri: str, *, user: str | None = None, waiting: Waiting = AT_ONCE
    ) -> MinihdfsStorage:
        """`hdfs://HOST:PORT`, several HOST:PORT with commas; a path behind them is ignored."""
        patience_s = waiting.limit_s or PATIENCE_S
        calls = CallOptions(patience_s=patience_s, first_patience_s=waiting.limit_s)
        return cls(
            connect(uri, user=user, calls=calls, waiting=waiting.tell), patience_s=patience_s
        )

    @property
    def filesystem(self) -> FileSystem:
        return self._fs

    def uri(self, path: str) -> str:
        return self._fs.uri + self._path(path)

    def real(self, path: str) -> str:
        return posixpath.normpath(self._path(path))

    def stat(self, path: str) -> FileInfo | None:
        path = self._path(path)
        status = self._answer(lambda: self._fs.find(path))
        return None if status is None else _info(path, status)

    def list(self, path: str) -> list[FileInfo]:
        path = self._path(path)
        return self._answer(
            lambda: [_info(entry.path, entry.status) for entry in self._directory(path)]
        )

    def open(self, path: str) -> Reader:
        return MinihdfsReader(
            self._answer(lambda: self._fs.open(self._path(path))),
            self._patience_s,
            lambda: self._stamp_of(path),
        )

    def _stamp_of(self, path: str) -> str:
        return self._answer(lambda: _stamp(self._fs.stat(self._path(path))))

    def create(self, path: str, *, overwrite: bool = False, replication: int = 0) -> Writer:
        return MinihdfsWriter(
            self._answer(
                lambda: self._fs.create(
                    self._path(path), overwrite=overwrite, replication=replication
                )
            )
        )

    def mkdirs(self, path: str, *, mode: int = 0o755) -> None:
        self._answer(lambda: self._fs.mkdirs(self._path(path), permission=mode))

    def may_write(self, directory: str) -> bool:
        try:
            self._answer(lambda: self._fs.calls.check_access(self._path(directory), _WRITE_ENTER))
        except PermissionError:
            return False
        return True

    def delete(self, path: str) -> None:
        self._answer(lambda: self._fs.delete(self._path(path), recursive=True))

    def rename_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        once = [(self._path(source), self._path(target)) for source, target in pairs]
        self._answer(lambda: self._fs.rename_many(once))

    def publish(
        self, staging: str, output: str, *, replaced_file_id: int = 0, epoch: int = 0
    ) -> None:
        staging, output = self._path(staging), self._path(output)
        self._answer(
            lambda: self._fs.publish(
                staging, output, replaced_inode_id=replaced_file_id, tracker_epoch=epoch
            )
        )

    def locate(self, path: str, offset: int, length: int) -> Spans:
        """Hosts are both the names and the addresses that the datanodes of a block go by, so that a
        worker finds itself by either."""
        located = self._answer(lambda: self._fs.locate(self._path(path), offset, length))
        end, spans = offset + length, []
        for block in located:
            first, last = max(offset, block.offset), min(end, block.offset + block.block.length)
            hosts = dict.fromkeys(
                name for node in block.locations for name in (node.hostname, node.host) if name
            )
            spans.append(Span(first, last - first, tuple(hosts)))
        return spans

    def close(self) -> None:
        self._fs.close()

    def _answer(self, ask: Callable[[], T]) -> T:
        return _patiently(ask, self._patience_s)

    def _path(self, given: str) -> str:
        """Takes its own URIs for paths too. Raises OSError for another file system's."""
        if not given.startswith(SCHEME):
            return given
        authority, path = parse_uri(given)
        if with_port(authority) not in (*self._fs.addresses, self._fs.uri.removeprefix(SCHEME)):
            raise OSError(f"{given} is in another file system than {self._fs.uri}")
        return path or "/"

    def _directory(self, path: str) -> Iterator[Entry]:
        for entry in self._fs.scan(path):
            if not entry.status.name and not entry.status.is_directory:
                raise errors.NotADirectory(f"{path} is a file, not a directory")
            yield entry


Spans = list[Span]


def _info(path: str, status: FileStatus) -> FileInfo:
    stamp = "" if status.is_directory else _stamp(status)
    return FileInfo(
        path, status.is_directory, status.length, status.inode_id, status.block_bytes, stamp
    )


def _stamp(status: FileStatus) -> str:
    return f"{status.inode_id}:{status.length}:{status.modified_us}"


def preload() -> None:
    """What the first calls would load."""
    importlib.import_module("minihdfs.client.namenode_calls")
    importlib.import_module("minihdfs.client.leases")
