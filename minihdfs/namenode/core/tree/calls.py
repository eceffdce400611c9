"""Changes of the tree's names, each request followed by its handler. Everything is checked first,
then committed as one edit (parents made before it)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from minihdfs import paths
from minihdfs.errors import (
    DirectoryNotEmpty,
    FileAlreadyExists,
    FileNotFound,
    InvalidArgument,
    IsADirectory,
    NotADirectory,
)
from minihdfs.namenode.core.records import Inode
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Caller, Request
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import edits, reserved
from minihdfs.namenode.core.tree.deleting import check_tree
from minihdfs.namenode.core.tree.places import MODE_BITS, place_for


@dataclass(frozen=True, slots=True)
class Mkdirs(Request):
    retried = True

    path: str
    permission: int
    create_parents: bool


def mkdirs(state: State, event: Mkdirs) -> bool:
    state.safemode.require_off(f"create directory {event.path}")
    if not paths.components(event.path):
        return True
    place = place_for(state, event.caller, event.path, create_parents=event.create_parents)
    if place.existing is not None:
        if not place.existing.is_directory:
            raise FileAlreadyExists(f"{event.path} already exists as a file")
        return True
    directory = place.make_parents(event.permission)
    state.commit(
        edits.DirectoryMade(
            directory.id,
            place.name,
            state.last_inode_id + 1,
            event.permission & MODE_BITS,
            event.caller.user,
            directory.group,
        ),
        event.caller,
        True,
    )
    return True


@dataclass(frozen=True, slots=True)
class Rename(Request):
    """The old call: Answer False instead of an error for a missing source or an existing
    destination file."""

    retried = True

    source: str
    destination: str


def rename(state: State, event: Rename) -> bool:
    """HDFS's old call: False where the new one raises; a destination that is a directory takes the
    source into it."""
    state.safemode.require_off(f"rename {event.source}")
    source_names = paths.components(event.source)
    if not source_names:
        return False
    source = state.namespace.find(event.caller, event.source)
    if source is None:
        return False
    destination = paths.normal(event.destination)
    target = state.namespace.find(event.caller, destination)
    if target is not None and target.id == source.id:
        return not source.is_directory
    if target is not None and target.is_directory:
        destination = paths.child(destination, source.name)
        target = state.namespace.child(target.id, source.name)
    if target is not None:
        return target.id == source.id and not source.is_directory
    if source.is_directory and paths.is_under(destination, event.source):
        return False
    try:
        op = _renamed(state, event.caller, event.source, destination, overwrite=False)
    except FileNotFound:
        return False
    state.commit(op, event.caller, True)
    return True


@dataclass(frozen=True, slots=True)
class Rename2(Request):
    retried = True
    void = True

    source: str
    destination: str
    overwrite: bool


def rename2(state: State, event: Rename2) -> None:
    state.safemode.require_off(f"rename {event.source}")
    state.commit(
        _renamed(state, event.caller, event.source, event.destination, overwrite=event.overwrite),
        event.caller,
        True,
    )


def _renamed(
    state: State, caller: Caller, source_path: str, destination_path: str, *, overwrite: bool
) -> edits.Renamed:
    """The edit of one rename, all rules checked."""
    if not paths.components(source_path):
        raise InvalidArgument("the root / cannot be renamed")
    if not paths.components(destination_path):
        raise FileAlreadyExists("the root / cannot be the destination of a rename")
    for path in (source_path, destination_path):
        reserved.check_taken(paths.components(path))
    reserved.check_new(paths.components(destination_path))
    source_directory, _source_name, source = state.namespace.parent_of(caller, source_path)
    if source is None:
        raise FileNotFound(
            f"rename source {source_path} is not found",
            next_command=f"mrc fs ls {paths.parent(source_path)}",
        )
    directory, name, target = state.namespace.parent_of(caller, destination_path)
    if target is not None and target.id == source.id:
        raise FileAlreadyExists(
            f"the source {source_path} and the destination {destination_path} are the same"
        )
    if source.is_directory and state.namespace.is_ancestor(source.id, directory.id):
        raise InvalidArgument(
            f"rename destination {destination_path} is under its source {source_path}"
        )
    if target is not None:
        _may_replace(source, target, source_path, destination_path, overwrite)
    state.permissions.check_names(caller, source_directory, source_path, source)
    state.permissions.check_names(caller, directory, destination_path, target)
    return edits.Renamed(source.id, directory.id, name, 0 if target is None else target.id)


def _may_replace(
    source: Inode, target: Inode, source_path: str, destination_path: str, overwrite: bool
) -> None:
    if not overwrite:
        raise FileAlreadyExists(f"rename destination {destination_path} already exists")
    if source.is_directory and not target.is_directory:
        raise NotADirectory(
            f"rename: {source_path} is a directory and the destination {destination_path} is a file"
        )
    if target.is_directory and not source.is_directory:
        raise IsADirectory(
            f"rename: {source_path} is a file and the destination {destination_path} is a directory"
        )
    if target.is_directory and target.children:
        raise DirectoryNotEmpty(
            f"rename destination {destination_path} is a directory that is not empty"
        )


@dataclass(frozen=True, slots=True)
class RenameMany(Request):
    """Ours: up to RENAMES_MAX renames in one edit, all or none; a pair whose source is gone and
    whose destination exists counts as done."""

    retried = True
    void = True

    pairs: tuple[tuple[str, str], ...]


def rename_many(state: State, event: RenameMany) -> None:
    """All or none. A pair whose source is gone and whose destination exists was done by an earlier
    try."""
    state.safemode.require_off("rename")
    if len(event.pairs) > state.options.renames_max:
        raise InvalidArgument(
            f"{len(event.pairs)} renames in one call: at most {state.options.renames_max}"
        )
    _check_apart(event.pairs)
    ops = []
    for source, destination in event.pairs:
        if (
            state.namespace.find(event.caller, source) is None
            and state.namespace.find(event.caller, destination) is not None
        ):
            continue
        ops.append(_renamed(state, event.caller, source, destination, overwrite=False))
    if ops:
        state.commit(edits.RenamedMany(tuple(ops)), event.caller, True)


def _check_apart(pairs: tuple[tuple[str, str], ...]) -> None:
    """Each rename is checked against the tree as it is, so no pair may depend on another: no path
    twice, none under another's."""
    seen = sorted(paths.components(path) for pair in pairs for path in pair)
    for one, other in itertools.pairwise(seen):
        if other[: len(one)] == one:
            raise InvalidArgument(
                f"renames of one call overlap: {paths.join(*one)} and {paths.join(*other)}"
            )


@dataclass(frozen=True, slots=True)
class Delete(Request):
    retried = True

    path: str
    recursive: bool


def delete(state: State, event: Delete) -> bool:
    """False for a missing path, and for the root, which is never removed."""
    state.safemode.require_off(f"delete {event.path}")
    names = paths.components(event.path)
    inode = state.namespace.find(event.caller, event.path)
    if inode is None:
        return False
    reserved.check_taken(names)
    if inode.is_directory and not event.recursive and state.namespace.status(inode).children:
        raise DirectoryNotEmpty(
            f"{event.path} is not empty", next_command=f"mrc fs ls {event.path}"
        )
    if not names:
        return False
    if inode.is_directory:
        check_tree(state, event.caller, inode, event.path)
    state.permissions.check_names(
        event.caller, state.namespace.require(inode.parent_id), event.path, inode
    )
    state.commit(edits.Deleted(inode.id), event.caller, True)
    return True


CALLS: Calls = {
    Mkdirs: Call(mkdirs),
    Rename: Call(rename),
    Rename2: Call(rename2),
    RenameMany: Call(rename_many),
    Delete: Call(delete),
}
