"""The storage that is our own distributed file system: the one file in which `mapreduce` and `minihdfs` meet.

Connects at the first call, so a task process that was forked from a warm server opens connections of its own. Errors become Python's:
FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError; what says whether to try again (nobody answers,
safe mode, a fenced publish) stays a ClusterError, and everything else is an OSError of one line.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator

from clusterkit.errors import ClusterError, NotPermitted, TimedOut, TryAgain, Unavailable
from mapreduce.storage.api import FileInfo, Reader, Span, Writer
from minihdfs import errors
from minihdfs.client.filesystem import Entry, FileSystem, connect
from minihdfs.client.reader import FileReader
from minihdfs.client.writer import FileWriter
from minihdfs.model import FileStatus

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


@contextlib.contextmanager
def _python_errors() -> Iterator[None]:
    try:
        yield
    except _KEPT:
        raise
    except ClusterError as error:
        kind = next((python for ours, python in _PYTHON_ERRORS if isinstance(error, ours)), OSError)
        raise kind(error.message) from error


class MinihdfsReader:
    """Reading on from where the last read ended keeps the datanode streaming; any other offset is asked for by itself."""

    def __init__(self, file: FileReader) -> None:
        self._file = file
        self._lock = threading.Lock()

    def read_at(self, offset: int, length: int) -> bytes:
        with _python_errors():
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
        with _python_errors():
            return self._file.write(data)

    def close(self) -> FileInfo:
        with _python_errors():
            length = self._file.tell()
            self._file.close()
            return FileInfo(self._file.path, False, length, self._file.inode_id, self._file.block_bytes)

    def abort(self) -> None:
        self._file.abort()


class MinihdfsStorage:
    def __init__(self, filesystem: FileSystem) -> None:
        self._fs = filesystem

    @classmethod
    def from_uri(cls, uri: str, *, user: str | None = None) -> MinihdfsStorage:
        """`hdfs://HOST:PORT`, several HOST:PORT with commas; a path behind them is ignored."""
        return cls(connect(uri, user=user))

    @property
    def filesystem(self) -> FileSystem:
        return self._fs

    def uri(self, path: str) -> str:
        return self._fs.uri + path

    def stat(self, path: str) -> FileInfo | None:
        with _python_errors():
            status = self._fs.find(path)
        return None if status is None else _info(path, status)

    def list(self, path: str) -> list[FileInfo]:
        with _python_errors():
            return [_info(entry.path, entry.status) for entry in self._directory(path)]

    def open(self, path: str) -> Reader:
        with _python_errors():
            return MinihdfsReader(self._fs.open(path))

    def create(self, path: str, *, overwrite: bool = False, replication: int = 0) -> Writer:
        with _python_errors():
            return MinihdfsWriter(self._fs.create(path, overwrite=overwrite, replication=replication))

    def mkdirs(self, path: str) -> None:
        with _python_errors():
            self._fs.mkdirs(path)

    def delete(self, path: str) -> None:
        with _python_errors():
            self._fs.delete(path, recursive=True)

    def rename_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        with _python_errors():
            self._fs.rename_many([*pairs])

    def publish(self, staging: str, output: str, *, replaced_file_id: int = 0, epoch: int = 0) -> None:
        with _python_errors():
            self._fs.publish(staging, output, replaced_inode_id=replaced_file_id, tracker_epoch=epoch)

    def locate(self, path: str, offset: int, length: int) -> Spans:
        """Hosts are both the names and the addresses that the datanodes of a block go by, so that a worker finds itself by either."""
        with _python_errors():
            located = self._fs.locate(path, offset, length)
        end, spans = offset + length, []
        for block in located:
            first, last = max(offset, block.offset), min(end, block.offset + block.block.length)
            hosts = dict.fromkeys(name for node in block.locations for name in (node.hostname, node.host) if name)
            spans.append(Span(first, last - first, tuple(hosts)))
        return spans

    def close(self) -> None:
        self._fs.close()

    def _directory(self, path: str) -> Iterator[Entry]:
        for entry in self._fs.scan(path):
            if not entry.status.name and not entry.status.is_directory:
                raise errors.NotADirectory(f"{path} is a file, not a directory")
            yield entry


Spans = list[Span]


def _info(path: str, status: FileStatus) -> FileInfo:
    return FileInfo(path, status.is_directory, status.length, status.inode_id, status.block_bytes)
