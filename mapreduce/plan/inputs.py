"""Which files a job reads: what the IN arguments name, opened up once, in a fixed order.

    a file                 itself, whatever its name
    a directory            its files by name in byte order, not those that begin with `_` or `.`;
                           directories in it only if `recursive`
    a pattern              what matches `*`, `?`, `[…]` within a path component, `{a,b}` anywhere,
                           and `**/` for any number of directories; a path that exists literally
                           is never a pattern

Nothing is read twice: a file that two arguments name is refused, because counting it once and
counting it twice both surprise somebody. Files of 0 bytes are input like any other (they hold no
records). What has records and says that it has no bytes (a pipe, a file of /proc) cannot be cut,
nor read by another process, nor read again: it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clusterkit.patterns import expanded, is_hidden, is_pattern, is_plain, matcher, unescaped
from mapreduce.errors import InputRefused
from mapreduce.storage.api import FileInfo, Storage


def input_files(
    storage: Storage, inputs: Sequence[str], *, recursive: bool = False
) -> list[FileInfo]:
    """The files behind absolute input paths. Raises InputRefused."""
    found: dict[str, tuple[FileInfo, str]] = {}
    for argument in inputs:
        for info in _files_of(storage, argument, recursive):
            real = storage.real(info.path)
            if real in found:
                raise InputRefused(
                    f"input {info.path} is named twice, by {found[real][1]} and by {argument}",
                    next_command=_listing(storage, _parent(info.path)),
                )
            _refuse_special(storage, info)
            found[real] = (info, argument)
    return [info for info, _argument in found.values()]


def _refuse_special(storage: Storage, info: FileInfo) -> None:
    if info.is_special or (not info.length and _has_bytes(storage, info.path)):
        raise InputRefused(
            f"input {storage.uri(info.path)} is a pipe or a device, which other processes cannot "
            "read in pieces: write it to a file first",
            next_command=f"cat {quote(info.path)} > FILE",
        )


def _has_bytes(storage: Storage, path: str) -> bool:
    reader = storage.open(path)
    try:
        return bool(reader.read_at(0, 1))
    finally:
        reader.close()


def _files_of(storage: Storage, argument: str, recursive: bool) -> Iterator[FileInfo]:
    info = storage.stat(argument)
    if info is not None:
        yield from _opened(storage, info, recursive)
        return
    if not is_pattern(argument):
        raise InputRefused(
            f"input {storage.uri(argument)} does not exist",
            next_command=_listing(storage, _nearest(storage, argument)),
        )
    matched = list(_matches(storage, argument))
    if not matched:
        raise InputRefused(
            f"no file matches input {storage.uri(argument)}",
            next_command=_listing(storage, _nearest(storage, argument)),
        )
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
        names = ", ".join(_name(path) for path in directories[:3]) + (
            ", …" if len(directories) > 3 else ""
        )
        raise InputRefused(
            f"input {shown} holds only directories: {names}; --recursive reads what is in them",
            next_command=_listing(storage, directories[0]),
        )
    raise InputRefused(
        f"input directory {shown} holds no files to read", next_command=_listing(storage, info.path)
    )


def _contents(
    storage: Storage, directory: str, recursive: bool
) -> tuple[list[FileInfo], list[str]]:
    """Its files, and its directories; hidden names are neither. With `recursive`, the files below
    as well, in the order of their names."""
    files: list[FileInfo] = []
    directories: list[str] = []
    for entry in (
        _below(storage, directory, {storage.real(directory)})
        if recursive
        else _visible(storage, directory)
    ):
        if entry.is_directory:
            directories.append(entry.path)
        else:
            files.append(entry)
    return files, directories


def _visible(storage: Storage, directory: str) -> list[FileInfo]:
    return [entry for entry in storage.list(directory) if not is_hidden(_name(entry.path))]


def _below(storage: Storage, directory: str, above: set[str]) -> Iterator[FileInfo]:
    """Everything below that is not hidden, each directory before what it holds. A link back to a
    directory `above` is not followed."""
    for entry in _visible(storage, directory):
        if not entry.is_directory:
            yield entry
        elif (real := storage.real(entry.path)) not in above:
            yield entry
            yield from _below(storage, entry.path, above | {real})


def _matches(storage: Storage, pattern: str) -> Iterator[FileInfo]:
    """What a pattern matches, component by component, in byte order; each once, whichever of its
    alternatives match it."""
    found: dict[str, FileInfo] = {}
    for one in expanded(pattern):
        here = [info for info in [storage.stat("/")] if info is not None]
        components = [part for part in one.split("/") if part]
        for position, component in enumerate(components):
            is_last = position == len(components) - 1
            step = (
                info
                for base in here
                if base.is_directory
                for info in _step(storage, base, component, is_last)
            )
            here = list({info.path: info for info in step}.values())
        found.update({info.path: info for info in here if info.path not in found})
    yield from found.values()


def _step(storage: Storage, base: FileInfo, component: str, is_last: bool) -> Iterator[FileInfo]:
    if component == "**":
        below = _below(storage, base.path, {storage.real(base.path)})
        if is_last:
            yield from (info for info in below if not info.is_directory)
        else:
            yield from (base, *(info for info in below if info.is_directory))
    elif is_plain(component):
        info = storage.stat(f"{base.path.rstrip('/')}/{unescaped(component)}")
        yield from [info] if info is not None else []
    else:
        wanted, shows_hidden = matcher(component), component[:1] in ("_", ".")
        for entry in storage.list(base.path):
            name = _name(entry.path)
            if wanted.fullmatch(name) and (shows_hidden or not is_hidden(name)):
                yield entry


def _nearest(storage: Storage, path: str) -> str:
    """The lowest directory above `path` that exists and is no pattern."""
    while path not in ("", "/"):
        path = _parent(path)
        if not is_pattern(path) and storage.stat(path) is not None:
            return path
    return "/"


def _listing(storage: Storage, directory: str) -> str:
    shown = quote(directory)
    return f"ls {shown}" if storage.uri("/").startswith("file:") else f"mrc fs ls {shown}"


def quote(path: str) -> str:
    """As a shell takes it back."""
    return path if re.fullmatch(r"[\w./+:=@%-]+", path) else "'" + path.replace("'", "'\\''") + "'"


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _parent(path: str) -> str:
    return path.rstrip("/").rpartition("/")[0] or "/"
