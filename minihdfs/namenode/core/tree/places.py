"""Where a new name goes, and who may put it there."""

from __future__ import annotations

from dataclasses import dataclass

from minihdfs import paths
from minihdfs.errors import FileNotFound, IsADirectory, ParentNotDirectory
from minihdfs.namenode.core.records import Inode
from minihdfs.namenode.core.request import Caller
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import bounds, edits, reserved

MODE_BITS = 0o1777


@dataclass(slots=True)
class Place:
    """Where a new name goes: the deepest directory that exists, the parents still to be made, the
    name, and what stands there now."""

    state: State
    caller: Caller
    directory: Inode
    missing: tuple[str, ...]
    name: str
    existing: Inode | None

    def make_parents(self, permission: int) -> Inode:
        """Makes what is missing and returns the directory for the name. Parents can be entered and
        written by their owner in any case."""
        directory = self.directory
        for name in self.missing:
            inode_id = self.state.last_inode_id + 1
            self.state.commit(
                edits.DirectoryMade(
                    directory.id,
                    name,
                    inode_id,
                    (permission & MODE_BITS) | 0o300,
                    self.caller.user,
                    directory.group,
                )
            )
            directory = self.state.namespace.require(inode_id)
        return directory


def place_for(state: State, caller: Caller, path: str, *, create_parents: bool) -> Place:
    """Raises IsADirectory for the root, ParentNotDirectory, FileNotFound (a missing parent),
    AccessDenied."""
    names = paths.components(path)
    if not names:
        raise IsADirectory("/ is a directory, and always exists")
    reserved.check_new(names)
    bounds.check_text("user name", caller.user, bounds.OWNER_BYTES_MAX)
    chain = state.namespace.walk(names)
    above = chain[: len(names)]
    for depth, inode in enumerate(above):
        if not inode.is_directory:
            raise ParentNotDirectory(f"{paths.join(*names[:depth])} (is not a directory)")
    state.permissions.check_traverse(caller, above, path)
    missing = names[len(above) - 1 : -1]
    if missing and not create_parents:
        raise FileNotFound(
            f"Parent directory doesn't exist: {paths.parent(path)}",
            next_command=f"mrc fs mkdir {paths.parent(path)}",
        )
    existing = chain[len(names)] if len(chain) > len(names) else None
    if existing is None:
        state.permissions.check_names(caller, above[-1], path)
    return Place(state, caller, above[-1], missing, names[-1], existing)
