"""Changes of the tree: directories, names, attributes. Everything is checked first, then committed
as one edit (parents made before it)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from minihdfs import paths
from minihdfs.errors import (
    DirectoryNotEmpty,
    FencedWriter,
    FileAlreadyExists,
    FileNotFound,
    InvalidArgument,
    IsADirectory,
    NotADirectory,
    ParentNotDirectory,
)
from minihdfs.namenode.core import bounds, deleting, edits, elected, events, reserved
from minihdfs.namenode.core.permissions import WRITE
from minihdfs.namenode.core.records import Inode
from minihdfs.namenode.core.rooms import Rooms

MODE_BITS = 0o1777
TIME_MS_MAX = 1 << 63


@dataclass(slots=True)
class Place:
    """Where a new name goes: the deepest directory that exists, the parents still to be made, the
    name, and what stands there now."""

    rooms: Rooms
    caller: events.Caller
    directory: Inode
    missing: tuple[str, ...]
    name: str
    existing: Inode | None

    def make_parents(self, permission: int) -> Inode:
        """Makes what is missing and returns the directory for the name. Parents can be entered and
        written by their owner in any case."""
        directory = self.directory
        for name in self.missing:
            inode_id = self.rooms.last_inode_id + 1
            self.rooms.commit(
                edits.DirectoryMade(
                    directory.id,
                    name,
                    inode_id,
                    (permission & MODE_BITS) | 0o300,
                    self.caller.user,
                    directory.group,
                )
            )
            directory = self.rooms.namespace.require(inode_id)
        return directory


def place_for(rooms: Rooms, caller: events.Caller, path: str, *, create_parents: bool) -> Place:
    """Raises IsADirectory for the root, ParentNotDirectory, FileNotFound (a missing parent),
    AccessDenied."""
    names = paths.components(path)
    if not names:
        raise IsADirectory("/ is a directory, and always exists")
    reserved.check_new(names)
    bounds.check_text("user name", caller.user, bounds.OWNER_BYTES_MAX)
    chain = rooms.namespace.walk(names)
    above = chain[: len(names)]
    for depth, inode in enumerate(above):
        if not inode.is_directory:
            raise ParentNotDirectory(f"{paths.join(*names[:depth])} (is not a directory)")
    rooms.permissions.check_traverse(caller, above, path)
    missing = names[len(above) - 1 : -1]
    if missing and not create_parents:
        raise FileNotFound(
            f"Parent directory doesn't exist: {paths.parent(path)}",
            next_command=f"mrc fs mkdir {paths.parent(path)}",
        )
    existing = chain[len(names)] if len(chain) > len(names) else None
    if existing is None:
        rooms.permissions.check_names(caller, above[-1], path)
    return Place(rooms, caller, above[-1], missing, names[-1], existing)


def mkdirs(rooms: Rooms, event: events.Mkdirs) -> bool:
    rooms.safemode.require_off(f"create directory {event.path}")
    if not paths.components(event.path):
        return True
    place = place_for(rooms, event.caller, event.path, create_parents=event.create_parents)
    if place.existing is not None:
        if not place.existing.is_directory:
            raise FileAlreadyExists(f"{event.path} already exists as a file")
        return True
    directory = place.make_parents(event.permission)
    rooms.commit(
        edits.DirectoryMade(
            directory.id,
            place.name,
            rooms.last_inode_id + 1,
            event.permission & MODE_BITS,
            event.caller.user,
            directory.group,
        ),
        event.caller,
        True,
    )
    return True


# ── rename ────────────────────────────────────────────────────────────────────────────────────────


def rename(rooms: Rooms, event: events.Rename) -> bool:
    """HDFS's old call: False where the new one raises; a destination that is a directory takes the
    source into it."""
    rooms.safemode.require_off(f"rename {event.source}")
    source_names = paths.components(event.source)
    if not source_names:
        return False
    source = rooms.namespace.find(event.caller, event.source)
    if source is None:
        return False
    destination = paths.normal(event.destination)
    target = rooms.namespace.find(event.caller, destination)
    if target is not None and target.id == source.id:
        return not source.is_directory
    if target is not None and target.is_directory:
        destination = paths.child(destination, source.name)
        target = rooms.namespace.child(target.id, source.name)
    if target is not None:
        return target.id == source.id and not source.is_directory
    if source.is_directory and paths.is_under(destination, event.source):
        return False
    try:
        op = _renamed(rooms, event.caller, event.source, destination, overwrite=False)
    except FileNotFound:
        return False
    rooms.commit(op, event.caller, True)
    return True


def rename2(rooms: Rooms, event: events.Rename2) -> None:
    rooms.safemode.require_off(f"rename {event.source}")
    rooms.commit(
        _renamed(rooms, event.caller, event.source, event.destination, overwrite=event.overwrite),
        event.caller,
        True,
    )


def _renamed(
    rooms: Rooms, caller: events.Caller, source_path: str, destination_path: str, *, overwrite: bool
) -> edits.Renamed:
    """The edit of one rename, all rules checked."""
    if not paths.components(source_path):
        raise InvalidArgument("the root / cannot be renamed")
    if not paths.components(destination_path):
        raise FileAlreadyExists("the root / cannot be the destination of a rename")
    for path in (source_path, destination_path):
        reserved.check_taken(paths.components(path))
    reserved.check_new(paths.components(destination_path))
    source_directory, _source_name, source = rooms.namespace.parent_of(caller, source_path)
    if source is None:
        raise FileNotFound(
            f"rename source {source_path} is not found",
            next_command=f"mrc fs ls {paths.parent(source_path)}",
        )
    directory, name, target = rooms.namespace.parent_of(caller, destination_path)
    if target is not None and target.id == source.id:
        raise FileAlreadyExists(
            f"the source {source_path} and the destination {destination_path} are the same"
        )
    if source.is_directory and rooms.namespace.is_ancestor(source.id, directory.id):
        raise InvalidArgument(
            f"rename destination {destination_path} is under its source {source_path}"
        )
    if target is not None:
        _may_replace(source, target, source_path, destination_path, overwrite)
    rooms.permissions.check_names(caller, source_directory, source_path, source)
    rooms.permissions.check_names(caller, directory, destination_path, target)
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


def rename_many(rooms: Rooms, event: events.RenameMany) -> None:
    """All or none. A pair whose source is gone and whose destination exists was done by an earlier
    try."""
    rooms.safemode.require_off("rename")
    if len(event.pairs) > rooms.options.renames_max:
        raise InvalidArgument(
            f"{len(event.pairs)} renames in one call: at most {rooms.options.renames_max}"
        )
    _check_apart(event.pairs)
    ops = []
    for source, destination in event.pairs:
        if (
            rooms.namespace.find(event.caller, source) is None
            and rooms.namespace.find(event.caller, destination) is not None
        ):
            continue
        ops.append(_renamed(rooms, event.caller, source, destination, overwrite=False))
    if ops:
        rooms.commit(edits.RenamedMany(tuple(ops)), event.caller, True)


def _check_apart(pairs: tuple[tuple[str, str], ...]) -> None:
    """Each rename is checked against the tree as it is, so no pair may depend on another: no path
    twice, none under another's."""
    seen = sorted(paths.components(path) for pair in pairs for path in pair)
    for one, other in itertools.pairwise(seen):
        if other[: len(one)] == one:
            raise InvalidArgument(
                f"renames of one call overlap: {paths.join(*one)} and {paths.join(*other)}"
            )


def publish(rooms: Rooms, event: events.Publish) -> int:
    """Fenced by the tracker's epoch; re-runnable: the directory remembers which staging directory
    it was."""
    rooms.safemode.require_off(f"publish {event.destination}")
    elected.refuse_a_jobs_staging(event)
    elected.require_elected(rooms, event.tracker_epoch)
    if (
        0 < event.tracker_epoch < rooms.tracker_epoch
    ):  # 0: no tracker's, but a program's that publishes for itself
        raise FencedWriter(
            f"publish of {event.destination} by a tracker of epoch {event.tracker_epoch}; epoch "
            f"{rooms.tracker_epoch} has published since"
        )
    staging_path = paths.normal(event.staging)
    staging = rooms.namespace.find(event.caller, event.staging)
    if staging is None:
        done = rooms.namespace.find(event.caller, event.destination)
        if done is not None and done.published_from == staging_path:
            return done.id
        raise FileNotFound(f"publish source {event.staging} is not found")
    if not staging.is_directory:
        raise NotADirectory(f"publish source {event.staging} is not a directory")
    if not paths.components(event.destination):
        raise FileAlreadyExists("the root / cannot be the destination of a publish")
    for path in (event.staging, event.destination):
        reserved.check_taken(paths.components(path))
    reserved.check_new(paths.components(event.destination))
    directory, name, target = rooms.namespace.parent_of(event.caller, event.destination)
    if target is not None and target.id != event.replaced_inode_id:
        raise FileAlreadyExists(
            f"publish destination {event.destination} already exists",
            next_command=f"mrc fs ls -d {event.destination}",
        )
    if rooms.namespace.is_ancestor(staging.id, directory.id) or (
        target is not None and rooms.namespace.is_ancestor(target.id, staging.id)
    ):
        raise InvalidArgument(
            f"publish of {event.staging} to {event.destination}: one is under the other"
        )
    rooms.permissions.check_names(
        event.caller, rooms.namespace.require(staging.parent_id), event.staging, staging
    )
    rooms.permissions.check_names(event.caller, directory, event.destination, target)
    if target is not None and target.is_directory:
        deleting.check_tree(rooms, event.caller, target, event.destination)
    renamed = edits.Renamed(staging.id, directory.id, name, 0 if target is None else target.id)
    rooms.commit(
        edits.Published(renamed, staging_path, event.tracker_epoch), event.caller, staging.id
    )
    return staging.id


# ── attributes ────────────────────────────────────────────────────────────────────────────────────


def set_permission(rooms: Rooms, event: events.SetPermission) -> None:
    rooms.safemode.require_off(f"set permission of {event.path}")
    inode = rooms.namespace.existing(event.caller, event.path)
    rooms.permissions.check_owner(event.caller, inode, event.path)
    rooms.commit(edits.PermissionSet(inode.id, event.permission & MODE_BITS), event.caller, True)


def set_owner(rooms: Rooms, event: events.SetOwner) -> None:
    rooms.safemode.require_off(f"set owner of {event.path}")
    inode = rooms.namespace.existing(event.caller, event.path)
    rooms.permissions.check_chown(event.caller, inode, event.owner, event.group, event.path)
    bounds.check_text("owner", event.owner, bounds.OWNER_BYTES_MAX)
    bounds.check_text("group", event.group, bounds.OWNER_BYTES_MAX)
    rooms.commit(
        edits.OwnerSet(inode.id, event.owner or inode.owner, event.group or inode.group),
        event.caller,
        True,
    )


def set_times(rooms: Rooms, event: events.SetTimes) -> None:
    rooms.safemode.require_off(f"set times of {event.path}")
    inode = rooms.namespace.existing(event.caller, event.path)
    rooms.permissions.check(event.caller, inode, WRITE, event.path)
    modified = inode.modified_ms if event.modified_ms is None else event.modified_ms
    accessed = inode.accessed_ms if event.accessed_ms is None else event.accessed_ms
    if not all(-TIME_MS_MAX <= time_ms < TIME_MS_MAX for time_ms in (modified, accessed)):
        raise InvalidArgument(f"times of {event.path} are beyond what Hadoop's protocol can say")
    rooms.commit(edits.TimesSet(inode.id, modified, accessed), event.caller, True)


def set_replication(rooms: Rooms, event: events.SetReplication) -> bool:
    rooms.safemode.require_off(f"set replication of {event.path}")
    inode = rooms.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        return False
    if not 1 <= event.replication <= rooms.options.replication_max:
        raise InvalidArgument(
            f"replication {event.replication} of {event.path} is not within "
            f"1…{rooms.options.replication_max}"
        )
    rooms.permissions.check(event.caller, inode, WRITE, event.path)
    if inode.replication != event.replication:
        rooms.commit(edits.ReplicationSet(inode.id, event.replication), event.caller, True)
    return True
