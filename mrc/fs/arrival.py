"""How files arrive on this machine: whole or not at all, under the name that was meant, and never
through a link that somebody planted.

A destination is held open as a directory, and everything below it is reached from there, name by
name, following no link. What arrives is written to a temporary of its own (O_EXCL) and then linked
or renamed to its name; what is replaced with -f keeps its mode and owner, as under cp.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from minihdfs.errors import AccessDenied, FileAlreadyExists, FsError, IsADirectory, NotADirectory
from mrc.fs.temporary import temporary_name
from mrc.interruption import held

Fill = Callable[[int], None]
"""Writes everything to a descriptor; may set its mode and times."""

_CANNOT_LINK = (
    errno.EPERM,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EACCES,
    errno.EXDEV,
)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BELOW = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Directory:
    """A directory that is held open. `path` is for messages."""

    def __init__(self, fd: int, path: Path) -> None:
        self.fd, self.path = fd, path

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path) -> Iterator[Directory]:
        """One that the user named: its own links are followed."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield cls(fd, path)
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def below(self, name: str) -> Iterator[Directory]:
        """A directory in this one, made if it is missing."""
        name = checked(name)
        before = self.look(name)
        if before is not None and stat.S_ISLNK(before.st_mode):
            raise AccessDenied(f"{self.path / name} is a link: nothing is written through it")
        if before is not None and not stat.S_ISDIR(before.st_mode):
            raise NotADirectory(f"{self.path / name} is a file: a directory cannot be put over it")
        with named(self.path / name):
            if before is None:
                os.mkdir(name, dir_fd=self.fd)
            fd = os.open(name, _BELOW, dir_fd=self.fd)
        try:
            yield Directory(fd, self.path / name)
        finally:
            os.close(fd)

    def look(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def take(self, name: str, fill: Fill, *, overwrite: bool, by_force: str) -> None:
        """A file arrives. Raises FileAlreadyExists (with `by_force` to try), IsADirectory; nothing
        is left of what fails."""
        name = checked(name)
        shown, before = self.path / name, self.look(name)
        if before is not None:
            if stat.S_ISLNK(before.st_mode):
                raise AccessDenied(
                    f"{shown} is a link: nothing is written through it",
                    next_command=f"ls -l {shown}",
                )
            if stat.S_ISDIR(before.st_mode):
                raise IsADirectory(f"{shown} is a directory: a file cannot be put over it")
            if not overwrite:
                raise FileAlreadyExists(f"{shown} exists on this machine", next_command=by_force)
            if not stat.S_ISREG(before.st_mode):
                raise FsError(f"{shown} is no file", next_command=f"ls -l {shown}")
        with named(shown), self._temporary(name, before) as (temporary, fd):
            fill(fd)
            with held():
                self._give_name(temporary, name, before, overwrite=overwrite, by_force=by_force)

    @contextlib.contextmanager
    def _temporary(self, name: str, before: os.stat_result | None) -> Iterator[tuple[str, int]]:
        temporary = temporary_name(name, os.fpathconf(self.fd, "PC_NAME_MAX"))
        with held():
            # What replaces a private file is never wider than it, not for a moment.
            fd = os.open(temporary, _NEW, 0o600 if before is not None else 0o666, dir_fd=self.fd)
        try:
            if before is not None:
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    with contextlib.suppress(PermissionError):
                        os.fchown(fd, before.st_uid, before.st_gid)
                os.fchmod(fd, stat.S_IMODE(before.st_mode))
            yield temporary, fd
        finally:
            with held():
                os.close(fd)
                with contextlib.suppress(FileNotFoundError):  # it has got its name
                    os.unlink(temporary, dir_fd=self.fd)

    def _give_name(
        self,
        temporary: str,
        name: str,
        before: os.stat_result | None,
        *,
        overwrite: bool,
        by_force: str,
    ) -> None:
        if not overwrite:
            try:
                os.link(
                    temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False
                )  # refuses what came meanwhile
                return
            except FileExistsError:
                raise FileAlreadyExists(
                    f"{self.path / name} exists on this machine", next_command=by_force
                ) from None
            except OSError as error:
                if error.errno not in _CANNOT_LINK:
                    raise
            if self.look(name) is not None:  # a file system without links: the best that it can do
                raise FileAlreadyExists(
                    f"{self.path / name} exists on this machine", next_command=by_force
                )
        os.rename(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)


def checked(name: str) -> str:
    """A name that stays in its directory, whatever a server says. Raises FsError."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise FsError(f"{name!r} is no name of a file")
    return name


def followed(target: Path) -> Path:
    """Where a link leads that the user named as the destination, as under cp; not one that a
    stranger planted (Linux's own rule for shared directories: it must be mine, or belong to who
    owns the directory)."""
    for _ in range(40):
        try:
            link = target.lstat()
        except FileNotFoundError:
            return target
        if not stat.S_ISLNK(link.st_mode):
            return target
        if link.st_uid not in (os.geteuid(), 0, target.parent.stat().st_uid):
            raise AccessDenied(
                f"{target} is a link of another user's: it is not followed",
                next_command=f"ls -l {target}",
            )
        target = target.parent / target.readlink()
    raise FsError(f"{target}: too many links")


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Errors of descriptors say which file they are of: a full disk has a path."""
    try:
        yield
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith("/"):
            error.filename, error.filename2 = str(path), None
        raise
