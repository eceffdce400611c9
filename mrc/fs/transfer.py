"""The verbs of `mrc fs` that carry bytes into the cluster and within it: put, cp, touchz.

What arrives appears under its name only when it is whole: it is written under a name of its own and
renamed, and removed when the copy fails or is interrupted. A pipeline that breaks beyond repair
starts the file again, as long as its source can be read twice.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import BinaryIO, cast

from clusterkit.errors import ClusterError
from minihdfs import paths
from minihdfs.client.filesystem import FileSystem
from minihdfs.client.writer import FileWriter
from minihdfs.errors import (
    BrokenPipeline,
    FileAlreadyExists,
    FileNotFound,
    FsError,
    IsADirectory,
    NoDatanodes,
    NotADirectory,
)
from minihdfs.model import FileStatus
from mrc.fs.progress import Progress
from mrc.fs.targets import Found, Target, Verb, local_error, local_matches
from mrc.fs.temporary import temporary_name
from mrc.interruption import held, interruptible

BUFFER_BYTES = 4 << 20
HEARING_S = 0.5
ATTEMPTS = 4
"""Times one file is written from its beginning before put and cp give it up."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    overwrite: bool = False
    preserve: bool = False  # times, permission; owner and group where that is permitted
    replication: int = 0
    block_bytes: int = 0
    direct: bool = False  # no `._COPYING_`


# ── into the cluster ──────────────────────────────────────────────────────────────────────────────


@interruptible()
def put(verb: Verb, sources: Sequence[str], destination: str, options: CopyOptions) -> int:
    target = verb.target(destination)
    status = _destination(target, several=len(sources) > 1)
    progress = Progress("put")
    for text in sources:
        with verb.trying():
            if text == "-":
                _must_be_free(target, status, options, "put -f -")
                # Unbuffered: the buffered reader goes on reading in C, deaf to a signal that came
                # between two reads.
                stream: BinaryIO = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
                _write(target.fs, target.path, stream, None, options, progress)
                continue
            for source in local_matches(text):
                with verb.trying():
                    path = target.path
                    if (
                        status is not None
                        and status.is_directory
                        and os.path.realpath(source) != "/"
                    ):
                        path = _inside(
                            path,
                            source.name if source.name not in ("", "..") else source.resolve().name,
                        )
                    _put_one(verb, target.fs, source, path, options, progress, ())
    progress.end()
    return verb.exit_code


Trail = tuple[tuple[int, int], ...]
"""Device and inode of the directories that are being walked, from the top: one that comes again is
a link that leads back."""


def _put_one(
    verb: Verb,
    fs: FileSystem,
    source: Path,
    path: str,
    options: CopyOptions,
    progress: Progress,
    trail: Trail,
) -> None:
    status = fs.find(path)
    if source.is_dir():
        if status is not None and not status.is_directory:
            raise NotADirectory(f"{path} is a file: a directory cannot be put over it")
        facts = source.stat()
        if (facts.st_dev, facts.st_ino) in trail:
            raise FsError(f"{source} is a link that leads back to a directory above it: left out")
        names = sorted(
            source.iterdir(), key=lambda p: os.fsencode(p.name)
        )  # before anything is made: it may be closed to us
        fs.mkdirs(path)
        for inner in names:
            with verb.trying():
                _put_one(
                    verb,
                    fs,
                    inner,
                    _inside(path, inner.name),
                    options,
                    progress,
                    (*trail, (facts.st_dev, facts.st_ino)),
                )
        if options.preserve:
            _preserve(fs, path, source.stat())
        return
    if not source.is_file() and (
        trail or not source.is_fifo()
    ):  # a pipe may be named; met in a directory, nobody might ever write to it
        raise (
            FileNotFound(f"{source}: no such file on this machine")
            if not source.exists()
            else FsError(f"{source} is no file")
        )
    _must_be_free(Target(fs, path), status, options, f"put -f {quote(str(source))}")
    with source.open("rb", buffering=0) as file:
        _write(fs, path, file, os.fstat(file.fileno()), options, progress)


def _write(
    fs: FileSystem,
    path: str,
    source: BinaryIO,
    facts: os.stat_result | None,
    options: CopyOptions,
    progress: Progress,
) -> None:
    """Copies a local stream to a new file; begins again when the pipeline breaks and the source can
    go back."""
    replayable = facts is not None and source.seekable()
    size = facts.st_size if facts is not None else 0

    def finish(temporary: str) -> None:
        if options.preserve and facts is not None:
            _preserve(fs, temporary, facts)

    progress.file(path, size)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _written(
                fs,
                path,
                options,
                lambda writer: _pump(source, writer, progress),
                finish,
                keep=not replayable,
            )
            return
        except (BrokenPipeline, NoDatanodes):
            if not replayable or attempt == ATTEMPTS:
                raise
            source.seek(0)
            progress.file(path, size)


Filled = Callable[[FileWriter], None]
Finished = Callable[[str], None]


def _written(
    fs: FileSystem, path: str, options: CopyOptions, fill: Filled, finish: Finished, *, keep: bool
) -> None:
    """A new file at `path` with what `fill` writes, whole or not at all. `finish` is told the name
    that it still has when it is whole. `keep`: the writer must be able to resend by itself."""
    directory, _, name = path.rpartition("/")
    temporary = path if options.direct else f"{directory}/{temporary_name(name)}"
    writer: FileWriter | None = None
    try:
        with held():
            writer = fs.create(
                temporary,
                overwrite=options.overwrite and options.direct,
                replication=options.replication,
                block_bytes=options.block_bytes,
                create_parents=False,
                resend_bytes=None if keep else 0,
            )
        fill(writer)
        with held():
            writer.close()
            finish(temporary)
            if temporary != path:
                fs.rename2(temporary, path, overwrite=options.overwrite)
    except BaseException as error:
        with held(), contextlib.suppress(ClusterError, OSError):
            if writer is not None:
                writer.abort()
            if (
                temporary != path
            ):  # also when nobody knows whether it was made: the name is nobody else's
                fs.delete(temporary)
        if isinstance(error, ClusterError):
            error.message = error.message.replace(
                temporary, path
            )  # people know the name that they gave
        raise


def _pump(source: BinaryIO, writer: FileWriter, progress: Progress) -> None:
    """Interruptible while it waits for the source, and between two pieces."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    try:
        regular = not isinstance(source, io.FileIO) or stat.S_ISREG(
            os.fstat(source.fileno()).st_mode
        )
    except OSError as error:
        raise local_error(error) from error
    while True:
        try:
            if not regular:
                while not select.select([source], [], [], HEARING_S)[0]:
                    # a signal that came just before a read would be heard only when it returns
                    pass
            count = source.readinto(buffer)  # type: ignore[attr-defined]  # every stream that comes here has it
        except OSError as error:
            raise local_error(error) from error
        if not count:
            return
        with held():
            writer.write(buffer[:count])
        progress.add(count)


def _preserve(fs: FileSystem, path: str, facts: os.stat_result) -> None:
    fs.set_permission(path, facts.st_mode & 0o1777)
    fs.set_times(path, facts.st_mtime_ns // 1000, facts.st_atime_ns // 1000)


def touchz(verb: Verb, paths: Sequence[str]) -> int:
    for text in paths:
        with verb.trying():
            target = verb.target(text)
            status = target.fs.find(target.path)
            if status is not None and status.is_directory:
                raise IsADirectory(f"{text} is a directory")
            if status is not None and status.length:
                raise FileAlreadyExists(
                    f"{text} is not a zero-length file", next_command=f"mrc fs ls {quote(text)}"
                )
            if status is not None:
                target.fs.set_times(
                    target.path, modified_us=time.time_ns() // 1000
                )  # never made again: it may be written to by now
                continue
            _destination(target, several=False)
            target.fs.create(target.path, create_parents=False).close()
    return verb.exit_code


# ── within the cluster ────────────────────────────────────────────────────────────────────────────


@interruptible()
def cp(verb: Verb, sources: Sequence[str], destination: str, options: CopyOptions) -> int:
    target = verb.target(destination)
    status = _destination(target, several=len(sources) > 1)
    progress = Progress("cp")
    for found in verb.each(sources):
        with verb.trying():
            path = (
                _inside(target.path, found.entry.name)
                if status is not None and status.is_directory
                else target.path
            )
            if found.is_directory and found.fs is target.fs and paths.is_under(path, found.path):
                raise FsError(f"{found.shown} cannot be copied into itself: {path}")
            _copy_one(verb, found, target.fs, path, options, progress)
    progress.end()
    return verb.exit_code


def _copy_one(
    verb: Verb, found: Found, fs: FileSystem, path: str, options: CopyOptions, progress: Progress
) -> None:
    status = fs.find(path)
    if found.is_directory:
        if status is not None and not status.is_directory:
            raise NotADirectory(f"{path} is a file: a directory cannot be copied over it")
        entries = found.fs.list(found.path)  # as it was before anything was made
        fs.mkdirs(path)
        for entry in entries:
            with verb.trying():
                _copy_one(verb, found.at(entry), fs, _inside(path, entry.name), options, progress)
        if options.preserve:
            _preserve_copy(fs, path, found.entry.status)
        return
    if status is not None and found.fs is fs and status.inode_id == found.entry.status.inode_id:
        raise FsError(f"{found.shown} and {path} are the same file")
    _must_be_free(Target(fs, path), status, options, f"cp -f {quote(found.shown)}")

    def finish(temporary: str) -> None:
        if options.preserve:
            _preserve_copy(fs, temporary, found.entry.status)

    with found.fs.open(found.path) as source:
        progress.file(path, source.length)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                source.seek(0)
                _written(
                    fs,
                    path,
                    options,
                    lambda writer: _pump(cast(BinaryIO, source), writer, progress),
                    finish,
                    keep=False,
                )
                break
            except (BrokenPipeline, NoDatanodes):
                if attempt == ATTEMPTS:
                    raise


def _preserve_copy(fs: FileSystem, path: str, facts: FileStatus) -> None:
    fs.set_permission(path, facts.permission)
    fs.set_times(path, facts.modified_us, facts.accessed_us)


# ── destinations ──────────────────────────────────────────────────────────────────────────────────


def _destination(target: Target, *, several: bool) -> FileStatus | None:
    """What is at the destination now. Raises when nothing could ever be put there."""
    status = target.fs.find(target.path)
    shown = target.shown()
    if (several or target.directory_meant) and status is not None and not status.is_directory:
        raise NotADirectory(
            f"{shown} is a file" + (", and several sources are given" if several else "")
        )
    if (several or target.directory_meant) and status is None:
        why = f"{shown}: no such directory" + (", and several sources are given" if several else "")
        raise (NotADirectory if several else FileNotFound)(
            why, next_command=f"mrc fs mkdir -p {quote(shown)}"
        )
    if status is None:
        parent = paths.parent(target.path)
        above = target.fs.find(parent)
        if above is None:
            shown = target.shown(parent)
            raise FileNotFound(
                f"{shown}: no such directory", next_command=f"mrc fs mkdir -p {quote(shown)}"
            )
        if not above.is_directory:
            raise NotADirectory(f"{target.shown(parent)} is a file")
    return status


def _must_be_free(
    target: Target, status: FileStatus | None, options: CopyOptions, by_force: str
) -> None:
    if status is None:
        return
    if status.is_directory:
        raise IsADirectory(f"{target.shown()} is a directory: a file cannot be put over it")
    if not options.overwrite:
        raise FileAlreadyExists(
            f"{target.shown()} exists", next_command=f"mrc fs {by_force} {quote(target.shown())}"
        )


def _inside(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}"
