"""Which files a job reads: what the IN arguments name, opened up once, in a fixed order.

    a file                 itself, whatever its name
    a directory            its files by name in byte order, not those that begin with `_` or `.`; directories in it only if `recursive`
    a pattern              what matches `*`, `?` and `[…]` within a path component; a path that exists literally is never a pattern

Nothing is read twice: a file that two arguments name is refused, because counting it once and counting it twice both surprise somebody.
Files of 0 bytes are input like any other (they hold no records).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence

from mapreduce.errors import InputRefused
from mapreduce.storage.api import FileInfo, Storage

_MAGIC = re.compile(r"[*?\[]")


def input_files(storage: Storage, inputs: Sequence[str], *, recursive: bool = False) -> list[FileInfo]:
    """The files behind absolute input paths. Raises InputRefused."""
    found: dict[str, tuple[FileInfo, str]] = {}
    for argument in inputs:
        for info in _files_of(storage, argument, recursive):
            if info.path in found:
                raise InputRefused(
                    f"input {info.path} is named twice, by {found[info.path][1]} and by {argument}",
                    next_command=_listing(storage, _parent(info.path)),
                )
            found[info.path] = (info, argument)
    return [info for info, _argument in found.values()]


def _files_of(storage: Storage, argument: str, recursive: bool) -> Iterator[FileInfo]:
    info = storage.stat(argument)
    if info is not None:
        yield from _opened(storage, info, recursive)
        return
    if not _MAGIC.search(argument):
        raise InputRefused(f"input {storage.uri(argument)} does not exist", next_command=_listing(storage, _nearest(storage, argument)))
    matched = list(_matches(storage, argument))
    if not matched:
        raise InputRefused(f"no file matches input {storage.uri(argument)}", next_command=_listing(storage, _nearest(storage, argument)))
    for match in matched:
        yield from _opened(storage, match, recursive)


def _opened(storage: Storage, info: FileInfo, recursive: bool) -> list[FileInfo]:
    """A file, or a directory's files."""
    if not info.is_directory:
        return [info]
    files, directories = _contents(storage, info.path, recursive)
    if files:
        return files
    shown = storage.uri(info.path)
    if directories and not recursive:
        names = ", ".join(_name(path) for path in directories[:3]) + (", …" if len(directories) > 3 else "")
        raise InputRefused(
            f"input {shown} holds only directories: {names}; --recursive reads what is in them",
            next_command=_listing(storage, directories[0]),
        )
    raise InputRefused(f"input directory {shown} holds no files to read", next_command=_listing(storage, info.path))


def _contents(storage: Storage, directory: str, recursive: bool) -> tuple[list[FileInfo], list[str]]:
    files: list[FileInfo] = []
    directories: list[str] = []
    for entry in storage.list(directory):
        if _name(entry.path).startswith(("_", ".")):
            continue
        if not entry.is_directory:
            files.append(entry)
            continue
        directories.append(entry.path)
        if recursive:
            files += _contents(storage, entry.path, recursive)[0]
    return files, directories


def _matches(storage: Storage, pattern: str) -> Iterator[FileInfo]:
    """What a pattern matches, component by component, in byte order."""
    components = [part for part in pattern.split("/") if part]
    bases = ["/"]
    for position, component in enumerate(components):
        is_last = position == len(components) - 1
        if not _MAGIC.search(component):
            bases = [f"{base.rstrip('/')}/{component}" for base in bases]
            if is_last:
                yield from (info for base in bases if (info := storage.stat(base)) is not None)
            continue
        hits = [entry for base in bases for entry in _entries(storage, base) if _fits(_name(entry.path), component)]
        if is_last:
            yield from hits
        bases = [entry.path for entry in hits if entry.is_directory]


def _fits(name: str, pattern: str) -> bool:
    """A hidden name is matched only by a pattern that begins as it does."""
    if name.startswith(("_", ".")) and not pattern.startswith(name[0]):
        return False
    return fnmatch.fnmatchcase(name, pattern)


def _entries(storage: Storage, directory: str) -> list[FileInfo]:
    info = storage.stat(directory)
    return storage.list(directory) if info is not None and info.is_directory else []


def _nearest(storage: Storage, path: str) -> str:
    """The lowest directory above `path` that exists and is no pattern."""
    while path not in ("", "/"):
        path = _parent(path)
        if not _MAGIC.search(path) and storage.stat(path) is not None:
            return path
    return "/"


def _listing(storage: Storage, directory: str) -> str:
    shown = directory if re.fullmatch(r"[\w./+:=@%-]+", directory) else "'" + directory.replace("'", "'\\''") + "'"
    return f"ls {shown}" if storage.uri("/").startswith("file:") else f"mrc fs ls {shown}"


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _parent(path: str) -> str:
    return path.rstrip("/").rpartition("/")[0] or "/"
