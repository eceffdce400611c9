"""The verbs of `mrc fs` that carry bytes: put, get, cp, cat, head, tail, touchz.

What arrives appears under its name only when it is whole: it is written to `NAME._COPYING_` and renamed, and removed when the copy fails.
A pipeline that breaks beyond repair starts the file again, as long as its source can be read twice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import BinaryIO

from clusterkit.errors import ClusterError, UsageError
from minihdfs.client.filesystem import FileSystem
from minihdfs.client.reader import FileReader
from minihdfs.client.writer import FileWriter
from minihdfs.errors import BrokenPipeline, FileAlreadyExists, FileNotFound, FsError, IsADirectory, NoDatanodes, NotADirectory
from minihdfs.model import FileStatus
from mrc.fs_progress import Progress
from mrc.fs_targets import Found, Target, Verb, local_error, local_matches, local_path

COPYING = "._COPYING_"
BUFFER_BYTES = 4 << 20
ATTEMPTS = 4
"""Times one file is written from its beginning before put and cp give it up."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    overwrite: bool = False
    preserve: bool = False  # times, permission; owner and group where that is permitted
    replication: int = 0
    block_bytes: int = 0
    direct: bool = False  # no `._COPYING_`


@contextlib.contextmanager
def unwinding_when_terminated() -> Iterator[None]:
    """SIGTERM unwinds as an interrupt does, so that nothing half copied stays behind."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# ── into the cluster ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@unwinding_when_terminated()
def put(verb: Verb, sources: Sequence[str], destination: str, options: CopyOptions) -> int:
    target = verb.target(destination)
    status = _destination(target, several=len(sources) > 1)
    progress = Progress("put")
    for text in sources:
        with verb.trying():
            if text == "-":
                _must_be_free(target, status, options, "put -f -")
                # Unbuffered: the buffered reader goes on reading in C, deaf to a signal that came between two reads.
                stream: BinaryIO = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
                _write(target.fs, target.path, stream, None, options, progress)
                continue
            for source in local_matches(text):
                with verb.trying():
                    path = _inside(target.path, source.absolute().name) if status is not None and status.is_directory else target.path
                    _put_one(verb, target.fs, source, path, options, progress)
    progress.end()
    return verb.exit_code


def _put_one(verb: Verb, fs: FileSystem, source: Path, path: str, options: CopyOptions, progress: Progress) -> None:
    status = fs.find(path)
    if source.is_dir():
        if status is not None and not status.is_directory:
            raise NotADirectory(f"{path} is a file: a directory cannot be put over it")
        fs.mkdirs(path)
        for inner in sorted(source.iterdir(), key=lambda p: os.fsencode(p.name)):
            with verb.trying():
                _put_one(verb, fs, inner, _inside(path, inner.name), options, progress)
    else:
        if not source.is_file() and not source.is_fifo():
            raise FileNotFound(f"{source}: no such file on this machine") if not source.exists() else FsError(f"{source} is no file")
        _must_be_free(Target(fs, path), status, options, f"put -f {quote(str(source))}")
        with source.open("rb", buffering=0) as file:
            _write(fs, path, file, os.fstat(file.fileno()), options, progress)
    if options.preserve:
        _preserve(fs, path, source.stat())


def _write(fs: FileSystem, path: str, source: BinaryIO, facts: os.stat_result | None, options: CopyOptions, progress: Progress) -> None:
    """Copies a local stream to a new file; begins again when the pipeline breaks and the source can go back."""
    replayable = facts is not None and source.seekable()
    progress.file(path, facts.st_size if facts is not None else 0)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _written(fs, path, options, lambda writer: _pump(source, writer, progress), keep=not replayable)
            return
        except (BrokenPipeline, NoDatanodes):
            if not replayable or attempt == ATTEMPTS:
                raise
            source.seek(0)
            progress.file(path, facts.st_size if facts is not None else 0)


def _written(fs: FileSystem, path: str, options: CopyOptions, fill: Callable[[FileWriter], None], *, keep: bool) -> None:
    """A new file at `path` with what `fill` writes, whole or not at all. `keep`: the writer must be able to resend by itself."""
    temporary = path if options.direct else path + COPYING
    writer = fs.create(
        temporary,
        overwrite=options.overwrite or not options.direct,
        replication=options.replication,
        block_bytes=options.block_bytes,
        create_parents=False,
        resend_bytes=None if keep else 0,
    )
    with writer:
        fill(writer)
    if temporary != path:
        try:
            fs.rename2(temporary, path, overwrite=options.overwrite)
        except BaseException:
            with contextlib.suppress(ClusterError, OSError):
                fs.delete(temporary)
            raise


def _pump(source: BinaryIO, writer: FileWriter, progress: Progress) -> None:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    while True:
        try:
            count = source.readinto(buffer)  # type: ignore[attr-defined]  # every stream that comes here has it
        except OSError as error:
            raise local_error(error) from error
        if not count:
            return
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
                raise FileAlreadyExists(f"{text} is not a zero-length file", next_command=f"mrc fs rm {text}")
            target.fs.create(target.path, overwrite=status is not None, create_parents=False).close()
    return verb.exit_code


# ── within the cluster ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@unwinding_when_terminated()
def cp(verb: Verb, sources: Sequence[str], destination: str, options: CopyOptions) -> int:
    target = verb.target(destination)
    status = _destination(target, several=len(sources) > 1)
    progress = Progress("cp")
    for found in verb.each(sources):
        with verb.trying():
            path = _inside(target.path, found.entry.name) if status is not None and status.is_directory else target.path
            if found.is_directory and (path + "/").startswith(found.path.rstrip("/") + "/"):
                raise FsError(f"{found.shown} cannot be copied into itself: {path}")
            _copy_one(verb, found, target.fs, path, options, progress)
    progress.end()
    return verb.exit_code


def _copy_one(verb: Verb, found: Found, fs: FileSystem, path: str, options: CopyOptions, progress: Progress) -> None:
    status = fs.find(path)
    if found.is_directory:
        if status is not None and not status.is_directory:
            raise NotADirectory(f"{path} is a file: a directory cannot be copied over it")
        fs.mkdirs(path)
        for entry in found.fs.scan(found.path):
            with verb.trying():
                _copy_one(verb, found.at(entry), fs, _inside(path, entry.name), options, progress)
    else:
        _must_be_free(Target(fs, path), status, options, f"cp -f {quote(found.shown)}")
        with found.fs.open(found.path) as source:
            progress.file(path, source.length)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    source.seek(0)
                    _written(fs, path, options, lambda writer: _pump(source, writer, progress), keep=False)  # type: ignore[arg-type]
                    break
                except (BrokenPipeline, NoDatanodes):
                    if attempt == ATTEMPTS:
                        raise
    if options.preserve:
        facts = found.entry.status
        fs.set_permission(path, facts.permission)
        fs.set_times(path, facts.modified_us, facts.accessed_us)


# ── out of the cluster ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@unwinding_when_terminated()
def get(verb: Verb, sources: Sequence[str], destination: str, options: CopyOptions) -> int:
    if destination == "-":
        return cat(verb, sources)
    target = local_path(destination)
    if len(sources) > 1 and not target.is_dir():
        raise UsageError(f"{target} is not a directory of this machine, and {len(sources)} sources are given")
    if not target.is_dir() and not target.absolute().parent.is_dir():
        raise FileNotFound(f"{target.parent}: no such directory on this machine", next_command=f"mkdir -p {target.parent}")
    progress = Progress("get")
    into = target.is_dir()
    for found in verb.each(sources):
        with verb.trying():
            _get_one(verb, found, target / (found.entry.name or "root") if into else target, options, progress)
    progress.end()
    return verb.exit_code


def _get_one(verb: Verb, found: Found, target: Path, options: CopyOptions, progress: Progress) -> None:
    if found.is_directory:
        if target.exists() and not target.is_dir():
            raise NotADirectory(f"{target} is a file: a directory cannot be put over it")
        target.mkdir(exist_ok=True)
        for entry in found.fs.scan(found.path):
            with verb.trying():
                _get_one(verb, found.at(entry), target / entry.name, options, progress)
    else:
        if target.is_dir():
            raise IsADirectory(f"{target} is a directory: a file cannot be put over it")
        if os.path.lexists(target) and not options.overwrite:
            by_force = f"mrc fs get -f {quote(found.shown)} {quote(str(target))}"
            raise FileAlreadyExists(f"{target} exists on this machine", next_command=by_force)
        _get_file(found, target, progress)
    if options.preserve:
        status = found.entry.status
        target.chmod(status.permission & 0o777)
        os.utime(target, ns=(status.accessed_us * 1000, status.modified_us * 1000))


def _get_file(found: Found, target: Path, progress: Progress) -> None:
    temporary = target.with_name(target.name + COPYING) if len(os.fsencode(target.name)) <= 245 else target
    with found.fs.open(found.path) as source:
        progress.file(found.path, source.length)
        try:
            with temporary.open("wb", buffering=0) as file:
                _pour(source, file.write, progress)
            if temporary != target:
                temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def cat(verb: Verb, paths: Sequence[str]) -> int:
    out = sys.stdout.buffer
    for found in verb.each(paths):
        with verb.trying(), _open_file(found) as source:
            _pour(source, out.write, None)
    out.flush()
    return verb.exit_code


def head(verb: Verb, path: str, count: int) -> int:
    out = sys.stdout.buffer
    for found in verb.each([path]):
        with verb.trying(), _open_file(found) as source:
            out.write(source.read(count))
    out.flush()
    return verb.exit_code


def tail(verb: Verb, path: str, *, count: int, follow: bool, pause_s: float) -> int:
    """With `follow`, goes on until it is interrupted, as bytes become known."""
    out = sys.stdout.buffer
    for found in verb.each([path]):
        with verb.trying():
            with _open_file(found) as source:
                position = max(0, source.length - count)
            while True:
                with _open_file(found) as source:
                    source.seek(position)
                    position += _pour(source, out.write, None)
                out.flush()
                if not follow:
                    break
                time.sleep(pause_s)
    return verb.exit_code


def _pour(source: FileReader, write: Callable[[memoryview], object], progress: Progress | None) -> int:
    """Everything from the source's position on; returns how many bytes."""
    buffer = memoryview(bytearray(min(BUFFER_BYTES, max(1, source.length - source.tell()))))
    total = 0
    while count := source.readinto(buffer):
        left = buffer[:count]
        while left:
            written = write(left)
            left = left[written if isinstance(written, int) else len(left) :]
        total += count
        if progress is not None:
            progress.add(count)
    return total


def _open_file(found: Found) -> FileReader:
    if found.is_directory:
        raise IsADirectory(f"{found.shown} is a directory", next_command=f"mrc fs ls {found.shown}")
    return found.fs.open(found.path)


# ── destinations ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _destination(target: Target, *, several: bool) -> FileStatus | None:
    """What is at the destination now. Raises when nothing could ever be put there."""
    status = target.fs.find(target.path)
    if several and (status is None or not status.is_directory):
        raise NotADirectory(
            f"{target.shown()} is not a directory, and several sources are given", next_command=f"mrc fs mkdir {target.shown()}"
        )
    if status is None:
        parent = target.path.rstrip("/").rpartition("/")[0] or "/"
        above = target.fs.find(parent)
        if above is None:
            shown = target.shown(parent)
            raise FileNotFound(f"{shown}: no such directory", next_command=f"mrc fs mkdir -p {shown}")
        if not above.is_directory:
            raise NotADirectory(f"{target.shown(parent)} is a file")
    return status


def _must_be_free(target: Target, status: FileStatus | None, options: CopyOptions, by_force: str) -> None:
    if status is None:
        return
    if status.is_directory:
        raise IsADirectory(f"{target.shown()} is a directory: a file cannot be put over it")
    if not options.overwrite:
        raise FileAlreadyExists(f"{target.shown()} exists", next_command=f"mrc fs {by_force} {quote(target.shown())}")


def _inside(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}"
