"""The tree of names: directories, files, and which blocks a file consists of (by id only: what a
block is, `blocks` knows).

Reading resolves paths over the overlay; the `apply_…` methods are the only mutators, called from
`appliers` with resolved ids. A rename moves one dentry, so it costs the same for a file and for a
tree. Deleting a tree detaches it (parent 0) and leaves it to be reclaimed.
"""

from __future__ import annotations

from minihdfs import paths
from minihdfs.errors import FileNotFound, NotADirectory, ParentNotDirectory
from minihdfs.model import ROOT_INODE_ID, FileStatus
from minihdfs.namenode.core.overlay import Overlay
from minihdfs.namenode.core.records import BLOCKS_AT_ONCE, Inode
from minihdfs.namenode.core.request import Caller
from minihdfs.namenode.core.tree.permissions import Permissions


class Namespace:
    def __init__(self, overlay: Overlay, permissions: Permissions) -> None:
        self.overlay = overlay
        self._permissions = permissions
        self.files = self.directories = 0
        self.detached: dict[int, None] = dict.fromkeys(
            key for key, _true in overlay.detached.items()
        )
        """Deleted directories and large files that are still to be reclaimed, as the table has
        them, oldest first."""

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    def inode(self, inode_id: int) -> Inode | None:
        return self.overlay.get_inode(inode_id)

    def require(self, inode_id: int) -> Inode:
        """An inode that must exist: anything else is a broken invariant."""
        found = self.overlay.get_inode(inode_id)
        assert found is not None, f"inode {inode_id} does not exist"
        return found

    def glance(self, inode_id: int) -> Inode:
        """As `require`, for whoever looks at many and at each once: it leaves no trace in
        memory."""
        found: Inode | None = self.overlay.inode.peek(inode_id)
        assert found is not None, f"inode {inode_id} does not exist"
        return found

    def child(self, parent_id: int, name: str) -> Inode | None:
        inode_id = self.overlay.dentry.get((parent_id, name))
        return None if inode_id is None else self.overlay.get_inode(inode_id)

    def children(self, parent_id: int, after: str, limit: int) -> list[tuple[str, int]]:
        return self.overlay.dentry.children(parent_id, after, limit)

    def find(self, caller: Caller, path: str) -> Inode | None:
        """The inode of a path, or None. Raises InvalidPath, AccessDenied."""
        names = paths.components(path)
        if not self._permissions.is_super(caller):
            chain = self.walk(names)
            self._permissions.check_traverse(
                caller, [inode for inode in chain[: len(names)] if inode.is_directory], path
            )
            return chain[-1] if len(chain) == len(names) + 1 else None
        get = self.overlay.dentry.get
        inode_id = ROOT_INODE_ID
        for name in names:
            inode_id = get((inode_id, name))
            if inode_id is None:
                return None
        return self.overlay.get_inode(inode_id)

    def existing(self, caller: Caller, path: str) -> Inode:
        """As `find`, but a missing one is FileNotFound."""
        found = self.find(caller, path)
        if found is None:
            raise FileNotFound(
                f"File does not exist: {path}", next_command=f"mrc fs ls {paths.parent(path)}"
            )
        return found

    def walk(self, names: tuple[str, ...]) -> list[Inode]:
        """The inodes from the root down, as far as they exist."""
        chain = [self.require(ROOT_INODE_ID)]
        for name in names:
            found = self.child(chain[-1].id, name)
            if found is None:
                break
            chain.append(found)
        return chain

    def parent_of(self, caller: Caller, path: str) -> tuple[Inode, str, Inode | None]:
        """(directory above, last name, what stands there or None). Raises FileNotFound or
        ParentNotDirectory for the parent.

        The root has no parent: callers deal with it before."""
        names = paths.components(path)
        chain = self.walk(names)
        directories = chain[: len(names)]
        for depth, inode in enumerate(directories):
            if not inode.is_directory:
                raise ParentNotDirectory(f"{paths.join(*names[:depth])} (is not a directory)")
        self._permissions.check_traverse(caller, directories, path)
        if len(chain) < len(names):
            raise FileNotFound(
                f"Parent directory doesn't exist: {paths.parent(path)}",
                next_command=f"mrc fs mkdir {paths.parent(path)}",
            )
        return (
            chain[len(names) - 1],
            names[-1],
            chain[len(names)] if len(chain) > len(names) else None,
        )

    def path_of(self, inode: Inode) -> str:
        """Its path now; for a detached inode the path inside the detached tree."""
        names: list[str] = []
        at: Inode | None = inode
        while at is not None and at.id != ROOT_INODE_ID:
            names.append(at.name)
            at = self.overlay.get_inode(at.parent_id) if at.parent_id else None
        return paths.join(*reversed(names))

    def is_attached(self, inode: Inode) -> bool:
        at: Inode | None = inode
        while at is not None and at.id != ROOT_INODE_ID:
            at = self.overlay.get_inode(at.parent_id) if at.parent_id else None
        return at is not None

    def is_ancestor(self, ancestor_id: int, inode_id: int) -> bool:
        """Does `inode_id` lie at or under `ancestor_id`?"""
        at: int = inode_id
        while at and at != ROOT_INODE_ID:
            if at == ancestor_id:
                return True
            at = self.require(at).parent_id
        return at == ancestor_id

    def directory(self, caller: Caller, path: str) -> Inode:
        found = self.existing(caller, path)
        if not found.is_directory:
            raise NotADirectory(f"{path} is not a directory")
        return found

    @staticmethod
    def status(inode: Inode, name: bytes = b"") -> FileStatus:
        children = inode.children - (inode.id == ROOT_INODE_ID)  # but for /.system
        return FileStatus(
            inode.id,
            name,
            inode.is_directory,
            inode.length,
            inode.replication,
            inode.block_bytes,
            inode.permission,
            inode.owner,
            inode.group,
            inode.modified_ms * 1000,
            inode.accessed_ms * 1000,
            children,
            inode.client_name != "",
        )

    # ── changing: only `appliers` calls these ─────────────────────────────────────────────────────

    def put(self, inode: Inode) -> None:
        self.overlay.inode.put(inode.id, inode)

    def add(self, inode: Inode) -> None:
        """A new inode under its parent."""
        self.put(inode)
        if inode.is_directory:
            self.directories += 1
        else:
            self.files += 1
        if inode.parent_id:
            self.overlay.dentry.put((inode.parent_id, inode.name), inode.id)
            self._count_child(inode.parent_id, inode, +1, inode.modified_ms)

    def move(self, inode_id: int, parent_id: int, name: str, at_ms: int) -> Inode:
        """To another name, whose dentry is free."""
        inode = self.require(inode_id)
        self.overlay.dentry.remove((inode.parent_id, inode.name))
        self._count_child(inode.parent_id, inode, -1, at_ms)
        moved = inode._replace(parent_id=parent_id, name=name)
        self.put(moved)
        self.overlay.dentry.put((parent_id, name), inode_id)
        self._count_child(parent_id, inode, +1, at_ms)
        return moved

    def detach(self, inode_id: int, at_ms: int) -> Inode:
        """Takes the name away. The inode stays, with parent 0, until `free`."""
        inode = self.require(inode_id)
        self.overlay.dentry.remove((inode.parent_id, inode.name))
        self._count_child(inode.parent_id, inode, -1, at_ms)
        return self.orphan(inode)

    def orphan(self, inode: Inode) -> Inode:
        orphaned = inode._replace(parent_id=0)
        self.put(orphaned)
        if inode.is_directory or len(inode.blocks) > BLOCKS_AT_ONCE:
            self.overlay.detached.put(inode.id, True)
            self.detached[inode.id] = None
        return orphaned

    def unlink_child(self, directory_id: int, child: Inode) -> None:
        """Takes a child out of a directory that is being reclaimed: nobody reads its count or time
        any more."""
        self.overlay.dentry.remove((directory_id, child.name))

    def free(self, inode: Inode) -> None:
        """The inode is gone. Its name must be gone before, its blocks are `blocks`' business."""
        self.overlay.inode.remove(inode.id)
        if inode.is_directory:
            self.directories -= 1
        else:
            self.files -= 1
        if inode.id in self.detached:
            del self.detached[inode.id]
            self.overlay.detached.remove(inode.id)

    def _count_child(self, directory_id: int, child: Inode, change: int, at_ms: int) -> None:
        directory = self.require(directory_id)
        directories = directory.directories + (change if child.is_directory else 0)
        self.put(
            directory._replace(
                children=directory.children + change, directories=directories, modified_ms=at_ms
            )
        )
