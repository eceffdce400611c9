"""The verbs of `mrc fs` that change the namespace: mkdir, rm, rmdir, mv, chmod, chown, chgrp,
setrep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from shlex import quote

from clusterkit.errors import UsageError
from minihdfs import paths
from minihdfs.errors import (
    AccessDenied,
    DirectoryNotEmpty,
    FileAlreadyExists,
    FileNotFound,
    InvalidArgument,
    IsADirectory,
    NotADirectory,
)
from mrc.fs.modes import changed
from mrc.fs.targets import Found, Verb
from mrc.printing import out

POLL_S = 0.1


def mkdir(verb: Verb, texts: Sequence[str], *, parents: bool) -> int:
    for text in texts:
        with verb.trying():
            target = verb.target(text)
            status = target.fs.find(target.path)
            if status is not None and not (parents and status.is_directory):
                raise FileAlreadyExists(
                    f"{text} exists" + ("" if status.is_directory else " and is a file"),
                    next_command=f"mrc fs ls -d {quote(text)}",
                )
            above = target.path.rstrip("/").rpartition("/")[0] or "/"
            if not parents and not target.fs.exists(above):
                raise FileNotFound(
                    f"{target.shown(above)}: no such directory",
                    next_command=f"mrc fs mkdir -p {quote(text)}",
                )
            target.fs.mkdirs(target.path, create_parents=parents)
    return verb.exit_code


def rm(verb: Verb, paths: Sequence[str], *, recursive: bool, force: bool) -> int:
    for text in paths:
        with verb.trying():
            try:
                matches = verb.matches(text)
            except FileNotFound:
                if force:
                    continue
                raise
            for found in matches:
                with verb.trying():
                    _remove(found, recursive=recursive)
    return verb.exit_code


def _remove(found: Found, *, recursive: bool) -> None:
    if found.path == "/":
        raise AccessDenied("/ cannot be removed", next_command="mrc fs ls /")
    if found.is_directory and not recursive:
        said = f"{found.shown} is a directory: -r removes it with everything in it"
        raise IsADirectory(said, next_command=f"mrc fs ls {quote(found.shown)}")
    found.fs.delete(found.path, recursive=recursive)
    out(f"Deleted {found.shown}")


def rmdir(verb: Verb, paths: Sequence[str], *, ignore_non_empty: bool) -> int:
    for found in verb.each(paths):
        with verb.trying():
            if not found.is_directory:
                raise NotADirectory(f"{found.shown} is not a directory")
            try:
                found.fs.delete(found.path, recursive=False)
            except DirectoryNotEmpty as error:
                if not ignore_non_empty:
                    raise DirectoryNotEmpty(
                        error.message, next_command=f"mrc fs ls {quote(found.shown)}"
                    ) from None
    return verb.exit_code


def mv(verb: Verb, sources: Sequence[str], destination: str) -> int:
    target = verb.target(destination)
    into = target.fs.find(target.path)
    if len(sources) > 1 and (into is None or not into.is_directory):
        said = f"{destination} is not a directory, and several sources are given"
        raise NotADirectory(said, next_command=f"mrc fs mkdir -p {quote(destination)}")
    for found in verb.each(sources):
        with verb.trying():
            if found.fs is not target.fs:
                by_copy = f"mrc fs cp {quote(found.shown)} {quote(destination)}"
                raise InvalidArgument(
                    f"{found.shown} is in another file system", next_command=by_copy
                )
            path = (
                paths.join(*paths.components(target.path), found.entry.name)
                if into is not None and into.is_directory
                else target.path
            )
            if path == found.path:
                raise InvalidArgument(f"{found.shown} and {target.shown(path)} are the same file")
            above = paths.parent(path)
            if into is None and target.directory_meant and not found.is_directory:
                above = path  # `mv FILE /none/`
            if not target.fs.exists(above):
                shown = target.shown(above)
                raise FileNotFound(
                    f"{shown}: no such directory", next_command=f"mrc fs mkdir -p {quote(shown)}"
                )
            if target.fs.exists(path):
                raise FileAlreadyExists(
                    f"{target.shown(path)} exists",
                    next_command=f"mrc fs ls -d {quote(target.shown(path))}",
                )
            target.fs.rename2(found.path, path)
    return verb.exit_code


def chmod(verb: Verb, mode: str, paths: Sequence[str], *, recursive: bool) -> int:
    changed(mode, 0, is_directory=False)  # refuses a mode that is none before anything is asked

    def change(found: Found) -> None:
        status = found.entry.status
        wanted = changed(mode, status.permission, is_directory=status.is_directory)
        if wanted != status.permission:
            found.fs.set_permission(found.path, wanted)

    return _for_all(verb, paths, change, recursive=recursive)


def chown(verb: Verb, who: str, paths: Sequence[str], *, recursive: bool) -> int:
    owner, _, group = who.partition(":")
    if not owner and not group:
        raise UsageError(
            f"chown: {who!r} names neither owner nor group: OWNER, OWNER:GROUP or :GROUP"
        )
    return _for_all(
        verb, paths, lambda found: found.fs.set_owner(found.path, owner, group), recursive=recursive
    )


def _for_all(
    verb: Verb, paths: Sequence[str], change: Callable[[Found], None], *, recursive: bool
) -> int:
    for found in verb.each(paths):
        with verb.trying():
            change(found)
            if recursive:
                for inner in verb.below(found):
                    with verb.trying():
                        change(inner)
    return verb.exit_code


def setrep(verb: Verb, replication: int, paths: Sequence[str], *, wait: bool) -> int:
    """Of files, and of all files below directories, as Hadoop does."""
    waiting: list[Found] = []
    for found in verb.each(paths):
        with verb.trying():
            for file in [found] if not found.is_directory else verb.below(found):
                if not file.is_directory:
                    with verb.trying():
                        file.fs.set_replication(file.path, replication)
                        out(f"Replication {replication} set: {file.shown}")
                        waiting.append(file)
    for file in waiting if wait else ():
        with verb.trying():
            while any(len(block.locations) != replication for block in file.fs.locate(file.path)):
                time.sleep(POLL_S)
            out(f"Waiting for {file.shown} ... done")
    return verb.exit_code
