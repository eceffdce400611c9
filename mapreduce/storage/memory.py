"""Files in a dict: for tests and for jobs over data that is in memory already. Its contract is the
other storages'."""

from __future__ import annotations

import errno
import itertools
import os
import posixpath
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from mapreduce.storage.api import FileInfo, Reader, Span, Storage, Writer
from mapreduce.storage.manifest import published_by


class _Entry:
    """A file, or a directory when `data` is None."""

    def __init__(self, file_id: int, data: bytes | None) -> None:
        self.file_id, self.data = file_id, data


class MemoryReader:
    def __init__(self, data: bytes, stamp: Callable[[], str]) -> None:
        self._data, self.stamp = data, stamp

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def close(self) -> None:
        pass


class MemoryWriter:
    def __init__(self, storage: MemoryStorage, path: str, overwrite: bool) -> None:
        self._storage, self._path, self._overwrite = storage, path, overwrite
        self._pieces: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._pieces.append(bytes(data))

    def close(self) -> FileInfo:
        return self._storage.put(self._path, b"".join(self._pieces), overwrite=self._overwrite)

    def abort(self) -> None:
        self._pieces.clear()


class MemoryStorage:
    """`block_bytes` cuts files for `locate`; every block names `hosts`."""

    def __init__(self, *, block_bytes: int = 0, hosts: tuple[str, ...] = ()) -> None:
        self._ids = itertools.count(1)
        self._entries: dict[str, _Entry] = {"/": _Entry(next(self._ids), None)}
        self._block_bytes, self._hosts = block_bytes, hosts

    @staticmethod
    def from_uri(uri: str) -> Storage:
        return MemoryStorage()

    def uri(self, path: str) -> str:
        return f"memory://{_normal(path)}"

    def put(self, path: str, data: bytes, *, overwrite: bool = False) -> FileInfo:
        """A whole file at once, with the directories above it."""
        path = _normal(path)
        self._refuse_existing(path, overwrite)
        self.mkdirs(_parent(path))
        self._entries[path] = _Entry(next(self._ids), data)
        return self._info(path)

    def real(self, path: str) -> str:
        return posixpath.normpath(_normal(path))

    def stat(self, path: str) -> FileInfo | None:
        return self._info(_normal(path)) if _normal(path) in self._entries else None

    def open(self, path: str) -> Reader:
        entry = self._entry(_normal(path))
        if entry.data is None:
            _refuse(errno.EISDIR, path)
        return MemoryReader(entry.data, lambda: self._info(_normal(path)).stamp)

    def create(self, path: str, *, overwrite: bool = False, replication: int = 0) -> Writer:
        self._refuse_existing(_normal(path), overwrite)
        return MemoryWriter(self, _normal(path), overwrite)

    def mkdirs(self, path: str, *, mode: int = 0o777) -> None:
        path = _normal(path)
        if path in self._entries:
            if self._entries[path].data is not None:
                _refuse(errno.EEXIST, path)
            return
        self.mkdirs(_parent(path))
        self._entries[path] = _Entry(next(self._ids), None)

    def may_write(self, directory: str) -> bool:
        return True

    def delete(self, path: str) -> None:
        for name in self._below(_normal(path)):
            del self._entries[name]

    def rename_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        before = dict(self._entries)
        try:
            for source, target in pairs:
                self._rename(_normal(source), _normal(target))
        except OSError:
            self._entries = before
            raise

    def _rename(self, source: str, target: str) -> None:
        if source not in self._entries and target in self._entries:
            return
        self._entry(source)
        if target in self._entries:
            _refuse(errno.EEXIST, target)
        self._entry(_parent(target))
        for name in self._below(source):
            self._entries[target + name[len(source) :]] = self._entries.pop(name)

    def publish(
        self, staging: str, output: str, *, replaced_file_id: int = 0, epoch: int = 0
    ) -> None:
        staging, output = _normal(staging), _normal(output)
        there = self._entries.get(output)
        if (
            staging not in self._entries
            and there is not None
            and published_by(self, output, staging)
        ):
            return
        self._entry(staging)
        if there is not None:
            if not replaced_file_id or there.file_id != replaced_file_id:
                _refuse(errno.EEXIST, output)
            self.delete(output)
        self._rename(staging, output)

    def locate(self, path: str, offset: int, length: int) -> Sequence[Span]:
        size = self._block_bytes or max(length, 1)
        end, at, spans = offset + length, offset, []
        while at < end:
            stop = min(end, (at // size + 1) * size) if self._block_bytes else end
            spans.append(Span(at, stop - at, self._hosts))
            at = stop
        return spans

    def close(self) -> None:
        pass

    def list(self, path: str) -> list[FileInfo]:
        path = _normal(path)
        entry = self._entry(path)
        if entry.data is not None:
            _refuse(errno.ENOTDIR, path)
        names = (name for name in self._entries if name != "/" and _parent(name) == path)
        return [self._info(name) for name in sorted(names, key=os.fsencode)]

    def _entry(self, path: str) -> _Entry:
        found = self._entries.get(path)
        if found is None:
            _refuse(errno.ENOENT, path)
        return found

    def _info(self, path: str) -> FileInfo:
        entry = self._entry(path)
        stamp = "" if entry.data is None else f"{entry.file_id}:{len(entry.data)}"
        return FileInfo(
            path,
            entry.data is None,
            len(entry.data or b""),
            entry.file_id,
            self._block_bytes,
            stamp,
        )

    def _below(self, path: str) -> tuple[str, ...]:
        prefix = path.rstrip("/") + "/"
        return tuple(name for name in self._entries if name == path or name.startswith(prefix))

    def _refuse_existing(self, path: str, overwrite: bool) -> None:
        found = self._entries.get(path)
        if found is not None and found.data is None:
            _refuse(errno.EISDIR, path)
        if found is not None and not overwrite:
            _refuse(errno.EEXIST, path)


def _normal(path: str) -> str:
    return "/" + "/".join(part for part in path.removeprefix("memory://").split("/") if part)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _refuse(code: int, path: str) -> NoReturn:
    raise OSError(code, os.strerror(code), path)
