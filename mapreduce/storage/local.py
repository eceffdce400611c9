"""Files of this machine. A file appears under its name when it is whole and on disk, never before:
it is written beside it under a hidden name, fsynced, given its name, and the directory fsynced."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import itertools
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from clusterkit.disks import with_its_disk
from clusterkit.durable_file import fsync_directory
from mapreduce.storage.api import AT_ONCE, FileInfo, Reader, Span, Storage, Waiting, Writer
from mapreduce.storage.manifest import published_by

_RENAME_NOREPLACE, _RENAME_EXCHANGE, _AT_FDCWD = 1, 2, -100
_serial = itertools.count()
_WINDOWS, _SHARED_MEMORY = ("/proc/", "/dev/"), "/dev/shm/"
"""What another process sees there is not what this one does."""


class LocalReader:
    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if os.path.isdir(path):  # noqa: PTH112 - a Path would be made for nothing else
            os.close(self._fd)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)

    def read_at(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        if len(data) == length or not data:
            return data
        pieces = [data]  # a signal or a page boundary may cut a read short
        while (got := sum(map(len, pieces))) < length and (
            more := os.pread(self._fd, length - got, offset + got)
        ):
            pieces.append(more)
        return b"".join(pieces)

    def stamp(self) -> str:
        return _stamp(os.fstat(self._fd))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


HOLDS = "the output"


class LocalWriter:
    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path, self._overwrite = path, overwrite
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_existing(path, overwrite)
        self._hidden = path.with_name(f".{path.name[:200]}.{os.getpid()}-{next(_serial)}.tmp")
        self._file = self._hidden.open("xb", buffering=0)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise with_its_disk(error, self._path, HOLDS) from error

    def close(self) -> FileInfo:
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            if self._overwrite:
                self._hidden.replace(self._path)
            else:
                os.link(self._hidden, self._path)  # unlike a rename, it never replaces
                self._hidden.unlink()
        except OSError as error:
            self.abort()
            raise with_its_disk(error, self._path, HOLDS) from error
        except BaseException:
            self.abort()
            raise
        fsync_directory(self._path.parent)
        return _info(self._path)

    def abort(self) -> None:
        self._file.close()
        self._hidden.unlink(missing_ok=True)


class LocalStorage:
    """Paths are absolute; `file://` before one is allowed everywhere."""

    @staticmethod
    def from_uri(uri: str, *, user: str | None = None, waiting: Waiting = AT_ONCE) -> Storage:
        return LocalStorage()

    def uri(self, path: str) -> str:
        return f"file://{_path(path)}"

    def real(self, path: str) -> str:
        return os.path.realpath(_path(path))

    def stat(self, path: str) -> FileInfo | None:
        try:
            return _info(_path(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, path: str) -> list[FileInfo]:
        found = []
        for name in sorted(os.listdir(_path(path)), key=os.fsencode):  # noqa: PTH208 - names, in byte order
            try:
                found.append(_info(_path(path) / name))
            except (FileNotFoundError, NotADirectoryError):  # a broken link, or gone by now
                continue
        return found

    def open(self, path: str) -> Reader:
        return LocalReader(str(_path(path)))

    def create(self, path: str, *, overwrite: bool = False, replication: int = 0) -> Writer:
        return LocalWriter(_path(path), overwrite=overwrite)

    def mkdirs(self, path: str, *, mode: int = 0o777) -> None:
        _path(path).mkdir(mode, parents=True, exist_ok=True)
        fsync_directory(_path(path).parent)

    def may_write(self, directory: str) -> bool:
        return os.access(_path(directory), os.W_OK | os.X_OK)

    def delete(self, path: str) -> None:
        target = _path(path)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def rename_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        touched: set[Path] = set()
        for source_name, target_name in pairs:
            source, target = _path(source_name), _path(target_name)
            if not source.exists() and target.exists():
                continue  # done by an earlier run of the same call
            _rename_without_replacing(source, target)
            touched |= {source.parent, target.parent}
        for directory in sorted(touched):
            fsync_directory(directory)

    def publish(
        self, staging: str, output: str, *, replaced_file_id: int = 0, epoch: int = 0
    ) -> None:
        source, target = _path(staging), _path(output)
        with _one_at_a_time(target.parent):
            there = self.stat(output)
            if not source.exists() and there is not None and published_by(self, output, staging):
                return
            if there is None:
                _rename_without_replacing(source, target)
            elif replaced_file_id and there.file_id == replaced_file_id and not target.is_symlink():
                _exchange(source, target)
                fsync_directory(source.parent)
                fsync_directory(target.parent)
                # it is the old output now; had the exchange not been durable, a power cut could
                # lose both
                self.delete(staging)
            else:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
            fsync_directory(source.parent)
            fsync_directory(target.parent)

    def locate(self, path: str, offset: int, length: int) -> Sequence[Span]:
        return [Span(offset, length, ())]

    def close(self) -> None:
        pass


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Looking and swapping are two steps: of several that replace one output, each sees what the
    others have made of it. The lock is on the directory itself, so nothing is left of it."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks: the exchange alone is atomic
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _path(path: str) -> Path:
    return Path(path.removeprefix("file://"))


def _info(path: Path) -> FileInfo:
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        return FileInfo(str(path), True, 0, found.st_ino)
    is_special = not stat.S_ISREG(found.st_mode) or (
        str(path).startswith(_WINDOWS) and not str(path).startswith(_SHARED_MEMORY)
    )
    return FileInfo(
        str(path), False, found.st_size, found.st_ino, stamp=_stamp(found), is_special=is_special
    )


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_dev:x}:{found.st_ino:x}:{found.st_size}:{found.st_mtime_ns}"


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _renameat2(source: Path, target: Path, flags: int) -> bool:
    """False where the kernel, the C library or this file system does not know the call."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(code, os.strerror(code), str(target if code == errno.EEXIST else source))


def _rename_without_replacing(source: Path, target: Path) -> None:
    if not _renameat2(source, target, _RENAME_NOREPLACE):
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        source.rename(target)


def _exchange(source: Path, target: Path) -> None:
    """Each gets the other's name: at once where the system can, else with a moment in which
    `target` is missing."""
    if not _renameat2(source, target, _RENAME_EXCHANGE):
        aside = source.with_name(source.name + ".old")
        target.rename(aside)
        source.rename(target)
        aside.rename(source)
